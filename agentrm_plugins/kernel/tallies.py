"""What a kernel and the other processes of its fleet spend together: a question, and its answer.

Budgets and shares of rates are kept by each process as if it were alone, and what others spend is
charged to them as it becomes known. So are the service of agents that wait or work here, for their
levels, and the tokens of tenants, for their shares.
"""

from __future__ import annotations

import json
from math import log
from typing import TYPE_CHECKING

from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.types.fleet import TallyDemand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.types.accounts import Account
    from agentrm_plugins.types.fleet import TallySupply

__all__ = ["learn", "tallies"]

_MOST = 256  # agents that are told of at once
_SHARE_S = 60.0  # what others took of a share longer ago has been paid back since
_LIFE = 1.0 / log(2.0)  # a sum that fades is as large as a window of so many half-lives


def tallies(books: Books) -> dict[str, TallyDemand]:
    """All sums that are spent of here, by names that are the same in each process."""
    found = dict(_budgets(books))
    config = books.config.scheduler
    agents: dict[tuple[str, str], Account] = {}
    for ticket in books.tickets.values():
        if len(agents) >= _MOST:
            break
        agents[ticket.account.tenant.name, ticket.account.name] = ticket.account
    for (tenant, name), account in agents.items():
        own = account.service_s(books.now_s)
        window_s = config.service_half_life_s * _LIFE
        found[_key("agent", tenant, name)] = TallyDemand(
            account.number, own, window_s=window_s, soft=True
        )
    if len(books.tenants) > 1:
        for name, payer in books.tenants.items():
            window_s = config.share_half_life_s * _LIFE
            tokens = float(payer.tokens)
            told = TallyDemand(payer.number, tokens, window_s=window_s, soft=True)
            found[_key("tenant", name)] = told
    return found


def _budgets(books: Books) -> Iterator[tuple[str, TallyDemand]]:
    ledgers = books.ledgers
    for (place, owner), ledger in ledgers.ledgers.items():
        told = TallyDemand(
            *(ledger.number, ledger.own, ledger.reserved, ledger.window_s), mark=ledger.mark
        )
        yield _key("budget", *ledgers.named(place), owner), told
    for (place, owner), (number, own) in ledgers.shares.own.items():
        told = TallyDemand(number, own, window_s=_SHARE_S, history=False)
        yield _key("share", *ledgers.shares.named(place), owner), told


def _key(*parts: object) -> str:
    return json.dumps(parts, separators=(",", ":"))


def learn(books: Books, news: Mapping[str, TallySupply]) -> None:
    """Others have spent so much."""
    for key, told in news.items():
        kind, *parts = json.loads(key)
        if kind == "budget":
            books.ledgers.elsewhere(parts, told, books.now_s)
        elif told.more and kind == "share":
            books.ledgers.shares.elsewhere(parts, told.more, books.now_s)
        elif told.more and kind == "tenant":
            tenant = books.tenants.get(parts[0])
            if tenant is not None and tenant.number == told.number:
                books.shares.charge(tenant, int(told.more), books.now_s)
        elif told.more:
            account = books.accounts.get((parts[0], parts[1]))
            known = account is not None and account.number == told.number
            if known and account is not None and isinstance(books.scheduler, Mlfq):
                books.scheduler.settle(account, books.now_s)
                account.recent_s += told.more
