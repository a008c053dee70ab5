"""AgentRMMiddleware in real agents, against a provider on the loopback."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter

import httpx2
import pytest

pytest.importorskip("langchain")
from langchain.agents import create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    ClearToolUsesEdit,
    ContextEditingMiddleware,
    ModelCallLimitMiddleware,
    SummarizationMiddleware,
    dynamic_prompt,
)
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command, interrupt

from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMMiddleware,
    chat_summariser,
    extractive_summarizer,
    pressure,
    wrap_chat_model,
)
from agentrm_langchain.messages import to_messages
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, CallReaped, ConfigError, LaneGroup, LeaseConfig
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for
from agentrm_plugins.context.stores import SqliteStore
from agentrm_plugins.testing.provider import (
    ProviderConfig,
    Reply,
    SimulatedProvider,
    ToolCall,
)

BUDGET = 1_500
COUNT = counter_for("gpt-4o")


class Spy(AgentMiddleware):
    """Sees what the agent sends: the innermost middleware."""

    def __init__(self):
        super().__init__()
        self.sent, self.tools_sent = [], []

    def _note(self, request):
        head = [request.system_message] if request.system_message else []
        self.sent.append([*head, *request.messages])

    def wrap_model_call(self, request, handler):
        self._note(request)
        return handler(request)

    async def awrap_model_call(self, request, handler):
        self._note(request)
        return await handler(request)


@tool
def read_log(page: int) -> str:
    """Read a page of the log."""
    return f"page {page}: " + " ".join(f"entry-{page}-{n} ok" for n in range(60))


@pytest.fixture
def provider():
    with SimulatedProvider(ProviderConfig(seed=7, time_scale=0.001)) as running:
        yield running


@pytest.fixture
def chat(provider):
    with httpx2.Client(timeout=20) as client:
        yield ChatOpenAI(
            model="gpt-4o", base_url=provider.base_url, api_key="test-key", max_retries=0,
            http_client=client,
        )  # fmt: skip


def window(**settings):
    return ContextLifecycle(ContextConfig(budget_tokens=BUDGET, **settings))


def thread(name, **metadata):
    return {"configurable": {"thread_id": name}, "metadata": metadata, "recursion_limit": 200}


def steps(count):
    return [*(ToolCall("read_log", {"page": n}) for n in range(count)), Reply("All read.")]


def check_valid(sent):
    """Within budget, each call answered right away, the task there."""
    assert COUNT.messages(to_messages(sent)) <= BUDGET
    asked = set()
    for message in sent:
        if message.type == "tool":
            assert message.tool_call_id in asked
            asked.discard(message.tool_call_id)
        else:
            assert not asked
        if isinstance(message, AIMessage):
            asked = {call["id"] for call in message.tool_calls}
    assert not asked


async def run(agent, given, config, way):
    if way == "invoke":
        return await asyncio.to_thread(agent.invoke, given, config)
    if way == "ainvoke":
        return await agent.ainvoke(given, config)
    if way == "stream":
        chunks = await asyncio.to_thread(
            lambda: list(agent.stream(given, config, stream_mode=["messages", "values"]))
        )
    else:
        chunks = [c async for c in agent.astream(given, config, stream_mode=["messages", "values"])]
    assert any(mode == "messages" for mode, _ in chunks)
    return [chunk for mode, chunk in chunks if mode == "values"][-1]


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_tool_loop_longer_than_the_window_stays_valid(way, core, provider, chat):
    """Each request fits the budget, is a valid transcript and holds the task; no state is lost."""
    rm, spy = core(), Spy()
    provider.script(steps(25))
    with window() as manager:
        middleware = [AgentRMMiddleware(rm, context=manager), spy]
        agent = create_agent(
            chat, [read_log], system_prompt="You read logs.", middleware=middleware
        )
        task = "Read all 25 pages of the log and report entry-7-3."
        result = await run(agent, {"messages": [("user", task)]}, thread("t"), way)
        assert result["messages"][-1].text == "All read."
        assert len(result["messages"]) == 1 + 25 * 2 + 1
        assert len(spy.sent) == 26
        for sent in spy.sent:
            check_valid(sent)
            assert any(isinstance(m, HumanMessage) and m.text == task for m in sent)
            assert sent[0].text == "You read logs."
        assert rm.statistics().settled == 26
        assert 0 < pressure(rm)["default", "t"].utilisation <= 1
        assert pressure(rm) == middleware[0].pressure()


def test_the_view_changes_and_the_state_does_not(core, provider, chat):
    """Messages that are sent unchanged are the state's own; those of the state stay untouched."""
    rm, spy = core(), Spy()
    provider.script(steps(12))
    with window() as manager:
        agent = create_agent(
            chat, [read_log], middleware=[AgentRMMiddleware(rm, context=manager), spy]
        )
        result = agent.invoke({"messages": [("user", "Read 12 pages.")]}, thread("t"))
    texts = [m.text for m in result["messages"] if m.type == "tool"]
    assert texts == [read_log.invoke({"page": n}) for n in range(12)]
    made = [
        m.additional_kwargs["agentrm"] for m in spy.sent[-1] if "agentrm" in m.additional_kwargs
    ]
    assert "notes" in made


