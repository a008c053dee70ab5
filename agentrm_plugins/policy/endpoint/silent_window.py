"""What is believed of the window of a server that says nothing, and when it may be over.

Law and limits: see `silence`, which says what calls and answers make of this.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.policy.endpoint.moments import AFTER_S, MINUTE_S, later, parts, whole_window

__all__ = ["SHORT_S", "SilentWindow"]

SHORT_S = 10.0
_FIRST_S = 0.25
_NEAR_S = 1.0  # of two moments that are nearer only the later one is tried
_ANSWER_S = (0.25, 5.0)  # a refusal is back by then, at least and at most
_ADJOIN = 2.0  # windows that a stretch as long as one of them may touch
_FEWEST = 2  # calls of which one may say how many go in a minute


class SilentWindow:
    """A window, or what is known before one is believed.

    Attributes:
        governs: Whether this says when calls go; else the searched rate does.
        size: Calls that a window holds; 0: no window is believed.
        period_s: Its length, seconds.
        rate_per_s: Calls per second of the window that was believed last.
        stated: Whether the window, or a bucket's rate, is the server's word.
        awake: Whether it is to be told of calls that go: a refusal said nothing.
        gap_s: Seconds from a refusal until a call passed, where no window came of it; 0: nothing
            is known of that; None: that is no news.
    """

    __slots__ = (
        *("awake", "gap_s", "governs", "period_s", "rate_per_s", "size", "stated"),
        *("_answer_s", "_arrived_s", "_at_clock", "_back_s", "_begun_s", "_busy", "_clock_s"),
        *("_clocks", "_count", "_early", "_first_s", "_fit", "_gap_s", "_half"),
        *("_header", "_lately", "_long", "_longest_s"),
        *("_lost", "_misses", "_more", "_new", "_next_s", "_opened_s", "_probe", "_probe_s"),
        *("_quiet", "_raw_s", "_round", "_round_left", "_round_s", "_shut", "_shut_s"),
        *("_since_s", "_slid", "_span_s"),
        *("_strikes", "_sure", "_told_per_s", "_tries", "_trust", "_untried", "_whole"),
    )

    def __init__(self) -> None:
        self.governs = False
        self.awake = False
        self.gap_s: float | None = None
        self.size = 0
        self.rate_per_s = self._told_per_s = 0.0
        self.period_s = MINUTE_S
        self._since_s = -inf  # what went before is of no window that is looked for
        self._fit, self._first_s = 0, -inf  # calls that went before a refusal, and the first of it
        self._lately = 0.0  # that went in the minute before it, of whatever window
        self._span_s = 0.0  # since the first of these
        self._raw_s = 0.0  # after which a call passed, where more were believed to go
        self._opened_s = -inf  # when a call passed that showed a window over
        self._long = False  # whether what went came back no sooner than after half a minute
        self._clock_s: float | None = None  # Unix time less our clock
        self._clocks = 0  # probes refused at a whole minute
        self._at_clock = self._half = self._slid = self._whole = False
        self._quiet = self._sure = False  # what a refused probe has shown: see `_refuse`
        self._longest_s = 0.0  # that a refusal took
        self._answer_s = _ANSWER_S[0]
        self.stated = False
        self._header = False  # whether good answers name it
        self._untried = False  # whether it may be a bucket's rate
        self._early = False  # whether the next probe tries a bucket of that rate
        self._lost = 0  # beliefs that were refuted
        self._new = True  # nothing was refused yet
        self._begin(-inf)
        self._back_s = -inf  # when the window before began
        self._shut = False
        self._shut_s = self._next_s = -inf
        self._probe: int | None = None
        self._probe_s = -inf
        self._gap_s = _FIRST_S
        self._busy = self._tries = self._misses = self._strikes = self._trust = self._more = 0

    def _begin(self, now_s: float) -> None:
        """A window begins with the call that goes now."""
        self._begun_s = self._arrived_s = now_s
        self._count = 0
        self._round, self._round_left, self._round_s = 1, 1, now_s

    def _is_over(self, now_s: float) -> bool:
        return now_s >= self._begun_s + self.period_s + AFTER_S

    def changed(self) -> bool:
        """Whether another window is believed than when this was asked last, or none any more."""
        rate_per_s = self.size / self.period_s
        if rate_per_s == self._told_per_s:
            return False
        self._told_per_s = rate_per_s
        self.rate_per_s = rate_per_s or self.rate_per_s
        return True

    @property
    def _full(self) -> float:
        """Calls that a bucket of a minute's worth holds at least, for so many to have gone."""
        return max(1.0, self._fit, self._lately * MINUTE_S / (MINUTE_S + self._span_s))

    def _is_window(self) -> bool:
        """Whether what went before a calm probe that was refused was a full window of calls."""
        if self._tries < 2 - self._sure + self._lost:
            return False
        return self._fit > 1 and self._lately <= _ADJOIN * self._fit

    def _slow_s(self) -> float:
        """Seconds for each call of a slow bucket; 0 if nothing is known of that.

        No fewer go than such a bucket must let pass for so many to have gone before it refused.
        """
        gap_s, self._opened_s = self._probe_s - self._shut_s, self._probe_s
        if self._lately < _FEWEST:
            return gap_s if gap_s <= MINUTE_S and not self._sure else 0.0
        least_s = (MINUTE_S + self._span_s) / self._lately
        self._raw_s = gap_s if gap_s > least_s else 0.0
        self._long = gap_s + self._span_s > MINUTE_S / 2 + _NEAR_S
        return min(gap_s, least_s)

    def _is_crossed(self) -> bool:
        """Whether the clock's minute ended meanwhile: then a pass shows no bucket."""
        since_s = self._begun_s if self._whole else self._shut_s
        clock_s = self._clock_s
        return clock_s is not None and whole_window(clock_s, since_s) <= self._probe_s + AFTER_S

    def _is_late(self, sent_s: float) -> bool:
        """Whether a call that went then came when the window was over, whenever it began."""
        after_s = (sent_s - self._arrived_s) % self.period_s
        return after_s <= (sent_s - self._begun_s) % self.period_s

    def _moment(self, now_s: float) -> float:
        """When the window may be over: the next such moment."""
        if self.size:
            begins = (self._begun_s, self._arrived_s)
            moments = [later(at_s + self.period_s, now_s, self.period_s) for at_s in begins]
        else:
            moments = [later(self._first_s + MINUTE_S, now_s)]
            if self._lately > _ADJOIN * self._fit:
                first_s = max(self._shut_s - self._span_s, self._opened_s)
                moments += parts(first_s, now_s, long=self._long)
            if self._first_s + SHORT_S + AFTER_S > now_s:
                moments.append(self._first_s + SHORT_S + AFTER_S)
        clock_s = inf
        whole = self.stated or self.period_s == MINUTE_S
        if self._clock_s is not None and self._clocks < 2 and whole:  # noqa: PLR2004
            clock_s = whole_window(self._clock_s, now_s, self.period_s)
            moments.append(clock_s)
        first = min(moments)
        chosen = max(at_s for at_s in moments if at_s - first <= _NEAR_S)
        self._at_clock = chosen == clock_s
        return chosen
