import pytest
from weather_agent import weather_agent

from agentrm_plugins import AgentRM

QUESTION = {"messages": [("user", "How is the weather in Paris?")]}


@pytest.fixture
def rm():
    with AgentRM(lanes=1) as rm:
        yield rm
        assert rm.statistics().lanes_in_use == 0


def check(messages, rm):
    assert "Paris" in messages[-1].text
    assert [message.type for message in messages] == ["human", "ai", "tool", "ai"]
    seen = rm.statistics()
    assert seen.agents["weather"].calls == 2
    assert seen.output_tokens > 0


@pytest.mark.vcr
@pytest.mark.default_cassette("weather.yaml")
@pytest.mark.block_network
def test_agent_uses_its_tool(rm):
    check(weather_agent(rm).invoke(QUESTION)["messages"], rm)


@pytest.mark.vcr
@pytest.mark.default_cassette("weather.yaml")
@pytest.mark.block_network
def test_the_same_recording_replays_in_async_code(rm):
    import asyncio

    check(asyncio.run(weather_agent(rm).ainvoke(QUESTION))["messages"], rm)
