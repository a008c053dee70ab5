"""Who is asking: what travels with the caller through threads' contexts, tasks and callbacks."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call, Priority

__all__ = [
    "ACTIVE",
    "IDENTITY",
    "NOBODY",
    "QUEUED",
    "WAITING",
    "Active",
    "Identity",
    "QueueEnd",
    "restore",
]

T = TypeVar("T")


class Active(NamedTuple):
    """The managed call inside which the code below here runs. `core` tells cores apart.

    `lease` gives its lease, while there is one. None: what it does cannot be begun a second time.
    """

    core: int
    ticket: int
    call: Call
    lease: Callable[[], Any] | None = None


class Identity(NamedTuple):
    """For whom the calls below here are made; None where nothing was declared.

    Args:
        agent: Whose service it is.
        tenant: Who pays.
        priority: Where the agent starts.
        parent_agent: The agent on whose behalf this one works.
        named: Whether somebody named the agent; else it was taken from a thread or a run.
        thread: The thread id of the graph or chain in which this was declared.
        within: The managed call inside which this was declared: one that was entered later is
            nearer.
    """

    agent: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    parent_agent: str | None = None
    named: bool = True
    thread: str | None = None
    within: Active | None = None


NOBODY = Identity()  # nothing was declared
IDENTITY: ContextVar[Identity] = ContextVar("agentrm_identity", default=NOBODY)
ACTIVE: ContextVar[Active | None] = ContextVar("agentrm_active", default=None)

# Called now and then while a managed call in async code waits: a sign of life for frameworks whose
# own timers do not know that waiting is no idleness.
WAITING: ContextVar[Callable[[], None] | None] = ContextVar("agentrm_waiting", default=None)


QueueEnd = Callable[[float, str], None]
# Asked when a managed call waits for its lane, with what may be told of it; gives what to call at
# the end of the wait, with its seconds and why the call will not run ("" if it will). For tracers.
QUEUED: ContextVar[Callable[[dict[str, str]], QueueEnd | None] | None] = ContextVar(
    "agentrm_queued", default=None
)


def restore(variable: ContextVar[T], token: Token[T]) -> None:
    """Undo a `set`, if this is the context that it was done in.

    An async generator that was left half way ends in another one, where there is nothing to undo.
    """
    try:
        variable.reset(token)
    except ValueError:
        return
