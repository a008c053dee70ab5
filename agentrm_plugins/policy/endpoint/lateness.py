"""What is learnt of an endpoint's times: their quantiles, and from when on a call is late.

Law: a call is late when it has been silent for ``T = quantile(1 - S)`` of the times of healthy
calls like it. ``S`` is chosen so that of the calls that are late the hung ones are five times those
that are merely slow: with a share ``h`` of hung calls that is ``S = 0.2 h / (1 - h)``, between 0.3
and 25 % (`hedging` learns ``h``). For each further attempt ``S`` is multiplied by the odds
``h / (1 - h)`` over 0.2, if that is below 1, and ``T`` by 1.2 at least and 10 at most: the call may
be slow by nature. Late is not dead: nothing here ends a call.

Regimes: of ``n`` healthy calls a high quantile says the less the fewer they are, so a prior (10 s,
or four times the slowest of them) weighs ``12 / (n**1.5 + 12)`` beside it (a mean of logarithms).
An endpoint that has answered nothing yet is slow by nature, or cold, or it hangs. Of ``k`` calls
that are silent together the odds that all hang fall with each one, so nothing is late there before
``20 * 2**(k - 1)`` seconds: a lone call after twenty, of many none.
Calls that do not stream are compared with those that may put out about as much (by powers of two),
for a long answer is not late and a short one should not wait as long. Till these are known, the
prior is what the size known best says (thirty answers or more), twice as much and by the ratio of
the sizes for a larger one. Streams are late for their first piece, and between two pieces.

Limits: never before `FLOOR_S` (`GAP_FLOOR_S` between pieces): a second attempt within that time
costs more than it saves. A time is not learnt of a call that another one outran.

Sources: the odds, the bounds, the prior and its weight were found by `benchmarks.liveness.virtual`
and `benchmarks.liveness.few`. Twenty seconds are guessed: one request more for each new endpoint
that is slow, where a first call that hangs waited a minute.

Quantiles: a time ``x`` falls into bin ``ceil(log(x) / log(g))`` with ``g = (1 + e) / (1 - e)``, so
one is right within a share ``e`` (DDSketch). All weights are halved every `half_life`
samples by making new samples heavier; the memory is bounded by the range of times: 0.1 ms to 1 h
are 350 bins of 5 %.

A quantile above 1 - 1/n of n samples is the largest of them (Masson et al., DDSketch, VLDB 2019).
"""

from __future__ import annotations

from math import ceil, exp, log
from typing import TYPE_CHECKING

from agentrm_plugins.types.calls import MOST_TOKENS

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call

__all__ = ["LatencySketch", "Lateness", "bin_of"]

_LEAST_S = 1e-4
_MOST_S = 3600.0
_RESCALE = 1e12
_ROUNDING = 1e-9
_ERROR = 0.025
_GROWTH = (1.0 + _ERROR) / (1.0 - _ERROR)
_LOG_GROWTH = log(_GROWTH)


def bin_of(seconds: float) -> int:
    """The bin of a time, the same in all sketches."""
    if not _LEAST_S <= seconds <= _MOST_S:
        seconds = min(max(seconds, _LEAST_S), _MOST_S)
    return ceil(log(seconds) / _LOG_GROWTH)


class LatencySketch:
    """Quantiles of times, newer ones counting more.

    Args:
        half_life: Samples after which a sample counts half.
    """

    __slots__ = ("_bins", "_gain", "_total", "_weight", "count")

    def __init__(self, *, half_life: float = 500.0) -> None:
        self._gain = exp(log(2.0) / half_life)
        self._bins: dict[int, float] = {}
        self._weight = 1.0
        self._total = 0.0
        self.count = 0

    def add(self, seconds: float) -> None:
        """A time was seen; outside 0.1 ms to 1 h it counts as the nearer of the two."""
        self.add_bin(bin_of(seconds))

    def add_bin(self, number: int) -> int:
        """A time of that bin was seen. Gives how many have been."""
        bins = self._bins
        weight = self._weight = self._weight * self._gain
        if number in bins:
            bins[number] += weight
        else:  # seldom: the bins stay in their order, so that nobody has to sort them
            self._bins = dict(sorted([*bins.items(), (number, weight)]))
        self._total += weight
        count = self.count = self.count + 1
        if weight > _RESCALE:
            self._rescale()
        return count

    def quantile(self, share: float) -> float:
        """The time below which `share` (0 to 1) of the samples lie; 0 if there is none."""
        if not self._bins:
            return 0.0
        number, above = 0, (1.0 - share + _ROUNDING) * self._total
        for number in reversed(self._bins):  # what is asked for is mostly near the top
            above -= self._bins[number]
            if above < 0.0:
                break
        # The middle of the bin: relative error e towards both of its ends.
        return float(2.0 * _GROWTH**number / (_GROWTH + 1.0))

    def _rescale(self) -> None:
        scale = 1.0 / self._weight
        self._bins = {
            number: weight * scale
            for number, weight in self._bins.items()
            if weight * scale > _ROUNDING
        }
        self._total = sum(self._bins.values())
        self._weight = 1.0


PRIOR_S = 10.0
FLOOR_S = 1.0
GAP_FLOOR_S = 5.0
BLIND_S = 20.0
_PRIOR_WEIGHT, _SHARPER, _SLOWEST_TIMES = 12.0, 1.5, 4.0
_MOST_DOUBLINGS = 20  # beyond any limit
_SETTLED = 30
_LOOK_EVERY = 8  # samples, once there are some; a quantile costs a look at each bin
_ODDS = 0.2
_OFTEN = 0.2  # odds of hung against healthy from which on another hang is no surprise
_SHARE_LEAST, _SHARE_MOST = 0.003, 0.25
_TAIL = 0.2
_FADES = 0.999  # what the slowest is remembered by, for each answer
_SLOWEST, _FASTEST = 1.2, 10.0
_MOVED = 0.1  # guessed: a smaller change of the share moves no quantile
_RESPONSE, _FIRST, _GAP = "response", "first", "gap"
_SIZED = tuple(f"{_RESPONSE}:{bits}" for bits in range(1 + MOST_TOKENS.bit_length()))
"""The classes of calls that may put out about as much."""
_SIZE = {name: bits for bits, name in enumerate(_SIZED)}
_MOST_LONGER = 64.0

