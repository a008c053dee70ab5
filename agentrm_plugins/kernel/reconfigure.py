"""A running core takes another configuration: lanes, limits, budgets, priorities. No call is lost.

What cannot change while calls are under way (the order, its levels, a lane group that somebody
uses) is refused before anything has changed. Where less is allowed than is in use, running calls
go on and nobody new starts until there is room.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.kernel.endpoints import fitting
from agentrm_plugins.types.effects import Drained

if TYPE_CHECKING:
    from agentrm_plugins.config import Config
    from agentrm_plugins.kernel.agents import Agents
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.clocks import Clocks
    from agentrm_plugins.kernel.endpoints import Endpoints
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.kernel.wait_queue import WaitQueue
    from agentrm_plugins.types import events as ev

__all__ = ["Reconfigure"]

_UNKNOWN = EndpointConfig()


class Reconfigure:
    """Applies it.

    Args:
        books: The kernel's books.
        agents: Who has called.
        endpoints: Where calls go.
        queue: Who waits.
        clocks: Times running calls.
    """

    def __init__(
        self, books: Books, agents: Agents, endpoints: Endpoints, queue: WaitQueue, clocks: Clocks
    ) -> None:
        self._books = books
        self._agents = agents
        self._endpoints = endpoints
        self._queue = queue
        self._clocks = clocks

    def reconfigure(self, event: ev.Reconfigure) -> bool:
        """Take another configuration, and priorities of single agents.

        Raises:
            ConfigError: Something of it cannot change while the core runs; nothing has changed.
        """
        config = event.config
        if config is not None and config != self._books.config:
            self._check(config)
            self._apply(config)
        for tenant, agent, hint in event.hints:
            self._agents.hint(tenant, agent, hint)
            account = self._books.accounts.get((tenant, agent))
            if account is not None and account.bids:
                self._queue.recharged(account, self._books.now_s)
        return True

    def drain(self, event: ev.Drain) -> bool:
        """New calls of an agent are refused from now on, or let in again."""
        key, cause = (event.tenant, event.agent), "drained" if event.drain else "let_in"
        if event.drain:
            self._agents.drained.add(key)
        else:
            self._agents.drained.discard(key)
        self._books.out.append(Drained(self._books.now_s, 0, event.agent, cause, event.tenant))
        return False

    def _check(self, config: Config) -> None:
        old = self._books.config
        if config.scheduler != old.scheduler:
            way = "a running core keeps its order and levels; make a new AgentRM for others"
            raise ConfigError("scheduler", config.scheduler.order, way)
        if config.providers != old.providers:
            way = "a running core keeps its tables; make a new AgentRM for others"
            raise ConfigError("providers", len(config.providers), way)
        kept = {group.name for group in config.groups}
        for name, group in self._books.pool.groups.items():
            if name not in kept and (group.in_use or self._queue.waiting[group] or group.lent):
                way = "calls run or wait there: let them end first, or keep the group"
                raise ConfigError("groups", name, way)

    def _apply(self, config: Config) -> None:
        books, queue, now_s = self._books, self._queue, self._books.now_s
        waiting = [one for one in books.tickets.values() if one.bid is not None]
        for ticket in waiting:
            queue.remove(ticket, now_s)
        for account in books.accounts.values():
            assert not account.bids  # noqa: S101 - nobody waits at this moment
        books.config = config
        books.pool.reconfigure(config.lanes, config.groups)
        queue.reconfigure()
        books.shares.resize(config.lanes)
        for name, tenant in books.tenants.items():
            own = config.tenants.get(name)
            tenant.weight = own.weight if own else 1.0
        self._clocks.reconfigure()
        self._limits(config)
        books.ledgers.reconfigure(config.budgets, config.shares, books.tickets.values())
        for ticket in waiting:
            self._again(ticket)

    def _again(self, ticket: Ticket) -> None:
        """A waiting call stands in line again, at the place that it had."""
        if ticket.endpoint is not None:
            ticket.need = ticket.endpoint.need(ticket.call)
        self._queue.put_at_place(ticket, self._books.now_s)

    def _limits(self, config: Config) -> None:
        for name, endpoint in self._books.endpoints.items():
            told = fitting(config.endpoints, name) or _UNKNOWN
            endpoint.price = fitting(config.prices, name)
            if told != endpoint.config:
                endpoint.reconfigure(told, config.lanes, self._books.now_s)
                self._endpoints.tell(endpoint)
            self._books.failing.append(endpoint)  # Who waits may be too large now.
