"""Budgets of agents and tenants: reserved when a call comes, settled when it ends.

A call is charged to each budget that fits its agent, every agent above that, or its tenant. One
with no room refuses it; one above its soft mark slows it down (`policy.budget`). A ledger in which
nothing is spent (any more) is forgotten; what is spent of a budget without a window stays.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.kernel.rate_shares import RateShares
from agentrm_plugins.policy.spending.budget import Budget, Resource, first_refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.config.endpoints import Price
    from agentrm_plugins.kernel.kernel import Kernel
    from agentrm_plugins.kernel.rate_shares import Owner
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types.accounts import Account
    from agentrm_plugins.types.calls import Usage

__all__ = ["Ledgers"]

_NOTHING = dict.fromkeys(Resource, 0.0)


class Ledgers:
    """All budgets of one kernel, each made when somebody whom it fits first calls.

    Args:
        kernel: The kernel that they belong to.
    """

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._budgets = kernel.config.budgets
        self.ledgers: dict[tuple[int, str], Budget] = {}
        self.shares = RateShares(kernel.config.shares)

    def enter(self, ticket: Ticket) -> str | None:
        """Reserve for a call that comes. What refuses it, in words; None if nothing does."""
        now_s, account = self._kernel.now_s, ticket.account
        if not self._budgets:
            owners = self._owners(account) if self._kernel.config.shares else ()
            return self.shares.enter(ticket, owners, now_s)
        self._forget()
        amounts = self._amounts(ticket)
        ledgers = self._of(account)
        full = first_refusal(ledgers.values(), amounts, now_s)
        if full is not None:
            amount, rest = amounts[full.resource], max(0.0, full.hard - full.spent(now_s))
            again_s = full.time_until(amount, now_s)
            room = f"; room again in {again_s:.0f} s" if again_s < inf else ""
            return f"{full.name}: needs {amount:g}, has {rest:g} of {full.hard:g}{room}"
        refusal = self.shares.enter(ticket, self._owners(account), now_s)
        if refusal is not None:
            return refusal
        ticket.reserved = [(key, amounts[ledger.resource]) for key, ledger in ledgers.items()]
        for key, amount in ticket.reserved:
            ledger = ledgers[key]
            ticket.hold_s = max(ticket.hold_s, ledger.delay_s(amount, now_s))
            ledger.reserve(amount)
        return None

    def settle(
        self, ticket: Ticket, usage: Usage | None, *, ran: bool = True, hung: bool = False
    ) -> None:
        """The call is over: charge what it used; what nobody knows counts as what was seen.

        A call that hung is charged once more when its end is heard of: for what it used beyond.
        """
        now_s, used = self._kernel.now_s, self._used(ticket, usage) if ran else _NOTHING
        if ticket.taken and not hung:
            self.shares.settle(ticket, used, now_s)
        if ticket.reserved is not None:
            done = []
            for key, amount in ticket.reserved:
                ledger = self._ledger(key)
                spent = used[ledger.resource]
                ledger.settle(amount, spent, now_s)
                done.append((key, spent))
            ticket.reserved = None
            ticket.charged = done if hung else None
        elif ticket.charged is not None:
            for key, before in ticket.charged:
                ledger = self._ledger(key)
                ledger.settle(0.0, max(0.0, used[ledger.resource] - before), now_s)
            ticket.charged = None

    def price(self, endpoint: str | None) -> Price | None:
        """What the endpoint's model costs, if the user said so."""
        if endpoint is None:
            return None
        plain = endpoint.partition("#")[0]
        prices = self._kernel.config.prices
        return next((prices[key] for key in prices if fnmatchcase(plain, key)), None)

    def _amounts(self, ticket: Ticket) -> dict[Resource, float]:
        need, estimate = ticket.need, ticket.call.estimate
        output = int(need["output_tokens"]) if need else estimate.output_tokens
        price = self.price(ticket.call.endpoint)
        tokens = estimate.input_tokens + output
        cost = 0.0
        if price is not None:
            cached = estimate.cached_input_tokens
            cost = price.cost(estimate.input_tokens, output, cached)
        return {Resource.TOKENS: tokens, Resource.CALLS: 1.0, Resource.COST: cost}

    def _used(self, ticket: Ticket, usage: Usage | None) -> dict[Resource, float]:
        read = ticket.call.estimate.input_tokens if ticket.beats else 0
        inputs = usage.input_tokens if usage is not None else read
        outputs = usage.output_tokens if usage is not None else ticket.beaten_tokens
        cached = usage.cached_input_tokens if usage is not None else 0
        price = self.price(ticket.call.endpoint)
        cost = price.cost(inputs, outputs, cached) if price is not None else 0.0
        return {Resource.TOKENS: inputs + outputs, Resource.CALLS: 1.0, Resource.COST: cost}

    def _of(self, account: Account) -> dict[tuple[int, str], Budget]:
        """The ledgers that a call of this agent is charged to, its own first."""
        keys: list[tuple[int, str]] = []
        for kind, name, shown in self._owners(account):
            for place, config in enumerate(self._budgets):
                pattern = config.agent if kind == "agent" else config.tenant
                if pattern is not None and fnmatchcase(name, pattern):
                    keys.append((place, f"{kind} {shown}"))
        return {key: self._ledger(key) for key in keys}

    def _owners(self, account: Account) -> Iterator[Owner]:
        """Who is charged for what this agent does: itself, each agent above it, the tenant."""
        tenant = account.tenant.name
        name: str | None = account.name
        while name is not None:
            yield "agent", name, f"{tenant}/{name}"
            above = self._kernel.accounts.get((tenant, name))
            name = above.parent if above is not None else None
        yield "tenant", tenant, tenant

    def _ledger(self, key: tuple[int, str]) -> Budget:
        ledger = self.ledgers.get(key)
        if ledger is None:
            place, owner = key
            config = self._budgets[place]
            ledger = self.ledgers[key] = Budget(
                f"budget of {config.resource} of {owner}",
                Resource(config.resource),
                config.limit,
                soft=config.soft,
                window_s=config.window_s,
            )
        return ledger

    def _forget(self) -> None:
        """Look at the two ledgers not looked at for longest: an empty one is as good as none."""
        for _ in range(min(2, len(self.ledgers))):
            key = next(iter(self.ledgers))
            ledger = self.ledgers.pop(key)
            if ledger.spent(self._kernel.now_s):
                self.ledgers[key] = ledger
