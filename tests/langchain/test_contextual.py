"""The wrapped model with a context: each thread's messages within the budget."""

from __future__ import annotations

import asyncio
import copy
import gc

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import Field

from agentrm_langchain import pressure, wrap_chat_model
from agentrm_langchain.messages import to_messages
from agentrm_plugins import SessionKey
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.errors import BudgetTooSmall
from agentrm_plugins.events import Compacted, Hibernated, Recalled
from tests.langchain.fakes import FakeChat

pytestmark = pytest.mark.lowest
COUNT = counter_for("gpt-4o")


class Listening(FakeChat):
    """Remembers what it is sent."""

    sent: list = Field(default_factory=list)

    def _generate(self, messages, *args, **kwargs):
        self.sent.append(messages)
        return super()._generate(messages, *args, **kwargs)

    async def _agenerate(self, messages, *args, **kwargs):
        self.sent.append(messages)
        return await super()._agenerate(messages, *args, **kwargs)

    def _stream(self, messages, *args, **kwargs):
        self.sent.append(messages)
        yield from super()._stream(messages, *args, **kwargs)

    async def _astream(self, messages, *args, **kwargs):
        self.sent.append(messages)
        async for chunk in super()._astream(messages, *args, **kwargs):
            yield chunk


@pytest.fixture
def manager():
    with ContextLifecycle(ContextConfig(budget_tokens=800)) as made:
        yield made


def history(turns=12):
    listed = [SystemMessage("Be brief.")]
    for n in range(turns):
        listed += [
            HumanMessage(f"Question {n}: what is the value of item-{n}? " + "and more " * 40),
            AIMessage(
                "", tool_calls=[{"name": "look", "args": {"n": n}, "id": f"c{n}"}], id=f"a{n}"
            ),
            ToolMessage(f"item-{n} is {n * 37} " + "filler text " * 40, tool_call_id=f"c{n}"),
            AIMessage(f"It is {n * 37}."),
        ]
    return [*listed, HumanMessage("What was the value of item-3?")]


def config(name, **metadata):
    return {"metadata": {"thread_id": name, **metadata}}


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_each_way_of_calling_sends_a_view(way, rm, manager):
    """Within budget, with the system prompt and the task; the caller's messages are untouched."""
    inner = Listening()
    model = wrap_chat_model(inner, rm, context=manager)
    given = history()
    before = copy.deepcopy(given)
    if way == "invoke":
        model.invoke(given, config("t"))
    elif way == "stream":
        list(model.stream(given, config("t")))
    elif way == "ainvoke":
        await model.ainvoke(given, config("t"))
    else:
        _ = [chunk async for chunk in model.astream(given, config("t"))]
    (sent,) = inner.sent
    assert COUNT.messages(to_messages(sent)) <= 800
    assert sent[0] is given[0]
    assert sent[-1] is given[-1]
    assert "agentrm" in sent[1].additional_kwargs  # notes
    assert given == before
    assert rm.statistics().settled == 1
    assert pressure(rm)["default", "t"].messages == len(given) - 1


def test_threads_and_tenants_are_sessions_of_their_own(rm, manager):
    """And a named session, and side prompts that are no part of any."""
    model = wrap_chat_model(Listening(), rm, context=manager)
    model.invoke("a", config("t"))
    model.invoke("b", config("u"))
    model.invoke("c", config("t", tenant="acme"))
    model.invoke("d", config("t", agentrm_session="named"))
    model.invoke("side prompt", config("t", agentrm_session=False))
    model.invoke("no thread")
    model.invoke("configurable", {"configurable": {"thread_id": "v"}})
    found = {tuple(key): seen.messages for key, seen in pressure(rm).items()}
    assert {key: found[key] for key in found if key[1] != "v"} == {
        ("default", "t"): 1,
        ("default", "u"): 1,
        ("acme", "t"): 1,
        ("default", "named"): 1,
    }


def test_without_a_thread_the_budget_still_holds(rm, manager):
    """The messages are fitted once, and nothing is kept."""
    inner = Listening()
    wrap_chat_model(inner, rm, context=manager).invoke(history())
    assert COUNT.messages(to_messages(inner.sent[0])) <= 800
    assert not manager.statistics()


def test_a_prompt_that_cannot_fit_takes_no_lane(rm, manager):
    """The error says what is too large."""
    model = wrap_chat_model(Listening(), rm, context=manager)
    with pytest.raises(BudgetTooSmall, match="800"):
        model.invoke("word " * 2000, config("t"))
    assert rm.statistics().granted == 0


