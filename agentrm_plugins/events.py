"""What `AgentRM.events` tells: each thing that happened, with its call's number, agent and cause.

>>> from agentrm_plugins import AgentRM
>>> from agentrm_plugins.events import Granted
>>> with AgentRM(lanes=2) as rm, rm.events() as stream:
...     with rm.slot(agent="ada"):
...         pass
...     [event.agent for event in stream if isinstance(event, Granted)]
['ada']
"""

from __future__ import annotations

from agentrm_plugins.hosts.stream import EventStream
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
from agentrm_plugins.types.kinds import KINDS, kind_of

__all__ = [
    "KINDS",
    "Beaten",
    "Boosted",
    "BreakerChanged",
    "BudgetCrossed",
    "Compacted",
    "Demoted",
    "Drained",
    "Effect",
    "EndpointClosed",
    "EventStream",
    "Granted",
    "Hedged",
    "Hibernated",
    "LimitChanged",
    "Prepared",
    "Queued",
    "Reaped",
    "Recalled",
    "Refused",
    "Requeued",
    "Settled",
    "Submitted",
    "Suspected",
    "Throttled",
    "kind_of",
]
