"""Events in words: what happened, why, and its figures, as a line of a story says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

__all__ = ["said", "span_of", "tokens_of"]

Fields = Mapping[str, Any]
_MINUTE_S, _HOUR_S = 60.0, 3600.0
_WAITS = {
    "lanes": "all lanes are taken",
    "group": "all lanes of its group are taken",
    "agent": "its agent is at its ceiling",
    "tenant": "its tenant is at its ceiling",
    "order": "others go first",
    "nested": "it waits for its parent's lane",
}
_HELD = {
    "closed": "the server asked everybody to stay away",
    "breaker": "the endpoint's breaker is open",
    "retry": "it goes again after a failure",
    "budget": "its budget is above its soft mark",
    "hedge": "the time of a second attempt has not come",
    "concurrency": "the endpoint serves no more at once",
}


def span_of(seconds: float | None) -> str:
    """Seconds for people: "-", "350 ms", "12.5 s", "3 min 20 s", "2 h 5 min".

    >>> span_of(0.35), span_of(12.5), span_of(200), span_of(7500)
    ('350 ms', '12.5 s', '3 min 20 s', '2 h 5 min')
    """
    if seconds is None:
        return "-"
    if not isfinite(seconds):
        return "ever"
    if seconds >= _HOUR_S:
        minutes = round(seconds / 60)
        return f"{minutes // 60:,} h {minutes % 60} min"
    if seconds >= 2 * _MINUTE_S:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{seconds:.3g} s" if seconds >= 1.0 or not seconds else f"{seconds * 1000:.3g} ms"


def _amount(value: float) -> str:
    """Three digits of a small amount, all of a large one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 - three digits


def tokens_of(usage: Any) -> tuple[int, int]:
    """Input and output tokens of a `Usage`, or of its record."""
    if usage is None:
        return 0, 0
    if isinstance(usage, Mapping):
        return int(usage.get("input_tokens") or 0), int(usage.get("output_tokens") or 0)
    return usage.input_tokens, usage.output_tokens


def said(name: str, event: Fields) -> str:
    """One event as a person would say it; one of an unknown kind by its name and cause.

    >>> said("Granted", {"cause": "order", "group": "model", "waited_s": 2.5})
    'got a lane of model after 2.5 s (order)'
    """
    words = _SAID.get(name)
    if words is not None:
        return words(event)
    cause = event.get("cause")
    return name.lower() + (f" ({cause})" if cause else "")


def _because(event: Fields) -> str:
    return f" ({event['cause']})" if event.get("cause") else ""


def _seconds(event: Fields, name: str) -> str:
    value = event.get(name)
    return span_of(None if value is None else float(value))


def _submitted(event: Fields) -> str:
    parts = [str(event[name]) for name in ("priority", "endpoint") if event.get(name)]
    if event.get("estimate_tokens"):
        parts.append(f"about {event['estimate_tokens']:,} tokens")
    if event.get("hedge_of"):
        parts.append(f"second attempt of call {event['hedge_of']}")
    return "asked for a lane" + (f" ({', '.join(parts)})" if parts else "")


def _queued(event: Fields) -> str:
    cause = str(event.get("cause") or "")
    why = _WAITS.get(cause, cause)
    return f"waits in level {event.get('level', 0)}: {why}; {event.get('waiting', 0)} wait in all"


def _throttled(event: Fields) -> str:
    cause = str(event.get("cause") or "")
    why = _HELD.get(cause, f"the endpoint's limit of {cause.replace('_', ' ')} is used up")
    known = event.get("for_s")
    return f"held back: {why}" + (f", for {span_of(float(known))}" if known else "")


def _granted(event: Fields) -> str:
    group, waited = event.get("group") or "model", _seconds(event, "waited_s")
    return f"got a lane of {group} after {waited}{_because(event)}"


