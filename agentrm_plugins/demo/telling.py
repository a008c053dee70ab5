"""One line for each event that matters, in model units."""

from __future__ import annotations

from typing import Any

from agentrm_plugins.events import BreakerChanged, LimitChanged, Reaped, Requeued, Suspected

__all__ = ["told"]

_WHY = {
    "response": "no answer",
    "first_token": "no first token",
    "silence": "silence",
    "total": "too long in all",
}


def told(event: Any, scale: float) -> str:
    """The line, or nothing for what happens all the time."""
    if isinstance(event, Reaped) and event.cause in _WHY:
        return f"{event.agent} reaped: {_WHY[event.cause]} for {event.held_s / scale:.0f} s"
    if isinstance(event, Suspected):
        return f"{event.agent} hedged: silent for {event.silent_s / scale:.0f} s, second attempt"
    if isinstance(event, Requeued) and event.cause == "limit":
        return f"{event.agent} got a 429: waits, holding no lane"
    if isinstance(event, LimitChanged) and event.cause == "cut":
        rate = event.per_s * 60 * scale
        return f"rate cut to {rate:,.0f} {event.resource} a minute"
    if isinstance(event, BreakerChanged):
        return f"breaker {event.cause}"
    return ""
