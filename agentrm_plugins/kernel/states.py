"""The states of a ticket as a table, from which the diagram in the docs is drawn."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from agentrm_plugins.errors import KernelBug

__all__ = ["TRANSITIONS", "State", "diagram", "move"]


class State(Enum):
    """Where a ticket is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    ZOMBIE = "zombie"
    DONE = "done"
    GONE = "gone"

    __hash__ = object.__hash__  # Enum's own is Python code, and each step looks a state up twice


TRANSITIONS: dict[State, dict[State, str]] = {
    State.QUEUED: {
        State.RUNNING: "granted",
        State.GONE: "refused, withdrawn, or its deadline for waiting passed",
    },
    State.RUNNING: {
        State.DONE: "settled",
        State.ZOMBIE: "its lease expired, the lane is free again",
        State.QUEUED: "it failed and goes again, at its own place and without a lane",
    },
    State.ZOMBIE: {State.DONE: "settled late, tokens are charged, no lane is returned"},
    State.DONE: {},
    State.GONE: {},
}


class Stateful(Protocol):
    """A ticket, as far as its state goes."""

    number: int
    state: State


def move(ticket: Stateful, state: State) -> None:
    """Move a ticket along the table.

    Raises:
        KernelBug: The table has no such step.
    """
    if state not in TRANSITIONS[ticket.state]:
        message = f"ticket {ticket.number}: {ticket.state.value} -> {state.value} is impossible"
        raise KernelBug(message)
    ticket.state = state


def diagram() -> str:
    """The table as a diagram in mermaid's language, for the docs."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.QUEUED.value}: submitted"]
    for state, steps in TRANSITIONS.items():
        for after, cause in steps.items():
            lines.append(f"    {state.value} --> {after.value}: {cause}")
        if not steps:
            lines.append(f"    {state.value} --> [*]")
    return "\n".join(lines)
