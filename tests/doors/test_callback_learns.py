"""A callback learns what the wrapped model learns, from the headers and refusals that pass."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.provider import Reply, SimulatedProvider, Status


@pytest.fixture
def provider() -> Any:
    """A gateway: limit and remaining in its headers, no reset and no retry-after."""
    settings: Any = {"window": "fixed", "header_style": "gateway", "retry_after": "none"}
    with SimulatedProvider(rpm=60, **settings) as made:
        yield made


def chat(provider: SimulatedProvider, **fields: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=provider.base_url, api_key="k", model="gpt-4o", **fields)


def use(model: Any, way: str, config: Any) -> None:
    async def inside() -> None:
        if way == "ainvoke":
            await model.ainvoke("hi", config)
        else:
            assert [chunk async for chunk in model.astream("hi", config)]

    if way.startswith("a"):
        asyncio.run(inside())
    elif way == "stream":
        assert list(model.stream("hi", config))
    elif way == "chain":
        (ChatPromptTemplate.from_template("{q}") | model).invoke({"q": "hi"}, config)
    else:
        model.invoke("hi", config)


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream", "chain"])
def test_the_limit_is_read_from_the_first_answer(provider: SimulatedProvider, way: str) -> None:
    """No refusal is needed, and nothing is probed: the server's own word paces from then on."""
    with AgentRM(lanes=4) as rm:
        use(chat(provider), way, {"callbacks": [AgentRMCallbackHandler(rm)]})
        ((name, seen),) = rm.statistics().endpoints.items()
        rate = seen.rates["requests"]
        assert (rate.source, rate.limit_per_min) == ("server", 60)
        assert rate.allowed_per_min <= 60
        wrap_chat_model(chat(provider), rm).invoke("hi")
        assert list(rm.statistics().endpoints) == [name]  # both ways share what is known


def test_retries_of_the_sdk_are_attempts_of_one_call(provider: SimulatedProvider) -> None:
    """Each refusal that the SDK's own retry meets is heard of, and the call is one call."""
    provider.script([Status(429), Status(429), Reply("well")])
    with AgentRM(lanes=4) as rm:
        model = chat(provider, max_retries=2)
        assert model.invoke("hi", {"callbacks": [AgentRMCallbackHandler(rm)]}).text == "well"
        seen = rm.statistics()
        ((_, endpoint),) = seen.endpoints.items()
        assert (seen.submitted, seen.settled, endpoint.limit_hits) == (1, 1, 2)
        assert endpoint.rates["requests"].limit_per_min == 60


def test_a_refusal_that_ends_a_call_counts_once(provider: SimulatedProvider) -> None:
    """It has been seen passing: the error that comes of it tells nothing new."""
    provider.script([Status(429)])
    with AgentRM(lanes=4) as rm:
        with pytest.raises(Exception, match="429"):
            chat(provider, max_retries=0).invoke("hi", {"callbacks": [AgentRMCallbackHandler(rm)]})
        ((_, endpoint),) = rm.statistics().endpoints.items()
        assert (endpoint.limit_hits, endpoint.in_flight) == (1, 0)


def test_a_crowd_is_paced_by_what_the_first_answers_say() -> None:
    """Twenty agents behind a gateway whose window holds half of their calls: none is lost."""
    settings: Any = {"window": "fixed", "header_style": "gateway", "retry_after": "none"}
    with (
        SimulatedProvider(rpm=600, window_s=2.0, **settings) as provider,
        AgentRM(lanes=20) as rm,
    ):
        model, handler = chat(provider, max_retries=0), AgentRMCallbackHandler(rm)

        async def agent(number: int) -> None:
            for _turn in range(2):
                config: Any = {"callbacks": [handler], "metadata": {"agent": f"agent {number}"}}
                await model.ainvoke("hi", config)

        async def crowd() -> None:
            await asyncio.gather(*(agent(number) for number in range(20)))

        asyncio.run(crowd())
        seen = rm.statistics()
        ((_, endpoint),) = seen.endpoints.items()
        assert (seen.settled, endpoint.limit_hits) == (40, 0)
        assert endpoint.rates["requests"].limit_per_min == 600
