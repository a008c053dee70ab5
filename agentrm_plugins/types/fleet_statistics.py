"""How a process stands in its fleet, for people and monitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["FleetStatistics"]


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
        lanes_held: Lanes that this process had by the last answer.
        others_wait: Whether other processes wait for something.
        exchanges: Answered exchanges so far.
        slowest_exchange_s: The longest of them, seconds.
        fenced: Calls that lost their lane because this process was silent for too long.
        outages: Times that the server could not be reached for longer than the lease.
        lowered: Limits of which another process says less; that counts.
        error: The last failure, "" once an exchange succeeded.
    """

    namespace: str
    member: str
    state: str
    members: int
    lease_age_s: float | None
    lease_s: float
    lanes_held: int
    others_wait: bool
    exchanges: int
    slowest_exchange_s: float
    fenced: int
    outages: int
    lowered: Mapping[str, float]
    error: str
