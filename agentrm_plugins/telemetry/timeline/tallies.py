"""What is added up on the way: agents, endpoints, sessions, waits and pressure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import ceil, exp, log, log2
from typing import Any, Generic, TypeVar

__all__ = ["AgentRow", "Busiest", "EndpointRow", "Pressure", "SessionRow", "Waits"]

_STEPS = 4  # bounds per doubling: a quantile is at most 19 % too high
_SMALLEST_S = 0.001
_BUCKETS = 84  # from 1 ms to 35 minutes
PRESSURE_S = (10.0, 60.0, 300.0)
"""Linux's PSI has 10, 60 and 300 seconds (Documentation/accounting/psi.rst)."""
_HALF_LIFE_S = 30.0  # as in the core's own statistics
_LOOK = 100  # guessed: enough to find an idle one, and bounded
T = TypeVar("T")


@dataclass(slots=True)
class AgentRow:
    """One agent, `name` being its `agent_key`. Times in seconds."""

    name: str
    agent: str = ""
    tenant: str = "default"
    priority: str = ""
    level: int = 0
    waiting: int = 0
    running: int = 0
    asked: int = 0
    calls: int = 0
    served_s: float = 0.0
    waited_s: float = 0.0
    tokens: int = 0
    cost: float = 0.0
    retries: int = 0
    zombies: int = 0
    refused: int = 0
    limit_hits: int = 0
    last_s: float = 0.0
    drained: bool = False
    recent_tokens: float = 0.0
    recent_s: float = 0.0

    def use(self, tokens: int, now_s: float) -> None:
        """So many tokens are used."""
        self.tokens += tokens
        self.recent_tokens = self._recent(now_s) + tokens
        self.recent_s = now_s

    def adopt_rate(self, per_s: float, now_s: float) -> None:
        """This was its rate of tokens until now."""
        self.recent_tokens, self.recent_s = per_s * _HALF_LIFE_S / log(2.0), now_s

    def tokens_per_s(self, now_s: float) -> float:
        """Tokens a second lately: what was used half a minute ago counts half."""
        return self._recent(now_s) * log(2.0) / _HALF_LIFE_S

    def _recent(self, now_s: float) -> float:
        return float(self.recent_tokens * 2.0 ** ((self.recent_s - now_s) / _HALF_LIFE_S))

    @property
    def idle(self) -> bool:
        """Whether nothing goes on for it."""
        return not self.waiting and not self.running


@dataclass(slots=True)
class EndpointRow:
    """One endpoint: its limits by resource as (allowed per s, limit per s, source)."""

    name: str
    limits: dict[str, tuple[float, float | None, str]] = field(default_factory=dict)
    running: int = 0
    waiting: int = 0
    sent: int = 0
    limit_hits: int = 0
    breaker: str = "closed"
    closed_until_s: float = 0.0
    cost: float = 0.0


@dataclass(slots=True)
class SessionRow:
    """One conversation's context: tokens in each tier, and what was done with it.

    `exact` once a request told of them; before, they follow from compactions.
    """

    name: str
    hot: int = 0
    warm: int = 0
    cold: int = 0
    window: int | None = None
    compactions: int = 0
    recalls: int = 0
    asleep: bool = False
    exact: bool = False


class Busiest(Generic[T]):
    """Rows by name; above `most` the one that was longest untouched and may go makes room."""

    def __init__(self, most: int, make: Callable[[str], T], idle: Callable[[T], bool]) -> None:
        self.most, self._make, self._idle = most, make, idle
        self.rows: OrderedDict[str, T] = OrderedDict()
        self.aged = 0

    def of(self, name: str) -> T:
        """The row of that name, new or known, now the newest."""
        row = self.rows.get(name)
        if row is None:
            row = self.rows[name] = self._make(name)
            if len(self.rows) > self.most:
                self._age()
        else:
            self.rows.move_to_end(name)
        return row

    def _age(self) -> None:
        """One goes: an idle one among the oldest, or else the oldest."""
        oldest = islice(self.rows.items(), _LOOK)
        idle = next((name for name, row in oldest if self._idle(row)), None)
        del self.rows[next(iter(self.rows)) if idle is None else idle]
        self.aged += 1

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows.values())

    def __len__(self) -> int:
        return len(self.rows)


class Waits:
    """A histogram of waits in buckets that grow by a fourth root of two."""

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.most_s = 0.0

    def add(self, seconds: float) -> None:
        """One more wait."""
        self.most_s = max(self.most_s, seconds)
        index = 0
        if seconds > _SMALLEST_S:
            index = min(_BUCKETS - 1, ceil(_STEPS * log2(seconds / _SMALLEST_S)))
        self.counts[index] += 1

    @staticmethod
    def bound_s(index: int) -> float:
        """The upper bound of a bucket."""
        return float(_SMALLEST_S * 2.0 ** (index / _STEPS))

    def quantile(self, share: float) -> float:
        """A wait that this share of the calls did not pass; 0 if there were none."""
        need, seen = share * sum(self.counts), 0
        for index, count in enumerate(self.counts):
            seen += count
            if count and seen >= need:
                return min(self.bound_s(index), self.most_s)
        return 0.0

    def as_dict(self) -> dict[str, Any]:
        """Its curve (share of calls that waited at most so long) and its quantiles."""
        every, seen = sum(self.counts), 0
        x: list[float] = []
        y: list[float] = []
        for index, count in enumerate(self.counts):
            seen += count
            if count or (x and seen < every):
                x.append(round(min(self.bound_s(index), max(self.most_s, _SMALLEST_S)), 4))
                y.append(round(seen / every, 4))
        marks = {f"p{100 * q:g}": round(self.quantile(q), 4) for q in (0.5, 0.95, 0.99)}
        return {"count": every, "x": x, "y": y, "max": round(self.most_s, 4), **marks}


class Pressure:
    """The share of time in which somebody waited, lately: the law of Linux's PSI.

    Each average forgets with its own time: after `d` seconds in which the share was `s` it is
    ``a * e + s * (1 - e)`` with ``e = exp(-d / time)``.
    """

    def __init__(self) -> None:
        self.shares = [0.0] * len(PRESSURE_S)
        self.total_s = 0.0
        self._waits = False
        self._seen_s: float | None = None

    def see(self, now_s: float, *, waits: bool) -> None:
        """From now on somebody waits, or nobody does."""
        if self._seen_s is not None and now_s > self._seen_s:
            self.total_s += (now_s - self._seen_s) * self._waits
            self.shares = self.until(now_s)
        self._seen_s = now_s if self._seen_s is None else max(now_s, self._seen_s)
        self._waits = waits

    def until(self, now_s: float) -> list[float]:
        """The three shares at this moment. It changes nothing."""
        passed_s = 0.0 if self._seen_s is None else max(0.0, now_s - self._seen_s)
        keeps = [exp(-passed_s / time_s) for time_s in PRESSURE_S]
        share = 1.0 if self._waits else 0.0
        return [
            old * keep + share * (1.0 - keep) for old, keep in zip(self.shares, keeps, strict=True)
        ]
