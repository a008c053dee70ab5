"""How a process stands in its fleet, for people and monitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FleetPeer", "FleetStatistics"]


@dataclass(frozen=True, slots=True)
class FleetPeer:
    """Another process of the fleet, or this one, as the server knows it.

    Attributes:
        member: Host, process id and a random part.
        lanes_held: Lanes that it has.
        waiting: Kinds of calls of which it has one waiting.
        lease_left_s: Seconds until it is given up, unless it exchanges before.
    """

    member: str
    lanes_held: int
    waiting: int
    lease_left_s: float


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
        lowered: Limits of which another process says less; that counts.
        error: The last failure, "" once an exchange succeeded.
        peers: Who holds what, this process among them: the `MOST_PEERS` whose lease ends first.
            It is fetched while somebody looks, and is then at most some seconds old; the first
            look finds it empty.
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
    peers: tuple[FleetPeer, ...] = ()
