"""A provider whose window is smaller than the budget says: compact harder, go again once."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

pytest.importorskip("langchain")
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai import AuthenticationError, BadRequestError

from agentrm_langchain import AgentRMMiddleware, wrap_chat_model
from agentrm_langchain.overflow import share_that_fits
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.testing.provider import ProviderConfig, Reply, SimulatedProvider, Status

WINDOW = 1_200
WAYS = ("invoke", "ainvoke", "stream", "astream")


@pytest.fixture
def provider():
    config = ProviderConfig(seed=7, time_scale=0.001, context_window=WINDOW)
    with SimulatedProvider(config) as running:
        yield running


@pytest.fixture
def chat(provider):
    with httpx2.Client(timeout=20) as client:
        yield ChatOpenAI(
            model="gpt-4o", base_url=provider.base_url, api_key="test-key", max_retries=0,
            http_client=client,
        )  # fmt: skip


def talk(turns=40):
    listed = [SystemMessage("Be brief.")]
    for n in range(turns):
        listed += [HumanMessage(f"Item {n} is KX-{n}. " + "bla " * 40), AIMessage("Noted, go on.")]
    return [*listed, HumanMessage("What is item 3?")]


def window(budget=3_000):
    return ContextLifecycle(ContextConfig(budget_tokens=budget))


def statuses(provider):
    return [record.status for record in provider.log]


async def ask(model, messages, config, way):
    if way == "invoke":
        return await asyncio.to_thread(model.invoke, messages, config)
    if way == "ainvoke":
        return await model.ainvoke(messages, config)
    if way == "stream":
        return (await asyncio.to_thread(lambda: list(model.stream(messages, config))))[0]
    chunks = [chunk async for chunk in model.astream(messages, config)]
    return chunks[0]


@pytest.mark.parametrize("thread", [True, False])
@pytest.mark.parametrize("way", WAYS)
async def test_a_refused_prompt_is_compacted_harder_and_sent_once_more(
    way, thread, core, provider, chat
):
    """The answer comes, by one more request; with a thread later turns fit at once."""
    rm = core()
    provider.script([Reply("KX-3")])
    config = {"metadata": {"thread_id": "t"}} if thread else {}
    with window() as manager:
        model = wrap_chat_model(chat, rm, context=manager)
        answer = await ask(model, talk(), config, way)
        assert isinstance(answer, AIMessage)
        assert statuses(provider) == [400, 200]
        if thread:
            assert manager.session("t").pressure.budget_tokens < 3_000
            provider.script([Reply("KX-4")])
            await ask(model, [*talk(), AIMessage("KX-3"), HumanMessage("And 4?")], config, way)
            assert statuses(provider) == [400, 200, 200]


@pytest.mark.parametrize("sync", [True, False])
async def test_an_agents_refused_prompt_too(sync, core, provider, chat):
    """The middleware does the same, and the agent's state keeps every message."""
    provider.script([Reply("KX-3")])
    config = {"configurable": {"thread_id": "t"}}
    with window() as manager:
        agent = create_agent(chat, [], middleware=[AgentRMMiddleware(core(), context=manager)])
        given = {"messages": talk()[1:]}
        if sync:
            state = await asyncio.to_thread(agent.invoke, given, config)
        else:
            state = await agent.ainvoke(given, config)
    assert len(state["messages"]) == len(given["messages"]) + 1
    assert statuses(provider) == [400, 200]


@pytest.mark.parametrize("way", WAYS)
async def test_what_cannot_fit_is_the_providers_own_error(way, core, provider, chat):
    """A task longer than the window is refused as ever, and asked for no third time."""
    long = [HumanMessage("word " * 2_000)]
    with window() as manager:
        model = wrap_chat_model(chat, core(), context=manager)
        with pytest.raises(BadRequestError, match="context"):
            await ask(model, long, {"metadata": {"thread_id": "t"}}, way)
    assert statuses(provider) == [400]


async def test_other_errors_pass_untouched(core, provider, chat):
    """Only an overflow is answered by compaction: what else is refused is asked once."""
    provider.script([Status(401)])
    with window() as manager:
        model = wrap_chat_model(chat, core(), context=manager)
        with pytest.raises(AuthenticationError):
            await model.ainvoke([HumanMessage("Hi")], {"metadata": {"thread_id": "t"}})
    assert statuses(provider) == [401]


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("maximum context length is 8000 tokens, but your messages have 10000 tokens", 0.76),
        ("Error code: 400 - prompt is too long: 210,000 tokens > 200,000 maximum", 0.905),
        ("Please reduce the length of the messages.", None),
    ],
)
def test_the_providers_numbers_are_read(text, share):
    """How much shorter the prompt must be comes from the provider's words where they tell it."""
    found = share_that_fits(ValueError(text))
    assert found == (None if share is None else pytest.approx(share, abs=0.001))
