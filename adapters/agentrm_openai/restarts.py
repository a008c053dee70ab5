"""A plain SDK stream that begins anew after it broke off, where its consumer has opted in.

The stream that the caller has stays the same object. Between the pieces of the broken answer and
those of the new one it gives a marker: a piece of its own kind that says nothing and has
``agentrm_restart=True`` (an event of the Responses API: of the type ``agentrm.restart``). What came
before the marker is void.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import ref

from openai._models import BaseModel

from agentrm_openai.attempts import stream_of
from agentrm_plugins.integration import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

__all__ = ["as_helper", "may_restart", "restarting", "restarting_async"]

_HELPER = "x-stainless-helper-method"


def may_restart(headers: Any) -> bool:
    """Whether who reads the stream would see a marker.

    The SDK's own helpers (``chat.completions.stream``) add up all pieces: to them it would be text.
    """
    return not any(str(name).lower() == _HELPER for name in headers or ())


def as_helper(stream: Callable[..., Any]) -> Callable[..., Any]:
    """`responses.stream`, which the SDK itself does not mark: its events add up one response."""

    @wraps(stream)
    def marked(*args: Any, extra_headers: Any = None, **options: Any) -> Any:
        headers = {_HELPER: "responses.stream", **(extra_headers or {})}
        return stream(*args, extra_headers=headers, **options)

    return marked


def restarting(answer: Any, again: Callable[[], Any], restarts: Any) -> Any:
    """The answer, whose stream begins anew when it breaks off.

    Args:
        answer: What the SDK gave.
        again: Asks once more.
        restarts: Whether it may (`Core.restarts`).
    """
    stream = stream_of(answer)
    if stream is not None:
        stream._iterator = _pieces(ref(stream), stream._iterator, again, restarts)
    return answer


async def restarting_async(answer: Any, again: Callable[[], Awaitable[Any]], restarts: Any) -> Any:
    """The same in async code."""
    stream = stream_of(answer)
    if stream is not None:
        stream._iterator = _pieces_async(ref(stream), stream._iterator, again, restarts)
    return answer


def _pieces(
    held: Any, pieces: Iterator[Any], again: Callable[[], Any], restarts: Any
) -> Iterator[Any]:
    last: Any = None
    while True:
        try:
            for piece in pieces:
                last = _latest(last, piece)
                yield piece
        except Exception as error:
            if not restarts.may(error):
                raise
            error.__traceback__ = None  # this frame is in it, and the broken exchange keeps it
        else:
            return
        fresh = stream_of(again())
        _follow(held(), fresh)
        pieces = fresh._iterator
        yield _marker(last)


async def _pieces_async(
    held: Any, pieces: AsyncIterator[Any], again: Callable[[], Awaitable[Any]], restarts: Any
) -> AsyncIterator[Any]:
    last: Any = None
    while True:
        try:
            async with wire.Shutting(pieces):
                async for piece in pieces:
                    last = _latest(last, piece)
                    yield piece
        except Exception as error:
            if not restarts.may(error):
                raise
            error.__traceback__ = None  # this frame is in it, and the broken exchange keeps it
        else:
            return
        fresh = stream_of(await again())
        _follow(held(), fresh)
        pieces = fresh._iterator
        yield _marker(last)


def _follow(stream: Any, fresh: Any) -> None:
    """The caller's stream closes the new answer from now on. Held weakly: it holds its pieces."""
    if stream is not None:
        stream.response = fresh.response


def _latest(last: Any, piece: Any) -> Any:
    """The last piece that has a choice, or else the last one."""
    return piece if getattr(piece, "choices", None) or last is None else last


def _marker(like: Any) -> Any:
    """A piece of the same kind that says nothing."""
    choices = getattr(like, "choices", None)
    if not choices:
        return BaseModel.construct(type="agentrm.restart", agentrm_restart=True)
    choice = choices[0].model_copy(update={"finish_reason": None, "logprobs": None})
    if hasattr(choice, "delta"):
        choice.delta = type(choice.delta).construct(content="")
    else:
        choice.text = ""
    marker = like.model_copy(update={"choices": [choice], "usage": None})
    marker.agentrm_restart = True
    return marker
