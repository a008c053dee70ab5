"""A lane for a block of code, in sync and async code alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.errors import AgentRMError
from agentrm_plugins.hosts.outcomes import outcome_of
from agentrm_plugins.hosts.race_tasks import ReapGuard
from agentrm_plugins.types.identity import ACTIVE, Active, restore

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from agentrm_plugins.hosts import Lease
    from agentrm_plugins.hosts.core import Core
    from agentrm_plugins.types.calls import Call

__all__ = ["Slot"]


class Slot:
    """What `AgentRM.slot` gives: enter it once, with `with` or `async with`."""

    __slots__ = ("_guard", "_token", "call", "core", "lease")

    def __init__(self, core: Core, call: Call) -> None:
        self.core = core
        self.call = call
        self.lease: Lease | None = None
        self._token: Token[Active | None] | None = None
        self._guard: ReapGuard | None = None

    def __enter__(self) -> Lease:
        self._once()
        self.lease = lease = self.core.admit(self.call)
        self._activate(lease)
        return lease

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        lease = self._leave(kind)
        if error is None:
            lease.raise_if_reaped()

    async def __aenter__(self) -> Lease:
        self._once()
        self.lease = lease = await self.core.admit_async(self.call)
        self._activate(lease)
        self._guard = ReapGuard(lease)
        return lease

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leave(kind)
        guard = self._guard
        assert guard is not None  # noqa: S101 - it was entered
        reaped = guard.convert(error)
        if reaped is not None:
            raise reaped from error

    def _once(self) -> None:
        if self.lease is not None:
            msg = "this slot was entered before; call rm.slot(...) for each block"
            raise AgentRMError(msg)

    def _activate(self, lease: Lease) -> None:
        self._token = ACTIVE.set(Active(self.core.number, lease.ticket, lease.call))

    def _leave(self, kind: type[BaseException] | None) -> Lease:
        lease, token = self.lease, self._token
        assert lease is not None  # noqa: S101 - it was entered
        assert token is not None  # noqa: S101 - it was entered
        lease.settle(outcome=outcome_of(kind))
        restore(ACTIVE, token)
        return lease
