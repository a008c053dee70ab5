"""The agents and tenants that the kernel knows: whom it meets, and whom it forgets again.

An agent is known from its first call on. One without any call for `agent_idle_s` is forgotten, and
the one idle for longest where there are more than `max_idle_agents`; yet not before its children,
and a tenant with its last agent. Idle agents stand in the order in which
they became idle, so looking for those to forget costs a look at one that stays.
"""

from __future__ import annotations

from math import log1p
from typing import TYPE_CHECKING

from agentrm_plugins.types.accounts import Account, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.policy.spending.spender import Owner
    from agentrm_plugins.types.calls import Call, Priority

__all__ = ["Agents"]


_HINTS = 10_000  # priorities given to single agents that are remembered
_KEPT = 64  # parents of others that are looked at in vain before a new agent comes


class Agents:
    """Who has called.

    Args:
        books: The kernel's books.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._scheduler = books.scheduler
        self._shares = books.shares
        self._gauges = books.gauges
        self.accounts = books.accounts
        self.tenants = books.tenants
        self.idle: dict[tuple[str, str], None] = {}
        self.met = self.made = 0
        self.drained: set[tuple[str, str]] = set()
        self._hints: dict[tuple[str, str], Priority | None] = {}

    def enter(self, call: Call, now_s: float) -> Account:
        """The account of the agent that makes `call`, which has one ticket more now."""
        account = self.accounts.get((call.tenant, call.agent))
        if account is None:
            account = self._meet(call.agent, call, now_s)
        elif not account.tickets:
            self.idle.pop(account.key, None)
        if call.parent_agent is not None and account.parent != call.parent_agent:
            self._adopt(account, call, now_s)
        account.tickets += 1
        return account

    def leave(self, account: Account, now_s: float) -> None:
        """The account has one ticket less."""
        account.tickets -= 1
        if not account.tickets:
            account.idle_since_s = now_s
            self.idle[account.key] = None

    def hint(self, tenant: str, agent: str, hint: Priority | None) -> None:
        """The agent has that priority from now on, whatever its calls say; it may come later."""
        self._hints[tenant, agent] = hint
        if len(self._hints) > _HINTS:
            del self._hints[next(iter(self._hints))]
        account = self.accounts.get((tenant, agent))
        if account is not None:
            account.hint = hint

    def family(self, name: str, tenant: str) -> list[Account]:
        """An agent, its children and theirs; none if nobody knows it."""
        first = self.accounts.get((tenant, name))
        found = [] if first is None else [first]
        for account in found:  # Grows as it goes; there are no circles.
            found.extend(self.accounts[tenant, child] for child in account.children)
        return found

    def owners(self, account: Account) -> Iterator[Owner]:
        """Who is charged for what this agent does: itself, each agent above it, the tenant."""
        tenant = account.tenant.name
        name: str | None = account.name
        while name is not None:
            yield "agent", name, f"{tenant}/{name}"
            above = self.accounts.get((tenant, name))
            name = above.parent if above is not None else None
        yield "tenant", tenant, tenant

    def _meet(self, name: str, call: Call, now_s: float) -> Account:
        self._drop_idle(now_s)
        tenant = self.tenants.get(call.tenant)
        if tenant is None:
            own = self._books.config.tenants.get(call.tenant)
            self.met += 1
            tenant = Tenant(call.tenant, own.weight if own else 1.0, self.met)
            self.tenants[call.tenant] = tenant
        tenant.accounts += 1
        key = call.tenant, name
        self.made += 1
        hint = self._hints.get(key, call.priority)
        account = Account(name, tenant, hint, now_s, self.made)
        if name == call.agent:
            account.asks = log1p(call.estimate.output_tokens)
        self.accounts[account.key] = account
        self._scheduler.enter(account)
        return account

    def _adopt(self, account: Account, call: Call, now_s: float) -> None:
        """The account works for another from now on, which may be new here too."""
        name = call.parent_agent
        assert name is not None  # noqa: S101 - the caller checked
        self._orphan(account)
        parent = self.accounts.get((call.tenant, name))
        if parent is None:
            parent = self._meet(name, call, now_s)
            self.idle[parent.key] = None
        above: str | None = name
        while above is not None:  # A circle is cut where it would close.
            elder = self.accounts[call.tenant, above]
            above = elder.parent
            if above == account.name:
                self._orphan(elder)
                break
        account.parent = name
        parent.children[account.name] = None

    def _orphan(self, account: Account) -> None:
        name, account.parent = account.parent, None
        if name is not None:  # Nobody is forgotten before the last of its children.
            del self.accounts[account.tenant.name, name].children[account.name]

    def _drop_idle(self, now_s: float) -> None:
        """Forget agents that have had no call for long; looked at whenever a new one comes."""
        oldest_s, kept = now_s - self._books.config.agent_idle_s, 0
        while self.idle:
            key = next(iter(self.idle))
            account = self.accounts[key]
            if (
                account.idle_since_s > oldest_s
                and len(self.idle) <= self._books.config.max_idle_agents
            ):
                return
            del self.idle[key]
            if account.children:  # They may have calls: whoever ends it must find them.
                account.idle_since_s = now_s
                self.idle[key] = None
                kept += 1
                if kept >= _KEPT:
                    return
                continue
            del self.accounts[key]
            self._scheduler.leave(account)
            self._orphan(account)
            self._gauges.gone.add(account, now_s)
            tenant = account.tenant
            tenant.accounts -= 1
            if not tenant.accounts:
                self._shares.forget(tenant)
                del self.tenants[tenant.name]
