"""Leases: for how long a call may hold a lane in silence, and when somebody must look.

Law: a running call is hung when ``now - last_progress > allowed``, where allowed is the first-token
timeout before its first beat (the response timeout for a call that does not stream) and the silence
timeout after it; or when it held its lane for longer than the total timeout. The clock starts with
the lane, never with the queue, and stands still while the call waits for a call nested in it.

`Alarms` moves a deadline back in constant time: the heap keeps the earliest date that was ever set
and looks again when that comes.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from agentrm_plugins.config import LeaseConfig
    from agentrm_plugins.types.calls import Call

__all__ = ["NEVER", "Alarmed", "Alarms", "Terms", "terms"]

NEVER = float("inf")
_TOLERATED = 64  # dead entries, before their share is looked at


class Terms(NamedTuple):
    """One call's timeouts in seconds; infinite for none."""

    first_s: float
    silence_s: float
    total_s: float
    first_cause: str


def terms(call: Call, config: LeaseConfig) -> Terms:
    """What the call declares, or else what is configured."""
    if call.streaming:
        first_s, cause = config.first_token_timeout_s, "first_token"
    else:
        first_s, cause = config.response_timeout_s, "response"
    total_s = call.total_timeout_s
    if total_s is None:
        total_s = config.total_timeout_s
    return Terms(
        first_s if call.first_token_timeout_s is None else call.first_token_timeout_s,
        config.silence_timeout_s if call.silence_timeout_s is None else call.silence_timeout_s,
        NEVER if total_s is None else total_s,
        cause,
    )


class Alarmed(Protocol):
    """Something with a date (`alarm_s`, never: infinite) and the earliest one in the heap.

    `number` differs for each: of two with one date the smaller goes first.
    """

    number: int
    alarm_s: float
    armed_s: float


class Alarms:
    """Dates that move."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarmed]] = []
        self._cleared = 0

    def forget(self) -> None:
        """Ring for nobody; their own dates stand until they are set again."""
        self._heap = []
        self._cleared = 0

    def set(self, item: Alarmed, at_s: float) -> None:
        """Ring for `item` at `at_s`, instead of when it was to ring before."""
        item.alarm_s = at_s
        if at_s < item.armed_s:
            item.armed_s = at_s
            heappush(self._heap, (at_s, item.number, item))

    def clear(self, item: Alarmed) -> None:
        """Do not ring for `item`; its entry goes when it surfaces, or when too many are dead."""
        if item.alarm_s == NEVER:
            return
        item.alarm_s = NEVER
        self._cleared += 1
        if self._cleared > _TOLERATED and 2 * self._cleared > len(self._heap):
            self._sweep()

    def _sweep(self) -> None:
        """Drop what is dead."""
        self._cleared = 0
        live = {}
        for _, number, other in self._heap:
            alarm_s = other.armed_s = other.alarm_s
            if alarm_s < NEVER:
                live[number] = (alarm_s, number, other)
        self._heap = list(live.values())
        heapify(self._heap)

    def due(self, now_s: float) -> Alarmed | None:
        """The item with the earliest date of those that have come, its alarm cleared; or None."""
        heap = self._heap
        while heap and heap[0][0] <= now_s:
            at_s, _, item = heappop(heap)
            if at_s == item.armed_s:
                item.armed_s = NEVER
            if item.alarm_s <= at_s:
                item.alarm_s = NEVER
                return item
            if item.alarm_s < NEVER:
                self.set(item, item.alarm_s)
        return None

    def next_s(self) -> float:
        """When to look next: never later than the earliest date, maybe a little before it."""
        heap = self._heap
        while heap and heap[0][2].alarm_s == NEVER:
            at_s, _, item = heappop(heap)
            if at_s == item.armed_s:
                item.armed_s = NEVER
        return heap[0][0] if heap else NEVER
