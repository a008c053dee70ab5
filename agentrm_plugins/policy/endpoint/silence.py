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
or with the clock's. Words that may mean a bucket's rate ("40 a minute") are tried with one call as
soon as such a bucket lets one pass; if it passes, that is the rate.

A window begins when its first call comes to the server, which is known no better than between its
going and its answer. Where these are a second apart, both moments are tried a window later.

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

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.moments import MINUTE_S
from agentrm_plugins.policy.endpoint.silent_window import SHORT_S, SilentWindow

if TYPE_CHECKING:
    from agentrm_plugins.policy.endpoint.window_watch import WindowWatch
    from agentrm_plugins.types.verdicts import LimitReport

__all__ = ["REQUESTS", "SHORT_S", "Silence"]

REQUESTS = frozenset({None, "requests"})
"""What a refusal may say of whose limit it is, if it says nothing else."""

_FIRST_S, _GROWTH, _LONGEST_S = 0.25, 4.0, 8.0
_SURE = 1.25  # times the gap at which a bucket of N would have let one pass
_SURE_S = 1.5  # so long is waited at once for what refutes a bucket
_LEAST_S = 1.0
_NEAR_S = 1.0  # of two moments that are nearer only the later one is tried
_ROUND = 4
_ANSWER_S = (0.25, 5.0)  # a refusal is back by then, at least and at most
_ANSWER, _ANSWER_OF_SERVED = 3.0, 2.0
_MOST_MISSES, _MOST_STRIKES = 3, 2
_WHOLE, _HALF, _FEW = 0.9, 0.5, 0.25
_SOON_S = 2.0
_FEWEST = 2  # calls of which one may say how many go in a minute


class Silence(SilentWindow):
    """What may go at an endpoint that refuses without a word."""

    # -- what happens ----------------------------------------------------------------------------

    def heard(self, report: LimitReport, now_s: float) -> bool:
        """The server answered; if it says anything of limits, that counts and not what passes.

        Says whether that ends a window that was believed.
        """
        if report.wall_s is not None:
            self._clock_s = report.wall_s - now_s
        silent = report.retry_after_s is None and report.resource in REQUESTS
        named = report.requests or report.tokens or report.input_tokens or report.output_tokens
        if silent and named is None:
            return False
        believed = self.size > 0
        self.governs = self.awake = self._shut = False
        self.size, self._told_per_s = 0, 0.0
        return believed

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
            self._pass(now_s)
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

    def accepted(self, number: int, now_s: float) -> bool:
        """A call was answered. Says whether there may be news."""
        if not self._shut or number != self._probe:
            return False
        self._pass(now_s)
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
        taken, first_s = self._lately, since_s
        if self._since_s > now_s - MINUTE_S:
            taken, first_s = watch.since(self._since_s)
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

    def told(
        self,
        size: int,
        period_s: float,
        begun_s: tuple[float, float],
        sent_s: float,
        now_s: float,
        *,
        surely: bool = True,
    ) -> bool:
        """A refusal named its window, which began between these. Says whether that is believed.

        Not `surely` a window, it may be a bucket's rate.
        """
        self._longest_s = max(self._longest_s, now_s - sent_s)
        self._answer_s = min(max(_ANSWER_S[0], _ANSWER * self._longest_s), _ANSWER_S[1])
        if self._shut or self.size or self._lost:
            return False
        self.size, self.period_s, self.stated = size, period_s, True
        self._begun_s, self._arrived_s = begun_s
        self._trust = self._strikes = self._misses = 0
        self._close(now_s)
        self._next_s = self._moment(now_s)
        if not surely:
            self._try_bucket(now_s)
        self.governs, self._new = True, False
        return True

    def _try_bucket(self, now_s: float) -> None:
        """One call goes as soon as a bucket of that rate lets one pass."""
        unit_s = now_s + max(_FIRST_S, _SURE * self.period_s / self.size)
        self._early = unit_s < self._next_s
        if self._early:
            self._next_s, self._at_clock = unit_s, False

    def named(self, size: int, count: int, begun_s: tuple[float, float], now_s: float) -> None:
        """A good answer named how many go in a minute, of which `count` have gone.

        The minute began between the moments of `begun_s`. So many may go at once; then one tries
        whether it is a bucket's rate.
        """
        if self.size or self._shut or self._lost:
            return
        self.size, self.period_s, self.stated = size, MINUTE_S, True
        self._trust = self._strikes = self._misses = 0
        self._begin(now_s)
        self._begun_s, self._arrived_s = begun_s
        self._count, self._round, self._round_left = count, size, size
        self.governs = self.awake = True
        self._new, self._untried, self._header = False, True, True
        took_s = _ANSWER_OF_SERVED * (begun_s[1] - begun_s[0])  # no refusal was met yet
        self._answer_s = max(self._answer_s, min(took_s, _ANSWER_S[1]))
        if count >= size:
            self._used_up(now_s)

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
        if self._untried:
            self._untried = False
            self._try_bucket(now_s)
        if (
            self._trust > 1 and not self.stated and not self._trust & (self._trust - 1)
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
            elif not (self._half or self._slid or self._early) and self._is_late(sent_s):
                self._misses += 1
                self.period_s = self.period_s if self.stated else MINUTE_S
            again = self._header and self._at_clock and self._clocks == 1
            self._half = self._slid = self._early = False
            if self._misses >= _MOST_MISSES:
                self._lose()
            elif again:  # our clock may be ahead by a little
                self._next_s = max(now_s, sent_s + _NEAR_S)
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

    def _pass(self, now_s: float) -> None:
        """A probe passed."""
        self._shut, self._probe, self._misses = False, None, 0
        if self._early and self._is_crossed():
            self._early, self._untried = False, True
        if self._slid or self._early:
            stated = self.stated
            self._lose()
            self.stated = stated  # so many may go, by another account
        elif self.size:
            self._clocks = 0 if self._at_clock else self._clocks
        elif self._quiet and self._is_window():
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
        self._arrived_s = now_s
        self._count, self._round_left = 1, 0

    def _lose(self) -> None:
        """It was no window."""
        self.size = self._more = 0
        self.governs = self._shut = self.stated = self._early = False
        self.awake = False
        self._lost += 1
