"""Why a call waits, said once when its wait begins and again when another reason takes over."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.amounts import Wait
from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types.verdicts import MINUTE_S, RESOURCES

if TYPE_CHECKING:
    from agentrm_plugins.kernel.books import Books
    from agentrm_plugins.kernel.ticket import Ticket

__all__ = ["begun", "lacks_lane", "throttled", "what_holds"]

_WHO = {Source.TOLD: "as you said", Source.SERVER: "as its server said"}


def begun(books: Books, ticket: Ticket, sleep_s: float, waiting: int) -> None:
    """A call waits now, asleep for `sleep_s` seconds, one of `waiting` calls."""
    if sleep_s > 0:
        told_s = inf if ticket.unheard else sleep_s
        throttled(books, ticket, Wait(told_s, _why_asleep(ticket)))
        return
    if ticket.endpoint is not None:
        wait = ticket.endpoint.wait(ticket.need, books.now_s)
        if wait.seconds > 0:
            throttled(books, ticket, wait)
            return
    call, cause = ticket.call, _why_no_lane(books, ticket)
    books.gauges.hold(ticket, cause)
    account, bid = ticket.account, ticket.bid
    if bid is not None and bid.ready and bid.head is ticket:
        level = account.level  # It has just been looked at.
    else:
        level = books.scheduler.level(account, books.now_s)
    what = cause, level, waiting, call.tenant, call.group, call.endpoint
    books.out.append(fx.Queued(books.now_s, ticket.number, call.agent, *what))


def what_holds(ticket: Ticket, now_s: float) -> str:
    """What of its endpoint keeps a call back, and who said so; "" if that is not what does."""
    endpoint = ticket.endpoint
    wait = None if endpoint is None else endpoint.wait(ticket.need, now_s)
    if endpoint is None or wait is None or wait.seconds <= 0:
        return ""
    what = f"{endpoint.name}: "
    if wait.cause in RESOURCES:
        meter = endpoint.meters[wait.cause]
        source, limit_per_s = meter.controller.known
        limit = meter.controller.rate_per_s * MINUTE_S, MINUTE_S
        if limit_per_s:
            limit = limit_per_s * meter.window_s, meter.window_s
        who = _WHO.get(source, "as was found out by asking")
        what += f"its limit of {limit[0]:.0f} {wait.cause} in {limit[1]:.0f} s, {who}"
    elif wait.cause == "closed":
        who = "as its server said" if endpoint.retry_after.said else "for it turns everybody away"
        what += f"it is closed, {who}"
    elif wait.cause == "concurrency":
        who = "as you said" if endpoint.config.concurrency else "as was found out by asking"
        what += f"its limit of {endpoint.concurrency.limit:.0f} calls in flight, {who}"
    else:
        what += "it fails, and one call at a time finds out whether it does still"
    return what if wait.seconds == inf else f"{what}; one may go in {wait.seconds:.0f} s"


def lacks_lane(ticket: Ticket, now_s: float) -> bool:
    """Whether it is a lane, which another call has, that a waiting call lacks, and nothing else.

    No date is to come before it may go, and no parent has a seat for it. Calls in flight at its
    endpoint have their lanes, so that limit is none of its own.
    """
    if ticket.bid is None:  # it runs, is over, or sleeps
        return False
    parent, endpoint = ticket.parent, ticket.endpoint
    if parent is not None and parent.rider is None:
        return False
    wait = None if endpoint is None else endpoint.wait(ticket.need, now_s)
    return wait is None or wait.seconds <= 0 or wait.cause == "concurrency"


def throttled(books: Books, ticket: Ticket, wait: Wait) -> None:
    """Something else than lanes holds the call up."""
    books.gauges.hold(ticket, wait.cause)
    call, for_s = ticket.call, None if wait.seconds == inf else wait.seconds
    where = call.tenant, call.group, call.endpoint
    told = fx.Throttled(books.now_s, ticket.number, call.agent, wait.cause, for_s, *where)
    books.out.append(told)


def _why_asleep(ticket: Ticket) -> str:
    if ticket.is_hedge:
        return "hedge"
    return "retry" if ticket.attempts else "budget"


def _why_no_lane(books: Books, ticket: Ticket) -> str:
    group, pool = ticket.group, books.pool
    if group.agent_full(ticket.account):
        return "agent"
    if group.per_tenant is not None and group.tenant_full(ticket.account.tenant):
        return "tenant"
    if pool.in_use >= pool.lanes:
        return "lanes"
    if group.in_use >= group.capacity:
        return "group"
    return "nested" if ticket.parent is not None else "order"
