"""Who is asking: what an adapter says of it, and what is known of it where a call is made.

`enter` and `leave` are the same as `AgentRM.identity`, without the price of a `with` block.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentrm_plugins.hosts.identity import RunInfo, Said, named_in, resolve, run_around, say
from agentrm_plugins.types.checks import whole_text
from agentrm_plugins.types.identity import (
    ACTIVE,
    IDENTITY,
    NOBODY,
    QUEUED,
    WAITING,
    Active,
    Identity,
    restore,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextvars import Token

__all__ = [
    "NOBODY",
    "QUEUED",
    "Identity",
    "RunInfo",
    "Said",
    "current_identity",
    "enter",
    "leave",
    "named_in",
    "resolve",
    "restore",
    "run_around",
    "say",
    "while_waiting",
    "whole_text",
]


def enter(identity: Identity, active: Active | None = None) -> Token[Identity]:
    """What runs from here on is done for `identity`.

    Args:
        identity: For whom.
        active: The managed call that will be entered next (`Attempt.active`), if one will.

    Returns:
        What `leave` needs; it must be called whatever happens.
    """
    within = ACTIVE.get() if active is None else active
    if identity.within is not within:  # what is declared here is nearer than that call
        identity = identity._replace(within=within)
    return IDENTITY.set(identity)


def leave(entered: Token[Identity]) -> None:
    """Undo `enter`."""
    restore(IDENTITY, entered)


def current_identity() -> Identity:
    """What `AgentRM.identity` has declared for the code that runs now."""
    return IDENTITY.get()


@contextmanager
def while_waiting(sign: Callable[[], None]) -> Iterator[None]:
    """Call `sign` every 50 ms while a managed call of this block's async code waits for its turn.

    For a framework that stops what seems idle. `sign` is called in the event loop and must be
    quick.
    """
    token = WAITING.set(sign)
    try:
        yield
    finally:
        restore(WAITING, token)
