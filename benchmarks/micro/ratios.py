"""What management multiplies the cost of a call by, here and in another checkout, in one run.

`python benchmarks/micro/ratios.py [--against CHECKOUT]`: a fake model in this process answers at
once; what management adds is put beside the bare model's own cost. *Told* means that the limits of
its endpoint are known, and too wide to bind. Two measures:

- *CPU*: CPU time of the process, all its threads, over the bare model's in the same round. A round
  takes a few milliseconds and lets each have a turn, another one first each time; nothing is
  collected meanwhile. Quoted are the median over the rounds and, where there are several runs, the
  worst run.
- *steps*: instructions of Python's own machine, in all threads, LangChain's included. They count
  no work that is done in C, but hardly vary: what differs by a few percent shows here only.

With `--against` the same script runs in turns on the two checkouts (a child process each time),
three times each. It is a script and no module, so that a checkout is chosen by PYTHONPATH alone,
and it uses only names that both have.
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
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time, sleep
from types import FrameType
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Usage
from agentrm_plugins.config import EndpointConfig

ROUNDS, CALLS, SLOTS, TURNS, CHUNKS = 41, 20, 200, 3, 20
COUNTED = 5  # calls whose steps are counted
WORKER = "agentrm-worker"
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
Costs = dict[str, list[float]]


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


def race(contestants: dict[str, Contestant], operations: int) -> Costs:
    """Over the first one's cost: CPU (the median over rounds, another first each time) and steps.

    Its own row is what it costs: microseconds, and steps.
    """
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for name in names:
        contestants[name](operations)
    gc.collect()
    gc.freeze()  # what stays is not looked at again, so that a collection costs little
    gc.disable()
    for number in range(ROUNDS):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            begun = process_time()
            contestants[name](operations)
            taken[name].append((process_time() - begun) / operations * 1e6)
        if number % 8 == 0:
            gc.collect()
    gc.enable()
    gc.unfreeze()
    steps = {name: steps_of(use) for name, use in contestants.items()}
    first = names[0]
    found = {first: [statistics.median(taken[first]), steps[first]]}
    for name in names[1:]:
        pairs = zip(taken[name], taken[first], strict=True)
        over = statistics.median(mine / bare for mine, bare in pairs)
        found[name] = [over, steps[name] / steps[first]]
    return found


def steps_of(contestant: Contestant) -> float:
    """Instructions of Python's machine for one call, in all threads."""
    without_workers()  # the next one begins under the count
    count = 0

    def saw(_frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        count += event == "opcode"
        return saw

    def entered(frame: FrameType, _event: str, _: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return saw

    before = sys.gettrace(), threading.gettrace()  # who measures coverage goes on afterwards
    threading.settrace(entered)
    sys.settrace(entered)
    try:
        contestant(COUNTED)
    finally:
        sys.settrace(before[0])
        threading.settrace(before[1])  # type: ignore[arg-type] # it takes None
    without_workers()  # one that began under the count would count on, in whatever is timed next
    return count / COUNTED


def without_workers() -> None:
    """Wait until idle workers have ended, which they soon do."""
    while any(thread.name.startswith(WORKER) for thread in threading.enumerate()):
        sleep(0.1)


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


def measure() -> dict[str, Costs]:
    """By way of calling: what the bare one costs, and what management multiplies that by."""
    wide = {"*": EndpointConfig(rpm=1e9, tpm=1e12)}
    with AgentRM(lanes=8) as rm, AgentRM(lanes=8, endpoints=wide) as told, asyncio.Runner() as loop:
        named = {"model_name": "gpt-4o-mini", "base_url": "http://model.example/v1"}
        models: dict[str, Any] = {
            "bare": Fake(**named),
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


def child(checkout: Path) -> dict[str, Costs]:
    """The same measured in a fresh process, on this checkout."""
    path = os.pathsep.join([str(checkout), str(checkout / "adapters")])
    command = [sys.executable, __file__, "--json"]
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    found: dict[str, Costs] = json.loads(done.stdout)
    return found


def cell(runs: list[dict[str, Costs]], way: str, name: str, unit: str = "x") -> str:
    """CPU, the median of the runs and the worst of them; and steps."""
    times = [run[way][name][0] for run in runs]
    steps = statistics.median(run[way][name][1] for run in runs)
    counted = f"{steps:.2f}x" if unit == "x" else f"{steps:,.0f}"
    cpu = f"{statistics.median(times):.2f}{unit} (worst {max(times):.2f}{unit})"
    return f"{cpu} | {counted}"


def render(results: dict[str, list[dict[str, Costs]]]) -> str:
    """A table: two columns for each checkout."""
    heads = " | ".join(f"{name}, CPU | {name}, steps" for name in results)
    lines = [f"| over the bare model | {heads} | goal |"]
    lines.append("|---|" + "---:|" * 2 * len(results) + "---|")
    rows: list[tuple[str, str, str, str]] = []
    for way, goals in GOALS.items():
        rows.append((way, "bare", " us", ""))
        for name, goal in zip(("managed", "told"), goals, strict=True):
            rows.append((way, name, "x", f"{goal}x" if goal else ""))
    rows += [("slot", "managed", " us", ""), ("slot", "told", "x", "1.5x of managed")]
    for way, name, unit, goal in rows:
        cells = " | ".join(cell(runs, way, name, unit) for runs in results.values())
        lines.append(f"| {way}, {name} | {cells} | {goal} |")
    runs = len(next(iter(results.values())))
    lines.append(f"\n{runs} runs of {ROUNDS} rounds; load average {os.getloadavg()[1]:.1f}.")
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
    runs: dict[str, list[dict[str, Costs]]] = {name: [] for name in checkouts}
    for _turn in range(TURNS):
        for name, checkout in checkouts.items():
            runs[name].append(child(checkout))
    print(render(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