def test_recall_across_a_restart(core, provider, chat, tmp_path):
    """A fact of a first process's turn is found by the tool in a second one, from the file."""
    rm = core()
    saver = InMemorySaver()

    def ask(text, *script):
        provider.script([*script])
        store = SqliteStore(tmp_path / "agent.db")
        with ContextLifecycle(ContextConfig(budget_tokens=BUDGET), store=store) as manager:
            middleware = AgentRMMiddleware(rm, context=manager)
            agent = create_agent(chat, [], middleware=[middleware], checkpointer=saver)
            result = agent.invoke({"messages": [("user", text)]}, thread("t", tenant="acme"))
        store.close()
        return result["messages"]

    ask("The vault code is ZX-4471, remember it.", Reply("Noted."))
    for n in range(4):
        ask(f"Tell me about topic {n}. " + "Many words follow. " * 200, Reply("Fine."))
    found = ask("What did I tell you first?",
                ToolCall("recall", {"query": "vault code"}), Reply("Found it."))  # fmt: skip
    assert "ZX-4471" in next(m.text for m in reversed(found) if m.type == "tool")


async def test_two_tenants_never_see_each_other(core, provider, chat):
    """The same thread id of another tenant is another conversation, for recall too."""
    rm = core()
    with window() as manager:
        middleware = AgentRMMiddleware(rm, context=manager)
        agent = create_agent(chat, [], middleware=[middleware])
        provider.script([Reply("ok")])
        secret = {"messages": [("user", "The launch word is marzipan.")]}
        await agent.ainvoke(secret, thread("t", tenant="acme"))
        for tenant, seen in (("umbrella", False), ("acme", True)):
            provider.script([ToolCall("recall", {"query": "launch word"}), Reply("done")])
            asked = {"messages": [("user", "Hello."), ("user", "And?")]}
            if tenant == "acme":
                asked["messages"] = [*secret["messages"], ("ai", "ok"), ("user", "And?")]
            found = await agent.ainvoke(asked, thread("t", tenant=tenant))
            answer = next(m.text for m in found["messages"] if m.type == "tool")
            assert ("marzipan" in answer) is seen
        assert {key.tenant for key in pressure(rm)} == {"acme", "umbrella"}


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
def test_managed_four_times_is_managed_once(sync, core, provider, chat):
    """Callback, wrapped model, managed graph and middleware: one lane, one charge for each call."""
    groups = (LaneGroup("model", 1), LaneGroup("tools", 1))
    rm, spy = core(groups=groups), Spy()
    with window() as manager:
        model = wrap_chat_model(chat, rm, context=manager)
        middleware = [AgentRMMiddleware(rm, context=manager), spy]
        agent = manage_graph(create_agent(model, [read_log], middleware=middleware), rm)
        provider.script(steps(10))
        config = {**thread("t"), "callbacks": [AgentRMCallbackHandler(rm)]}
        given = {"messages": [("user", "Read 10 pages.")]}
        with rm.events() as events:
            if sync:
                result = agent.invoke(given, config)
            else:
                # The sync client of the fixture is not used here.
                result = asyncio.run(agent.ainvoke(given, config))
            kinds = Counter(event.__class__.__name__ for event in events.drain())
        assert (kinds["Granted"], kinds["Settled"]) == (21, 21)  # 11 model calls, 10 tool calls
        usages = [m.usage_metadata for m in result["messages"] if m.type == "ai"]
        seen = rm.statistics()
        assert seen.input_tokens == sum(usage["input_tokens"] for usage in usages)
        assert seen.output_tokens == sum(usage["output_tokens"] for usage in usages)
        assert provider.statistics().requests == 11
        assert set(seen.agents) == {"t"}
        # Fitted once: the archive has each message of the run but the last answer.
        session = manager.session("t")
        assert session.pressure.messages == len(result["messages"]) - 1
        for sent in spy.sent:
            check_valid(sent)


