"""Whether what has happened here asks for an exchange before its time.

Law: exchange soon when a call more waits than before, when a lane was withheld because others wait
for one, while a lane is idle that others wait for, and when a call may only go once others have
heard of what it reserves of a budget. Whoever waits already is told when to come again
(`FleetMember.next_s`), or is woken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.fleet import Sight

if TYPE_CHECKING:
    from agentrm_plugins.policy.fleet.member import FleetMember

__all__ = ["Attention"]


class Attention:
    """What was seen last."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before = Sight(0, 0, idle=False)

    def asks(self, seen: Sight, member: FleetMember) -> bool:
        """Whether to exchange now."""
        before, self._before = self._before, seen
        return (
            seen.waiting > before.waiting
            or seen.withheld != before.withheld
            or seen.reserving != before.reserving
            or (seen.idle and member.others)
        )
