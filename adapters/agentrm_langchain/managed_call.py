"""Where a wrapped model's call is noted while it runs, and how it goes again.

It is noted only while an attempt runs: what the inner model calls with the same run id belongs to
it and is managed once. Between two attempts nothing is held and nothing noted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_langchain.call_register import register_of
from agentrm_langchain.tracing import traced
from agentrm_plugins.integration import core_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_langchain.call_register import Run
    from agentrm_plugins import AgentRM, Call, Lease, RetryPolicy

__all__ = ["ManagedCall"]


class ManagedCall:
    """One call of a wrapped model.

    Args:
        rm: The core.
        key: The number of its run.
        policy: Which failures go again.
        run: The run, whose tracers are told of waits.
    """

    __slots__ = ("_key", "_policy", "_register", "_rm", "_run")

    def __init__(
        self, rm: AgentRM, key: int, policy: RetryPolicy | None, run: Run | None = None
    ) -> None:
        self._run = run
        self._rm = rm
        self._key = key
        self._policy = policy
        self._register = register_of(rm)

    def is_running(self) -> bool:
        """Whether this very call is managed already, further out."""
        return self._key in self._register.running

    def leave(self) -> None:
        """The attempt is over."""
        self._register.running.pop(self._key, None)

    def go(self, call: Call, make: Callable[[Lease], Any]) -> Any:
        """Make the call, in the lane that a callback took for it or in one of its own.

        Raises:
            CallRefused: The core said no.
            Exception: What the last attempt raised.
        """
        held = self._register.held.get(self._key)
        if held is None:
            with traced(self._run):
                return core_of(self._rm).call(call, make, retry=self._policy)
        try:
            return make(held.lease)
        except BaseException as error:
            if not held.lease.reaped:
                held.lease.fail(error)
            raise

    async def go_async(self, call: Call, make: Callable[[Lease], Awaitable[Any]]) -> Any:
        """The same in a task.

        Raises:
            CallRefused: The core said no.
            Exception: What the last attempt raised.
        """
        held = self._register.held.get(self._key)
        if held is None:
            with traced(self._run):
                return await core_of(self._rm).call_async(call, make, retry=self._policy)
        try:
            return await make(held.lease)
        except BaseException as error:
            if not held.lease.reaped:
                held.lease.fail(error)
            raise

    # -- what is noted meanwhile ------------------------------------------------------------

    def during(self, attempt: Callable[[Lease], Any]) -> Callable[[Lease], Any]:
        """The attempt, noted while it runs."""

        def noted(lease: Lease) -> Any:
            self._register.running[self._key] = lease
            try:
                return attempt(lease)
            finally:
                self.leave()

        return noted

    def during_async(
        self, attempt: Callable[[Lease], Awaitable[Any]]
    ) -> Callable[[Lease], Awaitable[Any]]:
        """The same in a task."""

        async def noted(lease: Lease) -> Any:
            self._register.running[self._key] = lease
            try:
                return await attempt(lease)
            finally:
                self.leave()

        return noted

    def opening(self, attempt: Callable[[Lease], Any]) -> Callable[[Lease], Any]:
        """The opening of a stream, noted until `leave` if it goes well."""

        def noted(lease: Lease) -> Any:
            self._register.running[self._key] = lease
            try:
                return attempt(lease)
            except BaseException:
                self.leave()
                raise

        return noted

    def opening_async(
        self, attempt: Callable[[Lease], Awaitable[Any]]
    ) -> Callable[[Lease], Awaitable[Any]]:
        """The same in a task."""

        async def noted(lease: Lease) -> Any:
            self._register.running[self._key] = lease
            try:
                return await attempt(lease)
            except BaseException:
                self.leave()
                raise

        return noted
