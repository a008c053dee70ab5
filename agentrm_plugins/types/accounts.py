"""What is known of agents and tenants: plain records.

They lie below the policies so that no policy needs another one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from math import log
from typing import TYPE_CHECKING, Any

from agentrm_plugins.types.histogram import Histogram

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Priority

__all__ = ["Account", "Recent", "Tenant"]

_WINDOWS_S = (1.0, 10.0, 60.0)
_BIN_S = 0.1
_PRUNED = 32  # numbers, two for each bin, before it is looked for bins that are too old
_HALF_LIFE_S = 30.0
"""Guessed: long enough to be read by a person, short enough to show a pause of a minute."""
_TO_RATE = log(2.0) / _HALF_LIFE_S


class Recent:
    """How much was used lately; nothing is kept before the first use.

    Law: over the last w of 1, 10 and 60 seconds it is what was counted in them by w, in bins of a
    tenth of a second, so exact to one bin. As one number: each amount weighs ``2 ** (-age /
    half-life)``; over a steady use of r per second the weights sum up to ``r * half-life / ln 2``,
    so the rate is that sum times ``ln 2 / half-life``. What came within one bin counts as of one
    age, which is a quarter of a percent at most. Of each agent a few numbers are kept, so that a
    hundred thousand stay small.

    A bin is kept with all that had come up to its end, so that a window is a difference of two,
    however busy the minute was. What comes before `_until_s` is in the last one.
    """

    __slots__ = ("_bins", "_until_s", "at_s", "weighed")

    def __init__(self) -> None:
        self._bins: array[float] | None = None  # a bin, the sum up to its end, the next
        self.weighed = self.at_s = self._until_s = 0.0

    def add(self, amount: float, now_s: float) -> None:
        """Count an amount now. Times never run backwards."""
        bins = self._bins
        if now_s < self._until_s and bins is not None:
            bins[-1] += amount
            self.weighed += amount
            return
        number = now_s // _BIN_S
        if bins is None:
            self._bins = array("d", (number, amount))
        elif bins[-2] == number:  # by a rounding error
            bins[-1] += amount
        else:
            bins.append(number)
            bins.append(bins[-2] + amount)
            many = len(bins)
            if many > _PRUNED and bins[many // 4 * 2] * _BIN_S < now_s - _WINDOWS_S[-1]:
                del bins[: many // 4 * 2]  # too old for each window, and so is the next one
        if self.weighed:
            self.weighed *= 2.0 ** ((self.at_s - now_s) / _HALF_LIFE_S)
        self.weighed += amount
        self.at_s = now_s
        self._until_s = (number + 1.0) * _BIN_S

    def faded_per_s(self, now_s: float) -> float:
        """The rate at this moment, as one number."""
        weighed: float = self.weighed * 2.0 ** ((self.at_s - now_s) / _HALF_LIFE_S)
        return weighed * _TO_RATE

    def per_s(self, now_s: float) -> tuple[float, float, float]:
        """Amounts per second over 1, 10 and 60 s. Changes nothing."""
        bins = self._bins
        if bins is None or bins[-2] * _BIN_S - now_s < -_WINDOWS_S[-1]:
            return 0.0, 0.0, 0.0
        numbers = bins[::2]  # copied in C: a minute has 600 of them
        rates, first, whole = [], 0, bins[-1]
        for window_s in reversed(_WINDOWS_S):
            first = bisect_left(numbers, (now_s - window_s) / _BIN_S, first)
            if first and numbers[first - 1] * _BIN_S - now_s >= -window_s:
                first -= 1  # rounding: a bin at the edge is within
            elif first < len(numbers) and numbers[first] * _BIN_S - now_s < -window_s:
                first += 1
            before = bins[2 * first - 1] if first else 0.0  # nothing was pruned before the first
            rates.append((whole - before) / window_s)
        sixty, ten, one = rates
        return one, ten, sixty


class Tenant:
    """One payer: its weight, what it holds now and what it has used.

    `recent_tokens` is kept in inflated units (see `policy.order.tenant_shares`), all else in plain
    ones.
    `number` tells apart two that once had one name, and breaks ties.
    """

    __slots__ = (
        "accounts",
        "cost",
        "grants",
        "input_tokens",
        "lanes",
        "limit_hits",
        "name",
        "number",
        "output_tokens",
        "recent",
        "recent_tokens",
        "refused",
        "requeues",
        "service_s",
        "waited_s",
        "waiting",
        "waits",
        "weight",
    )

    def __init__(self, name: str, weight: float = 1.0, number: int = 0) -> None:
        self.name = name
        self.number = number
        self.weight = weight
        self.accounts = 0
        self.lanes = 0
        self.waiting = 0
        self.recent_tokens = 0.0
        self.input_tokens = self.output_tokens = 0
        self.recent = Recent()
        self.waits = Histogram()
        self.grants = self.requeues = self.limit_hits = 0
        self.cost = 0.0
        self.service_s = 0.0
        self.waited_s = 0.0
        self.refused = 0

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


class Account:
    """One agent's life: the service that it received and where that has put it.

    Running calls are counted without touching them: with `running` calls begun at times that sum
    up to `since_sum_s`, their service until now is ``running * now - since_sum_s``. What an order
    keeps of an agent stands here too: its level; the service that still counts (`recent_s`, at
    `recent_at_s`, up to `counted_s`), when a call ended last and when the agent comes up a level;
    what its calls tell of the next one.
    """

    __slots__ = (
        "asks",
        "attained_s",
        "bids",
        "calls",
        "children",
        "cost",
        "counted_s",
        "ended_s",
        "epoch",
        "grants",
        "hint",
        "idle_since_s",
        "input_tokens",
        "key",
        "learnt_calls",
        "learnt_s",
        "level",
        "level_base_s",
        "limit_hits",
        "log_squares",
        "log_sum",
        "name",
        "number",
        "output_tokens",
        "parent",
        "prior",
        "recent",
        "recent_at_s",
        "recent_s",
        "refused",
        "requeues",
        "rise_s",
        "running",
        "samples",
        "since_sum_s",
        "slope",
        "tenant",
        "tickets",
        "waited_s",
        "waiting",
        "waits",
        "weighed_log",
        "weighed_s",
        "zombies",
    )

    def __init__(
        self, name: str, tenant: Tenant, hint: Priority | None, now_s: float, number: int = 0
    ) -> None:
        self.name = name
        self.number = number  # tells apart two that once had one name
        self.tenant = tenant
        self.key = tenant.name, name  # two tenants may use one name for two agents
        self.hint = hint
        self.parent: str | None = None
        self.children: dict[str, None] = {}
        self.level = 0
        self.epoch = 0
        self.level_base_s = 0.0
        self.recent_s = 0.0
        self.recent_at_s = now_s
        self.counted_s = 0.0
        self.ended_s = now_s
        self.rise_s = float("inf")
        self.slope = 0
        self.asks = 0.0  # logarithm of output tokens, by the first call; 0: not known
        self.prior = 0.0
        self.samples = 0.0
        self.log_sum = 0.0
        self.log_squares = 0.0
        self.weighed_s = 0.0
        self.weighed_log = 0.0
        self.learnt_s = 0.0
        self.learnt_calls = 0
        self.attained_s = 0.0
        self.running = 0
        self.since_sum_s = 0.0
        self.bids: dict[Any, Any] = {}
        self.tickets = 0
        self.waiting = 0
        self.calls = 0
        self.input_tokens = self.output_tokens = 0
        self.recent = Recent()
        self.waits: Histogram | None = None
        self.grants = self.requeues = self.limit_hits = 0
        self.cost = 0.0
        self.waited_s = 0.0
        self.refused = 0
        self.zombies = 0
        self.idle_since_s = now_s

    def service_s(self, now_s: float) -> float:
        """Seconds of service received so far, calls in flight included."""
        return self.attained_s + self.running * now_s - self.since_sum_s

    @property
    def tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens
