"""One call of a wrapped model: noted while it is under way, made in a lane, charged by its answer.

It is noted from the first attempt to the end: what the inner model calls with the same run id
belongs to it and is managed once. What the provider reports is charged; a stream that was cut is
charged by its chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel, SimpleChatModel
from langchain_core.utils.uuid import uuid7

from agentrm_langchain.answers import Tally, answered, nothing_came, text_of, used_or_estimated
from agentrm_langchain.sdk import reads_one_request
from agentrm_langchain.tracing import traced
from agentrm_plugins.integration import AsyncChunks, Attempt, Chunks, Reading

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Awaitable,
        Callable,
        Coroutine,
        Iterator,
    )

    from agentrm_langchain.call_register import CallRegister, Run
    from agentrm_plugins import Call, RetryPolicy
    from agentrm_plugins.integration import Core, HostLease

__all__ = ["ManagedCall", "is_sync_only"]


class ManagedCall:
    """One call. Whoever makes it calls `leave` when it is over, however it ended.

    Args:
        core: The core.
        register: Where its calls are noted.
        run: Its run, whose tracers are told of waits.
        policy: Which failures go again; None: none does.

    Attributes:
        is_running: Whether this very call is managed already, further out.
    """

    __slots__ = ("_core", "_key", "_policy", "_register", "_run", "is_running")

    def __init__(
        self, core: Core, register: CallRegister, run: Run, policy: RetryPolicy | None
    ) -> None:
        # One of no known run gets a number of its own.
        self._key = (uuid7() if run.run_id is None else run.run_id).int
        self._core = core
        self._register = register
        self._run = run
        self._policy = policy
        self.is_running = self._key in register.running

    def leave(self) -> None:
        """The call is over."""
        self._register.running.discard(self._key)

    # -- an answer as a whole -----------------------------------------------------------------

    def answer(self, call: Call, work: Callable[[], Any], *, abandon: bool) -> Any:
        """Run `work`, which gives a `ChatResult`; on a worker to leave behind, if `abandon`.

        Raises:
            CallRefused: The core said no.
            Exception: What the last attempt raised.
        """
        number = self._core.number

        def make(lease: HostLease) -> Any:
            attempt = Attempt(number, lease, _settle)
            return attempt.on_worker(asked) if abandon else attempt.here(asked)

        def asked() -> Any:
            return answered(work())

        return self.go(call, make)

    def answer_async(
        self, call: Call, work: Callable[[], Any], *, threaded: bool
    ) -> Awaitable[Any]:
        """The same in a task; `threaded`: `work` is sync code, of a model that has no async way."""
        number = self._core.number

        def make(lease: HostLease) -> Coroutine[Any, Any, Any]:
            attempt = Attempt(number, lease, _settle)
            return attempt.in_thread(asked) if threaded else attempt.in_task(asked_async)

        def asked() -> Any:
            return answered(work())

        async def asked_async() -> Any:
            return answered(await work())

        return self.go_async(call, make)

    # -- an answer in pieces ------------------------------------------------------------------

    def open(
        self, lease: HostLease, work: Callable[[], Iterator[Any]], *, abandon: bool
    ) -> Iterator[Any]:
        """Open the stream that `work` gives; on workers that can be left behind, if `abandon`."""
        attempt = Attempt(self._core.number, lease, Attempt.stays_open)
        reading, wakeable = _READING[self._run.whole], reads_one_request(work)
        return Chunks(attempt, work, reading, worker=abandon, wakeable=wakeable).begin()

    def open_async(
        self, lease: HostLease, work: Callable[[], AsyncIterator[Any]]
    ) -> Awaitable[AsyncGenerator[Any, None]]:
        """The same in async code."""
        attempt = Attempt(self._core.number, lease, Attempt.stays_open)
        return AsyncChunks(attempt, work, _READING[self._run.whole]).begin()

    # -- its attempts -------------------------------------------------------------------------

    def go(self, call: Call, make: Callable[[HostLease], Any]) -> Any:
        """Make the call, in the lane that a callback took for it or in one of its own."""
        register = self._register
        register.running.add(self._key)
        held = register.held.get(self._key)
        if held is not None:
            return self._core.call_in(held.lease, make)
        if self._run.callbacks is None:
            return self._core.call(call, make, retry=self._policy)
        with traced(self._run):
            return self._core.call(call, make, retry=self._policy)

    def go_async(self, call: Call, make: Callable[[HostLease], Awaitable[Any]]) -> Awaitable[Any]:
        """The same in a task, which awaits what this gives."""
        register = self._register
        register.running.add(self._key)
        held = register.held.get(self._key)
        if held is not None:
            return self._core.call_in_async(held.lease, make)
        if self._run.callbacks is None:
            return self._core.call_async(call, make, retry=self._policy)
        return self._traced(call, make)

    async def _traced(self, call: Call, make: Callable[[HostLease], Awaitable[Any]]) -> Any:
        with traced(self._run):
            return await self._core.call_async(call, make, retry=self._policy)


def _settle(lease: HostLease, result: Any) -> None:
    usage = None
    if result is not None:
        usage = used_or_estimated(lease.call, result.generations, result.llm_output)
    lease.settle(usage)


def _tally(lease: HostLease) -> Tally:
    return Tally(lease.call.estimate)


_READING = {
    whole: Reading(_tally, text_of, whole, nothing_came, Tally.counted) for whole in (False, True)
}


def is_sync_only(kind: type[BaseChatModel]) -> bool:
    """Whether its async way is only a thread of the loop's executor."""
    return kind._agenerate in {BaseChatModel._agenerate, SimpleChatModel._agenerate}
