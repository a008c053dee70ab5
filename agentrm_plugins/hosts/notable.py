"""What an operator must know of a core's events, as records of the standard library's logging.

Once per event, never per call: limits that are found or cut, calls that are reaped, breakers,
budgets, endpoints that close, agents that starve, events that a reader lost. No prompt, answer, key
or header is in an event; names that look like a secret are hidden. Many of one kind at once (a
provider that hangs every call) are told twenty times in ten seconds, then counted, for each cause
and endpoint by itself.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.journal import JOURNAL, Journal
from agentrm_plugins.types.effects import (
    BreakerChanged,
    BudgetCrossed,
    Drained,
    EndpointClosed,
    Granted,
    LimitChanged,
    Reaped,
    Refused,
)

if TYPE_CHECKING:
    from agentrm_plugins.kernel.ticket import Ticket

__all__ = ["EventJournal", "flush_journal"]

_MOST, _PER_S = 20, 10.0  # records of one kind, in so many seconds; guessed
_STARVED_AGAIN_S = 600.0
_REMEMBERED = 1_000
_SILENT = {"superseded", "closed", "withdrawn", "cancelled", "agent_ended", "abandoned"}
Told = tuple[str, int, str, tuple[object, ...]]


def _limit(event: LimitChanged) -> Told | None:
    if event.cause == "grown":
        return None  # the search goes on all the time
    level = logging.WARNING if event.cause == "cut" else logging.INFO
    known = "unknown" if event.limit_per_s is None else f"{60 * event.limit_per_s:.4g}"
    text = "rate of %s at %s %s: %.4g a minute (limit %s, says %s)"
    what = event.resource, event.endpoint, event.cause
    return "agentrm.limits", level, text, (*what, 60 * event.per_s, known, event.source)


def _reaped(event: Reaped) -> Told | None:
    if event.cause == "gave_way":
        return None  # a second attempt makes room; nobody lost anything
    text = "call %d of %s was reaped after %.1f s: its %s limit of %.1f s passed (set by %s)"
    what = event.ticket, event.agent, event.held_s, event.cause, event.limit_s, event.source
    return "agentrm.calls", logging.WARNING, text, what


def _breaker(event: BreakerChanged) -> Told | None:
    if event.cause == "half_open":
        return None
    level = logging.WARNING if event.cause == "open" else logging.INFO
    return "agentrm.endpoints", level, "breaker of %s is now %s", (event.endpoint, event.cause)


def _closed(event: EndpointClosed) -> Told:
    text = "%s asked everybody to stay away for %.1f s"
    what = event.endpoint, max(0.0, event.until_s - event.at_s)
    return "agentrm.endpoints", logging.INFO, text, what


def _budget(event: BudgetCrossed) -> Told:
    hard = event.cause == "hard"
    text = "%s mark of the %s: %.6g of %.6g"
    what = event.cause, event.budget, event.spent, event.limit
    return "agentrm.budgets", logging.WARNING if hard else logging.INFO, text, what


def _refused(event: Refused) -> Told | None:
    if event.cause in _SILENT:
        return None
    text = "a call of %s was refused after %.1f s: %s"
    return "agentrm.calls", logging.WARNING, text, (event.agent, event.waited_s, event.cause)


def _starved(event: Granted) -> Told:
    text = "%s starved: a call waited %.0f s for a lane of %s"
    what = event.agent, event.waited_s, event.group
    return "agentrm.calls", logging.WARNING, text, what


def _drained(event: Drained) -> Told:
    text = "%s is drained: its new calls are refused"
    if event.cause != "drained":
        text = "%s is let in again"
    return "agentrm.calls", logging.INFO, text, (event.agent,)


_WORDS: dict[type, tuple[str, Callable[[Any], Told | None]]] = {
    LimitChanged: ("limit", _limit),
    Reaped: ("reaped", _reaped),
    BreakerChanged: ("breaker", _breaker),
    EndpointClosed: ("closed", _closed),
    BudgetCrossed: ("budget", _budget),
    Refused: ("refused", _refused),
    Granted: ("starved", _starved),
    Drained: ("drained", _drained),
}
_FIELDS = [
    (f"agentrm_{key}", key)
    for key in ("agent", "tenant", "endpoint", "ticket", "cause", "resource", "budget", "group")
]


def flush_journal() -> None:
    """Wait until handlers have all that was told, a second at most."""
    JOURNAL.flush()


class EventJournal:
    """Tells the journal of one core's notable events. For the host: it runs inside the core.

    Args:
        journal: Where records go.
    """

    def __init__(self, journal: Journal = JOURNAL) -> None:
        self._journal = journal
        self._lately: dict[tuple[str, str, str], list[float]] = {}
        """By kind, cause and endpoint: since when, how many were told, how many kept back."""
        self._starved: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, event: Any) -> None:
        """Something happened that may have to be told. Never blocks."""
        kind, tell = _WORDS[event.__class__]
        starved = isinstance(event, Granted)
        if starved and self._known(event.tenant, event.agent, event.at_s):
            return
        told = tell(event)
        if told is None:
            return
        fields: dict[str, Any] = {}
        for name, key in _FIELDS:
            if hasattr(event, key):
                fields[name] = getattr(event, key)
        if self._tell(kind, event.at_s, told, fields) and starved:
            self._remember(event.tenant, event.agent, event.at_s)

    def starves(self, ticket: Ticket, waited_s: float, now_s: float) -> None:
        """A call waits and waits, and has no lane yet: its agent may never get one."""
        call, endpoint = ticket.call, ticket.endpoint
        if self._known(call.tenant, call.agent, now_s):
            return
        text = "%s starves: a call has waited %.0f s for a lane of %s and has none yet"
        told = "agentrm.calls", logging.WARNING, text, (call.agent, waited_s, ticket.group.name)
        fields = {
            "agentrm_agent": call.agent,
            "agentrm_tenant": call.tenant,
            "agentrm_ticket": ticket.number,
            "agentrm_cause": ticket.held_by or "waits",
            "agentrm_group": ticket.group.name,
            "agentrm_endpoint": None if endpoint is None else endpoint.name,
        }
        if self._tell("starved", now_s, told, fields):
            self._remember(call.tenant, call.agent, now_s)

    def _tell(self, kind: str, at_s: float, told: Told, fields: dict[str, Any]) -> bool:
        """Whether it goes into the log: not if nobody listens, nor in a storm of its kind."""
        name, level, text, values = told
        if not logging.getLogger(name).isEnabledFor(level):
            return False
        cause, endpoint = fields.get("agentrm_cause"), fields.get("agentrm_endpoint")
        back = self._bounded((kind, str(cause)[:40], str(endpoint)[:200]), at_s)
        if back is None:
            return False
        if back:
            text, values = f"{text} (%d more of these were not told)", (*values, back)
        self._journal.tell(name, level, text, *values, extra={"agentrm_event": kind, **fields})
        return True

    def _known(self, tenant: str, agent: str, at_s: float) -> bool:
        """Whether it was told in the last ten minutes that this agent starves."""
        last_s = self._starved.get((tenant, agent))
        return last_s is not None and at_s < last_s + _STARVED_AGAIN_S

    def _remember(self, tenant: str, agent: str, at_s: float) -> None:
        self._starved[tenant, agent] = at_s
        self._starved.move_to_end((tenant, agent))
        if len(self._starved) > _REMEMBERED:
            self._starved.popitem(last=False)

    def _bounded(self, key: tuple[str, str, str], at_s: float) -> int | None:
        """How many of its kind were kept back before this one; None: it is kept back itself."""
        lately = self._lately.get(key)
        if lately is None:
            if len(self._lately) >= _REMEMBERED:
                del self._lately[next(iter(self._lately))]
            lately = self._lately[key] = [at_s, 0.0, 0.0]
        if at_s >= lately[0] + _PER_S:
            back, lately[:] = int(lately[2]), [at_s, 1.0, 0.0]
            return back
        if lately[1] >= _MOST:
            lately[2] += 1.0
            return None
        lately[1] += 1.0
        return 0

    def lost(self) -> None:
        """A reader of events is too slow for the first time."""
        text = "a reader of events is too slow: events are dropped, and counted in events_dropped"
        self._journal.tell(
            *("agentrm.telemetry", logging.WARNING, text), extra={"agentrm_event": "events_dropped"}
        )
