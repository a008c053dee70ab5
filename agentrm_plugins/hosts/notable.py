"""What an operator must know of a core's events, as records of the standard library's logging.

Once per event, never per call: limits that are found or cut, calls that are reaped, breakers,
budgets, endpoints that close, agents that starve, events that a reader lost. No prompt, answer, key
or header is in an event; names that look like a secret are hidden. Many of one kind at once (a
provider that hangs every call) are told twenty times in ten seconds, then counted.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from agentrm_plugins.hosts.journal import JOURNAL, Journal
from agentrm_plugins.types.effects import (
    BreakerChanged,
    BudgetCrossed,
    Drained,
    Effect,
    EndpointClosed,
    Granted,
    LimitChanged,
    Reaped,
    Refused,
)

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
_FIELDS = ("agent", "tenant", "endpoint", "ticket", "cause", "resource", "budget", "group")


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
        self._lately: dict[tuple[str, str], list[float]] = {}  # kind, cause: since, told, kept back
        self._starved: OrderedDict[tuple[str, str], float] = OrderedDict()

    def note(self, event: Effect) -> None:
        """Something happened that may have to be told. Never blocks."""
        kind, tell = _WORDS[event.__class__]
        if kind == "starved" and not self._is_news(event):
            return
        told = tell(event)
        if told is None or not logging.getLogger(told[0]).isEnabledFor(told[1]):
            return
        back = self._bounded(kind, event)
        if back is None:
            return
        name, level, text, values = told
        if back:
            text, values = f"{text} (%d more of these were not told)", (*values, back)
        fields = {f"agentrm_{key}": getattr(event, key) for key in _FIELDS if hasattr(event, key)}
        self._journal.tell(name, level, text, *values, extra={"agentrm_event": kind, **fields})

    def _is_news(self, event: Any) -> bool:
        """Of an agent that starves: each ten minutes."""
        key = event.tenant, event.agent
        last_s = self._starved.get(key)
        if last_s is not None and event.at_s < last_s + _STARVED_AGAIN_S:
            return False
        self._starved[key] = event.at_s
        self._starved.move_to_end(key)
        if len(self._starved) > _REMEMBERED:
            self._starved.popitem(last=False)
        return True

    def _bounded(self, kind: str, event: Any) -> int | None:
        """How many of its kind were kept back before this one; None: it is kept back itself."""
        lately = self._lately.setdefault((kind, str(event.cause)[:40]), [event.at_s, 0.0, 0.0])
        if event.at_s >= lately[0] + _PER_S:
            back, lately[:] = int(lately[2]), [event.at_s, 1.0, 0.0]
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