_NONE = LatencySketch()


class Lateness:
    """Times of one endpoint's healthy calls.

    `answers` counts them, and `slowest_s` is the time of the slowest, slowly forgotten.
    """

    __slots__ = ("_late", "_looked", "_odds", "answers", "sketches", "slowest_s")

    def __init__(self) -> None:
        self.sketches: dict[str, LatencySketch] = {}
        self._looked: dict[str, int] = {}
        self._late: dict[str, dict[int, float]] = {}
        self._odds = _SHARE_LEAST
        self.answers = 0
        self.slowest_s = 0.0

    def expect(self, hung: float) -> bool:
        """A share `hung` of the attempts hang; 0 to 1. True if that changes what is late."""
        odds, before = hung / max(1.0 - hung, 1e-6), self._odds
        if -_MOVED * before <= odds - before <= _MOVED * before:
            return False
        self._odds = odds
        self._late.clear()
        return True

    def add(self, call: Call, seconds: float, *, beats: int) -> bool:
        """A healthy time was seen: of silence before the beat of that number, or of an answer.

        Returns:
            Whether enough have been since the last look to look again.
        """
        if _LEAST_S <= seconds <= _MOST_S:
            number = ceil(log(seconds) / _LOG_GROWTH)
        else:
            number = bin_of(seconds)
        if beats > 1:
            return self._count(_GAP, number)
        self.answers += 1
        self.slowest_s = max(self.slowest_s * _FADES, seconds)
        if call.streaming:
            return self._count(_FIRST, number)
        most = call.max_output_tokens or call.estimate.output_tokens
        news = self._count(_RESPONSE, number)
        return self._count(_SIZED[most.bit_length()], number) or news if most else news

    def late_after_s(
        self, call: Call, *, beats: int, attempt: int = 0, in_flight: int = 1
    ) -> float:
        """Seconds of silence after which a call that has beaten so often is late.

        Args:
            call: What is declared of it.
            beats: How often it has beaten.
            attempt: The number of attempts before this one that were late as well.
            in_flight: Calls of the endpoint that run, this one among them.
        """
        if not self.answers and not beats:
            return BLIND_S * 2.0 ** min(max(in_flight - 1, 0), _MOST_DOUBLINGS)
        name = _GAP if beats else _FIRST
        if not beats and not call.streaming:
            most = call.max_output_tokens or call.estimate.output_tokens
            name = _SIZED[most.bit_length()] if most else _RESPONSE
        known = self._late.get(name)
        if known is None:
            known = self._late[name] = {}
        late_s = known.get(attempt)
        if late_s is None:
            late_s = known[attempt] = self._look(name, attempt)
        return late_s

    def usual(self, name: str) -> float | None:
        """What is late for "first", "response" or "gap" as it is known now, or None."""
        return self._look(name, 0) if name in self.sketches else None

    def _count(self, name: str, number: int) -> bool:
        sketch = self.sketches.get(name)
        if sketch is None:
            sketch = self.sketches[name] = LatencySketch()
        count = sketch.add_bin(number)
        looked = self._looked.get(name, 0)
        if count < looked + min(_LOOK_EVERY, 1 + looked // 2):
            return False
        self._looked[name] = count
        self._late.pop(name, None)
        return True

    def _look(self, name: str, attempt: int) -> float:
        floor_s = GAP_FLOOR_S if name == _GAP else FLOOR_S
        share = _ODDS * self._odds * min(1.0, self._odds / _OFTEN) ** attempt
        attempt = min(attempt, _MOST_DOUBLINGS)
        stretch = max(1.0, _SHARE_LEAST / share) ** _TAIL if attempt else 1.0
        stretch = min(max(stretch, _SLOWEST**attempt), _FASTEST**attempt)
        share = min(max(share, _SHARE_LEAST), _SHARE_MOST)
        sketch, prior_s = self.sketches.get(name, _NONE), None
        if name in _SIZE:
            prior_s = self._by_size_s(_SIZE[name], share, floor_s)
            if prior_s is None and sketch.count < _SETTLED:  # of no size enough is known
                sketch = self.sketches.get(_RESPONSE, _NONE)
        if prior_s is None:
            slowest_s = sketch.quantile(1.0)
            if name != _GAP and not sketch.count:
                slowest_s = self.slowest_s
            prior_s = max(PRIOR_S, _SLOWEST_TIMES * slowest_s)
        learnt_s = max(sketch.quantile(1.0 - share), floor_s)
        weight = sketch.count**_SHARPER / (sketch.count**_SHARPER + _PRIOR_WEIGHT)
        return float(learnt_s**weight * prior_s ** (1.0 - weight)) * stretch

    def _by_size_s(self, size: int, share: float, floor_s: float) -> float | None:
        """What the calls of another size that are known best say of those of this size, or None."""
        known = (
            (one.count, _SIZE[other]) for other, one in self.sketches.items() if other in _SIZE
        )
        count, best = max((pair for pair in known if pair[1] != size), default=(0, 0))
        if count < _SETTLED:
            return None
        longer = min(2.0 ** (1 + size - best), _MOST_LONGER) if size > best else 1.0
        return longer * max(self.sketches[_SIZED[best]].quantile(1.0 - share), floor_s)
