"""Latency quantiles of one endpoint, and the timeouts that follow from them.

Law: a time ``x`` falls into bin ``ceil(log(x) / log(g))`` with ``g = (1 + e) / (1 - e)``, so a
quantile is right within a share ``e`` (DDSketch). All weights are halved every `half_life`
samples by making new samples heavier; the memory is bounded by the range of times: 0.1 ms to 1 h
are 350 bins of 5 %. ``timeout = clamp(factor * quantile(0.99) * 2 ** attempt, floor, prior)``.

Regimes: fewer than `least` samples say little of a 99th percentile, so the prior (the configured
timeout) holds until then and fades out from there to `settled` samples: ``timeout = w * learnt +
(1 - w) * prior``, ``w = (n - least) / (settled - least)``. A call that was reaped is no sample:
where a fifth of the calls hang, each would triple the timeout. Its next attempt may take twice as
long instead, so an endpoint that became slow but is healthy is learnt from the attempt that got
through (as TCP backs off its retransmission timer, RFC 6298).

Limits: a quantile above 1 - 1/n of n samples is the largest of them; hence the factor.

Sources: Masson et al., DDSketch, VLDB 2019. The factor of 3 was guessed: a lognormal latency with a
spread (sigma) of 1 has 3 of 100,000 calls above 3 x its 99th percentile.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log

__all__ = ["LatencySketch", "TimeoutRule"]

_LEAST_S = 1e-4
_MOST_S = 3600.0
_RESCALE = 1e12
_ROUNDING = 1e-9


class LatencySketch:
    """Quantiles of times, newer ones counting more.

    Args:
        error: Relative error of a quantile; between 0 and 1.
        half_life: Samples after which a sample counts half.
    """

    __slots__ = ("_bins", "_gain", "_growth", "_log_growth", "_total", "_weight", "count")

    def __init__(self, *, error: float = 0.025, half_life: float = 500.0) -> None:
        self._growth = (1.0 + error) / (1.0 - error)
        self._log_growth = log(self._growth)
        self._gain = exp(log(2.0) / half_life)
        self._bins: dict[int, float] = {}
        self._weight = 1.0
        self._total = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        """A time was seen; outside 0.1 ms to 1 h it counts as the nearer of the two."""
        seconds = min(max(seconds, _LEAST_S), _MOST_S)
        number = ceil(log(seconds) / self._log_growth)
        self._weight *= self._gain
        self._bins[number] = self._bins.get(number, 0.0) + self._weight
        self._total += self._weight
        self.count += 1
        if self._weight > _RESCALE:
            self._rescale()

    def quantile(self, share: float) -> float:
        """The time below which `share` (0 to 1) of the samples lie; 0 if there is none."""
        wanted = share * self._total
        number = 0
        for number in sorted(self._bins):
            wanted -= self._bins[number]
            if wanted <= _ROUNDING * self._total:
                break
        else:
            if not self._bins:
                return 0.0
        # The middle of the bin: relative error e towards both of its ends.
        return float(2.0 * self._growth**number / (self._growth + 1.0))

    def _rescale(self) -> None:
        scale = 1.0 / self._weight
        self._bins = {
            number: weight * scale
            for number, weight in self._bins.items()
            if weight * scale > _ROUNDING
        }
        self._total = sum(self._bins.values())
        self._weight = 1.0


@dataclass(frozen=True, slots=True)
class TimeoutRule:
    """How a timeout follows from a sketch.

    Args:
        factor: Multiple of the 99th percentile.
        floor_s: Never less, seconds.
        least: Samples below which the prior alone holds.
        settled: Samples from which the sketch alone holds; above `least`.
    """

    factor: float = 3.0
    floor_s: float = 1.0
    least: int = 10
    settled: int = 50

    def timeout_s(self, sketch: LatencySketch, prior_s: float, attempt: int = 0) -> float:
        """Seconds of silence that are still healthy: never more than the prior.

        `attempt` is the number of times that this call was reaped before.
        """
        if sketch.count < self.least:
            return prior_s
        learnt_s = max(self.factor * sketch.quantile(0.99), self.floor_s) * 2.0 ** min(attempt, 30)
        learnt_s = min(learnt_s, prior_s)
        weight = min(1.0, (sketch.count - self.least) / (self.settled - self.least))
        return weight * learnt_s + (1.0 - weight) * prior_s
