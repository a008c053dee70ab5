"""A fleet in rows and a line: what `top`, the page and the doctor show of it, from plain data.

The plain data is that of `FleetStatistics`, as a socket or a recording brings it. What is missing,
for another version wrote it, is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from agentrm_plugins.telemetry.timeline.words import span_of

__all__ = ["FleetLine", "FleetRow", "fleet_line", "fleet_rows", "readable", "told_of"]

Plain = Mapping[str, Any]


class FleetRow(NamedTuple):
    """Lanes of the fleet, a process, or a resource of an endpoint.

    Attributes:
        what: "lanes", "process" or "limit".
        name: Of the group, the process, or the endpoint.
        held: Lanes that are held; of a limit, what is reserved and not sent yet.
        of: How many there are; of a limit, what may go a minute. None: nobody knows.
        left: What may be taken at once.
        detail: Lanes by group; whether an endpoint is closed.
        waits: Kinds of calls that a process has waiting.
        seen_s: Seconds since its last exchange; None: it has none.
        lease_s: Seconds until it is given up.
        alarm: Whether somebody should look.
        resource: Of a limit: "requests", "tokens", ... or "concurrency".
    """

    what: str
    name: str
    held: float
    of: float | None = None
    left: float | None = None
    detail: str = ""
    waits: int | None = None
    seen_s: float | None = None
    lease_s: float | None = None
    alarm: bool = False
    resource: str = ""


class FleetLine(NamedTuple):
    """The fleet in one line, and whether somebody should look."""

    text: str
    alarm: bool


def readable(fleet: object) -> Plain | None:
    """It, if a line and rows can be made of it; None of what is damaged, or of another make."""
    if not isinstance(fleet, Mapping):
        return None
    try:
        fleet_line(fleet)
        for row in fleet_rows(fleet):
            told_of(row)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        return None
    return fleet


def fleet_rows(fleet: Plain | None) -> list[FleetRow]:
    """Lanes, then processes, then limits of endpoints."""
    if not fleet:
        return []
    return [*_lanes(fleet), *_processes(fleet), *_limits(fleet)]


def _lanes(fleet: Plain) -> Iterator[FleetRow]:
    for name, lanes in (fleet.get("lanes") or {}).items():
        held, limit = lanes["held"], lanes["limit"]
        shown = "all lanes" if name == "lanes" else f"group {name}"
        yield FleetRow("lanes", shown, held, limit, max(0, limit - held))


def _processes(fleet: Plain) -> Iterator[FleetRow]:
    own, gone = fleet.get("member"), fleet.get("state") == "alone"
    for peer in fleet.get("peers") or ():
        groups = peer.get("groups") or {}
        held = ", ".join(f"{name} {number}" for name, number in groups.items())
        left_s, lease_s = peer["lease_left_s"], peer.get("lease_s") or 0.0
        yield FleetRow(
            "process",
            str(peer["member"]),
            peer["lanes_held"],
            detail=", ".join(part for part in ("this one" * (peer["member"] == own), held) if part),
            waits=peer["waiting"],
            seen_s=None if gone else peer.get("exchange_age_s"),
            lease_s=None if gone else left_s,
            alarm=not gone and left_s < lease_s / 2,
        )


def _limits(fleet: Plain) -> Iterator[FleetRow]:
    endpoints = fleet.get("endpoints") or {}
    bare = Counter(name.partition("#")[0] for name in endpoints)
    for name, one in endpoints.items():
        own = name.partition("#")[0]
        shown = own if bare[own] == 1 else name  # the key's mark, where there are two keys
        shut = [] if one["breaker"] == "closed" else [f"breaker {one['breaker']}"]
        if one["closed_s"]:
            shut.append(f"closed {span_of(round(one['closed_s'], 1))}")
        allowed, reserved, left = one["allowed_per_min"], one["reserved"], one["left"]
        rows: list[tuple[str, float, float | None, float | None]] = [
            (resource, reserved.get(resource, 0.0), allowed.get(resource), left.get(resource))
            for resource in dict.fromkeys((*allowed, *reserved))
        ]
        most, flying = one["concurrency"], one["in_flight"]
        if most is not None:
            rows.append(("concurrency", flying, most, max(0, most - flying)))
        for resource, held, of, rest in rows:
            yield FleetRow(
                *("limit", shown, held, of, rest, ", ".join(shut)),
                alarm=bool(shut),
                resource=resource,
            )


def told_of(row: FleetRow) -> str:
    """A row as a sentence.

    >>> told_of(FleetRow("lanes", "all lanes", 3, 8, 5))
    'all lanes: 3 of 8 held'
    """
    if row.what == "lanes":
        return f"{row.name}: {row.held:.0f} of {row.of:.0f} held"
    more = f" ({row.detail})" if row.detail else ""
    if row.what == "process":
        seen = "" if row.seen_s is None else f", last exchange {row.seen_s:.1f} s ago"
        lease = f", lease ends in {row.lease_s or 0.0:.1f} s"
        waits = f", {row.waits} waiting" if row.waits else ""
        return f"{row.name}: {row.held:.0f} lanes{more}{waits}{seen}{lease}"
    allowed = "as many as like" if row.of is None else f"{row.of:,.4g}"
    each = "in flight" if row.resource == "concurrency" else f"{row.resource} a minute"
    left = "" if row.left is None else f", {row.left:,.4g} left now"
    return f"{row.name}: {allowed} {each}, {row.held:,.4g} taken{left}{more}"


def fleet_line(fleet: Plain | None) -> FleetLine | None:
    """How a process stands in its fleet; None: it is in none."""
    if not fleet:
        return None
    members = f"{fleet['members']} process{'es' * (fleet['members'] != 1)}"
    if fleet["state"] == "alone":
        text = f"OUT OF REACH {_outage(fleet, members)}; namespace {fleet['namespace']}"
        return FleetLine(text, alarm=True)
    lanes = ", ".join(
        f"{name} {one['held']}/{one['limit']}" for name, one in (fleet.get("lanes") or {}).items()
    )
    age_s = fleet.get("lease_age_s")
    lease = "no lease yet" if age_s is None else f"lease {age_s:.1f}/{fleet['lease_s']:.0f} s"
    parts = [f"{fleet['state']}, {members}", lanes, lease]
    if fleet["fenced"]:
        parts.append(f"{fleet['fenced']} calls lost")
    if fleet["outages"]:
        parts.append(f"{fleet['outages']} outage{'s' * (fleet['outages'] != 1)} so far")
    if fleet["lowered"]:
        parts.append(f"another process says less: {', '.join(fleet['lowered'])}")
    parts.append(f"namespace {fleet['namespace']}")
    late = age_s is not None and age_s > fleet["lease_s"] / 2
    text = "; ".join(part for part in parts if part)
    return FleetLine(text, alarm=late or fleet["state"] != "joined" or bool(fleet["lowered"]))


def _outage(fleet: Plain, members: str) -> str:
    """Since when the server is away, and what is done meanwhile."""
    since_s, rule = fleet.get("outage_s"), fleet.get("on_outage") or "share"
    since = "" if since_s is None else f"since {span_of(round(since_s, 1))}"
    does = {
        "wait": "nobody goes until it is back",
        "refuse": "calls are refused until it is back",
    }.get(rule)
    if does is None:
        share = fleet.get("rate_share") or 0.0
        lanes = f"{fleet.get('lanes_allowed', 0)} lane{'s' * (fleet.get('lanes_allowed') != 1)}"
        does = f"uses its part, {lanes} and {100 * share:.0f} % of the rates, as one of {members}"
    why = f" ({fleet['error']})" if fleet.get("error") else ""
    return f"{since}: {does}{why}"
