"""A line of the waiting room, and what can be said of those who stand in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.site import Site
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.lanes import Group
    from agentrm_plugins.types.accounts import Bid, RunQueue, Tenant

__all__ = ["Key", "Line", "is_first", "is_owed", "key_of", "share_of"]

Key = tuple[str, str | None, str | None]
_SIZES = tuple(name for name in RESOURCES if name != "requests")


class Line:
    """One kind of lane: a group, an endpoint, and the tenant where tenants have ceilings."""

    __slots__ = (
        "bids",
        "group",
        "key",
        "oldest",
        "ready",
        "site",
        "tenant",
        "waiting",
    )

    def __init__(
        self,
        key: Key,
        group: Group,
        site: Site | None,
        tenant: Tenant | None,
        ready: RunQueue,
    ) -> None:
        self.key = key
        self.group = group
        self.site = site
        self.tenant = tenant
        self.ready = ready
        self.bids = 0
        self.waiting = 0
        self.oldest: list[tuple[int, Bid]] = []


def key_of(ticket: Ticket) -> Key:
    """The line in which a call waits."""
    group, site = ticket.group, ticket.site
    tenant = ticket.account.tenant.name if group.per_tenant is not None else None
    return group.name, site.name if site is not None else None, tenant


def is_owed(line: Line) -> bool:
    """Whether its group has less than it was guaranteed."""
    return line.group.in_use < line.group.guaranteed


def is_first(bid: Bid) -> bool:
    """Whether it goes first at its endpoint, because it has waited longest."""
    return bid.line.site is not None and bid.line.site.first is bid


def share_of(ticket: Ticket, head: Ticket) -> float:
    """What a call takes of what the head needs, as a share: of the resource where it is most."""
    theirs = head.need
    return max((ticket.need[name] / theirs[name] for name in _SIZES if theirs[name]), default=0.0)
