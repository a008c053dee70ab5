"""What is there of one resource of one endpoint: our account, in a bucket, and the windows of it.

Law: the controller says the rate, the bucket keeps account, the mirror remembers it to compare it
with what the server reports. In a window nothing comes back but at its end; the account then is
what is left by all reports. What is expected back (`returns`) lands before anything else counts.
"""

from __future__ import annotations

from math import inf

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.long_waits import LONG_S, LongWait
from agentrm_plugins.policy.endpoint.mirror import Mirror
from agentrm_plugins.policy.endpoint.rate_search import RateController, Source
from agentrm_plugins.policy.endpoint.refunds import Refunds
from agentrm_plugins.policy.endpoint.retry_after import PROBE_S
from agentrm_plugins.policy.endpoint.returns import Returns
from agentrm_plugins.policy.endpoint.room import Room
from agentrm_plugins.policy.endpoint.steps import SHARE
from agentrm_plugins.policy.endpoint.window_watch import Shape, WindowWatch
from agentrm_plugins.types.accounts import Recent
from agentrm_plugins.types.verdicts import MINUTE_S

__all__ = ["SAID", "ResourceAccount"]

SAID = {Source.TOLD, Source.SERVER}
"""Who can say a limit; the others have found it out."""
_SAME_WINDOW = 0.01


