"""What stands in a host's inbox beside the kernel's own events: looks, questions, and news."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.types.effects import (
    BreakerChanged,
    BudgetCrossed,
    Drained,
    EndpointClosed,
    LimitChanged,
    Reaped,
    Refused,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.kernel.ticket import Ticket
    from agentrm_plugins.types.effects import Effect
    from agentrm_plugins.types.events import Event

__all__ = ["NOTABLE", "STARVED_S", "Asked", "News", "Notes", "Read"]

NOTABLE = frozenset({
    *(BreakerChanged, BudgetCrossed, Drained, EndpointClosed, LimitChanged, Reaped, Refused),
})  # fmt: skip
"""The events that an operator may have to know of."""
STARVED_S = 60.0
"""Seconds that a call waits before its agent counts as starved. Guessed: a person has left."""


class Notes(Protocol):
    """Is told of notable events inside the core: quickly, and without ever blocking."""

    def note(self, event: Effect) -> None:
        """It is one of `NOTABLE`, or a `Granted` after more than `STARVED_S`."""

    def starves(self, ticket: Ticket, waited_s: float, now_s: float) -> None:
        """A call waits for longer than `STARVED_S`, and has no lane yet."""

    def lost(self) -> None:
        """A reader of events begins to lose some."""


class Read:
    """A look at the kernel, taken where nothing changes meanwhile."""

    __slots__ = ("done", "error", "look", "value")

    def __init__(self, look: Callable[[Kernel], Any]) -> None:
        self.look = look
        self.value: Any = None
        self.error: Exception | None = None
        self.done = Bell()

    def result(self) -> Any:
        """Wait until it is over: what was seen, or what was wrong."""
        self.done.wait()
        if self.error is not None:
            raise self.error
        return self.value


class Asked(Read):
    """An event whose sender waits for what became of it."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        super().__init__(lambda _: None)
        self.event = event


class News:
    """Something that happened beside the kernel, to stand among its events."""

    __slots__ = ("effect",)

    def __init__(self, effect: Effect) -> None:
        self.effect = effect