def _requeued(event: Fields) -> str:
    if event.get("cause") == "unsent":
        return "was not sent: the fleet may have given its lane to others; waits for it again"
    status = f" {event['status']}" if event.get("status") else ""
    again = float(event.get("until_s") or 0.0) - float(event.get("at_s") or 0.0)
    later = f", goes again in {span_of(again)}" if again > 0 else ", goes again"
    return f"failed after {_seconds(event, 'held_s')} ({event.get('cause')}{status}){later}"


def _settled(event: Fields) -> str:
    read, wrote = tokens_of(event.get("usage"))
    tokens = f": {read:,} tokens in, {wrote:,} out" if read or wrote else ""
    cost = f", cost {event['cost']:.4g}" if event.get("cost") else ""
    return f"ended {event.get('cause') or 'ok'} after {_seconds(event, 'held_s')}{tokens}{cost}"


def _reaped(event: Fields) -> str:
    limit = f" of {_seconds(event, 'limit_s')}" if event.get("limit_s") else ""
    source = f", set by {event['source']}" if event.get("source") else ""
    held = _seconds(event, "held_s")
    return f"reaped after {held}: its {event.get('cause')} limit{limit} passed{source}"


def _refused(event: Fields) -> str:
    detail = f": {event['detail']}" if event.get("detail") else ""
    return f"refused after {_seconds(event, 'waited_s')}{_because(event)}{detail}"


def _rate(event: Fields) -> str:
    per_min, limit = 60.0 * float(event.get("per_s") or 0.0), event.get("limit_per_s")
    known = f" of {_amount(60.0 * float(limit))}" if limit else ""
    resource = str(event.get("resource") or "").replace("_", " ")
    return f"rate of {resource} {event.get('cause')}: {_amount(per_min)}{known} per minute"


def _closed(event: Fields) -> str:
    rest = float(event.get("until_s") or 0.0) - float(event.get("at_s") or 0.0)
    return f"closed for {span_of(max(0.0, rest))}{_because(event)}"


def _crossed(event: Fields) -> str:
    spent, limit = float(event.get("spent") or 0.0), float(event.get("limit") or 0.0)
    return (
        f"{event.get('cause')} mark of {event.get('budget')}: {_amount(spent)} of {_amount(limit)}"
    )


def _compacted(event: Fields) -> str:
    before, after = event.get("before_tokens", 0), event.get("after_tokens", 0)
    return f"compacted {event.get('session')}: {before:,} tokens to {after:,}{_because(event)}"


_SAID: dict[str, Callable[[Fields], str]] = {
    "Beaten": lambda _: "first sign of life",
    "Boosted": lambda event: f"all agents went up{_because(event)}",
    "BreakerChanged": lambda event: f"breaker is now {event.get('cause')}",
    "BudgetCrossed": _crossed,
    "Compacted": _compacted,
    "Demoted": lambda event: f"went down to level {event.get('level')}{_because(event)}",
    "Drained": lambda event: (
        "drained: its new calls are refused"
        if event.get("cause") == "drained"
        else "let in again: its new calls may go"
    ),
    "EndpointClosed": _closed,
    "Granted": _granted,
    "Hedged": lambda event: f"sent as a second attempt of call {event.get('hedge_of')}",
    "Hibernated": lambda event: f"hibernated {event.get('session')}{_because(event)}",
    "LimitChanged": _rate,
    "Prepared": lambda event: (
        f"request of {event.get('session')} put together: {event.get('used_tokens', 0):,} tokens"
    ),
    "Queued": _queued,
    "Reaped": _reaped,
    "Recalled": lambda event: f"recalled {event.get('tokens', 0):,} tokens{_because(event)}",
    "Refused": _refused,
    "Requeued": _requeued,
    "Settled": _settled,
    "Submitted": _submitted,
    "Suspected": lambda event: (
        f"late: no {event.get('cause')} for {_seconds(event, 'silent_s')}; its lane is lent"
    ),
    "Throttled": _throttled,
}
