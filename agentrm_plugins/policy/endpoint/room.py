"""How much of one limit may be used at once: what its bucket can hold.

Law: what the server has shown, else what the user allows, else what is guessed. A measured refill
says the size; a window holds a whole limit; what was ever left may be left again. Where the server
refuses although there is room, a step of its enforcement (see `steps`).

Limits: a limit that was found by probing has at most `_BURST_S` of its rate at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.policy.endpoint.steps import Steps
from agentrm_plugins.types.verdicts import MINUTE_S

if TYPE_CHECKING:
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["START_PER_S", "Room", "has_room"]

START_PER_S = 40.0  # guessed: forty agents that start at once are under way in a second
_BURST_S = 10.0  # guessed
_ROOM = 2.0  # guessed: calls that must be left by the server's word


def has_room(limit: ServerLimit, amount: float) -> bool:
    """Whether the server says that there is room, and so refuses for what no figure shows.

    Words that name a wait beside what is missing say how a limit refills; others, what is there.
    """
    left, refills = limit.remaining or 0.0, limit.reset_s is not None or limit.per_s is not None
    says = limit.firm or (limit.remaining is not None and not refills)
    return says and bool(limit.limit) and left >= _ROOM * max(1.0, amount)


class Room:
    """The capacity of one bucket.

    Args:
        burst_s: Seconds of a told rate that may be used at once.
        first: Units that go at once while nothing is known.

    Attributes:
        size: The size that was measured; None: it was not.
        seen: The most that the server ever showed to be there.
        steps: The steps in which it enforces the limit.
    """

    __slots__ = ("burst_s", "first", "seen", "size", "steps")

    def __init__(self, burst_s: float, first: float) -> None:
        self.burst_s = burst_s
        self.first = first
        self.size: float | None = None
        self.seen = 0.0
        self.steps = Steps()

    def capacity(
        self,
        source: Source,
        rate: float,
        limit: float,
        window_s: float,
        *,
        mean: float,
        windowed: bool,
    ) -> float:
        """What the bucket can hold now.

        Args:
            source: From whom the limit is known.
            rate: Units per second.
            limit: Units of a whole window.
            window_s: Its length.
            mean: Units that a call takes lately.
            windowed: Whether nothing comes back but at its end.
        """
        if self.steps.step_s < window_s:
            return max(1.0, mean, rate * self.steps.step_s)
        if windowed:
            return max(1.0, limit)
        if source is Source.SERVER and self.size is not None:
            return max(1.0, self.size)
        if source is Source.UNKNOWN:
            return max(self.first, rate / START_PER_S)
        burst_s = self.burst_s * window_s / MINUTE_S
        burst = max(1.0, rate * (min(burst_s, _BURST_S) if source is Source.PROBED else burst_s))
        return burst if source is Source.PROBED else max(burst, min(self.seen, limit))
