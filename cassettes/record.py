"""Record the cassettes of this folder again.

    python cassettes/record.py              # against the simulated provider; no key, no network
    OPENAI_API_KEY=... python cassettes/record.py plain streaming tools

With `OPENAI_API_KEY` (and, if you like, `OPENAI_BASE_URL`, `OPENAI_MODEL`) the named scenarios, or
all that a healthy provider can play, are recorded from the real one. Keys, organisations and
machine names are never written (see `agentrm_plugins.testing.cassettes`); check with
`pytest tests/test_cassette_scrub.py`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import vcr
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentrm_plugins.testing.cassettes import vcr_config
from agentrm_plugins.testing.provider import SimulatedProvider, Status, ToolCall

FOLDER = Path(__file__).parent


@tool
def get_weather(city: str) -> str:
    """The weather of a city now."""
    return f"It is sunny in {city}."


@dataclass(frozen=True)
class Scenario:
    """One conversation, and what the simulated provider answers in it."""

    prompt: str
    steps: tuple[object, ...]
    stream: bool = False
    tools: bool = False
    needs_fault: bool = False


ANSWER = "Paris is the capital of France."
SCENARIOS = {
    "plain": Scenario("What is the capital of France?", (ANSWER,)),
    "streaming": Scenario("Tell me the capital of France, word by word.", (ANSWER,), stream=True),
    "tools": Scenario(
        "What is the weather in Paris? Use the tool.",
        (ToolCall("get_weather", {"city": "Paris"}), "It is sunny in Paris."),
        tools=True,
    ),
    "tools_streaming": Scenario(
        "What is the weather in Paris now? Use the tool.",
        (ToolCall("get_weather", {"city": "Paris"}), "It is sunny in Paris."),
        stream=True,
        tools=True,
    ),
    # Short waits, so that a replay with the SDK's own retries is short as well.
    "rate_limited": Scenario(
        "Name the capital of France once more.",
        (Status(429, retry_after=0.01), ANSWER),
        needs_fault=True,
    ),
    "server_error": Scenario(
        "And again, the capital of France?",
        (Status(500, headers={"retry-after-ms": "10"}), ANSWER),
        needs_fault=True,
    ),
}


def play(model: ChatOpenAI, scenario: Scenario) -> list[BaseMessage]:
    """Have the conversation: the messages, the last one being the final answer."""
    bound = model.bind_tools([get_weather]) if scenario.tools else model
    messages: list[BaseMessage] = [HumanMessage(scenario.prompt)]
    while True:
        reply = reduce(add, bound.stream(messages)) if scenario.stream else bound.invoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            return messages
        messages += [get_weather.invoke(call) for call in reply.tool_calls]


async def aplay(model: ChatOpenAI, scenario: Scenario) -> list[BaseMessage]:
    """The same, awaited."""
    bound = model.bind_tools([get_weather]) if scenario.tools else model
    messages: list[BaseMessage] = [HumanMessage(scenario.prompt)]
    while True:
        if scenario.stream:
            reply = reduce(add, [chunk async for chunk in bound.astream(messages)])
        else:
            reply = await bound.ainvoke(messages)
        messages.append(reply)
        if not reply.tool_calls:
            return messages
        messages += [await get_weather.ainvoke(call) for call in reply.tool_calls]


def settings(**changes: object) -> dict[str, object]:
    """The settings of the model; they show in the recorded body, so replay needs the same."""
    model = os.environ.get("OPENAI_MODEL", "gpt-4o-mini")
    return {"model": model, "temperature": 0, "stream_usage": True, "max_retries": 2, **changes}


def record(
    name: str, base_url: str, key: str, script: Callable[[tuple[object, ...]], None]
) -> None:
    """Record one scenario over whatever was there."""
    path = FOLDER / f"{name}.yaml"
    path.unlink(missing_ok=True)
    script(SCENARIOS[name].steps)
    model = ChatOpenAI(**settings(base_url=base_url, api_key=key))
    with vcr.VCR(**vcr_config()).use_cassette(str(path), record_mode="all"):
        answer = play(model, SCENARIOS[name])[-1]
    print(f"{path.name}: {answer.text}")


def main(names: list[str]) -> None:
    """Record the named scenarios, or all that this provider can play."""
    key = os.environ.get("OPENAI_API_KEY")
    for name in names:
        if name not in SCENARIOS:
            sys.exit(f"no scenario {name!r}; there are {', '.join(SCENARIOS)}")
    if key:
        healthy = [name for name, scenario in SCENARIOS.items() if not scenario.needs_fault]
        base_url = os.environ.get("OPENAI_BASE_URL", "https://api.openai.com/v1")
        for name in names or healthy:
            record(name, base_url, key, lambda steps: None)
        return
    # Limits that never bind, so that the recordings carry the rate-limit headers.
    with SimulatedProvider(rpm=5000, tpm=2_000_000, tokens_per_chunk=1) as provider:
        for name in names or SCENARIOS:
            record(name, provider.base_url, "test-key", provider.script)


if __name__ == "__main__":
    main(sys.argv[1:])
