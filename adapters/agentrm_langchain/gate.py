"""A lane around a model's own hooks: what is charged for an attempt of a LangChain call.

What the provider reports is charged; a stream that was cut is charged by its chunks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_langchain.said import text_of
from agentrm_langchain.usage import Tally, used_or_estimated
from agentrm_plugins.integration import (
    AsyncChunks,
    Attempt,
    Chunks,
    Reading,
    core_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator

    from agentrm_plugins import AgentRM, Lease

__all__ = ["call", "call_async", "call_in_thread", "stream", "stream_async"]


def call(rm: AgentRM, lease: Lease, work: Callable[[], Any], *, abandon: bool) -> Any:
    """Run `work`, which gives a `ChatResult`; on a worker that can be left behind, if `abandon`."""
    attempt = Attempt(core_of(rm).number, lease, _settle)
    return attempt.on_worker(work) if abandon else attempt.here(work)


async def call_async(
    rm: AgentRM, lease: Lease, work: Callable[[], Coroutine[Any, Any, Any]]
) -> Any:
    """Await `work()`, which gives a `ChatResult`."""
    return await Attempt(core_of(rm).number, lease, _settle).in_task(work)


async def call_in_thread(rm: AgentRM, lease: Lease, work: Callable[[], Any]) -> Any:
    """The same for a model that has no async way."""
    return await Attempt(core_of(rm).number, lease, _settle).in_thread(work)


def stream(
    rm: AgentRM,
    lease: Lease,
    work: Callable[[], Iterator[Any]],
    *,
    abandon: bool,
    whole: bool = False,
) -> Iterator[Any]:
    """Open the model's stream; on workers that can be left behind, if `abandon`.

    Args:
        rm: The core.
        lease: The lane.
        work: Gives the stream.
        abandon: Whether it can be left behind when it hangs.
        whole: Whether nobody sees a chunk before all have come.
    """
    attempt = Attempt(core_of(rm).number, lease, Attempt.stays_open)
    return Chunks(attempt, work, _READING[whole], worker=abandon).begin()


async def stream_async(
    rm: AgentRM, lease: Lease, work: Callable[[], AsyncIterator[Any]], *, whole: bool = False
) -> AsyncGenerator[Any, None]:
    """The same in async code."""
    attempt = Attempt(core_of(rm).number, lease, Attempt.stays_open)
    return await AsyncChunks(attempt, work, _READING[whole]).begin()


def _tally(lease: Lease) -> Tally:
    return Tally(lease.call.estimate)


_READING = {whole: Reading(_tally, text_of, whole) for whole in (False, True)}


def _settle(lease: Lease, result: Any) -> None:
    usage = None
    if result is not None:
        usage = used_or_estimated(lease.call, result.generations, result.llm_output)
    lease.settle(usage)
