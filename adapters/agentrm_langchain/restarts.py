"""A managed stream, and what its consumer gets when the answer begins anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from agentrm_plugins.integration import wire

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

    from agentrm_langchain.managed_call import ManagedCall
    from agentrm_plugins import Call
    from agentrm_plugins.integration import HostLease

__all__ = ["passed_on", "passed_on_async", "streamed", "streamed_async"]


def streamed(
    place: ManagedCall, call: Call, make: Callable[[HostLease], Iterator[Any]], restarts: Any
) -> Iterator[Any]:
    """Yield the chunks of a call; anew after a marker, where it broke off and that is wanted.

    Args:
        place: Where the call is noted.
        call: The call.
        make: Opens its stream.
        restarts: Whether it may begin anew (`Core.restarts`).
    """
    while True:
        try:
            yield from place.go(call, make)
        except Exception as error:
            if not restarts.may(error):
                raise
        else:
            return
        finally:
            place.leave()
        yield _marker()


async def streamed_async(
    place: ManagedCall,
    call: Call,
    make: Callable[[HostLease], Awaitable[AsyncGenerator[Any, None]]],
    restarts: Any,
) -> AsyncGenerator[Any, None]:
    """The same in async code."""
    while True:
        try:
            async with wire.Shutting(chunks := await place.go_async(call, make)):
                async for chunk in chunks:
                    yield chunk
        except Exception as error:
            if not restarts.may(error):
                raise
        else:
            return
        finally:
            place.leave()
        yield _marker()


def passed_on(work: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """The stream of a call that is managed further out."""
    yield from work()


async def passed_on_async(
    work: Callable[[], AsyncGenerator[Any, None]],
) -> AsyncGenerator[Any, None]:
    """The same in async code."""
    async with wire.Shutting(chunks := work()):
        async for chunk in chunks:
            yield chunk


def _marker() -> ChatGenerationChunk:
    """A chunk without text: what came before it is void, the whole answer follows."""
    message = AIMessageChunk(content="", response_metadata={"agentrm_restart": True})
    return ChatGenerationChunk(message=message)
