"""Circuit breaker: a dead endpoint fails fast instead of eating everybody's time.

Law: *closed* -> *open* when, over the last `window_s`, at least `least_calls` calls ended and at
least `share` of them failed; or when `_FULL_CALLS` in a row over `_FULL_S` were turned away because
there was no room, and nobody was served. *open* -> *half-open* after `cool_down_s`. In
*half-open* exactly one probe goes: if it ends well the breaker is closed and its memory empty; if
it fails it opens again, for twice as long, up to `most_cool_down_s`; if nothing is heard of it for
`cool_down_s`, another may go. Of an endpoint that was never heard of (`steady`), and of one that
had no room, the cool-down stays as it was.

Regimes: each call is counted once, when it ends. A limit hit (429) is no failure: the endpoint
lives. Neither is what the caller did wrong (400, 401). A call that the caller gave up (cancelled)
is not counted, and a probe that ends so leaves the place to the next one. Ends of calls begun
before the breaker opened say nothing about now, so they are ignored until it is closed again.

Limits: the window is kept in ten slices, so its length is exact to a tenth.

Why a rule of its own for no room: such an endpoint is backed off from, by up to 8 s, so that slow
attempts never come to 20 in a window; and each call would wait for five of them. A release of ten
seconds looks the same, so it is for calls that come later: who waits already is kept (`keeps`), and
goes soon after the room is there. A row whose last is older than the window begins anew.

Sources: half of 20 calls are the figures of HiveMind and LiteLLM; 10 s of cool-down HiveMind's.
Five over 7 s are the attempts of one call that is given up for no room, 0.5, 1, 2 and 4 s apart;
7 s where the server names shorter waits are guessed: a crowd may get in after some seconds.
"""

from __future__ import annotations

from collections import deque
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.config.endpoints import BreakerConfig

__all__ = ["Breaker", "BreakerState", "breaker_of"]

_SLICES = 10
_FULL_CALLS, _FULL_S = 5, 7.0


class BreakerState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one endpoint.

    Args:
        share: Share of failures at which it opens; above 0, at most 1.
        least_calls: Calls that must have ended in the window before the share counts; 1 or more.
        window_s: Seconds over which calls count.
        cool_down_s: Seconds for which it stays open the first time.
        most_cool_down_s: The longest that it stays open.
    """

    __slots__ = (
        "_cool_down_s",
        "_first_cool_down_s",
        "_full",
        "_full_s",
        "_least_calls",
        "_most_cool_down_s",
        "_opened_s",
        "_probe",
        "_probe_s",
        "_share",
        "_slice_s",
        "_slices",
        "state",
    )

    def __init__(
        self,
        *,
        share: float = 0.5,
        least_calls: int = 20,
        window_s: float = 60.0,
        cool_down_s: float = 10.0,
        most_cool_down_s: float = 120.0,
    ) -> None:
        self._share = share
        self._least_calls = least_calls
        self._slice_s = window_s / _SLICES
        self._first_cool_down_s = self._cool_down_s = cool_down_s
        self._most_cool_down_s = max(cool_down_s, most_cool_down_s)
        self._slices: deque[list[float]] = deque(maxlen=_SLICES)
        self._full, self._full_s = 0, inf
        self._opened_s = -inf
        self._probe: int | None = None
        self._probe_s = -inf
        self.state = BreakerState.CLOSED

    @property
    def cool_down_s(self) -> float:
        """For how long it stays open now."""
        return self._cool_down_s

    @property
    def full_s(self) -> float | None:
        """When it opened, if that was for no room; None: it is closed, or fails otherwise."""
        closed = self.state is BreakerState.CLOSED or self._full < _FULL_CALLS
        return None if closed else self._full_s

    def keeps(self, came_s: float) -> bool:
        """Whether a call that `came_s` waits for the probe: there is no room, and it was before."""
        return self.full_s is not None and came_s < self._full_s

    def show(
        self,
        state: BreakerState,
        now_s: float,
        until_s: float,
        cool_down_s: float,
        full_s: float | None = None,
    ) -> None:
        """Stand as somebody else says, who counts for a whole fleet: open for `until_s` more."""
        self.state = state
        self._full, self._full_s = (0, inf) if full_s is None else (_FULL_CALLS, full_s)
        if state is not BreakerState.CLOSED:
            self._cool_down_s = cool_down_s
            self._opened_s = self._probe_s = now_s + until_s - cool_down_s

    def time_until(self, now_s: float) -> float:
        """Seconds until a call may go; 0 is now. With a probe under way: until it is overdue."""
        if self.state is BreakerState.CLOSED:
            return 0.0
        since_s = self._opened_s if self.state is BreakerState.OPEN else self._probe_s
        if self.state is BreakerState.HALF_OPEN and self._probe is None:
            return 0.0
        return max(0.0, since_s + self._cool_down_s - now_s)

    def sent(self, ticket: int, now_s: float) -> bool:
        """A call goes, when `time_until` said 0. Says whether it is the probe."""
        if self.state is BreakerState.CLOSED:
            return False
        self.state = BreakerState.HALF_OPEN
        self._probe, self._probe_s = ticket, now_s
        return True

    def ended(
        self,
        ticket: int,
        *,
        failed: bool | None,
        now_s: float,
        steady: bool = False,
        full: bool = False,
    ) -> bool:
        """A call ended: well, or `failed`, or None for what says nothing of the endpoint.

        Args:
            ticket: Which.
            failed: How.
            now_s: The time.
            steady: Whether the next probe comes as soon as this one did, should it have failed.
            full: Whether it failed because there was no room, while nobody was served.

        Returns:
            Whether the state changed.
        """
        if self.state is BreakerState.CLOSED:
            if failed is None:
                return False
            number, slices = now_s // self._slice_s, self._slices
            if slices and slices[-1][0] <= number - _SLICES:
                self._full = 0
            if not slices or slices[-1][0] != number:
                slices.append([number, 0.0, 0.0])
            slices[-1][1] += 1
            if not failed:  # good news opens nothing
                self._full = 0
                return False
            return self._has_failed(number, now_s, full=full)
        if ticket != self._probe:
            return False
        self._probe = None
        if failed is None:
            return False
        if failed:
            if not (steady or self._full >= _FULL_CALLS):
                self._cool_down_s = min(2.0 * self._cool_down_s, self._most_cool_down_s)
            self._open(now_s)
        else:
            self.state, self._full = BreakerState.CLOSED, 0
            self._cool_down_s = self._first_cool_down_s
        return True

    def _has_failed(self, number: float, now_s: float, *, full: bool) -> bool:
        self._slices[-1][2] += 1
        if full:
            self._full += 1
            self._full_s = now_s if self._full == 1 else self._full_s
        recent = [part for part in self._slices if part[0] > number - _SLICES]
        calls = sum(part[1] for part in recent)
        failures = sum(part[2] for part in recent)
        for_all = full and self._full >= _FULL_CALLS and now_s - self._full_s >= _FULL_S
        if not for_all and (calls < self._least_calls or failures < self._share * calls):
            return False
        self._full, self._full_s = (self._full, now_s) if full else (0, inf)
        self._open(now_s)
        return True

    def _open(self, now_s: float) -> None:
        self.state, self._opened_s = BreakerState.OPEN, now_s
        self._slices.clear()


def breaker_of(config: BreakerConfig) -> Breaker:
    """The breaker that a user wants."""
    return Breaker(
        share=config.share,
        least_calls=config.least_calls,
        window_s=config.window_s,
        cool_down_s=config.cool_down_s,
    )
