"""Guards of async code: what a task gets when the call that it makes has lost its lane."""

from __future__ import annotations

import asyncio
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import AgentRMError, CallReaped
from agentrm_plugins.types.calls import Outcome
from agentrm_plugins.types.identity import ACTIVE, restore

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.types.identity import Active

__all__ = ["PullGuard", "ReapGuard", "outcome_of"]

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


class ReapGuard:
    """Turns a reaped lease into `CallReaped` in the task that holds it.

    When the lease is reaped the task is cancelled; `convert` takes that cancellation back, so that
    an ordinary error comes out. Somebody else's cancellation at the same time stays one (as in
    `asyncio.timeout`).

    Args:
        lease: The lease of the call that this task makes.

    Attributes:
        taken_back: Whether the cancellation that came was ours alone.
    """

    __slots__ = ("_cancelled", "_cancelling", "_error", "_loop", "_over", "_task", "taken_back")

    def __init__(self, lease: HostLease) -> None:
        self._loop = loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        if task is None:
            msg = "a lease can be guarded only inside a task"
            raise AgentRMError(msg)
        self._task = task
        self._cancelling = task.cancelling()
        self._error: CallReaped | None = None
        self._cancelled = self.taken_back = False
        self._over = False
        lease.on_reap(self._reaped)

    def _reaped(self, error: CallReaped) -> None:
        self._error = error
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._over = True

    def _cancel(self) -> None:
        if not self._over and not self._cancelled and not self._task.done():
            self._cancelled = True
            self._task.cancel()

    def convert(self, error: BaseException | None) -> CallReaped | None:
        """The guarded code is over, with `error` or without: what to raise instead, if anything."""
        self._over = True
        if self._cancelled:
            self.taken_back = self._task.uncancel() <= self._cancelling
            if self.taken_back and (error is None or isinstance(error, asyncio.CancelledError)):
                return self._error
            return None
        if self._error is not None and error is None:
            return self._error
        return None


class PullGuard:
    """`ReapGuard` for a stream, whose chunks different tasks may wait for, one after the other.

    Enter it for each wait: what runs inside is inside the call; if the lease is reaped meanwhile,
    that task is cancelled, and its cancellation turned into `CallReaped` on the way out.

    Args:
        lease: The lease of the call that streams.
        active: The call, as those see it who run inside.
    """

    __slots__ = ("_active", "_cancelling", "_error", "_loop", "_ours", "_task", "_token")

    def __init__(self, lease: HostLease, active: Active) -> None:
        self._active = active
        self._token: Token[Active | None] | None = None
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._ours = False
        self._error: CallReaped | None = None
        lease.on_reap(self._reaped)

    def _reaped(self, error: CallReaped) -> None:
        self._error = error
        try:
            self._loop.call_soon_threadsafe(self._cancel)
        except RuntimeError:  # the loop is closed: there is nobody left to tell
            self._task = None

    def _cancel(self) -> None:
        task = self._task
        if task is not None and not task.done():
            self._ours = True
            task.cancel()

    def __enter__(self) -> None:
        if self._error is not None:
            raise self._error
        self._task = task = asyncio.current_task(self._loop)
        self._cancelling = task.cancelling() if task is not None else 0
        self._token = ACTIVE.set(self._active)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self._token is not None:
            restore(ACTIVE, self._token)
        if not self._ours or task is None:
            return
        self._ours = False
        mine = task.uncancel() <= self._cancelling
        if mine and (kind is None or kind is asyncio.CancelledError):
            assert self._error is not None  # noqa: S101 - that is why it was cancelled
            raise self._error from error
