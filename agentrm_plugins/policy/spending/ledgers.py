"""Budgets of agents and tenants: reserved when a call comes, settled when it ends.

A call is charged to each budget that fits its agent, every agent above that, or its tenant. One
with no room refuses it; one above its soft mark slows it down (`policy.budget`). A ledger in which
nothing is spent (any more) is forgotten; what is spent of a budget without a window stays.

In a fleet a reservation counts at the server before its call goes, and the server hears of one
process after the other: so whatever they let in at one instant, no hard mark is passed by it. While
much is left, a call goes at once: what nobody has heard of is at most a twentieth of the rest, for
all processes together (`AHEAD`).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.marks import Lowest, budget_of
from agentrm_plugins.policy.spending.budget import Budget, Resource, first_refusal
from agentrm_plugins.policy.spending.rate_shares import RateShares
from agentrm_plugins.types.calls import Usage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.config.endpoints import BudgetConfig, ShareConfig
    from agentrm_plugins.policy.spending.spender import Elsewhere, Owner, Reserved, Spender
    from agentrm_plugins.types.calls import Call

__all__ = ["Ledgers"]

Crossed = tuple[int, "Call", str, Budget]

AHEAD = 0.05  # guessed: of the rest of a budget, that may be passed if all begin at one instant
_ROUNDING = 1e-9
_NOTHING = dict.fromkeys(Resource, 0.0)


class Ledgers:
    """All budgets of one kernel, each made when somebody whom it fits first calls.

    Args:
        budgets: What agents and tenants may use.
        shares: What they may take of an endpoint's rate.

    `asked` says whether there are any: whoever has none need not ask who the owners are. `crossed`
    are marks that were passed, to be told of: the ticket, its call, the mark and the budget.
    `members` are the processes of a fleet; 0: nobody else spends, or nobody can be asked. `asking`
    counts whatever the others are to hear of soon: calls that wait for that, and refusals.
    """

    def __init__(self, budgets: tuple[BudgetConfig, ...], shares: tuple[ShareConfig, ...]) -> None:
        self._budgets = budgets
        self._lowest = Lowest({})
        self.asked = bool(budgets or shares)
        self.ledgers: OrderedDict[tuple[int, str], Budget] = OrderedDict()
        self.shares = RateShares(shares)
        self.crossed: list[Crossed] = []
        self.members = self.asking = self._marks = 0
        self._heard: dict[tuple[int, str], int] = {}
        self._made = 0

    def reconfigure(
        self,
        budgets: tuple[BudgetConfig, ...],
        shares: tuple[ShareConfig, ...],
        spenders: Iterable[Spender],
    ) -> None:
        """Other budgets: one for the same owner, resource and window goes on with what it spent."""
        where = {budget_of(config): place for place, config in enumerate(budgets)}
        places = {old: where.get(budget_of(config)) for old, config in enumerate(self._budgets)}
        self._budgets, self.asked = budgets, bool(budgets or shares)
        kept: dict[tuple[int, str], Budget] = {}
        for (old, owner), ledger in self.ledgers.items():
            place = places[old]
            if place is not None:
                ledger.hard, ledger.soft = self._lowest.budget(budgets[place])
                kept[place, owner] = ledger
        self.ledgers = OrderedDict(kept)
        if shares != self.shares.configs:
            self.shares = RateShares(shares)
            self.shares.lowest = self._lowest  # the fleet's marks are told only when they change
        for spender in spenders:
            spender.reserved = _moved(spender.reserved, places)
            spender.charged = _moved(spender.charged, places)
            if spender.unheard is not None:  # of a budget that is gone, nobody hears any more
                spender.unheard = {
                    (place, owner)
                    for old, owner in spender.unheard
                    if (place := places[old]) is not None
                }
            if not self.shares.buckets:
                spender.taken = None

    def lower(self, marks: Mapping[str, float]) -> None:
        """Processes of a fleet were told lower marks than this one: those count, by their names."""
        if marks == self._lowest.marks:
            return
        self._lowest = self.shares.lowest = Lowest(marks)
        for (place, _), ledger in self.ledgers.items():
            ledger.hard, ledger.soft = self._lowest.budget(self._budgets[place])

    def enter(self, spender: Spender, owners: Iterable[Owner], now_s: float) -> str | None:
        """Reserve for a call that comes. What refuses it, in words; None if nothing does.

        `owners` are who is charged for it: its agent, each agent above that, and the tenant.
        """
        owners = list(owners)
        if not self._budgets:
            return self.shares.enter(spender, owners, now_s)
        self._forget(now_s)
        amounts = _amounts(spender)
        ledgers = self._of(owners)
        full = first_refusal(ledgers.values(), amounts, now_s)
        if full is not None:
            return self._full(full, spender, amounts[full.resource], full.spent(now_s), now_s)
        refusal = self.shares.enter(spender, owners, now_s)
        if refusal is not None:
            return refusal
        spender.reserved = [(key, amounts[ledger.resource]) for key, ledger in ledgers.items()]
        for key, amount in spender.reserved:
            ledger = ledgers[key]
            spender.hold_s = max(spender.hold_s, ledger.delay_s(amount, now_s))
            ledger.reserve(amount)
            self._mark(spender, ledger, now_s)
        if self.members:
            self._await(spender, now_s)
        return None

    def _await(self, spender: Spender, now_s: float) -> None:
        """What is reserved for a call is to be heard of before it goes, where little is left."""
        self._marks += 1
        spender.mark, part = self._marks, AHEAD / self.members
        unheard = set()
        for key, amount in spender.reserved or ():
            ledger = self.ledgers[key]
            ledger.mark = spender.mark
            if amount and not ledger.may_go(amount, spender.mark, part, now_s):
                unheard.add(key)
        spender.unheard = unheard or None
        self.asking += bool(unheard)

    def confirm(
        self, waiting: Iterable[Spender], now_s: float
    ) -> tuple[list[Spender], list[tuple[Spender, str]]]:
        """The fleet was asked: who may go now, and whom a budget has no room for, in words."""
        waiting = [spender for spender in waiting if spender.unheard is not None]
        waiting.sort(key=lambda spender: spender.mark)
        heard, self._heard = self._heard, {}
        refused: dict[int, str] = {}
        if not self.members:  # nobody can be asked: what is known here counts
            for spender in waiting:
                spender.unheard = None
            return waiting, []
        for key, mark in heard.items():
            ledger = self._ledger(key)
            ledger.heard(mark)
            mine = [one for one in waiting if one.unheard and key in one.unheard]
            amounts = {one.number: dict(one.reserved or ())[key] for one in mine}
            total = ledger.spent(now_s) - sum(amounts.values())
            for spender in mine:
                amount = amounts[spender.number]
                if spender.mark > mark:
                    break
                if total + amount > ledger.hard + _ROUNDING * (1.0 + ledger.hard):
                    refused[spender.number] = self._full(ledger, spender, amount, total, now_s)
                elif spender.unheard is not None:
                    total += amount
                    spender.unheard.discard(key)
        self.asking += bool(refused)
        going = [one for one in waiting if not one.unheard and one.number not in refused]
        for spender in going:
            spender.unheard = None
        return going, [(one, refused[one.number]) for one in waiting if one.number in refused]

    def _full(
        self, full: Budget, spender: Spender, amount: float, spent: float, now_s: float
    ) -> str:
        """A ledger has no room for a call: in words."""
        if full.refused():
            self.crossed.append((spender.number, spender.call, "hard", full))
        rest, again_s = max(0.0, full.hard - spent), full.time_until(amount, now_s)
        room = f"; room again in {again_s:.0f} s" if again_s < inf else ""
        return f"{full.name}: needs {amount:g}, has {rest:g} of {full.hard:g}{room}"

    def settle(
        self,
        spender: Spender,
        usage: Usage | None,
        now_s: float,
        *,
        ran: bool = True,
        hung: bool = False,
    ) -> None:
        """The call is over: charge what it used; what nobody knows counts as what was seen.

        A call that hung is charged once more when its end is heard of: what it really used then
        replaces what was seen.
        """
        if spender.reserved is spender.charged is spender.taken is None:
            return
        spender.unheard = None
        used = _used(spender, usage) if ran else _NOTHING
        if spender.taken and not hung:
            self.shares.settle(spender, used, now_s)
        if spender.reserved is not None:
            done = []
            for key, amount in spender.reserved:
                ledger = self._ledger(key)
                spent = used[ledger.resource]
                ledger.settle(amount, spent, now_s)
                self._mark(spender, ledger, now_s)
                done.append((key, spent))
            spender.reserved = None
            spender.charged = done if hung else None
        elif spender.charged is not None:
            for key, before in spender.charged:
                ledger = self._ledger(key)
                ledger.settle(0.0, used[ledger.resource] - before, now_s)
                self._mark(spender, ledger, now_s)
            spender.charged = None

    def charge(self, spender: Spender, usage: Usage, now_s: float, sign: int = 1) -> None:
        """An attempt failed and the call goes again: what it has cost is spent, beside the rest.

        With `sign` -1, it was charged too much before, and that is free again.
        """
        if spender.reserved and usage.total_tokens:
            used = _priced(spender, usage)
            used[Resource.CALLS] = 0.0  # the call is one, however often it was sent
            for key, _ in spender.reserved:
                ledger = self._ledger(key)
                ledger.settle(0.0, sign * used[ledger.resource], now_s)
                self._mark(spender, ledger, now_s)

    def _mark(self, spender: Spender, ledger: Budget, now_s: float) -> None:
        cause = ledger.crossed(now_s)
        if cause is not None:
            self.crossed.append((spender.number, spender.call, cause, ledger))

    def _of(self, owners: Iterable[Owner]) -> dict[tuple[int, str], Budget]:
        """The ledgers that a call of these owners is charged to, its agent's first."""
        keys: list[tuple[int, str]] = []
        for kind, name, shown in owners:
            for place, config in enumerate(self._budgets):
                pattern = config.agent if kind == "agent" else config.tenant
                if pattern is not None and fnmatchcase(name, pattern):
                    keys.append((place, f"{kind} {shown}"))
        return {key: self._ledger(key) for key in keys}

    def named(self, place: int) -> tuple[object, ...]:
        """What a budget is of, so that other processes of a fleet know which one is meant."""
        return budget_of(self._budgets[place])

    def elsewhere(self, told_of: list[object], told: Elsewhere, now_s: float) -> None:
        """Other processes of a fleet have spent of a budget: `told_of` is its name and owner."""
        *named, owner = told_of
        for place, config in enumerate(self._budgets):
            ledger = self.ledgers.get((place, str(owner)))
            known = ledger is not None and ledger.number == told.number
            if ledger is not None and known and list(budget_of(config)) == named:
                ledger.elsewhere(told.more, told.reserved, now_s)
                self._heard[place, str(owner)] = told.heard

    def recount(self, held: Mapping[tuple[int, str], float]) -> None:
        """What is reserved, by ledger: nothing else is."""
        for key in held:
            self._ledger(key)
        for key, ledger in self.ledgers.items():
            ledger.reserved = held.get(key, 0.0)

    def _ledger(self, key: tuple[int, str]) -> Budget:
        ledger = self.ledgers.get(key)
        if ledger is None:
            place, owner = key
            config = self._budgets[place]
            hard, soft = self._lowest.budget(config)
            ledger = self.ledgers[key] = Budget(
                f"budget of {config.resource} of {owner}",
                Resource(config.resource),
                hard,
                soft=soft,
                window_s=config.window_s,
            )
            self._made += 1
            ledger.number = self._made
        return ledger

    def _forget(self, now_s: float) -> None:
        """Look at the two ledgers not looked at for longest: an empty one is as good as none."""
        for _ in range(min(2, len(self.ledgers))):
            key = next(iter(self.ledgers))
            if self.ledgers[key].spent(now_s):
                self.ledgers.move_to_end(key)
            else:
                del self.ledgers[key]


def _moved(reserved: list[Reserved] | None, places: dict[int, int | None]) -> list[Reserved] | None:
    """What is held of budgets, by their new places; what is held of those that are gone, is not."""
    if reserved is None:
        return None
    return [
        ((place, owner), amount)
        for (old, owner), amount in reserved
        if (place := places[old]) is not None
    ]


def _amounts(spender: Spender) -> dict[Resource, float]:
    """What a call will probably use."""
    need, usage = spender.need, spender.call.estimate
    if need:
        usage = replace(usage, output_tokens=int(need["output_tokens"]))
    return _priced(spender, usage)


def _used(spender: Spender, usage: Usage | None) -> dict[Resource, float]:
    """What a call that ran has used, as far as anybody knows."""
    if usage is not None:
        return _priced(spender, usage)
    return _priced(spender, Usage(spender.call.estimate.input_tokens, spender.beaten_tokens))


def _priced(spender: Spender, usage: Usage) -> dict[Resource, float]:
    price = None if spender.endpoint is None else spender.endpoint.price
    cost = 0.0 if price is None else price.cost(usage)
    return {Resource.TOKENS: usage.total_tokens, Resource.CALLS: 1.0, Resource.COST: cost}