class ResourceAccount:
    """The account of one resource.

    Args:
        controller: The rate.
        burst_s: Seconds of the rate that may be used at once.
        first: Units that go at once while nothing is known.

    `most` is the largest amount that may ever go, by the word of the user or of the server;
    `used` what is taken lately. Neither is kept while there is no bucket.
    """

    __slots__ = (
        *("_empty_s", "_heard", "_mirror", "_refunds", "_returns", "_room"),
        *("bucket", "controller", "long", "most", "used", "window_s"),
    )

    def __init__(self, controller: RateController, burst_s: float, first: float) -> None:
        self.controller = controller
        self.window_s = MINUTE_S
        self.bucket: Bucket | None = None
        self.most = inf
        self.used = Recent()
        self.long = LongWait()
        self._heard = False
        self._empty_s = -inf
        self._mirror = Mirror()
        self._refunds = Refunds()
        self._returns = Returns()
        self._room = Room(burst_s, first)

    @property
    def first(self) -> float:
        """Units that go at once while nothing is known."""
        return self._room.first

    @property
    def usual(self) -> float:
        """What a call takes that is like the last ones; never more than there ever is."""
        return min(max(1.0, self.controller.mean), self.most)

    @property
    def is_long(self) -> bool:
        """Whether the server names it, and a long window with it."""
        return self.window_s > LONG_S and self.controller.source is Source.SERVER

    @property
    def flows(self) -> bool:
        """Whether resets have shown a bucket: of that something is back before it is full."""
        return self._returns.flows

    def stands_s(self, amount: float, now_s: float) -> float:
        """Seconds for which such a call is held up by a long window, probes aside; 0: it is not.

        Nor if it may go now, to find out.
        """
        bucket = self.bucket
        if bucket is None or not self.is_long:
            return 0.0
        wait_s = bucket.time_until(min(amount, bucket.capacity), now_s)
        return wait_s if wait_s > PROBE_S and self.long.until_s(wait_s, now_s) > 0 else 0.0

    def probes(self, amount: float, now_s: float) -> bool:
        """Whether a call that goes now is one to find out whether a long window's limit holds."""
        bucket = self.bucket
        if bucket is None or self.long.since_s == inf or amount <= bucket.held:
            return False
        probe = bucket.time_until(min(amount, bucket.capacity), now_s) > PROBE_S
        if probe:
            self.long.sent(now_s)
        return probe

    def _bounded(self, wait_s: float, now_s: float) -> float:
        """So long a wait for this, but for probes."""
        if wait_s > PROBE_S and self.is_long:
            return self.long.until_s(wait_s, now_s)
        return wait_s

    def _look(self, now_s: float) -> None:
        """The account has changed: is there a long wait?"""
        if self.bucket is not None and (self.long.since_s < inf or self.is_long):
            wait_s = self.bucket.time_until(min(self.usual, self.bucket.capacity), now_s)
            self.long.look(wait_s if self.is_long else 0.0, now_s)

    @property
    def watch(self) -> WindowWatch:
        """What went lately, and how it comes back."""
        return self._returns.watch

    def apply(self, now_s: float) -> None:
        """The controller's rate is another: the bucket follows."""
        controller = self.controller
        rate, (source, limit_per_s) = controller.rate_per_s, controller.known
        self._bound(source, limit_per_s)
        if rate == inf:
            return
        if self._room.steps.step_s < inf:
            rate *= SHARE
        elif self._returns.watch.windowed:
            rate = 0.0
        capacity = self._capacity(rate, source, limit_per_s)
        if self.bucket is None:
            self.bucket = Bucket(rate, capacity, now_s=now_s)
        else:
            moved = self.bucket.set_rate(rate, capacity, now_s)
            if self._heard:  # else it has nothing to compare
                self._mirror.moved(moved)

    def empty(self, now_s: float) -> None:
        """The server says that nothing is left, and the controller has cut the rate."""
        self.apply(now_s)
        self.drain(now_s)

    def drain(self, now_s: float) -> None:
        """Nothing is left, at whatever rate."""
        assert self.bucket is not None  # noqa: S101 - a rate that was cut is finite
        drained = self.bucket.drain(now_s)
        if self._heard:
            self._mirror.moved(drained)
        self._empty_s = now_s

    def _settle(self, reserved: float, used: float, now_s: float) -> None:
        if self.bucket is not None and reserved != used:
            self._passed(now_s)
            self.bucket.settle(reserved, used, now_s)
            self._returns.watch.taken(used - reserved, now_s)
            if self._heard:
                self._mirror.note(self.bucket.level(now_s), 0.0, now_s)

    def _see(self, bucket: Bucket, there: float, now_s: float) -> None:
        """What is there may go at once, so the bucket must be able to hold it."""
        if there > self._room.seen:
            self._room.seen = there
            if self._capacity(self.controller.rate_per_s, *self.controller.known) > bucket.capacity:
                self.apply(now_s)

    def _limit(self) -> float:
        """Units of a whole window."""
        return (self.controller.limit_per_s or 0.0) * self.window_s

    def _passed(self, now_s: float) -> None:
        """What was expected back by now is back."""
        if self.bucket is not None:
            self._mirror.moved(self._returns.land(self.bucket, now_s))

    def _follow(self, now_s: float, under_way: float = inf) -> None:
        """In a window the account is what is left by all reports; it comes back at its end.

        In one that slides something comes back all the time, so one report alone counts, and which
        of the calls `under_way` it has counted is not known.
        """
        if self.bucket is None or not self._returns.watch.windowed:
            return
        if self.bucket.rate_per_s:
            self.apply(now_s)
        left = min(self._returns.watch.left(), self._limit())
        if left < inf and not self._returns.watch.is_new:
            if self._returns.watch.shape is Shape.SLIDING:
                left = min(left, max(left - under_way, self.bucket.level(now_s)))
            self._move(self.bucket, left, now_s)
        self._expect(now_s)

    def _expect(self, now_s: float) -> None:
        assert self.bucket is not None  # noqa: S101 - who calls has looked
        self._returns.expect(self.bucket, self._limit(), self.controller.mean, now_s)

    def _move(self, bucket: Bucket, level: float, now_s: float) -> None:
        self._mirror.moved(bucket.put(level, now_s))

    def _take_window(self, window_s: float) -> None:
        # Measured windows tremble; only a real difference is a new rate.
        if abs(window_s - self.window_s) > _SAME_WINDOW * self.window_s:
            self.window_s = window_s
            self._bound(*self.controller.known)

    def _bound(self, source: Source, limit_per_s: float | None) -> None:
        said = limit_per_s is not None and source in SAID
        self.most = limit_per_s * self.window_s if said and limit_per_s is not None else inf

    def _capacity(self, rate: float, source: Source, limit_per_s: float | None) -> float:
        limit, windowed = (limit_per_s or 0.0) * self.window_s, self._returns.watch.windowed
        mean, window_s = self.controller.mean, self.window_s
        return self._room.capacity(source, rate, limit, window_s, mean=mean, windowed=windowed)