def test_usage_corrects_an_estimating_counter(rm):
    """The provider's count of a model without an encoding of its own is learned from."""
    with ContextLifecycle(ContextConfig(model="claude-x")) as manager:
        model = wrap_chat_model(Listening(), rm, context=manager)
        for text in ("one", "two"):
            model.invoke(text * 30, config("t"))
            before = manager.session("t")._shared.transcript.counter.factor
        list(model.stream("three", config("t")))
        assert before != 1.3
        assert manager.session("t")._shared.transcript.counter.factor != before


def test_tools_are_counted(rm, manager):
    """What is bound is sent along, and has its place in the budget."""
    inner = Listening()
    model = wrap_chat_model(inner, rm, context=manager)
    tools = [{"type": "function", "function": {"name": "look", "description": "word " * 200,
              "parameters": {}}}]  # fmt: skip
    model.invoke(history(), config("t"), tools=tools)
    assert COUNT.messages(to_messages(inner.sent[0]), tools) <= 800


def test_wrapped_again_copied_or_bound_it_keeps_its_context(rm, manager):
    """The manager is shared by reference, and a second wrapping does not lose it."""
    model = wrap_chat_model(Listening(), rm, context=manager)
    again = wrap_chat_model(model, rm, agent="me")
    assert again.context is manager
    assert again.agent == "me"
    assert model.model_copy().context is manager
    assert model.bind(stop=["x"]).bound.context is manager
    assert model.bind_tools is not None
    assert "context" not in repr(model)


def test_many_threads_of_a_process_at_once(rm, manager):
    """Conversations in parallel do not mix."""
    inner = Listening()
    model = wrap_chat_model(inner, rm, context=manager)

    async def talk(name):
        told = []
        for n in range(4):
            told.append(HumanMessage(f"{name} says {n}"))
            told.append(await model.ainvoke(told, config(name)))

    async def everybody():
        await asyncio.gather(*(talk(f"t{n}") for n in range(6)))

    asyncio.run(everybody())
    for sent in inner.sent:
        assert len({m.text.split()[0] for m in sent if m.type == "human"}) == 1
    assert rm.statistics().settled == 24


@pytest.mark.parametrize("is_async", [False, True])
async def test_events_tell_what_a_thread_does_to_its_tiers(is_async, rm, manager):
    """Compacted, recalled, asked for, put to sleep: each once, with figures that fit the view."""
    events, begun_s = rm.events(), rm.statistics().at_s
    assert begun_s > 0.0
    model = wrap_chat_model(Listening(), rm, context=manager)
    wrap_chat_model(Listening(), rm, context=manager)  # another one does not tell it twice
    given = history()
    if is_async:
        await model.ainvoke(given, config("t", tenant="acme"))
    else:
        model.invoke(given, config("t", tenant="acme"))
    key = SessionKey("acme", "t")
    seen = manager.statistics()[key]
    manager.session("t", tenant="acme").recall("item-3")
    manager.hibernate("t", tenant="acme")
    ended_s = rm.statistics().at_s
    told = [
        event for event in events.drain() if isinstance(event, Compacted | Recalled | Hibernated)
    ]
    assert {(event.tenant, event.session, event.ticket) for event in told} == {("acme", "t", 0)}
    assert all(begun_s <= event.at_s <= ended_s for event in told)  # by the core's clock
    kinds = [(type(event).__name__, event.cause) for event in told]
    assert kinds.count(("Compacted", "turn")) == 1
    assert kinds.count(("Recalled", "tool")) == 1
    assert kinds[-1] == ("Hibernated", "asked")
    compacted = told[kinds.index(("Compacted", "turn"))]
    assert compacted.after_tokens <= compacted.budget_tokens == seen.budget_tokens
    assert compacted.before_tokens > compacted.after_tokens
    assert compacted.messages == told[-1].messages == seen.messages
    assert 0 < compacted.archived <= seen.archived


def test_who_listens_fails_no_turn_and_is_not_kept_alive(manager):
    """A listener that raises is dropped with what it raised; one that is gone is forgotten."""

    class Owner:
        pass

    owner, heard = Owner(), []

    def tell(notice):
        heard.append(notice)
        raise RuntimeError("the disk of whoever listens is full")

    manager.listen(owner, tell)
    manager.listen(owner, print)  # it listens already
    session = manager.session("t")
    session.prepare(to_messages(history()))
    assert [type(notice) for notice in heard][:1] == [Compacted]
    del owner
    gc.collect()
    count = len(heard)
    session.hibernate()
    assert len(heard) == count
