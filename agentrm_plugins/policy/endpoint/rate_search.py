"""AIMD: how fast one resource of one endpoint may be used, found out from its refusals.

Law: ``rate += alpha * limit`` per interval without a limit hit, and only if the rate held somebody
back in it (app-limited guard); ``rate *= beta`` on a hit, once per congestion event: a refusal of a
call that was sent before the last cut belongs to the same event, however many there are.

Regimes:

- *unknown*: slow start from a safe rate, doubling as soon as a refusal would be back (as TCP does
  in each round trip); or no bound until the first hit.
- *after a hit*: a token bucket that refuses is empty, so between two hits it let through just
  what flowed in: ``limit = delivered / time``. The rate is cut by beta for a moment (the
  saw-tooth), and then returns at once to just under that limit.
- *no time for a measurement*: ``limit <= (delivered + refused) / time`` still holds, and brings a
  rate that is 20 times too high down in five hits instead of nine.
- *at the last known limit*: it is held for `probe_calls` calls, then exceeded by `probe`. A limit
  that still stands refuses the second call of mean size above it at the latest, for its bucket is
  empty: such a probe lasts until `proof_calls` calls above the limit went, and at first exceeds it
  by no more than lets these go before a refusal can be back. Each probe that
  is refused makes the next one half as much rarer again; a limit that falls may well come back, so
  probes are frequent again then.
- *a probe without a hit*: the limit has risen to the probe's rate at least, and the next probe,
  at once, is twice as large a step.
- *told* (by the user) or *server* (by headers): the rate begins there and never grows above it;
  what the server says only in its refusals is a measurement, for when the limit rises there is
  none.

Limits: a policer without a queue is assumed, as providers are; where calls queue up at the server
there is no hit, and the concurrency limit is what helps. It is blind to what other processes take
from the same limit, and then finds the share that is left.

Sources: beta 0.7 is that of CUBIC (RFC 9438), used for the same purpose by botocore's adaptive
mode. Alpha, the interval and the margin were measured in the simulation of
`tests/kernel/test_endpoint_sim.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import inf

__all__ = ["MEMORY", "RateController", "RateSettings", "Source"]

MEMORY = 0.2
"""Weight of the newest call in the mean size."""
_MEASURE_CALLS = 6  # fewer refusals' sizes than this, and the bucket's rest blurs the measurement
_RECOVERY = 0.25  # share of an interval for which the cut lasts
_MAX_STEP = 16.0
_ALMOST = 0.9  # of a sum of floats and whole calls
_ANSWER_S = 0.25  # guessed: a refusal is back by then
_RARER = 1.5  # guessed, as are the next two
_RAREST, _SELDOM = 8.0, 64.0
_FELL = 0.8  # a limit measured below this share of the one before has fallen


class Source(StrEnum):
    """Who says what the limit is."""

    UNKNOWN = "unknown"
    TOLD = "told"
    SERVER = "server"
    PROBED = "probed"


@dataclass(frozen=True, slots=True)
class RateSettings:
    """How to search.

    Args:
        alpha: Share of the limit by which the rate grows per interval; 0 to 1.
        beta: What is left of the rate after a hit; between 0 and 1.
        interval_s: Seconds of an interval, at least.
        interval_calls: Calls of mean size that fit into an interval, at least.
        margin: Share of a measured limit to which the rate returns.
        probe: Share of the limit by which a probe exceeds it, at most.
        probe_calls: Calls of mean size at the limit before the first probe: of so many calls one is
            refused.
        proof_calls: Calls of mean size above the limit that must pass before it counts as risen.
        floor_s: The rate never falls below one refused call in so many seconds.
    """

    alpha: float = 0.02
    beta: float = 0.7
    interval_s: float = 1.0
    interval_calls: float = 4.0
    margin: float = 0.97
    probe: float = 1.0
    probe_calls: float = 8.0
    proof_calls: float = 2.0
    floor_s: float = 60.0


class RateController:
    """The rate of one resource.

    Args:
        settings: How to search.
        told_per_s: What the user says the limit is, units per second; None if he does not.
        start_per_s: Where slow start begins; None: no bound until the first hit.
        now_s: When it begins.

    `total` is all that ever went, refused or not, at its real size as far as that is known; `mean`
    what a call takes lately, 0 before the first. Before `interval_end_s` to `advance` changes
    nothing. The last cut was at `cut_s`, and `base` is what had gone by then or was refused since;
    `crowded` says that somebody waits for something else than this rate.
    """

    __slots__ = (
        "_anchor_s",
        "_anchored",
        "_app_limited",
        "_bound",
        "_ceiling_per_s",
        "_known_per_s",
        "_patience",
        "_probe_from",
        "_probe_s",
        "_recovering",
        "_server_per_s",
        "_settings",
        "_step",
        "_told_per_s",
        "base",
        "crowded",
        "cut_s",
        "cuts",
        "interval_end_s",
        "mean",
        "rate_per_s",
        "total",
    )

    def __init__(
        self,
        settings: RateSettings,
        *,
        told_per_s: float | None = None,
        start_per_s: float | None = None,
        now_s: float = 0.0,
    ) -> None:
        self._settings = settings
        self._told_per_s = told_per_s
        self._server_per_s: float | None = None
        self._ceiling_per_s = inf if told_per_s is None else told_per_s
        self._known_per_s: float | None = None
        start = inf if start_per_s is None else start_per_s
        self.rate_per_s = start if told_per_s is None else told_per_s
        self.cuts = 0
        self.mean = 0.0
        self.total = 0.0
        self.base = 0.0
        self._anchor_s = now_s
        self._anchored = False
        self._app_limited = False
        self._bound = False
        self.crowded = False
        self.cut_s = -inf
        self._recovering = False
        self._step = 1.0
        self._patience = 1.0
        self._probe_s = now_s
        self._probe_from = 0.0
        self._begin_interval(now_s)

    # -- what is known ------------------------------------------------------------------------

    @property
    def known(self) -> tuple[Source, float | None]:
        """The limit as far as it is known, units per second, and who says so."""
        known = self._known_per_s
        limit = self._ceiling_per_s if known is None else known
        if limit == self._server_per_s:
            return Source.SERVER, None if limit == inf else limit
        if known is not None:
            return Source.PROBED, known
        return (Source.UNKNOWN, None) if limit == inf else (Source.TOLD, limit)

    @property
    def limit_per_s(self) -> float | None:
        """The limit as far as it is known, units per second."""
        return self.known[1]

    @property
    def source(self) -> Source:
        """Who says so."""
        return self.known[0]

    @property
    def _delivered(self) -> float:
        """What has gone since the last cut, and was not refused."""
        return self.total - self.base

    @property
    def firm(self) -> bool:
        """Whether the server itself says so, with its good answers too."""
        return self._known_per_s is None and self._ceiling_per_s == self._server_per_s

    def next_s(self) -> float:
        """When `advance` may change the rate; infinite while nothing would."""
        growing = self._recovering or (self._bound and self.rate_per_s < self._ceiling_per_s)
        return self.interval_end_s if growing else inf

    # -- what happens -------------------------------------------------------------------------

    def sent(self, amount: float) -> None:
        """A call of `amount` was let go."""
        self.total += amount
        self.mean += (amount - self.mean) * (MEMORY if self.mean else 1.0)

    def corrected(self, difference: float) -> None:
        """A call really used `difference` more (negative: less) than was reserved."""
        self.total += difference

    def taken_back(self, amount: float, sent_s: float) -> None:
        """A call of `amount`, sent at `sent_s`, was refused, for whatever reason."""
        if sent_s > self.cut_s:  # else it is forgotten already
            self.base += amount

    def held_back(self) -> None:
        """This rate makes somebody wait: it is the one that binds."""
        self._bound = True

    def stopped(self) -> None:
        """Somebody waits, but for something else than this rate: the crowd is not too small."""
        self.crowded = True

    def advance(self, now_s: float) -> bool:
        """Let time pass: grow if the interval earned it. Says whether the rate changed."""
        if now_s < self.interval_end_s:
            return False
        before = self.rate_per_s
        if self._recovering:
            self._recovering = False
            self._return()
        elif self._bound:
            self._grow(now_s)
        else:
            self._app_limited = self._app_limited or not self.crowded
            known = self._known_per_s
            if known is not None and before > known:  # nobody asks for what the probe offers
                self.rate_per_s = known
                self._step = 1.0
        self._bound = self.crowded = False
        self._begin_interval(now_s)
        return self.rate_per_s != before

    def hit(self, amount: float, sent_s: float, now_s: float) -> bool:
        """A call of `amount`, sent at `sent_s`, was refused. Says whether that cut the rate.

        A call of unknown size (0) counts as one of mean size; if none is known, nothing is proved.
        """
        if sent_s <= self.cut_s:
            return False
        self.base += amount
        amount = amount or self.mean
        if not amount:
            return False
        before = self._known_per_s
        seconds = max(now_s - self._anchor_s, 1e-3)
        delivered = self.total - self.base
        most = max(delivered, 0.0) + amount
        # Without an empty bucket at the anchor, or with one that ran over since, nothing is proved.
        proof = self._anchored and not self._app_limited
        bound = most / seconds if proof or self.rate_per_s == inf else inf
        if proof and delivered >= _MEASURE_CALLS * amount:
            self._known_per_s = delivered / seconds
        else:
            self._known_per_s = min(self.rate_per_s, bound)
        floor = amount / self._settings.floor_s
        self._known_per_s = max(floor, min(self._known_per_s, self._ceiling_per_s))
        if before is not None and self.rate_per_s > before:
            self._patience = max(self._patience, min(_RARER * self._patience, _RAREST))
        else:
            self._patience = 1.0  # what was allowed is refused: it has fallen, and may come back
        self.rate_per_s = max(floor, self._settings.beta * min(self.rate_per_s, bound))
        self.cuts += 1
        self.cut_s = self._anchor_s = now_s
        self._anchored = True
        self.base = self.total
        self._app_limited = self._bound = False
        self._step = 1.0
        self._recovering = True
        pause_s = max(_RECOVERY * self._settings.interval_s, amount / self.rate_per_s)
        self.interval_end_s = now_s + pause_s
        return True

    def learn(
        self, limit_per_s: float, now_s: float, *, firm: bool = True, rarely: bool = False
    ) -> bool:
        """The server says what its limit is. A new value counts at once, up as well as down.

        `firm` is False for what only refusals say: when the limit rises there is none, so the rate
        goes on growing beyond it, `rarely` where each of them names it.

        Returns:
            Whether that is news.
        """
        if limit_per_s == self._server_per_s and (firm or limit_per_s == self._known_per_s):
            return firm and self._restore()
        told = inf if self._told_per_s is None else self._told_per_s
        before = self.limit_per_s
        self._server_per_s = limit_per_s
        self._ceiling_per_s = min(limit_per_s, told) if firm else told
        self._known_per_s = None if firm else min(limit_per_s, told)
        self.rate_per_s = min(limit_per_s, told)
        if before is None or limit_per_s < _FELL * before:
            self._patience = 1.0
        if rarely:
            self._patience, self.base = max(self._patience, _SELDOM), self.total
        self._recovering = self._bound = False
        self._step = 1.0
        self._begin_interval(now_s)
        return True

    def show(self, rate_per_s: float, limit_per_s: float | None, source: Source) -> None:
        """Stand as somebody else says, who searches for a whole fleet."""
        self.rate_per_s = rate_per_s
        self._known_per_s = self._server_per_s = None
        if limit_per_s is None:
            return
        if source is Source.PROBED:
            self._known_per_s = limit_per_s
            return
        self._ceiling_per_s = limit_per_s
        if source is Source.SERVER:
            self._server_per_s = limit_per_s

    def forget(self, now_s: float) -> None:
        """What the server said of its limit was wrong: it is what the user says, or unknown."""
        told = inf if self._told_per_s is None else self._told_per_s
        self._server_per_s = self._known_per_s = None
        self._ceiling_per_s = self.rate_per_s = told
        self._recovering = self._bound = self._anchored = False
        self._begin_interval(now_s)

    # -- steps --------------------------------------------------------------------------------

    def _restore(self) -> bool:
        """The server says once more what it said before the rate was cut: its word counts."""
        if self.rate_per_s >= self._ceiling_per_s:
            return False
        self.rate_per_s = self._ceiling_per_s
        self._known_per_s = None
        self._recovering = self._bound = False
        return True

    def _begin_interval(self, now_s: float) -> None:
        settings, known = self._settings, self._known_per_s
        seconds = max(settings.interval_s, settings.interval_calls * self.mean / self.rate_per_s)
        if known is None and self._ceiling_per_s == inf:
            seconds = max(_ANSWER_S, settings.interval_calls * self.mean / self.rate_per_s)
        elif known is not None and self.rate_per_s > known:
            missing = settings.proof_calls * self.mean - self._excess(known, now_s)
            seconds = max(_ANSWER_S, missing / (self.rate_per_s - known))
        self.interval_end_s = now_s + seconds

    def _excess(self, known: float, now_s: float) -> float:
        """What the probe has let through that a limit of `known` would not."""
        return self._delivered - self._probe_from - known * (now_s - self._probe_s)

    def _probe(self, known: float, now_s: float) -> float:
        """A probe begins; gives its rate."""
        settings = self._settings
        self._probe_s, self._probe_from = now_s, self._delivered
        unanswered = settings.proof_calls * self.mean / (_ANSWER_S * known)
        return known * (1.0 + min(settings.probe, self._step * unanswered))

    def _return(self) -> None:
        known = self._known_per_s
        assert known is not None  # noqa: S101 - a hit came before
        self.rate_per_s = max(self.rate_per_s, self._settings.margin * known)

    def _grow(self, now_s: float) -> None:
        known, settings = self._known_per_s, self._settings
        if known is None:
            # Slow start; at a ceiling it changes nothing.
            self.rate_per_s = min(2.0 * self.rate_per_s, self._ceiling_per_s)
            return
        if self.rate_per_s > known:
            if self._excess(known, now_s) < settings.proof_calls * self.mean * _ALMOST:
                return
            # What a limit there would have refused has passed: it has risen.
            seen = (self._delivered - self._probe_from) / (now_s - self._probe_s)
            self._known_per_s = known = min(self.rate_per_s, seen)
            self._step = min(2.0 * self._step, _MAX_STEP)
            self._patience = 1.0
            grown = self._probe(known, now_s)
        elif self._delivered < settings.probe_calls * self._patience * self.mean:
            grown = min(self.rate_per_s + settings.alpha * known, known)
        else:
            grown = self._probe(known, now_s)
        if grown >= self._ceiling_per_s:
            # Nothing was refused up to what the user or the server says: their word stands again.
            grown = self._ceiling_per_s
            self._known_per_s = None
        self.rate_per_s = grown
