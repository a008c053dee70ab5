"""How a process stands in its fleet: what its member knows, as people and monitors read it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_plugins.policy.marks import BUDGET, SHARE
from agentrm_plugins.types.fleet_statistics import (
    FleetEndpoint,
    FleetLanes,
    FleetPeer,
    FleetStatistics,
)

if TYPE_CHECKING:
    from agentrm_plugins.policy.fleet.member import FleetMember
    from agentrm_plugins.types.fleet import Demand

__all__ = ["Seen", "endpoint_of", "fleet_statistics", "lanes_of", "named", "peer_of"]


class Seen(NamedTuple):
    """What the exchanges know beside the member: where, how slow, the last failure."""

    namespace: str
    slowest_s: float
    error: str


def named(key: str) -> str:
    """The name of a limit in the configuration.

    >>> named("l"), named("g:model")
    ('lanes', "capacity of group 'model'")
    >>> named('b:["limit",null,"acme","calls",60.0]')
    "limit of the budget of calls of tenant 'acme' in 60 s"
    """
    if key.startswith((BUDGET, SHARE)):
        field, agent, tenant, resource, rest = json.loads(key[2:])
        kind = "budget" if key.startswith(BUDGET) else "rate share"
        owner = f"tenant {tenant!r}" if agent is None else f"agent {agent!r}"
        within = "" if rest is None else f" in {rest:g} s" if kind == "budget" else f" at {rest!r}"
        return f"{field} of the {kind} of {resource} of {owner}{within}"
    if key.startswith("e:"):
        endpoint, _, field = key[2:].rpartition("|")
        return f"{field} of endpoint {endpoint!r}"
    return "lanes" if key == "l" else f"capacity of group {key[2:]!r}"


def fleet_statistics(
    member: FleetMember, wanted: Demand, seen: Seen, now_s: float
) -> FleetStatistics:
    """All of it, frozen.

    Args:
        member: What the server said last.
        wanted: What the kernel has and wants.
        seen: What the exchanges know beside it.
        now_s: The time.
    """
    terms = member.terms
    begun_s = member.valid_until_s - 0.9 * terms.lease_s
    alone = member.state == "alone"
    return FleetStatistics(
        namespace=seen.namespace,
        member=terms.name,
        state=member.state,
        members=member.members,
        lease_age_s=max(0.0, now_s - begun_s) if member.born else None,
        lease_s=terms.lease_s,
        exchange_age_s=now_s - member.exchanged_s if member.exchanges else None,
        lanes_held=member.held.get("l", 0),
        lanes_used=wanted.use["l"],
        amounts={
            name: {resource: amount for resource, amount in found.hand.items() if amount}
            for name, found in wanted.endpoints.items()
        },
        others_wait=member.others or bool(member.waits),
        exchanges=member.exchanges,
        slowest_exchange_s=seen.slowest_s,
        fenced=member.fenced,
        outages=member.outages,
        outage_s=max(0.0, now_s - member.exchanged_s) if alone else None,
        on_outage=terms.on_outage,
        lanes_allowed=wanted.have["l"],
        rate_share=_share(member) if alone else None,
        lowered={named(key): limit for key, limit in member.said.lowered.items()},
        error=seen.error,
        lanes=lanes_of(member.pool),
        peers=tuple(map(peer_of, member.peers)),
        endpoints={name: endpoint_of(share) for name, share in sorted(member.shares.items())},
    )


def _share(member: FleetMember) -> float:
    """Which part of the rates is used without the server."""
    terms = member.terms
    return terms.outage_share / member.members if terms.on_outage == "share" else 0.0


def _lanes(places: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of lanes: "lanes" are all of them, the others those of a group."""
    return {
        "lanes" if key == "l" else key[2:]: value
        for key, value in sorted(places.items(), key=lambda item: (item[0] != "l", item[0]))
        if key == "l" or key.startswith("g:")
    }


def lanes_of(pool: Mapping[str, Any]) -> dict[str, FleetLanes]:
    """How many lanes the fleet has and holds, by group.

    >>> lanes_of({"g:model": [1, 4], "l": [1, 4]})["lanes"]
    FleetLanes(held=1, limit=4)
    """
    return {name: FleetLanes(int(held), int(limit)) for name, (held, limit) in _lanes(pool).items()}


def peer_of(row: list[Any]) -> FleetPeer:
    """A process, as an exchange tells of it: name, lanes, waiting, time left, places, lease."""
    name, lanes, waiting, left_ms, held, lease_ms = row
    left_s, lease_s = left_ms / 1000.0, lease_ms / 1000.0
    return FleetPeer(
        member=str(name),
        lanes_held=int(lanes),
        waiting=int(waiting),
        lease_left_s=left_s,
        lease_s=lease_s,
        exchange_age_s=max(0.0, lease_s - left_s),
        groups={key: int(n) for key, n in _lanes(held or {}).items() if key != "lanes"},
    )


def endpoint_of(share: Mapping[str, Any]) -> FleetEndpoint:
    """What the fleet allows at an endpoint, and what of it is taken."""
    told = share["told"]

    def a_minute(key: str) -> dict[str, float]:
        return {name: 60.0 * per_s for name, per_s in dict(told.get(key) or {}).items()}

    concurrency = told.get("concurrency")
    return FleetEndpoint(
        allowed_per_min=a_minute("allowed"),
        limit_per_min=a_minute("limit"),
        left={name: float(amount) for name, amount in dict(share["level"] or {}).items()},
        reserved={name: float(n) for name, n in dict(share["out"] or {}).items() if n},
        in_flight=int(share["used"]),
        concurrency=None if concurrency is None else int(concurrency),
        breaker=str(told["breaker"][0]),
        closed_s=share["closed"] / 1000.0,
    )
