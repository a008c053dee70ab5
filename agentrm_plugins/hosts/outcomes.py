"""How code has ended, and what an answer that nobody waits for has cost."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from agentrm_plugins.types.calls import Outcome, Usage

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call

__all__ = ["Told", "outcome_of"]

_NAME = attrgetter("__name__")
_STEERING = "GraphBubbleUp"  # LangGraph's interrupts, drains and commands to a parent graph


def outcome_of(kind: type[BaseException] | None) -> Outcome:
    """How code that ended with an exception of this kind, or None, has ended.

    What LangGraph raises to steer a graph is no failure.
    """
    if kind is None or _STEERING in map(_NAME, kind.__mro__):
        return Outcome.OK
    if issubclass(kind, Exception):
        return Outcome.ERROR
    return Outcome.CANCELLED


class Told:
    """Stands for a lease while an adapter says what an answer has cost.

    Attributes:
        call: What was declared of the call.
        usage: What the provider counted; None if nobody knows.
    """

    __slots__ = ("call", "usage")

    def __init__(self, call: Call) -> None:
        self.call = call
        self.usage: Usage | None = None

    def settle(self, usage: Usage | None = None) -> None:
        """That is the cost."""
        self.usage = usage
