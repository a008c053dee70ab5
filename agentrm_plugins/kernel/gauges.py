"""What is kept for people alone, so that a look at a busy core stays cheap: no decision reads it.

Who runs and who waits, for what (as people were told), for which share of the time, and what agents
had received that are forgotten meanwhile. All of it but the last could be counted anew from the
tickets, which is what `recount` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.pressure import Stall
from agentrm_plugins.types.call_statistics import FOR_LANES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import LanePool
    from agentrm_plugins.types.accounts import Account

__all__ = ["Gauges"]

_RATE = frozenset({
    *("requests", "tokens", "input_tokens", "output_tokens", "concurrency", "closed", "breaker"),
})  # fmt: skip


class Gone:
    """What forgotten agents had received, all together."""

    __slots__ = (
        *("agents", "calls", "cost", "input_tokens", "output_tokens", "refused", "service_s"),
        "waited_s",
    )

    def __init__(self) -> None:
        self.agents = self.calls = self.refused = self.input_tokens = self.output_tokens = 0
        self.service_s = self.waited_s = self.cost = 0.0

    def add(self, account: Account, now_s: float) -> None:
        """An agent is forgotten."""
        self.agents += 1
        self.calls += account.calls
        self.refused += account.refused
        self.input_tokens += account.input_tokens
        self.output_tokens += account.output_tokens
        self.service_s += account.service_s(now_s)
        self.waited_s += account.waited_s
        self.cost += account.cost


class Gauges:
    """See the file's text.

    Args:
        now_s: When they begin.
    """

    __slots__ = (
        "_for_lanes",
        "_for_rate",
        "gone",
        "is_astir",
        "lanes",
        "rate",
        "running",
        "waiting",
    )

    def __init__(self, now_s: float) -> None:
        self.running: dict[int, Ticket] = {}
        self.waiting: dict[Account, None] = {}
        self.lanes, self.rate = Stall(now_s), Stall(now_s)
        self.gone = Gone()
        self._for_lanes = self._for_rate = 0
        self.is_astir = False  # whether somebody waits, or did at the last look

    def hold(self, ticket: Ticket, cause: str) -> None:
        """The call waits for `cause` from now on; "" is for nothing any more."""
        before, ticket.held_by = ticket.held_by, cause
        if before:
            self._for_lanes -= before in FOR_LANES
            self._for_rate -= before in _RATE
        if cause:
            self._for_lanes += cause in FOR_LANES
            self._for_rate += cause in _RATE
        self.is_astir = True

    def look(self, pool: LanePool, now_s: float) -> None:
        """A step is done: note whether anybody waits now."""
        short = pool.in_use >= pool.lanes or len(pool.groups) > 1
        lanes = self._for_lanes > 0 and short
        if lanes is not self.lanes.stalled:
            self.lanes.set(lanes, now_s)
        rate = self._for_rate > 0
        if rate is not self.rate.stalled:
            self.rate.set(rate, now_s)
        self.is_astir = self._for_lanes > 0 or rate

    def recount(self, tickets: Collection[Ticket], accounts: Iterable[Account]) -> None:
        """Count anew, from the tickets that there are."""
        self.running = {one.number: one for one in tickets if one.state is State.RUNNING}
        self.waiting = {account: None for account in accounts if account.waiting}
        held = [one.held_by for one in tickets if one.state is State.QUEUED]
        self._for_lanes = sum(cause in FOR_LANES for cause in held)
        self._for_rate = sum(cause in _RATE for cause in held)
        self.is_astir = True