def test_a_managed_model_is_left_alone_and_named(core, chat, caplog):
    """A model that is wrapped for the same core keeps its settings, and the log says so once."""
    rm = core()
    model = wrap_chat_model(chat, rm, agent="mine")
    with caplog.at_level(logging.INFO, "agentrm.langchain"):
        agent = create_agent(model, [], middleware=[AgentRMMiddleware(rm, agent="theirs")])
        agent.invoke({"messages": [("user", "a")]})
        agent.invoke({"messages": [("user", "b")]})
    assert sum("managed already" in record.message for record in caplog.records) == 1
    assert set(rm.statistics().agents) == {"mine"}
    other = core()
    agent = create_agent(model, [], middleware=[AgentRMMiddleware(other)])
    with pytest.raises(ConfigError, match="another core"):
        agent.invoke({"messages": [("user", "a")]})


def test_bad_arguments_are_named(core):
    """At construction, with field, value and way out."""
    rm = core()
    for name, value in (("context", object()), ("tools", "nope"), ("priority", "urgent"),
                        ("agent", ""), ("group", "nope")):  # fmt: skip
        with pytest.raises(ConfigError, match=name):
            AgentRMMiddleware(rm, **{name: value})
    with pytest.raises(ConfigError, match="context"):
        wrap_chat_model(ChatOpenAI(api_key="test-key"), rm, context=object())
    with pytest.raises(ConfigError, match="max_tokens"):
        extractive_summarizer(2)


@pytest.mark.parametrize("first", [True, False], ids=["outermost", "innermost"])
def test_it_composes_with_other_middlewares_in_any_order(first, core, provider, chat):
    """Limits, context editing and a dynamic prompt work before and after it."""
    rm, spy = core(), Spy()

    @dynamic_prompt
    def prompt(request):
        return f"You have {len(request.messages)} messages."

    others = [
        ModelCallLimitMiddleware(run_limit=30),
        ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=900, keep=2)]),
        prompt,
    ]
    with window() as manager:
        ours = AgentRMMiddleware(rm, context=manager, hedge=False)
        middleware = [ours, *others, spy] if first else [*others, ours, spy]
        agent = create_agent(chat, [read_log], middleware=middleware)
        provider.script(steps(15))
        result = agent.invoke({"messages": [("user", "Read 15 pages.")]}, thread("t"))
    assert result["messages"][-1].text == "All read."
    assert rm.statistics().settled == 16
    for sent in spy.sent:
        assert sent[0].text.startswith("You have ")
        if not first:
            check_valid(sent)


