"""The queues in which calls wait: one for each kind of lane, and those of one endpoint together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.policy.lanes import Group
    from agentrm_plugins.policy.order.agent_queue import AgentQueue
    from agentrm_plugins.policy.order.protocols import RunQueue
    from agentrm_plugins.types.accounts import Tenant

__all__ = ["EndpointQueue", "Key", "LaneQueue", "is_owed", "share_of"]

Key = tuple[str, str | None, str | None]
_SIZES = tuple(name for name in RESOURCES if name != "requests")


class EndpointQueue:
    """Those who wait for one endpoint.

    `queues` are the kinds of lane for which they wait. `first` is a bid that has waited longest and
    goes next there, whatever the order says.
    """

    __slots__ = ("endpoint", "first", "queues")

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.queues: dict[LaneQueue, None] = {}
        self.first: AgentQueue | None = None


class LaneQueue:
    """Those who wait for one kind of lane: a group, an endpoint, and a tenant with a ceiling.

    They are held up by the same things. Of its `bids` so many are `offered`: those who stand in
    `ready`.
    """

    __slots__ = ("at", "bids", "group", "key", "offered", "oldest", "ready", "tenant", "waiting")

    def __init__(
        self,
        key: Key,
        group: Group,
        at: EndpointQueue | None,
        tenant: Tenant | None,
        ready: RunQueue,
    ) -> None:
        self.key = key
        self.group = group
        self.at = at
        self.tenant = tenant
        self.ready = ready
        self.bids = self.offered = 0
        self.waiting = 0
        self.oldest: list[tuple[int, AgentQueue]] = []

    def is_able(self) -> bool:
        """Whether somebody is on offer, and its group and its tenant may have one lane more."""
        group = self.group
        if not self.offered or group.in_use >= group.capacity:
            return False
        return self.tenant is None or not group.tenant_full(self.tenant)


def is_owed(queue: LaneQueue) -> bool:
    """Whether its group has less than it was guaranteed."""
    return queue.group.in_use < queue.group.guaranteed


def share_of(ticket: Ticket, head: Ticket) -> float:
    """What a call takes of what the head needs, as a share: of the resource where it is most."""
    theirs = head.need
    return max((ticket.need[name] / theirs[name] for name in _SIZES if theirs[name]), default=0.0)
