"""The kernel's invariants, checked after every test and by anyone who doubts."""

from __future__ import annotations

from collections import Counter, defaultdict
from copy import deepcopy
from math import isclose
from typing import TYPE_CHECKING

from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel.states import State
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.types.accounts import Account

__all__ = ["check"]

_LIVE = (State.QUEUED, State.RUNNING, State.ZOMBIE)


def check(kernel: Kernel) -> None:
    """Check every invariant.

    Raises:
        KernelBug: One does not hold; the message says which, with the numbers.
    """
    _check_tickets(kernel)
    _check_lanes(kernel)
    _check_accounts(kernel)
    _check_endpoints(kernel)
    _check_budgets(kernel)
    _check_progress(kernel)


def _demand(condition: object, what: str, *numbers: object) -> None:
    if not condition:
        raise KernelBug(f"{what}: {', '.join(map(repr, numbers))}")


def _check_tickets(kernel: Kernel) -> None:
    states = Counter(ticket.state for ticket in kernel.tickets.values())
    _demand(set(states) <= set(_LIVE), "a finished ticket is still there", states)
    _demand(states[State.QUEUED] == kernel.room.count, "waiting", states, kernel.room.count)
    _demand(states[State.RUNNING] == kernel.counters.running, "running", states)
    _demand(states[State.ZOMBIE] == kernel.zombies, "zombies", states, kernel.zombies)
    for ticket in kernel.tickets.values():
        queued = ticket.state is State.QUEUED
        running = ticket.state is State.RUNNING
        waits = ticket.bid is not None or ticket.number in kernel.room.asleep
        _demand(queued == waits, "a place for each waiting call", ticket.number)
        _demand(running == (ticket.seat is not None), "a seat for each running", ticket.number)
        kids = ticket.kids or {}
        _demand(ticket.nested == len(kids), "nested calls counted", ticket.number, len(kids))
        _demand(ticket.rider is None or ticket.rider.number in kids, "a rider is nested")
        for kid in kids.values():
            _demand(kid.parent is ticket, "a nested call knows its parent", kid.number)
    counters = kernel.counters
    ended = counters.settled + sum(counters.refused.values()) + counters.lost
    alive = len(kernel.tickets)
    _demand(counters.submitted == ended + alive, "tickets conserved", counters.submitted, ended)


def _check_lanes(kernel: Kernel) -> None:
    pool = kernel.pool
    seats = [seat for group in pool.groups.values() for seat in group.seats]
    slots = {id(seat.slot): seat.slot for seat in seats}
    _demand(pool.in_use == len(slots), "lanes in use", pool.in_use, len(slots))
    _demand(pool.in_use <= pool.lanes + pool.extra, "lanes", pool.in_use, pool.lanes, pool.extra)
    extra = sum(slot.extra for slot in slots.values())
    _demand(pool.extra == extra, "lanes beyond the bound", pool.extra, extra)
    at_work = Counter(id(seat.slot) for seat in seats for _ in range(seat.busy))
    _demand(all(count == 1 for count in at_work.values()), "two at work on one lane", at_work)
    users = sum(seat.users for seat in seats)
    _demand(users == kernel.counters.running, "seats taken", users, kernel.counters.running)
    for group in pool.groups.values():
        _demand(group.in_use == len(group.seats), "group", group.name, group.in_use)
        bound = group.capacity + group.extra
        _demand(group.in_use <= bound, "group over its capacity", group.name, group.in_use)
        extra = sum(seat.extra for seat in group.seats)
        _demand(group.extra == extra, "lanes beyond the group's", group.name, group.extra)
        busy = sum(1 for seat in group.seats if seat.busy)
        _demand(group.busy == busy, "lanes at work", group.name, group.busy, busy)
        for account, count in group.agents.items():
            own = sum(1 for seat in group.seats if seat.account is account)
            _demand(count == own, "lanes of an agent", account.name, count, own)


