"""The kernel as a plain value: for a store, another process, or tomorrow.

`dump` gives numbers, words, lists and dicts, as JSON has them (no infinity: None stands for never).
`load` makes a kernel of it that answers all that follows as the first one would have. Left out is
what changes no answer: the history behind `story`, and dead entries of heaps.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import fields
from heapq import heapify
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.kernel.kernel import Kernel
from agentrm_plugins.kernel.queues import LaneQueue
from agentrm_plugins.kernel.ticket import State, Ticket
from agentrm_plugins.policy.leases import NEVER, Terms
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.policy.order.mlfq_textbook import MlfqTextbook
from agentrm_plugins.types.accounts import Account, Tenant
from agentrm_plugins.types.calls import Call, Priority, Usage
from tests.kernel.dump_endpoints import (
    dump_accruals,
    dump_congestion,
    dump_need,
    load_accruals,
    load_congestion,
    load_first,
    load_need,
)

if TYPE_CHECKING:
    from agentrm_plugins.config import Config
    from agentrm_plugins.kernel.queues import Key
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.policy.lanes import Seat

__all__ = ["dump", "load"]

_FORMAT = 2
_USED = ("input_tokens", "output_tokens", "recent.weighed", "recent.at_s")
_TENANT = ("recent_tokens", "service_s", "waited_s", "refused", *_USED)
_ACCOUNT = (
    *("level", "epoch", "level_base_s", "attained_s", "running", "since_sum_s", "calls"),
    *("waited_s", "refused", "zombies", "idle_since_s", "parent", "slope", "rise_s"),
    *("recent_s", "recent_at_s", "counted_s", "ended_s", "samples", "log_sum", "log_squares"),
    *("learnt_s", "learnt_calls", "weighed_s", "weighed_log", "asks", "prior"),
    *_USED,
)
_TICKET = (
    *("submitted_s", "granted_s", "started_s", "deadline_s", "alarm_s", "paused_s"),
    *("queued_s", "progress_s", "hold_s", "held_by", "overtaken", "beats", "beaten_tokens"),
    *("attempts", "heard_s"),
    *("waited_s", "wake_s", "armed_s", "turn", "idle_s", "visible", "adaptive", "late", "lent"),
    *("rides", "is_hedge", "hedges", "given_way", "given_tokens", "reads"),
    *("yielded", "beside"),
)
_COUNTERS = (
    *("submitted", "granted", "settled", "reaped", "lost", "running", "demotions", "boosts"),
    *("waited_s", "zombie_lane_s", "input_tokens", "output_tokens"),
)
_CALL = tuple((field.name, field.default) for field in fields(Call))


def dump(kernel: Kernel) -> dict[str, Any]:
    """The kernel's state, for `load` with the same configuration.

    The kernel goes on as the loaded one would: tenants' shares that it had sorted, it sorts anew.
    """
    kernel.books.shares.generation += 1
    seats = [seat for group in kernel.books.pool.groups.values() for seat in group.seats]
    places = {seat: place for place, seat in enumerate(seats)}
    accruals = dump_accruals(kernel)
    return {
        "format": _FORMAT,
        "accruals": accruals,
        "now_s": kernel.books.now_s,
        "closed": kernel.books.closed,
        "seq": kernel.books.seq,
        "met": kernel.agents.met,
        "counters": _row(kernel.books.counters, _COUNTERS),
        "refused": dict(kernel.books.counters.refused),
        "token_rate": list(kernel.books.counters.token_rate._bins or ()),
        "scheduler": _dump_scheduler(kernel),
        "shares": kernel.books.shares.dump(),
        "tenants": [
            [tenant.name, tenant.weight, tenant.number, *_row(tenant, _TENANT)]
            for tenant in kernel.books.tenants.values()
        ],
        "accounts": [_dump_account(account) for account in kernel.books.accounts.values()],
        "idle": [list(key) for key in kernel.agents.idle],
        "seats": _dump_seats(seats),
        "peaks": [
            kernel.books.pool.peak,
            *(group.peak for group in kernel.books.pool.groups.values()),
        ],
        "tickets": [_dump_ticket(ticket, places) for ticket in kernel.books.tickets.values()],
        "alarms": [entry for entry in _dates(kernel) if entry[1] in kernel.books.tickets],
        "turn": kernel.queue.turn,
        "asleep": list(kernel.queue.asleep),
        "lines": [list(key) for key in kernel.queue.queues],
        "look_s": None if kernel.queue.look_s == NEVER else kernel.queue.look_s,
        "passed": [kernel.queue.passed[group] for group in kernel.books.pool.groups.values()],
        "congestion": dump_congestion(kernel),
        "late": list(kernel.late.late),
        "hedges": list(kernel.books.hedges),
        "nested": [list(kids) for kids in kernel.nested.waiting.values()],
    }


def load(config: Config, state: dict[str, Any]) -> Kernel:
    """A kernel that goes on where the dumped one was.

    Args:
        config: The configuration with which the dumped kernel was made.
        state: What `dump` gave.

    Raises:
        ConfigError: The state was written in a format that this version does not read.
    """
    if state.get("format") != _FORMAT:
        way = f"this version reads format {_FORMAT}; dump with the version that loads"
        raise ConfigError("format", state.get("format"), way)
    kernel = Kernel(config, state["now_s"])
    kernel.books.closed = state["closed"]
    kernel.books.seq = state["seq"]
    _set(kernel.books.counters, _COUNTERS, state["counters"])
    kernel.books.counters.refused = Counter(state["refused"])
    kernel.books.counters.token_rate._bins = array("d", state["token_rate"]) or None
    _load_scheduler(kernel, state["scheduler"])
    load_congestion(kernel, state["congestion"])
    _load_agents(kernel, state)
    kernel.books.shares.load(state["shares"], kernel.books.tenants)
    seats = _load_seats(kernel, state)
    for row in state["tickets"]:
        _load_ticket(kernel, row, seats)
    _tie(kernel, state)
    _load_room(kernel, state)
    load_first(kernel, state["congestion"])
    books = kernel.books
    books.gauges.recount(books.tickets.values(), books.accounts.values())
    kernel.handle(kernel.books.now_s)  # Nothing is due, but when something will be is to be known.
    return kernel


def _row(thing: object, names: tuple[str, ...]) -> list[Any]:
    values = [attrgetter(name)(thing) for name in names]
    return [None if value == NEVER else value for value in values]


def _set(thing: object, names: tuple[str, ...], values: list[Any]) -> None:
    for name, value in zip(names, values, strict=True):
        never = value is None and name.endswith("_s")
        owner, _, name = name.rpartition(".")
        setattr(attrgetter(owner)(thing) if owner else thing, name, NEVER if never else value)


# -- the order ------------------------------------------------------------------------------


def _dump_scheduler(kernel: Kernel) -> list[Any]:
    scheduler = kernel.books.scheduler
    if isinstance(scheduler, Mlfq):
        return scheduler.expected.dump()
    if isinstance(scheduler, MlfqTextbook):
        return _row(scheduler, ("dispatches", "epoch", "next_boost_s"))
    return []


def _load_scheduler(kernel: Kernel, row: list[Any]) -> None:
    scheduler = kernel.books.scheduler
    if isinstance(scheduler, Mlfq):
        scheduler.expected.load(row)
    elif row:
        _set(scheduler, ("dispatches", "epoch", "next_boost_s"), row)


# -- agents and tenants ---------------------------------------------------------------------


def _dump_account(account: Account) -> dict[str, Any]:
    return {
        "agent": account.name,
        "tenant": account.tenant.name,
        "hint": None if account.hint is None else str(account.hint),
        "children": list(account.children),
        "row": _row(account, _ACCOUNT),
        "bids": [
            {
                "place": [bid.turn, bid.ready, bid.level, bid.slot],
                "tickets": [ticket.number for ticket in bid.queue],
            }
            for bid in account.bids.values()
        ],
    }


def _load_agents(kernel: Kernel, state: dict[str, Any]) -> None:
    for name, weight, number, *row in state["tenants"]:
        tenant = kernel.books.tenants[name] = Tenant(name, weight, number)
        _set(tenant, _TENANT, row)
    for entry in state["accounts"]:
        tenant = kernel.books.tenants[entry["tenant"]]
        tenant.accounts += 1
        hint = None if entry["hint"] is None else Priority(entry["hint"])
        account = Account(entry["agent"], tenant, hint, kernel.books.now_s)
        _set(account, _ACCOUNT, entry["row"])
        account.children = dict.fromkeys(entry["children"])
        kernel.books.accounts[account.key] = account
    kernel.agents.met = state["met"]
    kernel.agents.idle.update(dict.fromkeys((tenant, name) for tenant, name in state["idle"]))


# -- lanes ----------------------------------------------------------------------------------


def _dump_seats(seats: list[Seat]) -> list[list[Any]]:
    slots: dict[int, int] = {}
    return [
        [
            seat.group.name,
            *seat.account.key,
            slots.setdefault(id(seat.slot), len(slots)),
            seat.users,
            seat.busy,
            seat.extra,
            seat.slot.extra,
        ]
        for seat in seats
    ]


def _load_seats(kernel: Kernel, state: dict[str, Any]) -> list[Seat]:
    pool = kernel.books.pool
    first: dict[int, Seat] = {}
    seats = []
    for name, tenant, agent, slot, users, busy, extra, slot_extra in state["seats"]:
        group = pool.groups[name]
        seat = pool.take(group, kernel.books.accounts[tenant, agent], first.get(slot))
        first.setdefault(slot, seat)
        seat.users, seat.busy = users, busy
        seat.extra, seat.slot.extra = extra, slot_extra
        group.busy += 1 if busy else 0
        seats.append(seat)
    pool.extra = sum(seat.slot.extra for seat in first.values())
    pool.peak, *peaks = state["peaks"]
    for group, peak in zip(pool.groups.values(), peaks, strict=True):
        group.peak = peak
        group.extra = sum(seat.extra for seat in group.seats)
    return seats


# -- tickets --------------------------------------------------------------------------------


def _dump_ticket(ticket: Ticket, places: dict[Seat, int]) -> dict[str, Any]:
    return {
        "number": [ticket.number, ticket.seq],
        "state": ticket.state.value,
        "call": _dump_call(ticket.call),
        "row": _row(ticket, _TICKET),
        "terms": None if ticket.terms is None else _row(ticket.terms, Terms._fields),
        **dump_need(ticket),
        "seat": None if ticket.seat is None else places[ticket.seat],
        "kids": list(ticket.kids or ()),
        "hedge": None if ticket.hedge is None else ticket.hedge.number,
        "rider": None if ticket.rider is None else ticket.rider.number,
    }


def _dump_call(call: Call) -> dict[str, Any]:
    given = {name: getattr(call, name) for name, _ in _CALL}
    given = {name: given[name] for name, default in _CALL if given[name] != default}
    if "priority" in given:
        given["priority"] = str(given["priority"])
    if "estimate" in given:
        usage = given["estimate"]
        given["estimate"] = [usage.input_tokens, usage.output_tokens, usage.cached_input_tokens]
    return given


def _load_ticket(kernel: Kernel, entry: dict[str, Any], seats: list[Seat]) -> None:
    given = dict(entry["call"])
    if "estimate" in given:
        given["estimate"] = Usage(*given["estimate"])
    call = Call(**given)
    account = kernel.books.accounts[call.tenant, call.agent]
    number, seq = entry["number"]
    ticket = Ticket(number, seq, call, account, kernel.books.pool.groups[call.group], 0.0)
    _set(ticket, _TICKET, entry["row"])
    account.tickets += 1
    ticket.state = State(entry["state"])
    if entry["terms"] is not None:
        *limits, cause = entry["terms"]
        first_s, silence_s, total_s = (NEVER if value is None else value for value in limits)
        ticket.terms = Terms(first_s, silence_s, total_s, cause)
    load_need(kernel, ticket, entry)
    kernel.books.zombies += ticket.state is State.ZOMBIE
    if entry["seat"] is not None:
        ticket.seat = seats[entry["seat"]]
    kernel.books.tickets[number] = ticket


def _tie(kernel: Kernel, state: dict[str, Any]) -> None:
    """Nested calls and those in which they are nested."""
    tickets = kernel.books.tickets
    for entry in state["tickets"]:
        ticket = tickets[entry["number"][0]]
        if entry["kids"]:
            ticket.kids = {number: tickets[number] for number in entry["kids"]}
            ticket.nested = len(ticket.kids)
            for kid in ticket.kids.values():
                kid.parent = ticket
        if entry["hedge"] is not None:
            ticket.hedge = tickets[entry["hedge"]]
            ticket.hedge.first = ticket
        if entry["rider"] is not None:
            ticket.rider = tickets[entry["rider"]]
    load_accruals(kernel, state["accruals"])
    kernel.late.late = {number: tickets[number] for number in state["late"]}
    kernel.books.hedges.update({number: tickets[number] for number in state["hedges"]})
    for ticket in tickets.values():
        if ticket.lent:
            kernel.books.pool.lend(ticket.group, 1)
        kernel.books.pool.riders += ticket.rides
    for numbers in state["nested"]:
        first = tickets[numbers[0]]
        key = first.group, first.endpoint
        kernel.nested.waiting[key] = {number: tickets[number] for number in numbers}


# -- who waits ------------------------------------------------------------------------------


def _load_room(kernel: Kernel, state: dict[str, Any]) -> None:
    queue, calls = kernel.queue, kernel.books.tickets
    _load_dates(kernel, [(at_s, calls[number]) for at_s, number in state["alarms"]])
    for number in state["asleep"]:
        queue.sleep(calls[number])
    for account, entry in zip(kernel.books.accounts.values(), state["accounts"], strict=True):
        for offer in entry["bids"]:
            turn, ready, level, slot = offer["place"]
            tickets = [kernel.books.tickets[number] for number in offer["tickets"]]
            bid = _restore(queue, account, tickets, turn)
            bid.level, bid.slot = level, slot
            if ready:
                bid.ready = True
                bid.line.offered += 1
                bid.line.ready.restore(bid)
                queue._note_turn(bid)
    _arrange(kernel, [(group, at, tenant) for group, at, tenant in state["lines"]])
    queue.look_s = NEVER if state["look_s"] is None else state["look_s"]
    queue.turn = state["turn"]
    queue.passed.update(zip(kernel.books.pool.groups.values(), state["passed"], strict=True))


def _restore(queue: WaitQueue, account: Account, tickets: list[Ticket], turn: int) -> AgentQueue:
    """Make a bid as it was when the kernel was dumped; it is not on offer yet."""
    lane_queue = queue._queue(tickets[0])
    bid = account.bids[lane_queue] = AgentQueue(account, lane_queue, turn)
    lane_queue.bids += 1
    for ticket in tickets:
        bid.append(ticket)
        queue._enqueue(ticket, bid)
    return bid


def _arrange(kernel: Kernel, keys: list[Key]) -> None:
    """Bring the queues into the order that they had; those without anybody are made anew."""
    queue, books = kernel.queue, kernel.books
    queues, queue.queues = queue.queues, {}
    for key in keys:
        found = queues.get(key)
        if found is None:
            group = books.pool.groups[key[0]]
            found = LaneQueue(key, group, None, None, books.scheduler.queue())
        queue.queues[key] = found


def _dates(kernel: Kernel) -> list[tuple[float, int]]:
    """The dates in the alarms' heap with the tickets' numbers."""
    return sorted((at_s, number) for at_s, number, _ in kernel.books.alarms._heap)


def _load_dates(kernel: Kernel, entries: list[tuple[float, Ticket]]) -> None:
    """The same again, without what is dead; tickets know their own dates."""
    heap = kernel.books.alarms._heap = [(at_s, item.number, item) for at_s, item in entries]
    heapify(heap)
