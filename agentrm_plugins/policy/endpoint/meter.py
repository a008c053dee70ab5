"""One resource of one endpoint: how fast it may be used, and what is there of it now.

The controller says the rate, the bucket keeps account, the mirror compares the account with what
the server reports, the refill estimator finds out how the server's own bucket is made, the window
watch whether it is one at all. To ask a meter changes nothing; that somebody is held up by it is
told to it (`held_back`).

Law: where the server names its limit with its good answers, its word counts: what it says is left
may go at once, a refusal corrects the account and never cuts the rate. In a window nothing comes
back but at its end; the account then is what is left by all reports.

Regimes: a refusal's words may show a window (see `reopening`); one that is short by little (a
quarter of a call by its wait) corrects the account of a limit that the user told, too. A limit that
the user told is paced; with ``burst_s=None`` it is used by windows in slow start, and no more than
it goes in any minute, whatever the server allows (see `minute_log`). A server that keeps unused
``max_tokens`` shows by what is left after refunds of ours: then nothing is given back any more,
until that shows to be wrong.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.account import SAID, ResourceAccount
from agentrm_plugins.policy.endpoint.minute_log import MinuteLog
from agentrm_plugins.policy.endpoint.rate_search import MEMORY, RateController, Source
from agentrm_plugins.policy.endpoint.reopening import Reopening
from agentrm_plugins.policy.endpoint.retry_after import PROBE_S
from agentrm_plugins.policy.endpoint.room import has_room
from agentrm_plugins.policy.endpoint.window_watch import Shape

if TYPE_CHECKING:
    from agentrm_plugins.policy.bucket import Bucket
    from agentrm_plugins.policy.endpoint.amounts import UnderWay
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["Meter"]

_SHORT = 0.25  # guessed: an account that is off by less of a call was right
_DEBT = 8.0  # guessed: calls that are refused one after the other wait longer each time, up to this


class Meter(ResourceAccount):
    """One resource: the account of it, and what calls and answers make of that.

    Args:
        controller: The rate.
        burst_s: Seconds of the rate that may be used at once.
        first: Units that go at once while nothing is known.
        paced: Whether a limit that the user told is paced from the first call on.
    """

    __slots__ = ("_disproved", "_refusals", "_reopening", "_told")

    def __init__(
        self, controller: RateController, burst_s: float, first: float = 1.0, *, paced: bool = True
    ) -> None:
        super().__init__(controller, burst_s, first)
        self._disproved = -inf
        self._refusals = 0
        self._reopening = Reopening()
        self._told: MinuteLog | None = None  # what the user told holds, whatever the server allows
        if controller.source is Source.TOLD and not paced:
            self._reopening.begins(self._limit(), 0.0)
            self._told = MinuteLog(self._limit(), self.window_s)

    @property
    def keeps_unused(self) -> bool:
        """Whether the server has shown that it gives no unused tokens back."""
        return self._refunds.kept

    def wait_s(self, amount: float, now_s: float) -> float:
        """Seconds until `amount` is there, and within what the user told.

        A size that is only believed keeps nothing out.
        """
        bucket, told, returns = self.bucket, self._told, self._returns
        if bucket is None:
            return 0.0
        within = told is None or told.total + amount <= told.limit
        tries = returns.watch.tried_s is not None
        if within and not tries and amount <= bucket.held and not returns.rounds.on:
            return 0.0  # by what is known without looking at the time, which only adds
        wait_s = bucket.time_until(min(amount, bucket.capacity), now_s)
        if returns.rounds.on:
            wait_s = max(wait_s, returns.rounds.wait_s(now_s))
        if tries:
            wait_s = max(wait_s, returns.try_s(amount, now_s))
        wait_s = wait_s if wait_s <= PROBE_S else self._bounded(wait_s, now_s)
        return wait_s if told is None else max(wait_s, told.time_until(amount, now_s))

    def follow(self, other: Meter, now_s: float) -> None:
        """Take the place of another: as large a part is left, and what it is owed is owed."""
        self.used = other.used
        self.pace()  # who knows how much of it is used
        if self.bucket is not None and other.bucket is not None:
            part = min(1.0, other.bucket.level(now_s) / other.bucket.capacity)
            self.bucket.take(self.bucket.capacity * (1.0 - part), now_s)

    def pace(self) -> None:
        """The first window is not used as a whole, or no more."""
        if self._reopening.opening:
            self._reopening.on = self._reopening.opening = False
            self._room.seen = 0.0
            self._told = None

    def sent(self, amount: float, now_s: float) -> None:
        """A call goes that takes `amount`; without a bucket it is only counted."""
        bucket, returns, rate = self.bucket, self._returns, self.controller
        rate.total += amount
        rate.mean += (amount - rate.mean) * (MEMORY if rate.mean else 1.0)
        if bucket is None:
            return
        if returns.at_s <= now_s:
            self._passed(now_s)
        if returns.rounds.on:
            returns.rounds.sent(now_s)
        bucket.take(amount, now_s)
        if self._reopening.on:
            self._reopening.sent(amount, now_s)
        if self._told is not None:
            self._told.take(amount, now_s)
        self.used.add(amount, now_s)
        returns.watch.taken(amount, now_s)
        if returns.at_s < inf or returns.watch.windowed:
            self._expect(now_s)
        if self._heard:
            self._mirror.note(bucket.level(now_s), amount, now_s)
            self._look(now_s)

    def held_back(self, amount: float, now_s: float) -> None:
        """A call of `amount` waits for this."""
        self.controller.held_back()
        if self._returns.asked(amount):
            self._passed(now_s)
            self._expect(now_s)

    def ended(self, reserved: float, used: float, now_s: float) -> None:
        """A call that took `reserved` really used `used`."""
        self._refusals = 0
        if reserved != used:
            self.controller.total += used - reserved
            if self._heard:
                used = self._refunds.ended(reserved, used)
            self._settle(reserved, used, now_s)
            if self._told is not None:
                self._told.settle(reserved, used)
        if self._reopening.on and self.bucket is not None:
            level = self.bucket.level(now_s)
            more = self._reopening.served(used, level, now_s)
            self._see(self.bucket, level + more, now_s)
            self._move(self.bucket, level + more, now_s)

    def give_back(self, amount: float, sent_s: float, now_s: float) -> None:
        """A call that took `amount` at `sent_s` was refused: a bucket found empty since knows."""
        if self._told is not None:
            self._told.settle(amount, 0.0)
        if sent_s > self._empty_s:
            self._settle(amount, 0.0, now_s)
        if self._heard:
            self._returns.word.refused(amount, sent_s)

    def turned_away(self, amount: float, sent_s: float, now_s: float) -> None:
        """A request was refused: our account takes it as counted, a window may not have."""
        if self.bucket is not None:
            self._returns.watch.taken(-amount, now_s)
        if self._heard:
            self._returns.word.refused(amount, sent_s)

    def disprove(self, now_s: float) -> None:
        """A call was served that is larger than the server's limit: that is none."""
        self._disproved = max(self._disproved, self.most)
        self.controller.forget(now_s)
        self.bucket = self._told = None
        self._heard = False
        self.apply(now_s)

    def found(self, rate_per_s: float | None, now_s: float) -> None:
        """The limit shows elsewhere (None: it is not this one): the account begins anew, empty."""
        self.controller.forget(now_s)
        self.bucket = None
        if rate_per_s is not None:
            self.controller.show(rate_per_s, rate_per_s, Source.PROBED)
            self.apply(now_s)
            self.empty(now_s)

    def gap_s(self, amount: float, now_s: float) -> float:
        """Seconds between two calls of this size at the paced rate; 0 where there is room."""
        gap_s = amount / self.controller.rate_per_s
        if self.bucket is None or not (self._heard or self._reopening.on):
            return gap_s
        if self._reopening.on or self.bucket.level(now_s) >= 2 * amount:
            return 0.0
        return min(gap_s, self._returns.resets.in_s)

    def is_out(self, amount: float, now_s: float) -> bool:
        """Whether the server named this limit and a call of `amount` took the last of it."""
        if self.bucket is None or not self.controller.firm or not self._heard:
            return False
        return self.bucket.level(now_s) < max(1.0, amount / 2)

    def clock(self, wall_s: float, now_s: float) -> None:
        """The time of day, for windows that follow it."""
        self._returns.watch.clock(wall_s, now_s)

    def learn(self, limit: ServerLimit, under_way: UnderWay, sent_s: float, now_s: float) -> bool:
        """The server reports this resource, answering a request that went at `sent_s`.

        Says whether the limit is news.
        """
        if limit.limit and not limit.firm and limit.reset_s is None and limit.per_s is None:
            # A refusal's text names what is missing and for how long: that is the rate itself.
            # Where it names less, what was measured is worth more than "per minute".
            return False
        if limit.limit and limit.limit <= self._disproved:
            return False  # A call was served that was larger than that.
        told = self.controller.source is Source.TOLD and not self._heard
        begins = self.bucket is None
        news = False
        if limit.limit:  # some gateways say 0 where they know of no limit
            windowed = self._returns.watch.windowed
            self._measure(limit, sent_s, now_s)
            self._reopening.on = self._reopening.on and not limit.firm
            news = self.controller.learn(limit.limit / self.window_s, now_s, firm=limit.firm)
            self._told = self._told if self.controller.source is Source.TOLD else None
            stepped = self._room.steps.advance(self.window_s, now_s)
            if news or stepped or windowed is not self._returns.watch.windowed:
                self.apply(now_s)
        if limit.remaining is not None and self.bucket is not None:
            begins = begins or (told and limit.firm and self.controller.firm)
            self._see(self.bucket, limit.remaining + 1.0, now_s)
            if begins:
                self._returns.watch.over(now_s)
                there = min(limit.remaining, self.bucket.capacity) - under_way.later
                self.bucket.shift(there - self.bucket.level(now_s), now_s)
            else:
                self._compare(self.bucket, limit, under_way, sent_s, now_s)
            if limit.firm:
                self._believe(self.bucket, limit, under_way.own, sent_s, now_s)
            self._heard = True
            self._look(now_s)
        return news

    def refused(
        self,
        amount: float,
        limit: ServerLimit | None,
        wait_s: float | None,
        sent_s: float,
        now_s: float,
    ) -> bool:
        """The server refused a call of `amount` for this limit. Says whether that cut the rate.

        `limit` is what it said of it, `wait_s` how long it asked to stay away; None: nothing.
        """
        if limit is not None and has_room(limit, amount):
            self._squeeze(amount, limit, wait_s, sent_s, now_s)
            return False
        controller, bucket = self.controller, self.bucket
        if bucket is not None and limit is not None and limit.ends_s is not None:
            self._shut(amount, limit, sent_s, now_s)
            return False
        if self._reopening.opening and self._opened(amount, wait_s, sent_s, now_s):
            return False
        short = wait_s is not None and wait_s * controller.rate_per_s <= _SHORT * amount
        known = controller.known[0] in SAID
        if bucket is None or not known or not (controller.firm or short):
            cut = controller.hit(amount, sent_s, now_s)
            if cut:
                self.empty(now_s)
            return cut
        controller.taken_back(amount, sent_s)
        self._passed(now_s)
        self._returns.resets.refused()
        self._returns.rounds.refused(sent_s, now_s)
        if self._heard:
            self._returns.watch.refused(amount, self._limit(), wait_s, sent_s, now_s)
        level = bucket.level(now_s)
        there = 0.0
        if wait_s is not None and bucket.rate_per_s:
            there = amount - wait_s * bucket.rate_per_s
        elif sent_s > self._empty_s and not self._returns.watch.windowed:
            there = 1.0 - min(_DEBT, 2.0**self._refusals)
            self._refusals += 1
        self._move(bucket, min(level, there), now_s)
        if not short:
            self._empty_s = now_s
        self._follow(now_s)
        return False

    def _shut(self, amount: float, limit: ServerLimit, sent_s: float, now_s: float) -> None:
        """The window is used up by the refusal's word, and good answers say nothing of it."""
        self.controller.taken_back(amount, sent_s)
        self._reopening.closed(limit.limit or 0.0, now_s + (limit.ends_s or 0.0), now_s)
        self._room.seen = 0.0
        self.empty(now_s)

    def _opened(self, amount: float, wait_s: float | None, sent_s: float, now_s: float) -> bool:
        """Whether a limit that the user told was met while its first window was used as a whole."""
        opening, bucket = self._reopening, self.bucket
        if bucket is None:
            return False
        ends_s = opening.spent_s(now_s)
        if ends_s is None or self._heard:
            self.pace()
            self.apply(now_s)
            return False
        self.controller.taken_back(amount, sent_s)
        ends_s = ends_s if wait_s is None else wait_s
        opening.closed(self._limit(), now_s + ends_s, now_s)
        self._room.seen = 0.0
        self.empty(now_s)
        self._move(bucket, min(bucket.level(now_s), amount - ends_s * bucket.rate_per_s), now_s)
        return True

    def _squeeze(
        self, amount: float, limit: ServerLimit, wait_s: float | None, sent_s: float, now_s: float
    ) -> None:
        """The limit is enforced in shorter steps than its window: no more goes at once than one."""
        self.pace()
        assert limit.limit is not None  # noqa: S101 - who calls has looked
        self.controller.taken_back(amount, sent_s)
        if self.bucket is None or not self.controller.firm:
            self._measure(limit, sent_s, now_s)
            self.controller.learn(limit.limit / self.window_s, now_s)
        if sent_s > self._empty_s:
            self._room.steps.refused(self.window_s, now_s)
        self._returns.watch.told(Shape.BUCKET, now_s)
        self.apply(now_s)
        assert self.bucket is not None  # noqa: S101 - the limit is known now
        there = 0.0 if wait_s is None else amount - wait_s * self.bucket.rate_per_s
        self._move(self.bucket, min(self.bucket.level(now_s), there), now_s)
        self._empty_s = now_s

    def _measure(self, limit: ServerLimit, sent_s: float, now_s: float) -> None:
        """Find out the window, and how it comes back."""
        if not limit.firm:
            self.window_s = limit.window_s(self.window_s)
            return
        if limit.per_s is not None:
            self._take_window(limit.per_s)
        known = self._returns.measure(limit, sent_s, now_s)
        if known is None or self._room.steps.step_s < inf:
            return
        self._room.size = known.size
        if limit.per_s is None:
            self._take_window(known.window_s)

    def _compare(
        self, bucket: Bucket, limit: ServerLimit, under_way: UnderWay, sent_s: float, now_s: float
    ) -> None:
        """Hold our account against what the server says is left.

        What went before its first word is not remembered, so the second one is the first to count.
        """
        watch, left = self._returns.watch, limit.remaining or 0.0
        self._passed(now_s)
        if limit.limit and limit.firm:
            watch.window_s = limit.per_s or self.window_s
            unit = self._refunds.unit(self.controller.mean)
            watch.report(left, limit.limit, unit, sent_s, now_s, under_way.total, under_way.own)
        if watch.windowed:
            self._follow(now_s, under_way.total - under_way.own)
            return
        if self._heard:
            level, rate = bucket.level(now_s), bucket.rate_per_s
            off = self._mirror.correction(left, level, rate, sent_s, now_s)
            self._refunds.corrected(off)
            if self._room.steps.step_s < inf:
                off = min(off, 0.0)  # what is left of the window is not what may go at once
            if off > 0 and limit.limit:  # what others of the same moment took is not in it yet
                off = max(0.0, min(off, watch.left() - level))
            bucket.shift(off, now_s)
        elif limit.limit:
            self._move(bucket, min(bucket.level(now_s), watch.left()), now_s)

    def _believe(
        self, bucket: Bucket, limit: ServerLimit, own: float, sent_s: float, now_s: float
    ) -> None:
        """When all is back by the server's word, as long as nothing better is known."""
        resets, watch = self._returns.resets, self._returns.watch
        resets.tried(left := limit.remaining or 0.0, watch.total, sent_s)
        resets.size = max(resets.size, min(left + max(1.0, own), self._limit()))
        if not self._returns.by_resets:
            return
        if self._returns.is_measured or self._room.steps.step_s < inf:
            resets.at_s = inf
        elif limit.reset_s is not None:
            self._see(bucket, resets.size, now_s)
            resets.said(limit.reset_s, watch.total_at(sent_s), now_s)
        if resets.at_s != self._returns.at_s:
            self._expect(now_s)