def _check_accounts(kernel: Kernel) -> None:
    tickets = Counter(ticket.account for ticket in kernel.tickets.values())
    working: dict[Account, list[float]] = {}
    for ticket in kernel.tickets.values():
        if ticket.state is State.RUNNING and not ticket.nested:
            working.setdefault(ticket.account, []).append(ticket.started_s)
    for key, account in kernel.accounts.items():
        name = account.name
        _demand(account.key == key, "an account's key", key)
        _demand(account.tickets == tickets[account], "an agent's tickets", name, account.tickets)
        waiting = sum(bid.live for bid in account.bids.values())
        waiting += sum(ticket.account is account for ticket in kernel.room.asleep.values())
        _demand(account.waiting == waiting, "an agent's waiting calls", name, account.waiting)
        at_work = working.get(account, [])
        _demand(account.running == len(at_work), "an agent's running calls", name)
        since_s = sum(at_work)
        close = isclose(account.since_sum_s, since_s, rel_tol=1e-9, abs_tol=1e-6)
        _demand(close, "an agent's service in flight", name, account.since_sum_s, since_s)
    _demand(not set(tickets) - set(kernel.accounts.values()), "an account for each ticket")


def _check_endpoints(kernel: Kernel) -> None:
    """Whoever runs at an endpoint is counted there, once, with what it takes."""
    congestion = kernel.congestion
    running: dict[str, set[int]] = {name: set() for name in congestion.sites}
    tickets = Counter(ticket.call.endpoint for ticket in kernel.tickets.values())
    for ticket in kernel.tickets.values():
        if ticket.site is not None and ticket.state is State.RUNNING:
            running[ticket.site.name].add(ticket.number)
    for name, site in congestion.sites.items():
        endpoint = site.endpoint
        _demand(set(site.running) == running[name], "an endpoint's calls", name)
        _demand(set(endpoint.in_flight) == running[name], "calls in flight", name)
        _demand(site.tickets == tickets[name], "an endpoint's tickets", name, site.tickets)
        _demand((name in congestion.idle) == (not site.tickets), "an idle endpoint", name)
        lines = {line for line in kernel.room.lines.values() if line.site is site}
        _demand(set(site.lines) == lines, "an endpoint's lines", name)
        first = site.first
        _demand(first is None or (first.ready and first.line in lines), "who goes first", name)
        _demand(not site.changes, "changes to tell", name, site.changes)


def _check_budgets(kernel: Kernel) -> None:
    """What budgets hold is what waiting and running calls have reserved."""
    reserved: dict[tuple[int, str], float] = defaultdict(float)
    for ticket in kernel.tickets.values():
        zombie = ticket.state is State.ZOMBIE
        _demand(ticket.reserved is None or not zombie, "a zombie's reservation", ticket.number)
        _demand(ticket.charged is None or zombie, "charged before it ended", ticket.number)
        for key, amount in ticket.reserved or ():
            reserved[key] += amount
    for key, ledger in kernel.congestion.ledgers.ledgers.items():
        close = isclose(ledger.reserved, reserved[key], rel_tol=1e-9, abs_tol=1e-6)
        _demand(close, "reservations", key, ledger.reserved, reserved[key])
    held = {key for key, amount in reserved.items() if amount}
    _demand(held <= set(kernel.congestion.ledgers.ledgers), "a forgotten budget", held)


def _check_progress(kernel: Kernel) -> None:
    """Work conservation: nobody waits who could start; nothing due is left over or forgotten."""
    room, look_s = kernel.room, kernel.room.look_s
    endpoints = {site: site.endpoint for site in kernel.congestion.sites.values()}
    for site, endpoint in endpoints.items():
        site.endpoint = deepcopy(endpoint)  # Being asked changes it: it notes who was held back.
    _demand(room.choose(kernel.now_s) is None, "somebody waits who could start")
    for site, endpoint in endpoints.items():
        site.endpoint = endpoint
        site.changes.clear()
    kernel.congestion.news.clear()
    kept = room.look_s >= look_s or isclose(room.look_s, look_s, rel_tol=1e-9)
    _demand(kept, "somebody's time would have been missed", look_s, room.look_s)
    room.look_s = look_s
    deadline_s = kernel.next_deadline()
    _demand(deadline_s > kernel.now_s, "something due was left over", deadline_s)
    for ticket in kernel.tickets.values():
        queued = ticket.state is State.QUEUED
        asleep = ticket.number in room.asleep
        _demand(asleep == (queued and ticket.wake_s < NEVER), "a sleeper's date", ticket.number)
        date_s = min(ticket.deadline_s, ticket.wake_s) if queued else ticket.alarm_s
        _demand(ticket.alarm_s == date_s, "an alarm", ticket.number, ticket.alarm_s, date_s)
        _demand(ticket.alarm_s >= deadline_s, "a date that is not kept", ticket.number)
