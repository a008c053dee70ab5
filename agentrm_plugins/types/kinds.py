"""The word for each kind of event: in a recording, on the monitor's socket, on the command line."""

from __future__ import annotations

from agentrm_plugins.types.effects import (
    Beaten,
    Boosted,
    BreakerChanged,
    BudgetCrossed,
    Compacted,
    Demoted,
    Drained,
    Effect,
    EndpointClosed,
    Granted,
    Hedged,
    Hibernated,
    LimitChanged,
    Prepared,
    Queued,
    Reaped,
    Recalled,
    Refused,
    Requeued,
    Settled,
    Submitted,
    Suspected,
    Throttled,
)

__all__ = ["KINDS", "kind_of"]

KINDS: dict[str, type] = {
    "beaten": Beaten,
    "boosted": Boosted,
    "breaker_changed": BreakerChanged,
    "budget_crossed": BudgetCrossed,
    "compacted": Compacted,
    "demoted": Demoted,
    "drained": Drained,
    "endpoint_closed": EndpointClosed,
    "granted": Granted,
    "hedged": Hedged,
    "hibernated": Hibernated,
    "limit_changed": LimitChanged,
    "prepared": Prepared,
    "queued": Queued,
    "reaped": Reaped,
    "recalled": Recalled,
    "refused": Refused,
    "requeued": Requeued,
    "settled": Settled,
    "submitted": Submitted,
    "suspected": Suspected,
    "throttled": Throttled,
}

_WORDS = {kind: word for word, kind in KINDS.items()}


def kind_of(effect: Effect) -> str:
    """The word for what happened, such as "granted".

    >>> kind_of(Boosted(1.0, 0, "", "dispatches"))
    'boosted'
    """
    return _WORDS[effect.__class__]
