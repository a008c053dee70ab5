"""How fast a server's bucket refills and how large it is, from its remaining and reset headers.

Law: the reset is the time until the bucket is full, ``reset = (size - remaining) / rate``,
whenever the report was made; so over all reports of one limit ``rate = spread(remaining) /
spread(reset)`` (standard deviations) and ``size = mean(remaining) + rate * mean(reset)``. That
holds for buckets smaller than a window's quota too, and tells a limit per day from one per
minute, which the headers' names do not. Rounding adds a twelfth of its step squared to a
variance; that is taken off again.

Regimes: one report says nothing yet, nor do reports that are nearly alike. Where less remaining
goes with a *shorter* reset it is no bucket (see `reset_shape`).

Limits: a change of the limit starts afresh. A window within 15 % of a usual one (1 s, 1 min, 1 h,
1 day) is taken for it. What the spreads must exceed is guessed: twice the step of the rounding.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from agentrm_plugins.types.verdicts import usual_window_s

__all__ = ["Refill", "RefillEstimator"]

_FINE_S = 0.001  # OpenAI's resets are in milliseconds
_COARSE_S = 1.0  # Anthropic's in seconds, rounded up
_CLEAR = 2.0
_ALIKE = 0.5  # guessed: of what differs in one, explained by the other


class Refill(NamedTuple):
    """What was found out.

    Args:
        window_s: Seconds in which a whole limit flows in.
        size: The most that the bucket holds.
    """

    window_s: float
    size: float


class RefillEstimator:
    """The refill of one limit.

    `step_s` is to what its resets are rounded, `known` what was found out; None: nothing yet.
    """

    __slots__ = (
        "_both",
        "_count",
        "_limit",
        "_mean_left",
        "_mean_reset_s",
        "_var_left",
        "_var_reset",
        "known",
        "step_s",
    )

    _limit: float
    _count: int
    step_s: float
    _mean_left: float
    _mean_reset_s: float
    _var_left: float
    _var_reset: float
    _both: float
    known: Refill | None

    def __init__(self) -> None:
        self._begin(0.0)

    def observe(
        self, limit: float, remaining: float, reset_s: float, step_s: float | None = None
    ) -> Refill | None:
        """A report came, its reset rounded to `step_s`; gives what is known by now.

        None: it shows by its figure. A moment in whole seconds is any figure when it is made
        relative, and still rounded to a second.
        """
        if limit != self._limit:
            self._begin(limit)
        if step_s is None:
            step_s = _FINE_S if reset_s % _COARSE_S else _COARSE_S
        self.step_s = min(self.step_s, step_s)
        self._count += 1
        off_left, off_reset = remaining - self._mean_left, reset_s - self._mean_reset_s
        self._mean_left += off_left / self._count
        self._mean_reset_s += off_reset / self._count
        self._var_left += off_left * (remaining - self._mean_left)
        self._var_reset += off_reset * (reset_s - self._mean_reset_s)
        self._both += off_left * (reset_s - self._mean_reset_s)
        self._estimate()
        return self.known

    def _begin(self, limit: float) -> None:
        self._limit = limit
        self._count = 0
        self.step_s = _COARSE_S
        self._mean_left = 0.0
        self._mean_reset_s = 0.0
        self._var_left = 0.0
        self._var_reset = 0.0
        self._both = 0.0
        self.known = None

    def _estimate(self) -> None:
        left, reset = self._var_left / self._count, self._var_reset / self._count
        if left < _CLEAR**2 or reset < (_CLEAR * self.step_s) ** 2:
            return
        both = self._both / self._count
        if both > 0 or both**2 < _ALIKE * left * reset:  # a bucket with longer to wait has less
            return
        rate = sqrt((left - 1 / 12) / (reset - self.step_s**2 / 12))
        # Remaining is rounded down and the reset up: the middle lies half a step off.
        size = self._mean_left + 0.5 + rate * (self._mean_reset_s - self.step_s / 2)
        self.known = Refill(usual_window_s(self._limit / rate), size)
