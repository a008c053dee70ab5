"""Execution lanes: bulkheads with guarantees and ceilings, work-conserving.

Law: a call may start when its group is below its capacity, all groups together are below `lanes`,
and its agent and its tenant are below their ceilings in that group. A free lane goes first to
groups below their guarantee. Nothing idle is kept back, nothing running is taken away.

A late call goes on without its lane, which is lent to others: beside the calls on the lanes at most
half as many late ones may run (`lent`), and half as many second attempts on the lanes of the first
(`riders`).

A seat is a lane in use. A call nested in another one sits on its parent's seat while the parent
waits for it (`share`); the seat is free when the last of them has left. A nested call in another
group needs a lane there, but no further one of the total. Who takes a lane beyond a bound, to untie
calls that wait for each other, is counted in `extra` until that lane is free again.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.types.accounts import Recent
from agentrm_plugins.types.histogram import Histogram

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config import LaneGroup
    from agentrm_plugins.types.accounts import Account, Tenant

__all__ = ["Group", "LanePool", "Seat"]


class Group:
    """One lane group: its bounds, what is in use, and the most that ever was."""

    __slots__ = (
        "agents",
        "busy",
        "capacity",
        "extra",
        "grants",
        "guaranteed",
        "in_use",
        "lent",
        "name",
        "peak",
        "per_agent",
        "per_tenant",
        "recent",
        "seats",
        "taken",
        "tenants",
        "waits",
    )

    def __init__(self, config: LaneGroup) -> None:
        self.name = config.name
        self.capacity = config.capacity
        self.guaranteed = config.guaranteed
        self.per_agent = config.per_agent
        self.per_tenant = config.per_tenant
        self.in_use = 0
        self.busy = 0
        self.extra = 0
        self.lent = 0
        self.peak = 0
        self.taken = 0
        self.grants = 0
        self.waits = Histogram()
        self.recent = Recent()
        self.agents: dict[Account, int] = {}
        self.tenants: dict[Tenant, int] = {}
        self.seats: dict[Seat, None] = {}

    def reconfigure(self, config: LaneGroup) -> None:
        """Other bounds; who holds what is counted anew, for ceilings may be new."""
        self.capacity, self.guaranteed = config.capacity, config.guaranteed
        self.per_agent, self.per_tenant = config.per_agent, config.per_tenant
        self.agents, self.tenants = {}, {}
        self.extra = max(0, self.in_use - self.capacity)
        for place, seat in enumerate(self.seats):
            seat.extra = place < self.extra
            if self.per_agent is not None:
                self.agents[seat.account] = self.agents.get(seat.account, 0) + 1
            if self.per_tenant is not None:
                tenant = seat.account.tenant
                self.tenants[tenant] = self.tenants.get(tenant, 0) + 1

    def agent_full(self, account: Account) -> bool:
        """Whether the agent holds as many lanes here as it may."""
        return self.per_agent is not None and self.agents.get(account, 0) >= self.per_agent

    def tenant_full(self, tenant: Tenant) -> bool:
        """Whether the tenant holds as many lanes here as it may."""
        return self.per_tenant is not None and self.tenants.get(tenant, 0) >= self.per_tenant


class _Slot:
    """One of the lanes in all; several seats share one while their calls are nested."""

    __slots__ = ("extra", "users")

    def __init__(self) -> None:
        self.users = 1
        self.extra = False


class Seat:
    """One lane in use: by `users` calls, of which `busy` (0 or 1) do not wait for another.

    The busy ones of its group are counted there as well, by whoever starts and stops their clocks.

    `extra` marks one beyond the capacity of its group.
    """

    __slots__ = ("account", "busy", "extra", "group", "slot", "users")

    def __init__(self, group: Group, account: Account, slot: _Slot) -> None:
        self.group = group
        self.account = account
        self.slot = slot
        self.extra = False
        self.users = 1
        self.busy = 0


class LanePool:
    """All lanes.

    Args:
        lanes: Lanes in all.
        groups: The lane groups.

    Where a fleet shares its lanes it is `supplied`: what may be used changes, also below what is in
    use. Until `lease_s` that holds; once it has `lapsed` nothing new may go, on no lane. From
    `slice_s` on others wait for what becomes free, and `busy_elsewhere` are calls at work in other
    processes, by group (None: nobody knows).
    """

    def __init__(self, lanes: int, groups: tuple[LaneGroup, ...]) -> None:
        self.lanes = lanes
        self.in_use = 0
        self.extra = 0
        self.lent = 0
        self.riders = 0
        self.peak = 0
        self.groups = {config.name: Group(config) for config in groups}
        self.supplied = False
        self.lease_s = self.slice_s = inf
        self.lapsed = False
        self.withheld = 0
        self.busy_elsewhere: Mapping[str, int] | None = {}

    def supply(self, lanes: int, groups: Mapping[str, int]) -> None:
        """From now on a fleet says how many lanes there are; so many are at first."""
        self.supplied, self.lanes = True, lanes
        for name, group in self.groups.items():
            group.capacity = groups.get(name, 0)

    def lapse(self) -> None:
        """What was lent to this process is not its own any more: what is or becomes idle waits."""
        self.lanes = min(self.lanes, self.in_use)
        for group in self.groups.values():
            group.capacity = min(group.capacity, group.in_use)
        self.lease_s, self.slice_s, self.lapsed = inf, -inf, True

    def is_over(self, now_s: float) -> bool:
        """Whether what a fleet gave may be another process's by now."""
        return self.lapsed or self.lease_s <= now_s

    def withhold(self, group: Group) -> None:
        """Others wait: the lane that has just become free is not used again here."""
        self.withheld += 1
        if self.lanes > self.in_use:
            self.lanes -= 1
        if group.capacity > group.in_use:
            group.capacity -= 1

    def is_busy(self, group: Group | None = None) -> bool:
        """Whether somebody is at work on a lane (of the group), here or in another process."""
        if self.busy_elsewhere is None:
            return True
        if group is None:
            return any(g.busy for g in self.groups.values()) or any(self.busy_elsewhere.values())
        return bool(group.busy or self.busy_elsewhere.get(f"g:{group.name}"))

    def clear(self) -> None:
        """No lane is in use: whoever has one takes it again."""
        self.in_use = self.extra = self.lent = self.riders = 0
        for group in self.groups.values():
            group.in_use = group.busy = group.extra = group.lent = 0
            group.agents.clear()
            group.tenants.clear()
            group.seats.clear()

    def reconfigure(self, lanes: int, groups: tuple[LaneGroup, ...]) -> None:
        """Other bounds: what is in use beyond them is marked, and is not given out again."""
        self.lanes = lanes
        kept = {config.name: self.groups.get(config.name) or Group(config) for config in groups}
        for config in groups:
            kept[config.name].reconfigure(config)
        self.groups = kept
        slots = dict.fromkeys(seat.slot for group in kept.values() for seat in group.seats)
        for place, slot in enumerate(slots):
            slot.extra = place < self.in_use - lanes
        self.extra = max(0, self.in_use - lanes)

    def take(self, group: Group, account: Account, within: Seat | None = None) -> Seat:
        """Take a lane; `within` is the seat of a waiting parent whose slot is used along."""
        if within is None:
            slot = _Slot()
            self.in_use += 1
            if self.in_use > self.lanes:
                slot.extra = True
                self.extra += 1
            self.peak = max(self.peak, self.in_use)
        else:
            slot = within.slot
            slot.users += 1
        seat = Seat(group, account, slot)
        group.seats[seat] = None
        group.in_use += 1
        group.taken += 1
        if group.in_use > group.capacity:
            seat.extra = True
            group.extra += 1
        group.peak = max(group.peak, group.in_use)
        if group.per_agent is not None:
            group.agents[account] = group.agents.get(account, 0) + 1
        if group.per_tenant is not None:
            group.tenants[account.tenant] = group.tenants.get(account.tenant, 0) + 1
        account.tenant.lanes += 1
        return seat

    def may_lend(self, group: Group) -> bool:
        """Whether one more late call may lend its lane: at most half of the lanes, and one."""
        least = 0 if self.supplied else 1
        lanes, capacity = self.lanes // 2, group.capacity // 2
        return self.lent < max(least, lanes) and group.lent < max(least, capacity)

    def may_ride(self) -> bool:
        """Whether one more second attempt may ride on the lane of the first: half of the lanes."""
        return self.riders < max(0 if self.supplied else 1, self.lanes // 2)

    def lend(self, group: Group, change: int) -> None:
        """A late call goes on without the lane that it had (1), or did (-1)."""
        self.lent += change
        group.lent += change

    def share(self, seat: Seat) -> Seat:
        """A nested call sits down on its parent's seat."""
        seat.users += 1
        return seat

    def leave(self, seat: Seat) -> bool:
        """A call leaves its seat. True if the lane is free now."""
        seat.users -= 1
        if seat.users:
            return False
        group, account = seat.group, seat.account
        del group.seats[seat]
        group.in_use -= 1
        if seat.extra:
            group.extra -= 1
        slot = seat.slot
        slot.users -= 1
        if not slot.users:
            self.in_use -= 1
            if slot.extra:
                self.extra -= 1
        if group.per_agent is not None:
            _decrement(group.agents, account)
        if group.per_tenant is not None:
            _decrement(group.tenants, account.tenant)
        account.tenant.lanes -= 1
        return True


def _decrement(counts: dict[Any, int], key: object) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
