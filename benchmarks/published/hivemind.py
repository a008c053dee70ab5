"""The seven scenarios of HiveMind (arXiv:2604.17111) over real HTTP with the real OpenAI SDK.

Each run has a server of its own (`SimulatedProvider`: fixed windows of 60 s, a refusal costs a
request, as in the paper's mock) and one way of calling it. An agent dies of its first call that
fails; what it had received by then is wasted. Nothing is sped up: all runs go at once, in ten to
fifteen minutes, with little to do for the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from openai import AsyncOpenAI, OpenAIError

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, AgentRMError, EndpointConfig
from agentrm_plugins.testing.provider import Distribution, SimulatedProvider
from benchmarks.published.report import bars, number, progress, spread, table, write
from benchmarks.published.worlds import interval

# Sources: evaluation/scenarios.py and Table 5 of the paper; five lanes are its smallest profile's.
LANES = 5
THINK_S = 0.05
PROMPT_CHARACTERS = 200
MAX_TOKENS = 256
OUTPUT_TOKENS = 120  # not given
WINDOW_S = 60.0
STAGGER_S = 1.5  # between the starts of two runs, so that they do not disturb each other
SDK_RETRIES, MANY_RETRIES = 2, 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """One of the seven, and what the paper says of it: failed agents, %, direct and HiveMind."""

    name: str
    agents: int
    turns: int
    rpm: float
    latency_s: tuple[float, float]
    direct_percent: float
    hivemind_percent: float
    faults: dict[str, Any] = field(default_factory=dict)


SCENARIOS = (
    Scenario("micro-5", 5, 8, 50, (0.08, 0.0), 0, 0),
    Scenario("micro-10", 10, 8, 50, (0.08, 0.0), 100, 10),
    Scenario("micro-20", 20, 8, 50, (0.08, 0.0), 100, 10),
    Scenario("micro-50", 50, 6, 50, (0.08, 0.0), 100, 0),
    Scenario(
        *("replay-11", 11, 8, 60, (0.12, 0.06), 73, 18),
        {"error_rate": 0.08, "error_statuses": (502,), "reset_rate": 0.05, "capacity": 5},
    ),
    Scenario(
        *("stress", 20, 10, 20, (0.2, 0.0), 100, 10),
        {
            "error_rate": 0.10,
            "error_statuses": (502,),
            "reset_rate": 0.05,
            "capacity": 3,
            "slow_rate": 0.10,
        },
    ),
    Scenario("latency-spike", 10, 10, 60, (0.1, 0.03), 100, 0, {"slow_rate": 0.20}),
)


@dataclass(slots=True)
class Tally:
    """What came of one run. Tokens are input and output as the server counted them."""

    agents: int
    failed_agents: int = 0
    answers: int = 0
    tokens: int = 0
    tokens_wasted: int = 0
    requests: int = 0
    refused: int = 0
    wall_s: float = 0.0


Ask = Callable[[str, list[Any]], Awaitable[int]]


@asynccontextmanager
async def _direct(url: str, retries: int, lanes: int | None, rpm: float) -> AsyncIterator[Ask]:
    """The SDK alone, or behind a semaphore."""
    del rpm
    gate = asyncio.Semaphore(lanes or 10**6)
    async with AsyncOpenAI(base_url=url, api_key="test-key", max_retries=retries) as client:

        async def ask(agent: str, messages: list[Any]) -> int:
            async with gate:
                return await _question(client, agent, messages)

        yield ask


@asynccontextmanager
async def _managed(url: str, told: bool, rpm: float) -> AsyncIterator[Ask]:
    """`manage_client`: the core's defaults and five lanes, told the limit or not."""
    known = {"*": EndpointConfig(rpm=rpm)} if told else {}
    async with (
        AsyncOpenAI(base_url=url, api_key="test-key") as bare,
        AgentRM(lanes=LANES, endpoints=known) as rm,
    ):
        client = manage_client(bare, rm)

        async def ask(agent: str, messages: list[Any]) -> int:
            with rm.identity(agent=agent):
                return await _question(client, agent, messages)

        yield ask


async def _question(client: AsyncOpenAI, agent: str, messages: list[Any]) -> int:
    answer = await client.chat.completions.create(
        model="simulated", messages=messages, max_tokens=MAX_TOKENS, user=agent
    )
    return answer.usage.total_tokens if answer.usage else 0


WAYS: dict[str, Callable[[str, float], Any]] = {
    "direct, no retries (as the paper)": lambda url, rpm: _direct(url, 0, None, rpm),
    "the SDK's 2 retries": lambda url, rpm: _direct(url, SDK_RETRIES, None, rpm),
    "the SDK, 10 retries": lambda url, rpm: _direct(url, MANY_RETRIES, None, rpm),
    "a semaphore of 5, 2 retries": lambda url, rpm: _direct(url, SDK_RETRIES, LANES, rpm),
    "a semaphore of 5, 10 retries": lambda url, rpm: _direct(url, MANY_RETRIES, LANES, rpm),
    "ours": lambda url, rpm: _managed(url, False, rpm),
    "ours, told the limit": lambda url, rpm: _managed(url, True, rpm),
}
OURS = ("ours", "ours, told the limit")


async def _agent(ask: Ask, name: str, turns: int, tally: Tally) -> None:
    """One agent: its turns one after another, until the first that fails."""
    received = 0
    filler = "x" * (PROMPT_CHARACTERS - 40)
    for turn in range(turns):
        messages = [{"role": "user", "content": f"{name}, turn {turn}: {filler}"}]
        try:
            received += await ask(name, messages)
        except (OpenAIError, AgentRMError, httpx.HTTPError):
            tally.failed_agents += 1
            tally.tokens_wasted += received
            break
        tally.answers += 1
        await asyncio.sleep(THINK_S)
    tally.tokens += received


