"""How a process stands in its fleet, for people and monitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["FleetEndpoint", "FleetLanes", "FleetPeer", "FleetStatistics"]


@dataclass(frozen=True, slots=True)
class FleetPeer:
    """Another process of the fleet, or this one, as the server knows it.

    Attributes:
        member: Host, process id and a random part.
        lanes_held: Lanes that it has.
        waiting: Kinds of calls of which it has one waiting.
        lease_left_s: Seconds until it is given up, unless it exchanges before.
        lease_s: How long its lease is.
        exchange_age_s: Seconds since its last exchange.
        groups: Lanes that it has, by lane group.
    """

    member: str
    lanes_held: int
    waiting: int
    lease_left_s: float
    lease_s: float = 0.0
    exchange_age_s: float = 0.0
    groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FleetLanes:
    """Lanes that all processes hold together, of how many there are."""

    held: int
    limit: int


@dataclass(frozen=True, slots=True)
class FleetEndpoint:
    """What all processes together may do at an endpoint.

    Attributes:
        allowed_per_min: What goes a minute, by resource.
        limit_per_min: The limit, where it is told or found.
        left: What may be taken at once: less than 0 is a debt.
        reserved: What processes have taken and not sent yet.
        in_flight: Calls that are there now.
        concurrency: Calls that may be; None: as many as like.
        breaker: "closed", "open" or "half_open".
        closed_s: Seconds for which nobody goes there; 0 is open.
    """

    allowed_per_min: Mapping[str, float]
    limit_per_min: Mapping[str, float]
    left: Mapping[str, float]
    reserved: Mapping[str, float]
    in_flight: int
    concurrency: int | None
    breaker: str
    closed_s: float


@dataclass(frozen=True, slots=True)
class FleetStatistics:
    """One process's view of its fleet, frozen.

    Attributes:
        namespace: Who shares.
        member: This process: host, process id and a random part.
        state: "joined"; "alone" without the server, by the outage rule; "new" before the first
            exchange.
        members: Processes that share, this one among them, by the last answer.
        lease_age_s: Seconds since the lease began; None before the first. Alarm above half of
            `lease_s`.
        lease_s: Seconds after which a silent process loses its lanes.
        exchange_age_s: Seconds since the last exchange was answered; None before the first.
        lanes_held: Lanes that this process had by the last answer.
        lanes_used: How many of them are at work.
        amounts: What this process has in hand, by endpoint and resource, and has not sent.
        others_wait: Whether other processes wait for something.
        exchanges: Answered exchanges so far.
        slowest_exchange_s: The longest of them, seconds.
        fenced: Calls that lost their lane because this process was silent for too long.
        outages: Times that the server could not be reached for longer than the lease.
        outage_s: Seconds since which it cannot be, in an outage; None: there is none.
        on_outage: What is done in one: "share", "wait" or "refuse".
        lanes_allowed: Lanes that this process may use just now.
        rate_share: In an outage: which part of each rate this process uses; 0 is nothing.
        lowered: Limits of which another process says less; that counts.
        error: The last failure, "" once an exchange succeeded.
        lanes: Lanes that all hold, of how many there are: "lanes" in all, and by group.
        peers: Who holds what, this process among them: the `MOST_PEERS` whose lease ends first.
        endpoints: What the fleet allows where this process calls.

    `lanes`, `peers` and `endpoints` are fetched while somebody looks, and are then some seconds
    old; the first look finds them empty.
    """

    namespace: str
    member: str
    state: str
    members: int
    lease_age_s: float | None
    lease_s: float
    exchange_age_s: float | None
    lanes_held: int
    lanes_used: int
    amounts: Mapping[str, Mapping[str, float]]
    others_wait: bool
    exchanges: int
    slowest_exchange_s: float
    fenced: int
    outages: int
    lowered: Mapping[str, float]
    error: str
    outage_s: float | None = None
    on_outage: str = "share"
    lanes_allowed: int = 0
    rate_share: float | None = None
    lanes: Mapping[str, FleetLanes] = field(default_factory=dict)
    peers: tuple[FleetPeer, ...] = ()
    endpoints: Mapping[str, FleetEndpoint] = field(default_factory=dict)
