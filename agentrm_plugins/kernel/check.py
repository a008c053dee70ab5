"""The kernel's invariants, checked after every test and by anyone who doubts."""

from __future__ import annotations

from collections import Counter, defaultdict
from math import isclose
from typing import TYPE_CHECKING

from agentrm_plugins.errors import KernelBug
from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.leases import NEVER

if TYPE_CHECKING:
    from collections.abc import Collection

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.types.accounts import Account

__all__ = ["check"]

_LIVE = (State.QUEUED, State.RUNNING, State.ZOMBIE)


def check(books: Books, queue: WaitQueue, idle: Collection[str], deadline_s: float) -> None:
    """Check every invariant.

    Args:
        books: The kernel's books.
        queue: Who waits.
        idle: The endpoints that count as idle, by name.
        deadline_s: When the kernel asks to be called again.

    Raises:
        KernelBug: One does not hold; the message says which, with the numbers.
    """
    _check_tickets(books, queue)
    _check_lanes(books)
    _check_accounts(books, queue)
    _check_endpoints(books, queue, idle)
    _check_budgets(books)
    _check_progress(books, queue, deadline_s)


def _demand(condition: object, what: str, *numbers: object) -> None:
    if not condition:
        raise KernelBug(f"{what}: {', '.join(map(repr, numbers))}")


def _check_tickets(books: Books, queue: WaitQueue) -> None:
    states = Counter(ticket.state for ticket in books.tickets.values())
    _demand(set(states) <= set(_LIVE), "a finished ticket is still there", states)
    _demand(states[State.QUEUED] == queue.count, "waiting", states, queue.count)
    _demand(states[State.RUNNING] == books.counters.running, "running", states)
    _demand(states[State.ZOMBIE] == books.zombies, "zombies", states, books.zombies)
    for ticket in books.tickets.values():
        queued = ticket.state is State.QUEUED
        running = ticket.state is State.RUNNING
        waits = ticket.bid is not None or ticket.number in queue.asleep
        _demand(queued == waits, "a place for each waiting call", ticket.number)
        seated = ticket.seat is not None
        _demand((running and not ticket.lent) == seated, "a seat for each running", ticket.number)
        _demand(running or not (ticket.lent or ticket.rides or ticket.late), "late", ticket.number)
        hedge = ticket.hedge
        _demand(hedge is None or hedge.first is ticket, "a hedge knows the first", ticket.number)
        kids = ticket.kids or {}
        _demand(ticket.nested == len(kids), "nested calls counted", ticket.number, len(kids))
        _demand(ticket.rider is None or ticket.rider.number in kids, "a rider is nested")
        for kid in kids.values():
            _demand(kid.parent is ticket, "a nested call knows its parent", kid.number)
    for lanes in queue.queues.values():
        _demand(lanes.offered == len(lanes.ready), "bids on offer", lanes.key, lanes.offered)
    counters = books.counters
    ended = counters.settled + sum(counters.refused.values()) + counters.lost
    alive = len(books.tickets)
    _demand(counters.submitted == ended + alive, "tickets conserved", counters.submitted, ended)


def _check_lanes(books: Books) -> None:
    pool = books.pool
    seats = [seat for group in pool.groups.values() for seat in group.seats]
    slots = {id(seat.slot): seat.slot for seat in seats}
    _demand(pool.in_use == len(slots), "lanes in use", pool.in_use, len(slots))
    if not pool.supplied:  # What a fleet takes back may be in use still.
        within = pool.in_use <= pool.lanes + pool.extra
        _demand(within, "lanes", pool.in_use, pool.lanes, pool.extra)
    extra = sum(slot.extra for slot in slots.values())
    _demand(pool.extra == extra, "lanes beyond the bound", pool.extra, extra)
    at_work = Counter(id(seat.slot) for seat in seats for _ in range(seat.busy))
    _demand(all(count == 1 for count in at_work.values()), "two at work on one lane", at_work)
    users = sum(seat.users for seat in seats)
    lent = sum(ticket.lent for ticket in books.tickets.values())
    riders = sum(ticket.rides for ticket in books.tickets.values())
    seated = books.counters.running - lent
    _demand(users == seated, "seats taken", users, seated)
    _demand((pool.lent, pool.riders) == (lent, riders), "lanes lent", pool.lent, pool.riders)
    _demand(lent == sum(group.lent for group in pool.groups.values()), "lent by group", lent)
    for group in pool.groups.values():
        _demand(group.in_use == len(group.seats), "group", group.name, group.in_use)
        bound = group.capacity + group.extra
        _demand(
            pool.supplied or group.in_use <= bound,
            "group over its capacity",
            group.name,
            group.in_use,
        )
        extra = sum(seat.extra for seat in group.seats)
        _demand(group.extra == extra, "lanes beyond the group's", group.name, group.extra)
        busy = sum(1 for seat in group.seats if seat.busy)
        _demand(group.busy == busy, "lanes at work", group.name, group.busy, busy)
        for account, count in group.agents.items():
            own = sum(1 for seat in group.seats if seat.account is account)
            _demand(count == own, "lanes of an agent", account.name, count, own)


