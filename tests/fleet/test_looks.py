"""Who looks at a fleet sees who holds what."""

from __future__ import annotations

from agentrm_plugins import AgentRM, Coordination
from tests.hosts.worlds import wait_until


def test_who_holds_what(server, namespace):
    """Each process tells of all, as the server knows them, while somebody looks."""
    terms = Coordination(server.url, namespace)
    with (
        AgentRM(lanes=4, coordination=terms) as first,
        AgentRM(lanes=4, coordination=terms) as second,
        second.slot(agent="works"),
    ):
        name = second.statistics().fleet.member

        def held():
            return {peer.member: peer.lanes_held for peer in first.statistics().fleet.peers}

        wait_until(lambda: held().get(name) == 1, "the other's lane")
        seen, other = first.statistics().fleet, second.statistics().fleet
        assert len(seen.peers) == seen.members == 2
        assert all(0 < peer.lease_left_s <= seen.lease_s for peer in seen.peers)
        assert (other.lanes_held, other.lanes_used) == (1, 1)
        assert seen.exchange_age_s is not None
        assert seen.amounts == {}
