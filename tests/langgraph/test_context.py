"""The context lifecycle in graphs: the hook before the model, and the archive on their stores."""

from __future__ import annotations

import asyncio
import warnings
from contextlib import contextmanager

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore

from agentrm_langchain import pressure
from agentrm_langchain.messages import to_messages
from agentrm_langgraph import LangGraphColdStore, pre_model_hook
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.context.notes.text import passages
from agentrm_plugins.context.stores import Row, SessionKey
from agentrm_plugins.errors import StoreError, StoreLocked

pytestmark = pytest.mark.lowest
COUNT = counter_for("gpt-4o")
BUDGET = 700


@contextmanager
def store_in(path):
    sqlite = pytest.importorskip("langgraph.store.sqlite")
    with sqlite.SqliteStore.from_conn_string(str(path)) as base:
        base.setup()
        yield base


class State(MessagesState):
    llm_input_messages: list


def graph(hook, sent):
    def model(state):
        sent.append(state["llm_input_messages"])
        return {"messages": [AIMessage(f"answer {len(state['messages'])}")]}

    builder = StateGraph(State).add_node("context", hook).add_node("model", model)
    builder.add_edge(START, "context").add_edge("context", "model")
    return builder.compile(checkpointer=InMemorySaver())


def thread(name, **metadata):
    return {"configurable": {"thread_id": name}, "metadata": metadata}


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_graph_sends_a_view_and_keeps_its_messages(sync):
    """Each model call fits the budget; the checkpoint has every message."""
    sent = []
    with AgentRM() as rm, ContextLifecycle(ContextConfig(budget_tokens=BUDGET)) as manager:
        app = graph(pre_model_hook(manager, rm=rm, prompt="Be brief. " * 10), sent)
        for n in range(15):
            given = {"messages": [("user", f"Turn {n}: " + "some words " * 60)]}
            state = (
                app.invoke(given, thread("t")) if sync else await app.ainvoke(given, thread("t"))
            )
        assert len(state["messages"]) == 30
        for n, listed in enumerate(sent):
            assert COUNT.messages(to_messages(listed)) <= BUDGET - COUNT.text("Be brief. " * 10)
            assert listed[-1].text.startswith(f"Turn {n}:")
            assert not any(message.type == "system" for message in listed)
        assert pressure(rm)["default", "t"].compactions > 0


def test_the_prebuilt_agent_takes_the_hook():
    """`create_react_agent(pre_model_hook=...)`, its prompt counted."""
    from langgraph.prebuilt import create_react_agent

    from tests.langchain.fakes import FakeChat

    with (
        warnings.catch_warnings(),
        ContextLifecycle(ContextConfig(budget_tokens=BUDGET)) as manager,
    ):
        warnings.simplefilter("ignore", DeprecationWarning)
        hook = pre_model_hook(manager, prompt="Be brief.")
        agent = create_react_agent(FakeChat(), [], prompt="Be brief.", pre_model_hook=hook,
                                   checkpointer=InMemorySaver())  # fmt: skip
        for n in range(8):
            given = {"messages": [("user", f"Turn {n}: " + "some words " * 80)]}
            state = agent.invoke(given, thread("t"))
        assert len(state["messages"]) == 16
        assert manager.session("t").pressure.compactions > 0


def test_a_subgraph_has_a_conversation_of_its_own():
    """The same thread id further in is another session, named by its place."""
    sent = []
    with ContextLifecycle(ContextConfig(budget_tokens=BUDGET)) as manager:
        hook = pre_model_hook(manager)
        inner = StateGraph(State).add_node("context", hook).add_edge(START, "context").compile()

        def call(state):
            inner.invoke({"messages": [("user", "inner task")]})
            return {}

        outer = StateGraph(State).add_node("context", hook).add_node("call", call)
        outer.add_edge(START, "context").add_edge("context", "call")
        outer.compile().invoke({"messages": [("user", "outer task")]}, thread("t"))
        names = sorted(key.session for key in manager.statistics())
    assert names[0] == "t"
    assert names[1].startswith("t/call:")
    assert not sent


def test_a_state_without_messages_is_named():
    """The error says which key, and what to give."""
    with ContextLifecycle() as manager:
        hook = pre_model_hook(manager, messages_key="history")
        with pytest.raises(ConfigError, match=r"history.*no such key"):
            hook.invoke({"messages": []})
        assert hook.invoke({"history": [("user", "x")]}) == {
            "llm_input_messages": [HumanMessage("x")]
        }
        with pytest.raises(ConfigError, match="tenant"):
            pre_model_hook(manager, tenant="")
    with pytest.raises(ConfigError, match="context"):
        pre_model_hook(object())


