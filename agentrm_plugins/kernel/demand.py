"""What a kernel wants of a fleet: who waits, in order, what is used, what was seen. A question.

The first `most` calls by the local order, one of each agent in turn, then the agents' further ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.config import Order
from agentrm_plugins.kernel.selection import on_offer
from agentrm_plugins.kernel.tallies import tallies
from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.endpoint.shared_endpoint import SharedEndpoint, said_of
from agentrm_plugins.policy.order.mlfq import claimed_since_s
from agentrm_plugins.types.calls import Priority
from agentrm_plugins.types.fleet import Ask, Demand, EndpointDemand, Sight

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.queues import LaneQueue
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.policy.order.agent_queue import AgentQueue

__all__ = ["demand", "sight"]

_CLASS = {None: 0, Priority.INTERACTIVE: 0, Priority.BATCH: 1, Priority.BACKGROUND: 2}


def demand(kernel: Kernel, most: int = 32) -> Demand:
    """All that an exchange needs; at most `most` calls that wait."""
    books = kernel.books
    pool = books.pool
    use, have = {"l": pool.in_use}, {"l": pool.lanes}
    busy = {}
    for name, group in pool.groups.items():
        use[f"g:{name}"], have[f"g:{name}"] = group.in_use, group.capacity
        busy[f"g:{name}"] = group.busy
    endpoints = {}
    for name, endpoint in books.endpoints.items():
        if not isinstance(endpoint, SharedEndpoint):
            continue
        flying = len(endpoint.in_flight)
        use[f"c:{name}"] = flying
        have[f"c:{name}"] = flying if endpoint.places == float("inf") else int(endpoint.places)
        endpoints[name] = EndpointDemand(
            flying,
            endpoint.hand(books.now_s),
            dict(endpoint.returned),
            {k: dict(v) if isinstance(v, dict) else v for k, v in endpoint.seen.items()},
            tuple(endpoint.events),
            endpoint.told,
            endpoint.version,
            said_of(endpoint.config),
        )
    asks = tuple(_asks(kernel, most)) if kernel.queue.count else ()
    granted = {f"g:{name}": group.taken for name, group in pool.groups.items()}
    waiting, spent = kernel.queue.count, tallies(books)
    return Demand(books.now_s, asks, waiting, use, have, busy, endpoints, granted, spent)


def sight(kernel: Kernel) -> Sight:
    """What says whether an exchange is worth it now."""
    books, pool = kernel.books, kernel.books.pool
    idle = pool.lanes > pool.in_use
    return Sight(kernel.queue.count, pool.withheld, idle, books.ledgers.asking)


def _asks(kernel: Kernel, most: int) -> Iterator[Ask]:
    now_s, queue = kernel.books.now_s, kernel.queue
    ready = [lanes for lanes in queue.queues.values() if lanes.offered]
    bids = list(_in_order(ready, now_s, most))
    oldest = _oldest(ready)
    if oldest is not None:
        yield _ask(kernel, oldest, oldest.head, 0, oldest=True)
    for bid in bids:
        yield _ask(kernel, bid, bid.head, 0)
    left = most - len(bids)
    chains = [(bid, bid.head.after) for bid in bids]
    place = 0
    while left > 0 and chains:
        place += 1
        following = []
        for bid, ticket in chains:
            if ticket is not None and left > 0:
                left -= 1
                yield _ask(kernel, bid, ticket, place)
                following.append((bid, ticket.after))
        chains = following


def _in_order(ready: list[LaneQueue], now_s: float, most: int) -> Iterator[AgentQueue]:
    """Bids in the order in which they would go; all of them stay where they are."""
    found: list[AgentQueue] = []
    while len(found) < most:
        heads = [bid for lanes in ready if (bid := lanes.ready.best(now_s)) is not None]
        if not heads:
            break
        bid = min(heads, key=lambda bid: bid.line.ready.rank(bid, now_s))
        bid.line.ready.remove(bid)
        found.append(bid)
    for bid in found:
        bid.line.ready.restore(bid)
    firsts = [bid for bid in found if bid.line.at is not None and bid.line.at.first is bid]
    yield from firsts
    for bid in found:
        if bid not in firsts:
            yield bid


def _oldest(ready: list[LaneQueue]) -> AgentQueue | None:
    """The agent whose turn has waited longest, where the order remembers that."""
    turns = [entry for lanes in ready for entry in lanes.oldest if on_offer(entry)]
    return min(turns)[1] if turns else None


def _ask(
    kernel: Kernel, bid: AgentQueue, ticket: Ticket, place: int, *, oldest: bool = False
) -> Ask:
    books = kernel.books
    if books.config.scheduler.order is Order.PRIORITY:
        level = _CLASS[ticket.call.priority]
    else:
        level = books.scheduler.level(ticket.account, books.now_s)
    since_s = max(ticket.submitted_s, bid.turn_s) if not place else books.now_s
    if books.config.scheduler.order is Order.FIFO:
        since_s = ticket.submitted_s
    elif books.config.scheduler.order is Order.MLFQ and not oldest:
        since_s = claimed_since_s(ticket.account, since_s, books.now_s)
    places = _places(ticket)
    endpoint = ticket.endpoint
    if isinstance(endpoint, SharedEndpoint) and endpoint.places < float("inf"):
        places.append(f"c:{endpoint.name}")
    amounts = {} if endpoint is None else ticket.need
    name = None if endpoint is None else endpoint.name
    return Ask(level, since_s, tuple(places), name, amounts, oldest)


def _places(ticket: Ticket) -> list[str]:
    """The lanes that a call lacks: a nested one rides on its parent's, if that is not lent."""
    parent, group = ticket.parent, f"g:{ticket.group.name}"
    if parent is None or parent.rider is not None or parent.state is not State.RUNNING:
        return ["l", group]
    return [] if parent.group is ticket.group else [group]
