"""What management multiplies the cost of a call by, here and in another checkout, in one run.

`python benchmarks/micro/ratios.py [--against CHECKOUT]`: a fake model in this process answers at
once; each figure is CPU time over the bare model's own, the median over rounds in turns. *Told*
means that the limits of its endpoint are known, and too wide to bind. With `--against` the same
script runs in turns on the two checkouts (a child process each time), three times each.

It is a script and no module, so that a checkout is chosen by PYTHONPATH alone, and it uses only
names that both have.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Usage
from agentrm_plugins.config import EndpointConfig

ROUNDS, CALLS, SLOTS, TURNS, CHUNKS = 9, 200, 2000, 3, 20
ENDPOINT = "model.example/gpt-4o-mini"
PROMPT = "What does a resource manager do?"
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}
GOALS = {
    "ainvoke": (1.6, 1.7),
    "invoke": (None, 2.0),
    f"stream of {CHUNKS} chunks": (2.0, None),
    f"astream of {CHUNKS} chunks": (1.5, None),
}
Contestant = Callable[[int], object]


class Fake(BaseChatModel):
    """Answers at once; a name and a base URL make an endpoint of it."""

    model_name: str = ""
    base_url: str = ""

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage("It decides who goes next.", usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _number in range(CHUNKS - 1):
            yield ChatGenerationChunk(message=AIMessageChunk("word "))
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=USAGE))

    async def _astream(self, *_: Any, **__: Any) -> Any:
        for chunk in self._stream():
            yield chunk


def race(contestants: dict[str, Contestant], operations: int) -> dict[str, float]:
    """Microseconds of CPU for one operation: the median over rounds, another first each time."""
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for name in names:
        contestants[name](operations // 10)
    for number in range(ROUNDS):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            begun = process_time()
            contestants[name](operations)
            taken[name].append((process_time() - begun) / operations * 1e6)
    return {name: round(statistics.median(values), 2) for name, values in taken.items()}


def repeated(use: Callable[[], object]) -> Contestant:
    def contestant(count: int) -> None:
        for _ in range(count):
            use()

    return contestant


def looped(runner: asyncio.Runner, use: Callable[[], Any]) -> Contestant:
    async def repeat(count: int) -> None:
        for _ in range(count):
            await use()

    return lambda count: runner.run(repeat(count))


async def drained(model: Any) -> None:
    async for _ in model.astream(PROMPT):
        pass


def slot(rm: AgentRM, endpoint: str | None) -> Contestant:
    used, estimate = Usage(1000, 100), Usage(1000, 0)

    def use() -> None:
        with rm.slot(agent="agent", endpoint=endpoint, estimate=estimate) as lease:
            lease.settle(used)

    return repeated(use)


def measure() -> dict[str, dict[str, float]]:
    """By way of calling: microseconds of CPU, bare and managed."""
    wide = {"*": EndpointConfig(rpm=1e9, tpm=1e12)}
    with AgentRM(lanes=8) as rm, AgentRM(lanes=8, endpoints=wide) as told, asyncio.Runner() as loop:
        named = {"model_name": "gpt-4o-mini", "base_url": "http://model.example/v1"}
        models: dict[str, Any] = {
            "bare": Fake(),
            "managed": wrap_chat_model(Fake(), rm),
            "told": wrap_chat_model(Fake(**named), told),
        }
        ways: dict[str, Callable[[Any], Contestant]] = {
            "ainvoke": lambda model: looped(loop, lambda: model.ainvoke(PROMPT)),
            "invoke": lambda model: repeated(lambda: model.invoke(PROMPT)),
            f"stream of {CHUNKS} chunks": lambda model: repeated(
                lambda: list(model.stream(PROMPT))
            ),
            f"astream of {CHUNKS} chunks": lambda model: looped(loop, lambda: drained(model)),
        }
        found = {
            way: race({name: make(model) for name, model in models.items()}, CALLS)
            for way, make in ways.items()
        }
        found["slot"] = race({"managed": slot(rm, None), "told": slot(told, ENDPOINT)}, SLOTS)
        return found


def child(checkout: Path) -> dict[str, dict[str, float]]:
    """The same measured in a fresh process, on this checkout."""
    path = os.pathsep.join([str(checkout), str(checkout / "adapters")])
    command = [sys.executable, __file__, "--json"]
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


def middle(runs: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    return {
        way: {name: statistics.median(run[way][name] for run in runs) for name in runs[0][way]}
        for way in runs[0]
    }


def render(results: dict[str, dict[str, dict[str, float]]]) -> str:
    """A table: one column for each checkout."""
    lines = [f"| CPU time over the bare model's | {' | '.join(results)} | goal |"]
    lines.append("|---|" + "---:|" * len(results) + "---|")
    for way, goals in GOALS.items():
        for name, goal in zip(("managed", "told"), goals, strict=True):
            cells = [f"{found[way][name] / found[way]['bare']:.2f}x" for found in results.values()]
            lines.append(f"| {way}, {name} | {' | '.join(cells)} | {f'{goal}x' if goal else ''} |")
    for name in ("managed", "told"):
        cells = [f"{found['slot'][name]:.1f} us" for found in results.values()]
        lines.append(f"| a slot, {name} | {' | '.join(cells)} | |")
    cells = [
        f"{found['slot']['told'] / found['slot']['managed']:.2f}x" for found in results.values()
    ]
    lines.append(f"| a slot, told over untold | {' | '.join(cells)} | 1.5x |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path, help="another checkout, measured in turns")
    parser.add_argument("--json", action="store_true", help="print this checkout's figures as JSON")
    options = parser.parse_args()
    if options.json:
        print(json.dumps(measure()))
        return 0
    here = Path(__file__).resolve().parents[2]
    checkouts = {"here": here}
    if options.against is not None:
        checkouts = {"before": options.against.resolve(), "after": here}
    runs: dict[str, list[dict[str, dict[str, float]]]] = {name: [] for name in checkouts}
    for _turn in range(TURNS):
        for name, checkout in checkouts.items():
            runs[name].append(child(checkout))
    print(render({name: middle(found) for name, found in runs.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