async def test_interrupts_and_cancellation_pass_untouched(core, provider, chat):
    """A tool that waits for a person holds no lane; a cancelled run leaves nothing behind."""
    rm = core(groups=(LaneGroup("model", 1), LaneGroup("tools", 1)))
    entered = asyncio.Event()

    @tool
    async def ask_person(question: str) -> str:
        """Ask a person."""
        return interrupt(question)

    @tool
    async def hang() -> str:
        """Never end."""
        entered.set()
        await asyncio.Event().wait()

    provider.script([ToolCall("ask_person", {"question": "Sure?"}), Reply("Good.")])
    agent = create_agent(
        chat, [ask_person, hang], middleware=[AgentRMMiddleware(rm)], checkpointer=InMemorySaver()
    )
    stopped = await agent.ainvoke({"messages": [("user", "go")]}, thread("t"))
    assert stopped["__interrupt__"][0].value == "Sure?"
    assert rm.statistics().lanes_in_use == 0
    resumed = await agent.ainvoke(Command(resume="yes"), thread("t"))
    assert [m.text for m in resumed["messages"]][-2:] == ["yes", "Good."]
    assert rm.statistics().groups["tools"].peak == 1

    provider.script([ToolCall("hang", {})])
    running = asyncio.create_task(agent.ainvoke({"messages": [("user", "go")]}, thread("u")))
    await entered.wait()
    assert rm.statistics().groups["tools"].in_use == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert rm.statistics().lanes_in_use == 0


async def test_a_tool_that_hangs_loses_its_lane(core, provider, chat):
    """The agent sees `CallReaped`, and the lane is free."""
    leases = LeaseConfig(response_timeout_s=1.0, silence_timeout_s=1.0)
    rm = core(groups=(LaneGroup("model", 1), LaneGroup("tools", 1)), leases=leases)

    @tool
    async def hang() -> str:
        """Never end."""
        await asyncio.Event().wait()

    provider.script([ToolCall("hang", {})])
    agent = create_agent(chat, [hang], middleware=[AgentRMMiddleware(rm)])
    with pytest.raises(CallReaped):
        await agent.ainvoke({"messages": [("user", "go")]}, thread("t"))
    assert rm.statistics().lanes_in_use == 0


def test_the_summariser_of_theirs_can_be_ours(core, provider, chat):
    """SummarizationMiddleware with our callable: no model call, exact strings kept."""
    rm = core()
    summaries = SummarizationMiddleware(
        chat, trigger=("tokens", 800), keep=("messages", 4),
        summarizer=extractive_summarizer(200), trim_tokens_to_summarize=None,
    )  # fmt: skip
    agent = create_agent(chat, [read_log], middleware=[AgentRMMiddleware(rm), summaries])
    provider.script(steps(6))
    task = "The gateway listens on port 8443. Read six pages."
    result = agent.invoke({"messages": [("user", task)]}, thread("t"))
    assert provider.statistics().requests == 7
    assert "8443" in result["messages"][0].text


async def test_the_summariser_of_ours_can_be_any_chat_model(core, provider, chat):
    """It goes through the core as background work, outside the run's stream; failure is no end."""
    rm = core()
    manager = ContextLifecycle(
        ContextConfig(budget_tokens=BUDGET, soft_mark=0.6),
        summariser=chat_summariser(chat, rm, tenant="acme"),
    )
    agent = create_agent(chat, [read_log], middleware=[AgentRMMiddleware(rm, context=manager)])
    chunks = [
        chunk
        async for chunk in agent.astream(
            {"messages": [("user", "Read " + "all of the long list of pages " * 20)] * 6},
            thread("t"),
            stream_mode="messages",
        )
    ]
    session = manager.session("t")
    while session._upkeep.tasks:
        await asyncio.gather(*session._upkeep.tasks)
    manager.close()
    agents = rm.statistics().agents
    assert {"t", "acme/context"} == set(agents)
    assert {meta["langgraph_node"] for _, meta in chunks} <= {"model", "tools"}


def test_a_core_is_given_back_after_an_error_of_the_window(core, provider, chat):
    """A task larger than the budget is a clear error, before any lane is taken."""
    rm = core()
    with window() as manager:
        agent = create_agent(chat, [], middleware=[AgentRMMiddleware(rm, context=manager)])
        with pytest.raises(ValueError, match="budget_tokens=1500: at least"):
            agent.invoke({"messages": [("user", "word " * 3000)]}, thread("t"))
    assert rm.statistics().granted == 0
    assert isinstance(rm, AgentRM)