async def play(scenario: Scenario, way: str, seed: int) -> Tally:
    """One run: a fresh server, all agents at once."""
    low, spread_s = scenario.latency_s[0], scenario.latency_s[1]
    latency = Distribution.uniform(low - spread_s, low + spread_s) if spread_s else low
    server = SimulatedProvider(
        seed=seed,
        rpm=scenario.rpm,
        window="fixed",
        window_s=WINDOW_S,
        time_to_first_token_s=latency,
        output_tokens=OUTPUT_TOKENS,
        **scenario.faults,
    )
    tally = Tally(scenario.agents)
    await asyncio.to_thread(server.start)
    try:
        async with WAYS[way](server.base_url, scenario.rpm) as ask:
            began_s = time.monotonic()
            names = [f"{scenario.name}-{seed}-{number}" for number in range(scenario.agents)]
            await asyncio.gather(*(_agent(ask, name, scenario.turns, tally) for name in names))
            tally.wall_s = time.monotonic() - began_s
        tally.requests = len(server.log)
        tally.refused = sum(record.status == 429 for record in server.log)
    finally:
        await asyncio.to_thread(server.close)
    return tally


async def _all(seeds: range, scenarios: tuple[Scenario, ...]) -> dict[tuple[str, str], list[Tally]]:
    """Every run, started one after another, the longest first."""
    found: dict[tuple[str, str], list[Tally]] = {}

    async def one(scenario: Scenario, way: str, seed: int) -> None:
        tally = await play(scenario, way, seed)
        found.setdefault((scenario.name, way), []).append(tally)
        done = sum(map(len, found.values()))
        progress(
            f"hivemind: {done} of {len(runs)}; {scenario.name}, {way}, seed {seed}: "
            f"{tally.failed_agents} of {tally.agents} agents failed, {tally.wall_s:.0f} s"
        )

    runs = [(s, way, seed) for seed in seeds for s in scenarios for way in WAYS]
    runs.sort(key=lambda run: (run[1] not in OURS, -run[0].agents * run[0].turns / run[0].rpm))
    async with asyncio.TaskGroup() as group:
        for scenario, way, seed in runs:
            group.create_task(one(scenario, way, seed))
            await asyncio.sleep(STAGGER_S)
    return found


def run(seeds: int = 3, scenarios: tuple[Scenario, ...] = SCENARIOS) -> None:
    """Run it all and write the results."""
    found = asyncio.run(_all(range(1, seeds + 1), scenarios))
    data: dict[str, Any] = {"seeds": seeds, "lanes": LANES, "window_s": WINDOW_S, "scenarios": {}}
    text = [_INTRODUCTION.format(seeds=seeds, lanes=LANES)]
    plots = []
    for scenario in scenarios:
        entry = {way: _summary(found[scenario.name, way]) for way in WAYS}
        published = {"direct": scenario.direct_percent, "hivemind": scenario.hivemind_percent}
        data["scenarios"][scenario.name] = {
            **{key: value for key, value in asdict(scenario).items() if key != "name"},
            "published_failed_percent": published,
            "ways": entry,
        }
        text += [f"## {scenario.name}\n", _about(scenario), _table(entry)]
        failed = {way: row["failed_percent"] for way, row in entry.items()}
        plots.append(bars(f"{scenario.name}: agents that failed", failed, "%"))
    write("hivemind", "The scenarios of HiveMind, done again", data, "\n".join(text), plots)


def _summary(runs: list[Tally]) -> dict[str, list[float]]:
    """Median, least and most over the seeds (too few for an interval)."""

    def of(value: Callable[[Tally], float]) -> list[float]:
        values = [value(one) for one in runs]
        return [round(v, 2) for v in (interval(values)[0], min(values), max(values))]

    return {
        "failed_percent": of(lambda one: 100 * one.failed_agents / one.agents),
        "tokens_wasted_percent": of(lambda one: 100 * one.tokens_wasted / max(one.tokens, 1)),
        "tokens_wasted": of(lambda one: one.tokens_wasted),
        "answers": of(lambda one: one.answers),
        "requests": of(lambda one: one.requests),
        "refused": of(lambda one: one.refused),
        "wall_s": of(lambda one: one.wall_s),
    }


def _about(scenario: Scenario) -> str:
    work = f"{scenario.agents} agents of {scenario.turns} turns, {scenario.rpm:g} requests a minute"
    faults = ", ".join(f"{key} {value}" for key, value in scenario.faults.items()) or "no faults"
    paper = (
        f"The paper: {scenario.direct_percent:g} % of the agents fail directly, "
        f"{scenario.hivemind_percent:g} % behind HiveMind."
    )
    return f"{work}; {faults}. {paper}\n"


def _table(entry: dict[str, dict[str, list[float]]]) -> str:
    rows = [
        [
            way,
            *(spread(row[name]) for name in ("failed_percent", "tokens_wasted_percent")),
            *(number(row[name][0]) for name in ("answers", "requests", "refused")),
            spread(row["wall_s"]),
        ]
        for way, row in entry.items()
    ]
    head = ("", "agents failed %", "tokens wasted %", "answers", "requests", "refused", "wall s")
    return table(head, rows)


_INTRODUCTION = """
Real HTTP on loopback, the real `openai` SDK, medians of {seeds} seeds (least to most). An agent
dies of its first failed call, as the paper's does; *tokens wasted* are the share of all tokens that
dead agents had received. Whoever dies sends nothing more, so a short wall time beside failed agents
is no merit. Ours has {lanes} lanes, and so has the semaphore. The limit is a fixed window of 60 s
that starts with the first request; a refusal costs a request. Output lengths are not given by the
paper; {lanes} lanes are its smallest profile's. One machine runs servers and clients.
"""