def test_recall_across_a_restart_from_their_file(tmp_path):
    """A session on LangGraph's SQLite store comes back whole in a second process's objects."""
    history = [{"role": "user", "content": "The vault code is ZX-4471."}]
    for n in range(12):
        history += [
            {"role": "assistant", "content": f"Answer {n}: " + "some words " * 60},
            {"role": "user", "content": f"Question {n}?"},
        ]
    dumps = []
    for _ in range(2):
        with store_in(tmp_path / "a.db") as base:
            config = ContextConfig(budget_tokens=BUDGET)
            manager = ContextLifecycle(config, store=LangGraphColdStore(base))
            session = manager.session("t", tenant="acme")
            session.prepare(history)
            assert "ZX-4471" in session.recall("vault code")
            assert "ZX-4471" not in manager.session("t", tenant="other").recall("vault code")
            session.maintain()  # what is read for notes behind the turn
            dumps.append(session.dump())
            manager.close()
    assert dumps[0] == dumps[1]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_names_that_look_alike_never_meet(kind, tmp_path):
    """Prefixes, patterns, dots and case in ids: each session has its own messages only."""
    names = ["s1", "s10", "S1", "s%", "s_", "s.1", "s", "tenant", "", "深圳", "=73", "s1.rows"]
    names = [name for name in names if name]
    with (
        store_in(tmp_path / "a.db")
        if kind == "sqlite"
        else contextmanager(lambda: (yield InMemoryStore()))() as base
    ):
        store = LangGraphColdStore(base)
        keys = [SessionKey(tenant, name) for tenant in ("a", "A", "a.b") for name in names]
        for key in keys:
            text = f"{key.tenant} and {key.session}"
            store.append(key, [Row(0, "user", text, text, 1, 0.0)])
            store.index(key, {0: passages("word")})
        again = LangGraphColdStore(base)
        for key in keys:
            assert again.read(key, [0])[0].body == f"{key.tenant} and {key.session}"
            assert len(again.search(key, ["word"], 9)[0]) == 1
        assert again.sessions("a") == again.sessions("A") == sorted(names)
        again.forget(keys[0])
        assert again.digests(keys[0]) == []
        assert all(again.digests(key) for key in keys[1:])


def test_what_another_process_writes_is_seen():
    """Two archives on one store: the index follows whoever wrote last."""
    base, key = InMemoryStore(), SessionKey("t", "s")
    one, two = LangGraphColdStore(base), LangGraphColdStore(base, live=1)
    for n in range(6):
        store, other = (one, two) if n % 2 else (two, one)
        store.append(key, [Row(n, "user", f"text {n}", f"d{n}", 1, 0.0)])
        store.index(key, {n: passages(f"text item{n}")})
        assert [seq for seq, _ in other.digests(key)] == list(range(n + 1))
        assert [c.seq for c in other.search(key, [f"item{n}"], 3)[0]] == [n]
    one.rewind(key, 2)
    assert [seq for seq, _ in two.digests(key)] == [0, 1]
    aside = base.search(("agentrm", "t", "s", "aside"), limit=100)
    assert sorted(item.value["body"] for item in aside) == [f"text {n}" for n in range(2, 6)]
    two.digests(SessionKey("t", "other"))
    assert len(two._indexes) == 1


def test_a_conversation_of_more_than_a_page():
    """Long sessions are read in pages."""
    base, key = InMemoryStore(), SessionKey("t", "s")
    store = LangGraphColdStore(base)
    store.append(key, [Row(n, "user", "x", f"d{n}", 1, 0.0) for n in range(2_300)])
    assert len(LangGraphColdStore(base).digests(key)) == 2_300


class Refusing(BaseStore):
    """A store that raises what it was made with."""

    def __init__(self, error):
        self.error = error

    def batch(self, ops):
        raise self.error

    async def abatch(self, ops):
        raise self.error


def test_what_a_store_refuses_is_said_in_our_terms():
    """And a driver's text, which may hold an address, is not repeated."""
    key = SessionKey("t", "s")
    for error, kind, text in (
        (NotImplementedError(), StoreError, "async code only"),
        (asyncio.InvalidStateError("x"), StoreError, "async code only"),
        (RuntimeError("database is locked"), StoreLocked, "RuntimeError"),
        (OSError("postgres://user:password@host"), StoreError, "OSError"),
    ):
        with pytest.raises(kind, match=text) as raised:
            LangGraphColdStore(Refusing(error)).load_state(key)
        assert "password" not in str(raised.value)


async def test_an_async_only_store(tmp_path):
    """It works from async code, and says so when it is used from its loop's own thread."""
    aio = pytest.importorskip("langgraph.store.sqlite.aio")
    async with aio.AsyncSqliteStore.from_conn_string(str(tmp_path / "a.db")) as base:
        await base.setup()
        config = ContextConfig(on_store_error="raise")
        manager = ContextLifecycle(config, store=LangGraphColdStore(base), submit=lambda job: None)
        session = await asyncio.to_thread(manager.session, "t")
        view = await session.aprepare([{"role": "user", "content": "hello"}])
        assert view.messages
        assert session.durable == 1
        with pytest.raises(StoreError, match="async code only"):
            session.prepare(
                [{"role": "user", "content": "hello"}, {"role": "user", "content": "x"}]
            )
        await asyncio.to_thread(manager.close)


def test_bad_arguments_are_named():
    """No store, or a namespace that LangGraph would refuse."""
    with pytest.raises(ConfigError, match="store"):
        LangGraphColdStore(object())
    for namespace in ((), ("a.b",), ("",)):
        with pytest.raises(ConfigError, match="namespace"):
            LangGraphColdStore(InMemoryStore(), namespace)
    with pytest.raises(ConfigError, match="live"):
        LangGraphColdStore(InMemoryStore(), live=0)
