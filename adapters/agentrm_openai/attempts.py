"""One attempt of a managed SDK call in its lane: the answer, whole or as a stream.

Whatever the SDK gives stays the object that it is: its stream keeps its class and only reads
through ours; a response that the caller reads himself settles when it is closed. A stream counts as
begun with its first piece; until then an error goes back to the flow.
"""

from __future__ import annotations

from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

from openai import AsyncStream, Stream
from openai._legacy_response import LegacyAPIResponse
from openai._response import BaseAPIResponse

from agentrm_openai.bought import charging, charging_async
from agentrm_openai.exchange import is_document
from agentrm_openai.failed_answer import (
    FailedAnswer,
    UnreadableAnswer,
    checked,
    checked_body,
)
from agentrm_openai.pieces import Watched, WatchedAsync
from agentrm_openai.said import text_of
from agentrm_openai.usage import Tally, usage_of_body, used_or_estimated
from agentrm_plugins.integration import AsyncChunks, Attempt, Chunks, Reading, core_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from agentrm_plugins import AgentRM
    from agentrm_plugins.integration import HostLease

__all__ = ["attempt", "attempt_async", "stream_of"]


def attempt(rm: AgentRM, lease: HostLease, send: Callable[[], Any], *, traced: bool) -> Any:
    """Send a request in the lease's lane.

    Args:
        rm: The core.
        lease: The lane.
        send: Sends it.
        traced: Whether the client's transport says when it has been sent.

    Raises:
        CallReaped: A limit was passed; the thread was woken from its read.
        Exception: What the SDK raised; the lease is left to the flow.
    """

    def fork(one: Attempt) -> Callable[[], Any]:
        if traced:
            one.lease.asked = False
        return partial(_sent, one, charging(one, send))

    one = Attempt(core_of(rm).number, lease, _settle)
    return one.here(fork(one), fork)


async def attempt_async(
    rm: AgentRM, lease: HostLease, send: Callable[[], Awaitable[Any]], *, traced: bool
) -> Any:
    """The same in a task, which is cancelled out of its wait.

    Raises:
        CallReaped: A limit was passed.
        Exception: What the SDK raised; the lease is left to the flow.
    """

    def fork(one: Attempt) -> Callable[[], Awaitable[Any]]:
        if traced:
            one.lease.asked = False
        return partial(_sent_async, one, charging_async(one, send))

    one = Attempt(core_of(rm).number, lease, _settle)
    return await one.in_task(fork(one), fork)


def _sent(one: Attempt, send: Callable[[], Any]) -> Any:
    answer = checked(send())
    stream = stream_of(answer)
    if stream is not None:
        if is_document(stream.response):
            stream.response.read()
            checked_body(answer, stream.response)
        pieces = Watched(_own(stream), one)
        chunks = Chunks(one, lambda: pieces, _READING, worker=False)
        try:
            stream._iterator = chunks.open().rest()
        except FailedAnswer as failed:
            stream._iterator = iter(failed.answer or ())
            failed.answer = answer
            raise
        _on_close(stream.response, chunks.closed)
    return answer


async def _sent_async(one: Attempt, send: Callable[[], Awaitable[Any]]) -> Any:
    answer = checked(await send())
    stream = stream_of(answer)
    if stream is not None:
        if is_document(stream.response):
            await stream.response.aread()
            checked_body(answer, stream.response)
        pieces = WatchedAsync(_own(stream), one)
        chunks = AsyncChunks(one, lambda: pieces, _READING)
        try:
            stream._iterator = (await chunks.open()).rest()
        except FailedAnswer as failed:
            stream._iterator = _given(failed.answer or ())
            failed.answer = answer
            raise
        _on_close(stream.response, chunks.closed)
    return answer


def _own(stream: Any) -> Any:
    """What the SDK gives, by a copy of its stream that nobody else holds.

    Its generator holds its stream. If that were the caller's, which reads through ours and so
    through that generator, one that he leaves with `break` would be a circle, and keep its lane
    until the collector happens to run.
    """
    pieces, read = stream._iterator, type(stream).__stream__
    code = getattr(pieces, "gi_code", None) or getattr(pieces, "ag_code", None)
    if code is not getattr(read, "__code__", None):
        return pieces  # somebody else's
    hidden = copy(stream)
    hidden._iterator = None
    return hidden.__stream__()


async def _given(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    for piece in pieces:
        yield piece


def _tally(lease: HostLease) -> Tally:
    return Tally(lease.call.estimate)


def _nothing_said(pieces: list[Any]) -> Exception | None:
    """A stream without a piece is no answer, and one of chat without a reason for its end."""
    if not pieces:
        return UnreadableAnswer()
    chat = all(getattr(piece, "object", None) == "chat.completion.chunk" for piece in pieces)
    choices = [one for piece in pieces for one in getattr(piece, "choices", None) or ()]
    reasons = {getattr(one, "finish_reason", None) for one in choices}
    if "error" in reasons:
        return UnreadableAnswer(pieces)
    return UnreadableAnswer(pieces) if chat and not any(reasons) else None


_READING = Reading(_tally, text_of, empty=_nothing_said)


def stream_of(answer: Any) -> Any:
    """The SDK's stream in an answer, if it is one that the SDK itself reads."""
    if isinstance(answer, LegacyAPIResponse) and answer._stream:
        answer = answer.parse()  # the caller's own `parse` gives this very stream again
    return answer if isinstance(answer, Stream | AsyncStream) else None


def _settle(lease: HostLease, answer: Any) -> None:
    """The call went well; what the caller reads himself is over when it has been read or closed."""
    if stream_of(answer) is not None:
        return
    response = getattr(answer, "http_response", None)
    if response is None:
        lease.settle(used_or_estimated(lease.call, answer))
    elif isinstance(answer, BaseAPIResponse):
        _on_close(response, _Reading(lease, response).over)
    else:
        lease.settle(usage_of_body(lease.call, response))


class _Reading:
    """A body that the caller reads himself (`with_streaming_response`)."""

    __slots__ = ("_lease", "_read", "_response")

    def __init__(self, lease: HostLease, response: Any) -> None:
        self._lease = lease
        self._response = response
        self._read = False

    def over(self) -> None:
        """It was closed, by him or by having been read to its end: then the body is kept later."""
        usage = usage_of_body(self._lease.call, self._response)
        if usage is None and not self._read and self._response.is_stream_consumed:
            self._read = True
        else:
            self._lease.settle(usage)


def _on_close(response: Any, over: Callable[[], None]) -> None:
    """Call `over` once the response is closed, by whomever."""
    close, aclose = response.close, response.aclose

    def closing() -> None:
        try:
            close()
        finally:
            over()

    async def aclosing() -> None:
        try:
            await aclose()
        finally:
            over()

    response.close, response.aclose = closing, aclosing
