"""Single calls in the statistics: those that run, and those that wait."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FOR_LANES", "RunningCall", "WaitingCall"]

FOR_LANES = frozenset({"lanes", "group", "agent", "tenant", "order", "nested"})
"""What holds a call back that waits for a lane. Everything else is a limit, a budget or a date."""


@dataclass(frozen=True, slots=True)
class RunningCall:
    """One call that holds a lane, or sits on its parent's.

    Attributes:
        ticket: Its number in this core.
        agent: Whose it is.
        tenant: Who pays.
        group: The lane group.
        endpoint: "host/model#fingerprint", or None.
        label: What it is for, if that was said.
        attempt: Which attempt this is, from 1.
        streaming: Whether it tells of its progress.
        age_s: Seconds since it got its lane.
        silent_s: Seconds since its last sign of life: a beat, or else its beginning.
        beats: Signs of life so far.
        waited_s: Seconds that it had waited before.
        priority: "interactive", "batch", "background", or "" if nobody said.
        late: Whether it is silent for so long that it counts as late.
        nested: Whether it sits on another call's lane.
    """

    ticket: int
    agent: str
    tenant: str
    group: str
    endpoint: str | None
    label: str
    attempt: int
    streaming: bool
    age_s: float
    silent_s: float
    beats: int
    waited_s: float
    priority: str = ""
    late: bool = False
    nested: bool = False


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """One call that waits for a lane, for the first time or again.

    Attributes:
        ticket: Its number in this core.
        agent: Whose it is.
        tenant: Who pays.
        group: The lane group.
        endpoint: "host/model#fingerprint", or None.
        label: What it is for, if that was said.
        priority: "interactive", "batch", "background", or "" if nobody said.
        attempt: Which attempt it waits for, from 1.
        level: Its agent's level.
        held_by: What holds it back, as events say it: "lanes", "tokens", "budget", ...
        age_s: Seconds since it was submitted.
        waiting_s: Seconds since this wait began.
        waited_s: Seconds that it had waited before earlier attempts.
    """

    ticket: int
    agent: str
    tenant: str
    group: str
    endpoint: str | None
    label: str
    priority: str
    attempt: int
    level: int
    held_by: str
    age_s: float
    waiting_s: float
    waited_s: float
