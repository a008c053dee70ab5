"""Endpoints and budgets as plain values, and back (see `dump`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.kernel.accrual import Accrual
from agentrm_plugins.kernel.requeue import Place
from agentrm_plugins.policy.endpoint.snapshot import (
    dump_endpoint,
    from_plain,
    load_endpoint,
    to_plain,
)
from agentrm_plugins.policy.spending.budget import Budget, Resource
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.spending.spender import Reserved

__all__ = [
    "dump_accruals",
    "dump_congestion",
    "dump_need",
    "load_accruals",
    "load_congestion",
    "load_first",
    "load_need",
]

_BUDGET = sorted(name for name in Budget.__slots__ if name != "resource")


def dump_congestion(kernel: Kernel) -> dict[str, Any]:
    """Endpoints, budgets, and the places of calls that hung."""
    ledgers = kernel.books.ledgers
    return {
        "endpoints": [
            [name, dump_endpoint(endpoint)] for name, endpoint in kernel.books.endpoints.items()
        ],
        "first": [
            [name, None if at.first is None else at.first.head.number]
            for name, at in kernel.queue.at.items()
        ],
        "idle": list(kernel.endpoints.idle),
        "ledgers": [
            [place, owner, str(ledger.resource), *(to_plain(getattr(ledger, n)) for n in _BUDGET)]
            for (place, owner), ledger in ledgers.ledgers.items()
        ],
        "shares": [
            [place, owner, to_plain(bucket), *ledgers.shares.own[place, owner]]
            for (place, owner), bucket in ledgers.shares.buckets.items()
        ],
        "made": [ledgers._made, ledgers.shares._made],
        "places": [
            [number, place.seq, place.turn] for number, place in kernel.requeue.places.items()
        ],
    }


def load_congestion(kernel: Kernel, state: dict[str, Any]) -> None:
    """Make the endpoints and budgets; the calls do not stand there yet."""
    for name, endpoint in state["endpoints"]:
        load_endpoint(kernel.endpoints.of(name), endpoint)
    kernel.endpoints.idle.update(dict.fromkeys(state["idle"]))
    ledgers = kernel.books.ledgers
    for place, owner, resource, *values in state["ledgers"]:
        budget = Budget("", Resource(resource), 0.0)
        for name, value in zip(_BUDGET, values, strict=True):
            setattr(budget, name, from_plain(value))
        ledgers.ledgers[place, owner] = budget
    for place, owner, bucket, *own in state["shares"]:
        ledgers.shares.buckets[place, owner] = from_plain(bucket)
        ledgers.shares.own[place, owner] = own[0], own[1]
    ledgers._made, ledgers.shares._made = state["made"]
    for number, *place in state["places"]:
        kernel.requeue.places[number] = Place(*place, Accrual())


def load_first(kernel: Kernel, state: dict[str, Any]) -> None:
    """Who goes first at each endpoint, in the order in which somebody waits there."""
    at = kernel.queue.at
    at.update({name: at.pop(name) for name, _ in state["first"]})
    for name, first in state["first"]:
        if first is not None:
            at[name].first = kernel.books.tickets[first].bid


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
        ticket.endpoint = kernel.books.endpoints[ticket.call.endpoint]
        ticket.endpoint.calls += 1
    ticket.reserved = _keys(entry["reserved"])
    ticket.charged = _keys(entry["charged"])
    ticket.taken = _keys(entry["taken"])


def _amounts(reserved: list[Reserved] | None) -> list[list[Any]] | None:
    return None if reserved is None else [[*key, amount] for key, amount in reserved]


def _keys(rows: list[list[Any]] | None) -> list[Reserved] | None:
    return None if rows is None else [((place, owner), amount) for place, owner, amount in rows]


# -- what attempts of one call share ------------------------------------------------------------


def dump_accruals(kernel: Kernel) -> list[list[Any]]:
    """What attempts were charged by estimate, with the tickets and the places that share it."""
    shared: dict[int, tuple[Accrual, list[int], list[int]]] = {}
    for number, ticket in kernel.books.tickets.items():
        if ticket.accrual is not None:
            found = shared.setdefault(id(ticket.accrual), (ticket.accrual, [], []))
            found[1].append(number)
    for number, place in kernel.requeue.places.items():
        found = shared.setdefault(id(place.accrual), (place.accrual, [], []))
        found[2].append(number)
    return [
        [one.attempts, one.input_tokens, one.read, tickets, places]
        for one, tickets, places in shared.values()
    ]


def load_accruals(kernel: Kernel, rows: list[list[Any]]) -> None:
    """Give them back to those who share them."""
    for attempts, input_tokens, read, tickets, places in rows:
        one = Accrual()
        one.attempts, one.input_tokens, one.read = attempts, input_tokens, read
        for number in tickets:
            kernel.books.tickets[number].accrual = one
        for number in places:
            kernel.requeue.places[number] = kernel.requeue.places[number]._replace(accrual=one)
