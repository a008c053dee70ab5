"""Who is asking: what travels with the caller through threads' contexts, tasks and callbacks."""

from __future__ import annotations

from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.types.calls import Priority

__all__ = ["ACTIVE", "IDENTITY", "NOBODY", "WAITING", "Active", "Identity", "restore"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Identity:
    """For whom the calls below here are made; None where nothing was declared."""

    agent: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    parent_agent: str | None = None


class Active(NamedTuple):
    """The managed call inside which the code below here runs. `core` tells cores apart."""

    core: int
    ticket: int
    agent: str
    tenant: str
    group: str = ""


NOBODY = Identity()  # nothing was declared
IDENTITY: ContextVar[Identity] = ContextVar("agentrm_identity", default=NOBODY)
ACTIVE: ContextVar[Active | None] = ContextVar("agentrm_active", default=None)

# Called now and then while a managed call in async code waits: a sign of life for frameworks whose
# own timers do not know that waiting is no idleness.
WAITING: ContextVar[Callable[[], None] | None] = ContextVar("agentrm_waiting", default=None)


def restore(variable: ContextVar[T], token: Token[T]) -> None:
    """Undo a `set`, if this is the context that it was done in.

    An async generator that was left half way ends in another one, where there is nothing to undo.
    """
    try:
        variable.reset(token)
    except ValueError:
        return
