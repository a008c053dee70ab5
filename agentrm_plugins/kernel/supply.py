"""What a fleet gives a kernel, and takes back: the only places where lanes and limits change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.kernel.tallies import learn
from agentrm_plugins.kernel.ticket import State
from agentrm_plugins.policy.endpoint.shared_endpoint import SharedEndpoint
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.types.fleet import EndpointSupply

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.reaper import Reaper
    from agentrm_plugins.kernel.steps import Steps
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.kernel.waits import Waits
    from agentrm_plugins.types import events as ev

__all__ = ["Supplies"]


class Supplies:
    """Handles what a coordinator says.

    Args:
        books: The kernel's books.
        steps: What happens to a ticket.
        endpoints: Where amounts go.
        queue: Who waits.
        reaper: Ends calls whose places were given to others.
        waits: Who sleeps until others have heard of what it reserved.
    """

    def __init__(
        self,
        books: Books,
        steps: Steps,
        endpoints: Endpoints,
        queue: WaitQueue,
        reaper: Reaper,
        waits: Waits,
    ) -> None:
        self._books = books
        self._steps = steps
        self._endpoints = endpoints
        self._queue = queue
        self._reaper = reaper
        self._waits = waits

    def supply(self, event: ev.Supply) -> bool:
        """Take what is given; others may go then."""
        books, pool = self._books, self._books.pool
        if event.set is not None:
            groups = {name: event.set.get(f"g:{name}", 0) for name in pool.groups}
            pool.supply(event.set.get("l", 0), groups)
        pool.lanes += event.change.get("l", 0)
        for name, group in pool.groups.items():
            group.capacity += event.change.get(f"g:{name}", 0)
            if event.relief:
                self._queue.passed[group] = books.config.scheduler.boost_interval
        pool.lease_s, pool.slice_s, pool.lapsed = event.lease_s, event.slice_s, False
        pool.busy_elsewhere = event.busy
        self._supply_endpoints(event)
        if event.lease_s <= books.now_s:  # this process stood still while the answer came
            self.lapse()
        books.ledgers.members = event.members
        if event.marks is not None:
            books.ledgers.lower(event.marks)
        learn(books, event.tallies)
        self._confirm()
        given_up: list[Ticket] = []
        for key in sorted(event.lost, reverse=True):  # "l" before "g:...", "c:..." last
            given_up += self._lose(key, event.lost[key], given_up)
        books.refusing = event.refuse
        if event.refuse:
            self._refuse()
        return True

    def _supply_endpoints(self, event: ev.Supply) -> None:
        now_s = self._books.now_s
        for name, given in event.endpoints.items():
            endpoint = self._endpoints.of(name)
            if isinstance(endpoint, SharedEndpoint):
                if endpoint.places < NEVER:
                    endpoint.places += event.change.get(f"c:{name}", 0)
                endpoint.supply(given, now_s, void=event.void)
                self._endpoints.tell(endpoint)
                if not endpoint.calls:
                    self._endpoints.note_idle(endpoint)
        if event.void:
            for name, endpoint in self._books.endpoints.items():
                if isinstance(endpoint, SharedEndpoint) and name not in event.endpoints:
                    nothing = EndpointSupply(version=endpoint.version)
                    endpoint.supply(nothing, now_s, void=True)

    def _confirm(self) -> None:
        """The fleet has heard of what calls have reserved: they go, or a budget has no room."""
        books = self._books
        asleep = [one for one in self._queue.asleep.values() if one.unheard is not None]
        going, refused = books.ledgers.confirm(asleep, books.now_s)
        numbers = {spender.number for spender in going}
        words = {spender.number: text for spender, text in refused}
        for ticket in asleep:
            if ticket.number in numbers:
                self._waits.heard(ticket)
        for ticket in asleep:
            if ticket.number in words:
                self._steps.turn_away(ticket, "budget", words[ticket.number])

    def _refuse(self) -> None:
        """Nobody is to go: whoever waits is told so."""
        for ticket in list(self._books.tickets.values()):
            if ticket.state is State.QUEUED:
                self._steps.turn_away(ticket, "coordinator_unavailable")

    def lapse(self) -> None:
        """The lease is over and nobody has renewed it: nothing new goes until somebody does."""
        self._books.pool.lapse()
        for endpoint in self._books.endpoints.values():
            if isinstance(endpoint, SharedEndpoint):
                endpoint.void(self._books.now_s)

    def recall(self, event: ev.Recall) -> bool:
        """Give back what is idle."""
        books = self._books
        pool = books.pool
        idle = min(event.places.get("l", 0), max(0, pool.lanes - pool.in_use))
        pool.lanes -= idle
        for name, group in pool.groups.items():
            back = min(event.places.get(f"g:{name}", 0), max(0, group.capacity - group.in_use))
            group.capacity -= back
        for name, endpoint in books.endpoints.items():
            if isinstance(endpoint, SharedEndpoint):
                back = event.places.get(f"c:{name}", 0)
                if back and endpoint.places < NEVER:
                    free = max(0, int(endpoint.places) - len(endpoint.in_flight))
                    endpoint.places -= min(back, free)
                if name in event.amounts:
                    endpoint.recall(event.amounts[name], books.now_s)
        return False

    def _lose(self, key: str, number: int, given_up: list[Ticket]) -> list[Ticket]:
        """So many calls run without such a place: the newest are given up, those not told twice."""
        number -= sum(_has(ticket, key) for ticket in given_up)
        running = [
            ticket
            for ticket in self._books.tickets.values()
            if ticket.state is State.RUNNING
            and ticket.seat is not None
            and not ticket.nested
            and _has(ticket, key)
        ]
        running.sort(key=lambda ticket: (-ticket.granted_s, -ticket.number))
        lost = running[: max(0, number)]
        for ticket in lost:
            self._reaper.give_up(ticket, "lost")
        return lost


def _has(ticket: Ticket, key: str) -> bool:
    """Whether the call is at a place of this kind."""
    if key.startswith("c:"):
        return ticket.endpoint is not None and ticket.endpoint.name == key[2:]
    return key in {"l", f"g:{ticket.group.name}"}
