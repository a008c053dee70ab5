"""The agents of the benchmark: who asks what, when. The same for every peer, from one seed.

Half are interactive and short (a person waits), a quarter is long (a chain of dependent calls),
a fifth is greedy batch work (several calls at once, as many as it may). Pure standard library,
since it also runs in the environment of peers that cannot share ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

# The server's latencies: time to the first token is log-normal and capped, a token takes PACE_S.
TTFT_MEDIAN_S, TTFT_SIGMA, TTFT_CAP_S = 0.12, 0.35, 0.4
PACE_S = 0.0015

# Three letters and a space are one token by tiktoken and by the server's rule of four characters.
_WORDS = ("the", "cat", "sat", "and", "ran", "for", "one", "day", "but", "not", "all", "new")


@dataclass(frozen=True, slots=True)
class Kind:
    """One class of agents. Times in seconds, sizes in tokens."""

    name: str
    share: float
    turns: int
    width: int
    input_tokens: int
    grows_tokens: int
    max_tokens: int
    pause_s: tuple[float, float]
    start_s: tuple[float, float]


KINDS = (
    Kind("interactive", 20, 4, 1, 80, 0, 64, (0.3, 0.8), (0.0, 2.5)),
    Kind("long", 10, 8, 1, 150, 30, 256, (0.02, 0.1), (0.0, 0.4)),
    Kind("batch", 8, 16, 4, 300, 0, 512, (0.1, 0.4), (0.0, 0.1)),
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One call: its prompt, and how long the agent is busy elsewhere before it."""

    text: str
    input_tokens: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent and all that it will ask. `width` calls at once."""

    name: str
    kind: Kind
    model: str
    start_s: float
    turns: tuple[Turn, ...] = field(repr=False)


def kinds(most: float = 1.0) -> tuple[Kind, ...]:
    """The classes of agents, asking for `most` times their usual maximum of output tokens."""
    return tuple(replace(kind, max_tokens=round(kind.max_tokens * most)) for kind in KINDS)


def _prompt(name: str, index: int, tokens: int, rng: Random) -> str:
    start = f"{name} {index:02d} "
    body = " ".join(rng.choice(_WORDS) for _ in range(tokens))
    return (start + body)[: 4 * tokens - 1] + "."


def _agent(kind: Kind, index: int, model: str, seed: int, turn_share: float) -> Agent:
    rng = Random(f"{seed}/{kind.name}/{index}")
    name = f"{kind.name}-{index:02d}"
    start_s = rng.uniform(*kind.start_s) * turn_share
    turns = []
    for number in range(max(2, round(kind.turns * turn_share))):
        tokens = kind.input_tokens + number * kind.grows_tokens
        pause_s = rng.uniform(*kind.pause_s) if number else 0.0
        turns.append(Turn(_prompt(name, number, tokens, rng), tokens, pause_s))
    return Agent(name, kind, model, start_s, tuple(turns))


def make_agents(
    seed: int,
    models: tuple[str, ...],
    *,
    crowd: float = 1.0,
    turn_share: float = 1.0,
    most: float = 1.0,
) -> list[Agent]:
    """All the agents of one run; they are dealt out to `models` in turn.

    `crowd` scales how many there are, `turn_share` how much each does, `most` what they reserve.
    """
    return [
        _agent(kind, index, models[index % len(models)], seed, turn_share)
        for kind in kinds(most)
        for index in range(max(len(models), round(kind.share * crowd)))
    ]


def reserved_tokens(agents: list[Agent]) -> tuple[int, int]:
    """Requests in all, and the tokens that a server reserves for them."""
    sizes = [turn.input_tokens + agent.kind.max_tokens for agent in agents for turn in agent.turns]
    return len(sizes), sum(sizes)


def service_s(kind: Kind, usage: float, latency_scale: float) -> float:
    """The usual latency of one call of this kind on an idle server."""
    return (TTFT_MEDIAN_S + kind.max_tokens * usage * PACE_S) * latency_scale


def worst_s(kind: Kind, latency_scale: float, *, streaming: bool) -> float:
    """The longest silence that a healthy call of this kind can show."""
    silent_tokens = 0 if streaming else kind.max_tokens
    return (TTFT_CAP_S + silent_tokens * PACE_S) * latency_scale


def alone_s(
    agent: Agent, usage: float, latency_scale: float, limits: Iterator[tuple[float, float, float]]
) -> float:
    """How long this agent would take with the whole server to itself.

    `limits` are triples: what the agent needs of a resource, its rate per second, its bucket.
    """
    each_s = service_s(agent.kind, usage, latency_scale)
    rounds = -(-len(agent.turns) // agent.kind.width)
    pauses_s = sum(turn.pause_s for turn in agent.turns)
    latency_bound_s = rounds * each_s + pauses_s / agent.kind.width
    quota_bound_s = max((each_s + (n - size) / rate for n, rate, size in limits), default=0.0)
    return max(latency_bound_s, quota_bound_s)
