"""Windows of a server that says nothing: no limit, no wait, no word. Told from what passes.

What is seen is: so many calls passed, then all were refused until an instant, then so many passed
again. A bucket looks otherwise: there one call passes after ``1 / rate`` seconds.

Law: after a refusal that says nothing one call at a time goes as a probe, each after a gap that is
four times the one before. A bucket of ``N`` holds a minute's worth at most, so it lets one pass
within ``60 / N`` seconds; once that is refuted, probes go only when a window may be over: ten
seconds or a minute after its first call, and at a whole minute of the clock. If a probe passes
after two or more were refused, a window of ``N`` is believed: ``N`` may go again, in rounds of one,
four, sixteen, and then none until it is over. What passes confirms it; a window that closes long
before ``N`` refutes it, at the price of one refusal, and the rate is searched for as ever.

Regimes: *open*, nothing known: this only counts; *shut*: refused, or ``N`` have gone, and probes
go; *open*, ``N`` known. A probe that is not refused within three times what a refusal takes has
passed. Now and then a call goes at half time or beyond ``N``: windows may be shorter, or larger.

A window that a refusal's words name is believed at once: it began with our first call in that time,
or with the clock's.

Limits: no window is believed while the calls of ours that are under way may be what fills the
server (a probe must be refused while half of those that were served are done), nor one of fewer
than half of the calls that went in the minute before: that is a window of tokens, of which a few
come back as calls end. The next of those is looked for a minute after the last began. Where a call
passes at last, as many are believed to go as went in that minute, until the second of them is
refused: then one in that time. A window that slides gives back as calls went; it is found out by a
pass shortly after a refusal, and is paced from then on. Windows of more than a minute are probed
once a minute. Guessed: the gaps, the shares and the counts.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.moments import AFTER_S, MINUTE_S, later, parts, whole_window

if TYPE_CHECKING:
    from agentrm_plugins.policy.endpoint.window_watch import WindowWatch
    from agentrm_plugins.types.verdicts import LimitReport

__all__ = ["SHORT_S", "Silence"]

SHORT_S = 10.0
_FIRST_S, _GROWTH, _LONGEST_S = 0.25, 4.0, 8.0
_SURE = 1.25  # times the gap at which a bucket of N would have let one pass
_SURE_S = 1.5  # so long is waited at once for what refutes a bucket
_LEAST_S = 1.0
_NEAR_S = 1.0  # of two moments that are nearer only the later one is tried
_ROUND = 4
_ANSWER_S = (0.25, 5.0)  # a refusal is back by then, at least and at most
_ANSWER = 3.0
_MOST_MISSES, _MOST_STRIKES = 3, 2
_WHOLE, _HALF, _FEW = 0.9, 0.5, 0.25
_SOON_S = 2.0
_ADJOIN = 2.0  # windows that a stretch as long as one of them may touch
_FEWEST = 2  # calls of which one may say how many go in a minute


class Silence:
    """What may go at an endpoint that refuses without a word.

    Attributes:
        governs: Whether this says when calls go; else the searched rate does.
        size: Calls that a window holds; 0: no window is believed.
        period_s: Its length, seconds.
        rate_per_s: Calls per second of the window that was believed last.
        awake: Whether it is to be told of calls that go: a refusal said nothing.
        gap_s: Seconds from a refusal until a call passed, where no window came of it; 0: nothing
            is known of that; None: that is no news.
    """

    __slots__ = (
        *("awake", "gap_s", "governs", "period_s", "rate_per_s", "size"),
        *("_answer_s", "_at_clock", "_back_s", "_begun_s", "_busy", "_clock_s", "_clocks"),
        *("_count", "_first_s", "_fit", "_gap_s", "_half", "_lately", "_long", "_longest_s"),
        *("_lost", "_misses", "_more", "_new", "_next_s", "_opened_s", "_probe", "_probe_s"),
        *("_quiet", "_raw_s", "_round", "_round_left", "_round_s", "_shut", "_shut_s"),
        *("_since_s", "_slid", "_span_s"),
        *("_strikes", "_stated", "_sure", "_told_per_s", "_tries", "_trust", "_whole"),
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
        self._stated = False  # whether the window is the server's word
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
        self._begun_s, self._count = now_s, 0
        self._round, self._round_left, self._round_s = 1, 1, now_s

    # -- what happens ----------------------------------------------------------------------------

    def heard(self, report: LimitReport, now_s: float) -> bool:
        """The server answered; if it says anything of limits, that counts and not what passes.

        Says whether that ends a window that was believed.
        """
        if report.wall_s is not None:
            self._clock_s = report.wall_s - now_s
        if not report.limits() and report.retry_after_s is None and report.resource is None:
            return False
        believed = self.size > 0
        self.governs = self.awake = self._shut = False
        self.size, self._told_per_s = 0, 0.0
        return believed

    def changed(self) -> bool:
        """Whether another window is believed than when this was asked last, or none any more."""
        rate_per_s = self.size / self.period_s
        if rate_per_s == self._told_per_s:
            return False
        self._told_per_s = rate_per_s
        self.rate_per_s = rate_per_s or self.rate_per_s
        return True

    def wait_s(self, now_s: float) -> float:
        """Seconds until a call may go, if this governs."""
        if self._shut:
            until_s = self._next_s if self._probe is None else self._probe_s + self._answer_s
        elif self._round_left > 0 or self._is_over(now_s):
            return 0.0
        else:
            until_s = self._round_s + self._answer_s
        return max(0.0, until_s - now_s)

    def sent(self, number: int, now_s: float) -> bool:
        """A call goes. Says whether there may be news."""
        if self._shut:
            if self._probe is None:
                self._probe, self._probe_s = number, now_s
                return False
            if now_s < self._probe_s + self._answer_s:
                return False
            self._pass()
        if not self.size:
            return True
        if self._is_over(now_s):
            self._begin(now_s)
        if self._round_left <= 0:
            self._round = self._round_left = _ROUND * self._round
            self._round_s = now_s
        self._round_left -= 1
        self._count += 1
        if self._count >= self.size + self._more:
            self._used_up(now_s)
        return True

    def accepted(self, number: int) -> bool:
        """A call was answered. Says whether there may be news."""
        if not self._shut or number != self._probe:
            return False
        self._pass()
        return True

    def refused(
        self, number: int, sent_s: float, busy: int, watch: WindowWatch, now_s: float
    ) -> bool:
        """A call was refused without a word while `busy` others were under way.

        `watch` knows what went lately.

        Says whether no rate is to be searched for: a window was believed, or the server may be full
        of calls that are under way.
        """
        self._longest_s = max(self._longest_s, now_s - sent_s)
        self._answer_s = min(max(_ANSWER_S[0], _ANSWER * self._longest_s), _ANSWER_S[1])
        known = self.size > 0
        if self._shut:
            if number == self._probe:
                self._probe = None
                return self._refuse(self._probe_s, busy, now_s) or known
            if sent_s <= self._shut_s and number > 0:  # nobody counted what others sent
                self._fewer()
            return known
        if known:
            self._fewer()
            self._short(now_s)
            return True
        self._lately, since_s = watch.since(now_s - MINUTE_S)
        self._span_s = max(0.0, now_s - since_s)
        taken, first_s = watch.since(max(self._since_s, now_s - MINUTE_S))
        self._fit, self._first_s = int(taken), min(first_s, now_s)
        self._close(now_s)
        self._gap_s, self._busy, self._quiet, self._sure = _FIRST_S, busy, False, False
        sure_s = _SURE * MINUTE_S / self._full
        self._next_s = now_s + (max(sure_s, _FIRST_S) if sure_s <= _SURE_S else _FIRST_S)
        self.governs, self._new = self._new, False
        raw_s, self._raw_s = self._raw_s, 0.0
        if raw_s and self._fit <= _FEWEST:  # no more than one passes in so long after all
            self.gap_s = raw_s
        return raw_s > 0.0 and self._fit <= _FEWEST

    # -- steps -----------------------------------------------------------------------------------

    def _is_over(self, now_s: float) -> bool:
        return now_s >= self._begun_s + self.period_s + AFTER_S

    def told(self, size: int, period_s: float, first_s: float, sent_s: float, now_s: float) -> bool:
        """A refusal named its window, which began at `first_s`. Says whether that is believed."""
        self._longest_s = max(self._longest_s, now_s - sent_s)
        self._answer_s = min(max(_ANSWER_S[0], _ANSWER * self._longest_s), _ANSWER_S[1])
        if self._shut or self.size or self._lost:
            return False
        self.size, self.period_s, self._begun_s, self._stated = size, period_s, first_s, True
        self._trust = self._strikes = self._misses = 0
        self._close(now_s)
        self._next_s = self._moment(now_s)
        self.governs, self._new = True, False
        return True

    def _fewer(self) -> None:
        """One that went was refused."""
        if self.size:
            self._count -= 1
            if self._shut and self._whole:
                self.size = max(1, min(self.size, self._count))
        else:
            self._fit -= 1
            self._lately -= 1.0
            self._busy = max(0, self._busy - 1)  # what was refused did not fill the server

    def _close(self, now_s: float) -> None:
        self.awake = True
        self._shut, self._shut_s, self._probe, self._tries = True, now_s, None, 0
        self._half = self._slid = self._at_clock = self._whole = False

    def _used_up(self, now_s: float) -> None:
        """As many have gone as a window holds."""
        if self._half:  # it began at half time
            self.period_s = max(1.0, self.period_s / 2)
        self.size = max(self.size, self._count)
        self._close(now_s)
        self._whole = True
        self._trust += 1
        self._strikes = self._more = 0
        self._next_s = self._moment(now_s)
        if (
            self._trust > 1 and not self._stated and not self._trust & (self._trust - 1)
        ):  # ever more seldom
            half_s = self._begun_s + self.period_s / 2
            if self._trust.bit_length() % 2:
                self._more = 1
            elif now_s < half_s < self._next_s:
                self._next_s, self._half, self._at_clock = half_s, True, False

    def _short(self, now_s: float) -> None:
        """Refused before as many had gone as a window holds."""
        count, self._more = self._count, 0
        if count >= _WHOLE * self.size:
            self.size = max(1, min(self.size, count))
            self._used_up(now_s)
            return
        if self._half and count < _FEW * self.size:  # there was room for these beside the others
            self.size += count
            self._close(now_s)
            self._begun_s = self._back_s
            self._next_s = self._moment(now_s)
            return
        self._strikes += 1
        if count < _HALF * self.size and (not self._trust or self._strikes >= _MOST_STRIKES):
            self._lose()
            return
        self._close(now_s)
        self._slid, self._next_s = True, now_s + _SOON_S

    def _refuse(self, sent_s: float, busy: int, now_s: float) -> bool:
        """A probe was refused. Says whether that shows nothing but that calls are under way."""
        self._tries += 1
        if self.size:
            if self._at_clock:
                self._clocks += 1
            elif not self._half and not self._slid:
                self._misses += 1
                self.period_s = self.period_s if self._stated else MINUTE_S
            self._half = self._slid = False
            if self._misses >= _MOST_MISSES:
                self._lose()
            else:
                self._next_s = self._moment(now_s)
            return False
        went_s = sent_s - self._shut_s
        self._clocks += self._at_clock
        self._gap_s = min(max(_GROWTH * self._gap_s, went_s), max(_LONGEST_S, went_s / 2))
        calm = busy <= _HALF * self._busy and went_s >= _LEAST_S
        governed, self.governs = self.governs, calm
        if not calm:  # what a probe shows that went at once is the rate's business
            return governed and went_s > _LEAST_S
        self._quiet = True
        self._next_s = self._moment(now_s)
        self._sure = self._full * went_s >= MINUTE_S
        if not self._sure:
            self._at_clock = self._at_clock and self._next_s <= now_s + self._gap_s
            self._next_s = min(self._next_s, now_s + self._gap_s)
        return False

    def _pass(self) -> None:
        """A probe passed."""
        self._shut, self._probe, self._misses = False, None, 0
        if self._slid:
            self._lose()
        elif self.size:
            self._clocks = 0 if self._at_clock else self._clocks
        elif self._is_window():
            self.size, self._trust, self._strikes = self._fit, 0, 0
            near = self._probe_s - self._first_s <= SHORT_S + _NEAR_S
            self.period_s = SHORT_S if near else MINUTE_S
        elif self.governs:
            self.governs = False
            self.gap_s = self._slow_s() if self._quiet else 0.0
        self._since_s = self._probe_s
        self.awake = self.size > 0
        self._back_s = self._begun_s
        self._begin(self._probe_s)
        self._count, self._round_left = 1, 0

    @property
    def _full(self) -> float:
        """Calls that a bucket of a minute's worth holds at least, for so many to have gone."""
        return max(1.0, self._fit, self._lately * MINUTE_S / (MINUTE_S + self._span_s))

    def _is_window(self) -> bool:
        """Whether what went before the refusals was a window of calls, full."""
        if not self._quiet or self._tries < 2 - self._sure + self._lost:
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

    def _lose(self) -> None:
        """It was no window."""
        self.size = self._more = 0
        self.governs = self._shut = self._stated = False
        self.awake = False
        self._lost += 1

    # -- moments ---------------------------------------------------------------------------------

    def _moment(self, now_s: float) -> float:
        """When the window may be over: the next such moment."""
        if self.size:
            moments = [later(self._begun_s + self.period_s, now_s, self.period_s)]
        else:
            moments = [later(self._first_s + MINUTE_S, now_s)]
            if self._lately > _ADJOIN * self._fit:
                first_s = max(self._shut_s - self._span_s, self._opened_s)
                moments += parts(first_s, now_s, long=self._long)
            if self._first_s + SHORT_S + AFTER_S > now_s:
                moments.append(self._first_s + SHORT_S + AFTER_S)
        clock_s = inf
        whole = self._stated or self.period_s == MINUTE_S
        if self._clock_s is not None and self._clocks < 2 and whole:  # noqa: PLR2004
            clock_s = whole_window(self._clock_s, now_s, self.period_s)
            moments.append(clock_s)
        first = min(moments)
        chosen = max(at_s for at_s in moments if at_s - first <= _NEAR_S)
        self._at_clock = chosen == clock_s
        return chosen
