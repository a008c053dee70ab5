"""What the server does in each scenario, what its clients are told, and what a full run selects.

Pure standard library; `server.py` turns a scenario into a `ProviderConfig`.

A minute stays a minute: quotas are large instead (a million tokens a minute, as a higher tier
has), and the bucket holds two seconds of them, so that a run lasts under ten seconds and the
numbers in the headers mean what they say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODELS = ("gpt-4o-mini", "gpt-4.1-mini")
LANES = 48  # for whoever limits the calls at once: ours, the semaphore, the router

# Chosen so that the oracle needs seven to ten seconds for what make_agents() asks.
_TPM = 1_050_000
_RPM = 2_100
_CAPACITY = 16


@dataclass(frozen=True, slots=True)
class Limits:
    """What clients may be told. `bucket_s` is the size of the buckets in seconds of the rate."""

    rpm: float | None = None
    tpm: float | None = None
    concurrency: int | None = None
    bucket_s: float = 2.0

    def times(self, factor: float) -> Limits:
        """All limits, multiplied."""
        return Limits(
            self.rpm and self.rpm * factor,
            self.tpm and self.tpm * factor,
            self.concurrency and max(1, round(self.concurrency * factor)),
            self.bucket_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One server.

    Args:
        title: What it is, for the table.
        limits: What the server enforces.
        server: More fields of `ProviderConfig`.
        schedule: Pairs of a time in seconds and the fields that change then.
        usage: Real output as a share of `max_tokens`, lower and upper end.
        most: What the agents ask for at most, as a multiple of their usual `max_tokens`.
        models: The endpoints.
        closed_s: From when to when the first endpoint answers every call with a 429.
        streaming: Whether the clients stream.
        headers: Whether the server tells its limits.
        latency: Scales the latencies.
        binds: What the agents wait for: "tokens", "requests", "capacity", "hangs" or "".
    """

    title: str
    limits: Limits
    server: Mapping[str, Any] = field(default_factory=dict)
    schedule: tuple[tuple[float, Mapping[str, Any]], ...] = ()
    usage: tuple[float, float] = (0.8, 1.0)
    most: float = 1.0
    models: tuple[str, ...] = MODELS[:1]
    closed_s: tuple[float, float] | None = None
    streaming: bool = False
    headers: bool = True
    latency: float = 1.0
    binds: str = ""


_TOKENS = Limits(tpm=_TPM)
_NO_HEADERS = {"header_style": "none", "retry_after": "none"}
# With the usual four tokens, the clients' own work on chunks would be the bottleneck.
_BIG_CHUNKS = {"tokens_per_chunk": 32}
_WAVES = tuple(
    (at_s, {"hang_rate": rate})
    for at_s, rate in ((1.0, 0.2), (2.5, 0.4), (4.0, 0.2), (5.5, 0.05), (7.0, 0.4), (8.5, 0.05))
)

SCENARIOS: dict[str, Scenario] = {
    "tokens": Scenario(title="tokens bind", limits=_TOKENS, binds="tokens"),
    "requests": Scenario(
        title="requests bind", limits=Limits(rpm=_RPM, bucket_s=1.0), binds="requests"
    ),
    "third": Scenario(
        title="the real usage is a third of what was reserved",
        limits=_TOKENS,
        usage=(0.2, 0.25),
        most=4.0,
        binds="tokens",
    ),
    "falling": Scenario(
        title="the limits fall to 40 % and come back, no headers",
        limits=_TOKENS,
        server=_NO_HEADERS,
        schedule=((2.0, {"limit_factor": 0.4}), (6.0, {"limit_factor": 1.0})),
        headers=False,
        binds="tokens",
    ),
    "hangs": Scenario(
        title="5 to 40 % of the requests hang, in waves",
        limits=_TOKENS,
        server={"hang_rate": 0.05},
        schedule=_WAVES,
        binds="hangs",
    ),
    "capacity": Scenario(
        title="finite capacity, more is answered 503",
        limits=Limits(concurrency=_CAPACITY),
        server={"header_style": "none"},
        headers=False,
        latency=0.8,
        binds="capacity",
    ),
    "faults": Scenario(
        title="4 % resets and 4 % 500s",
        limits=_TOKENS,
        server={"reset_rate": 0.04, "error_rate": 0.04},
        binds="tokens",
    ),
    "two": Scenario(
        title="two endpoints, one closed from 1 s to 4 s",
        limits=Limits(tpm=_TPM),
        models=MODELS,
        closed_s=(1.0, 4.0),
    ),
    "stalls": Scenario(
        title="streams, of which 10 % fall silent in the middle",
        limits=_TOKENS,
        server={"stall_rate": 0.10, **_BIG_CHUNKS},
        streaming=True,
        binds="hangs",
    ),
    "streams": Scenario(
        title="streams, tokens bind",
        limits=_TOKENS,
        server=_BIG_CHUNKS,
        streaming=True,
        binds="tokens",
    ),
}

KNOWLEDGE = ("untold", "told", "tripled")
MODES = ("async", "threads", "node")


@dataclass(frozen=True, slots=True)
class Variant:
    """A scenario as it is run: what clients know, how they call, their request timeout.

    `timeout_s` None leaves the libraries' own timeouts (600 s for the OpenAI SDK).
    """

    scenario: str
    knows: str = "untold"
    mode: str = "async"
    timeout_s: float | None = None

    @property
    def name(self) -> str:
        """For example "tokens/told/async/own"."""
        timeout = "own" if self.timeout_s is None else f"{self.timeout_s:g}s"
        return f"{self.scenario}/{self.knows}/{self.mode}/{timeout}"

    @classmethod
    def parse(cls, name: str) -> Variant:
        """Read a name; what is left out at its end takes the defaults.

        Raises:
            ValueError: A part is unknown.
        """
        scenario, knows, mode, timeout = (name.split("/") + [""] * 4)[:4]
        variant = cls(
            scenario,
            knows or "untold",
            mode or "async",
            None if timeout in {"", "own"} else float(timeout.removesuffix("s")),
        )
        for part, known in (
            (variant.scenario, tuple(SCENARIOS)),
            (variant.knows, KNOWLEDGE),
            (variant.mode, MODES),
        ):
            if part not in known:
                raise ValueError(f"{name}: no {part!r}; use one of {', '.join(known)}")
        return variant

    @property
    def told(self) -> Limits | None:
        """What clients are told about the server, for a crowd of full size."""
        limits = SCENARIOS[self.scenario].limits
        return {"untold": None, "told": limits, "tripled": limits.times(3)}[self.knows]


# Not the whole cross product: each scenario at least once, each variation where it matters most.
SUITE = tuple(
    Variant.parse(name)
    for name in (
        "tokens/untold/async",
        "tokens/told/async",
        "requests/told/async",
        "third/told/node",
        "falling/untold/async",
        "hangs/untold/async/own",
        "hangs/told/async/5s",
        "capacity/untold/async",
        "faults/tripled/threads",
        "two/untold/async",
        "stalls/told/async/5s",
    )
)
# With --all.
MORE = tuple(
    Variant.parse(name)
    for name in (
        "tokens/untold/threads",
        "tokens/tripled/async",
        "requests/untold/threads",
        "requests/untold/async",
        "requests/tripled/node",
        "third/untold/async",
        "falling/tripled/async",
        "hangs/untold/threads/5s",
        "capacity/told/threads",
        "capacity/tripled/async",
        "faults/untold/node",
        "two/untold/threads",
        "streams/untold/async",
        "streams/told/threads",
        "stalls/untold/async/own",
    )
)
QUICK = (Variant.parse("requests/told/async"),)