def _check_accounts(books: Books, queue: WaitQueue) -> None:
    tickets = Counter(ticket.account for ticket in books.tickets.values())
    working: dict[Account, list[float]] = {}
    for ticket in books.tickets.values():
        waits = ticket.nested or ticket.lent or ticket.is_ridden
        if ticket.state is State.RUNNING and not waits:
            working.setdefault(ticket.account, []).append(ticket.started_s)
    for key, account in books.accounts.items():
        name = account.name
        _demand(account.key == key, "an account's key", key)
        _demand(account.tickets == tickets[account], "an agent's tickets", name, account.tickets)
        waiting = sum(bid.live for bid in account.bids.values())
        waiting += sum(ticket.account is account for ticket in queue.asleep.values())
        _demand(account.waiting == waiting, "an agent's waiting calls", name, account.waiting)
        at_work = working.get(account, [])
        _demand(account.running == len(at_work), "an agent's running calls", name)
        since_s = sum(at_work)
        close = isclose(account.since_sum_s, since_s, rel_tol=1e-9, abs_tol=1e-6)
        _demand(close, "an agent's service in flight", name, account.since_sum_s, since_s)
    _demand(not set(tickets) - set(books.accounts.values()), "an account for each ticket")


def _check_endpoints(books: Books, queue: WaitQueue, idle: Collection[str]) -> None:
    """Whoever runs at an endpoint is counted there, once, with what it takes."""
    known = books.endpoints
    running: dict[str, set[int]] = {name: set() for name in known}
    tickets = Counter(ticket.call.endpoint for ticket in books.tickets.values())
    for ticket in books.tickets.values():
        if ticket.endpoint is not None and ticket.state is State.RUNNING:
            running[ticket.endpoint.name].add(ticket.number)
    for name, endpoint in known.items():
        _demand(set(endpoint.in_flight) == running[name], "calls in flight", name)
        _demand(endpoint.calls == tickets[name], "an endpoint's calls", name, endpoint.calls)
        _demand((name in idle) == (not endpoint.calls), "an idle endpoint", name)
        at = queue.at.get(name)
        own = {q for q in queue.queues.values() if q.at is not None and q.key[1] == name}
        _demand((set() if at is None else set(at.queues)) == own, "an endpoint's queues", name)
        first = None if at is None else at.first
        _demand(first is None or (first.ready and first.line in own), "who goes first", name)
        _demand(not endpoint.news, "changes to tell", name, endpoint.news)


def _check_budgets(books: Books) -> None:
    """What budgets hold is what waiting and running calls have reserved."""
    reserved: dict[tuple[int, str], float] = defaultdict(float)
    for ticket in books.tickets.values():
        zombie = ticket.state is State.ZOMBIE
        _demand(ticket.reserved is None or not zombie, "a zombie's reservation", ticket.number)
        _demand(ticket.charged is None or zombie, "charged before it ended", ticket.number)
        for key, amount in ticket.reserved or ():
            reserved[key] += amount
    for key, ledger in books.ledgers.ledgers.items():
        close = isclose(ledger.reserved, reserved[key], rel_tol=1e-9, abs_tol=1e-6)
        _demand(close, "reservations", key, ledger.reserved, reserved[key])
    held = {key for key, amount in reserved.items() if amount}
    _demand(held <= set(books.ledgers.ledgers), "a forgotten budget", held)


def _check_progress(books: Books, queue: WaitQueue, deadline_s: float) -> None:
    """Work conservation: nobody waits who could start; nothing due is left over or forgotten."""
    now_s = books.now_s
    choice = queue.choose(now_s)
    if queue.looked_s == now_s or not books.scheduler.ages:
        _demand(choice.bid is None, "somebody waits who could start")
        look_s = choice.look_s(now_s)
        kept = queue.look_s <= look_s or isclose(queue.look_s, look_s, rel_tol=1e-9)
        _demand(kept or not queue.count, "somebody's time would have been missed", look_s)
    _demand(deadline_s > now_s, "something due was left over", deadline_s)
    for ticket in books.tickets.values():
        queued = ticket.state is State.QUEUED
        asleep = ticket.number in queue.asleep
        _demand(asleep == (queued and ticket.wake_s < NEVER), "a sleeper's date", ticket.number)
        date_s = min(ticket.deadline_s, ticket.wake_s) if queued else ticket.alarm_s
        _demand(ticket.alarm_s == date_s, "an alarm", ticket.number, ticket.alarm_s, date_s)
        _demand(ticket.alarm_s >= deadline_s, "a date that is not kept", ticket.number)
