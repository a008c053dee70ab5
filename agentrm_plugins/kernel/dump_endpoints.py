"""Endpoints and budgets as plain values, and back (see `dump`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.kernel.plain import from_plain, to_plain
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.site import Site
    from agentrm_plugins.kernel.ticket import Reserved, Ticket

__all__ = ["dump_congestion", "dump_need", "load_congestion", "load_need", "load_running"]

_SITE = (
    *("endpoint", "outputs", "pulse", "used", "foreign_calls", "sent", "limit_hits", "failures"),
    *("requeues", "cost", "told_s", "idle_since_s"),
)


def dump_congestion(kernel: Kernel) -> dict[str, Any]:
    """Endpoints, budgets, and the places of calls that hung."""
    congestion = kernel.congestion
    return {
        "sites": [_dump_site(site) for site in congestion.sites.values()],
        "idle": list(congestion.idle),
        "ledgers": [
            [place, owner, to_plain(ledger)]
            for (place, owner), ledger in congestion.ledgers.ledgers.items()
        ],
        "shares": [
            [place, owner, to_plain(bucket)]
            for (place, owner), bucket in congestion.ledgers.shares.buckets.items()
        ],
        "places": [[number, *place] for number, place in congestion.places.items()],
    }


def _dump_site(site: Site) -> dict[str, Any]:
    first = site.first
    return {
        "name": site.name,
        "row": [to_plain(getattr(site, name)) for name in _SITE],
        "first": None if first is None else first.head.number,
    }


def load_congestion(kernel: Kernel, state: dict[str, Any]) -> None:
    """Make the endpoints and budgets; the calls do not stand there yet."""
    congestion = kernel.congestion
    for entry in state["sites"]:
        site = congestion.site(entry["name"])
        site.changes.clear()  # What the user said of it has been told.
        for name, value in zip(_SITE, entry["row"], strict=True):
            setattr(site, name, from_plain(value))
    congestion.news.clear()
    congestion.idle.update(dict.fromkeys(state["idle"]))
    for place, owner, ledger in state["ledgers"]:
        congestion.ledgers.ledgers[place, owner] = from_plain(ledger)
    for place, owner, bucket in state["shares"]:
        congestion.ledgers.shares.buckets[place, owner] = from_plain(bucket)
    for number, seq, turn in state["places"]:
        congestion.places[number] = seq, turn


def load_running(kernel: Kernel, state: dict[str, Any]) -> None:
    """Whom each endpoint serves, and who goes first there."""
    for entry in state["sites"]:
        site = kernel.congestion.sites[entry["name"]]
        site.running = {number: kernel.tickets[number] for number in site.endpoint.in_flight}
        if entry["first"] is not None:
            site.first = kernel.tickets[entry["first"]].bid


def dump_need(ticket: Ticket) -> dict[str, Any]:
    """What a call needs of its endpoint and budgets, and how long it may be silent."""
    return {
        "need": [ticket.need[name] for name in RESOURCES] if ticket.need else [],
        "reserved": _amounts(ticket.reserved),
        "charged": _amounts(ticket.charged),
        "taken": _amounts(ticket.taken),
    }


def load_need(kernel: Kernel, ticket: Ticket, entry: dict[str, Any]) -> None:
    """The same, and the call's endpoint."""
    if entry["need"]:
        ticket.need = dict(zip(RESOURCES, entry["need"], strict=True))
    if ticket.call.endpoint is not None:
        ticket.site = kernel.congestion.sites[ticket.call.endpoint]
        ticket.site.tickets += 1
    ticket.reserved = _keys(entry["reserved"])
    ticket.charged = _keys(entry["charged"])
    ticket.taken = _keys(entry["taken"])


def _amounts(reserved: list[Reserved] | None) -> list[list[Any]] | None:
    return None if reserved is None else [[*key, amount] for key, amount in reserved]


def _keys(rows: list[list[Any]] | None) -> list[Reserved] | None:
    return None if rows is None else [((place, owner), amount) for place, owner, amount in rows]
