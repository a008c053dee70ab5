"""The pieces of an SDK's stream, watched for an event that says that the answer failed.

The Responses API does not break a stream in which the model fails: it sends ``response.failed`` or
``error`` as one more event, and ends. Before anything was said such an answer goes again; after
that its consumer gets the event, as the SDK gives it, and the endpoint learns from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from agentrm_openai.failed_answer import FailedAnswer, error_in, failed
from agentrm_openai.said import text_of
from agentrm_openai.usage import usage_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from agentrm_plugins.integration import Attempt

__all__ = ["Watched", "WatchedAsync"]


class _Watch:
    """What has come of one stream."""

    __slots__ = ("_attempt", "_said", "_silent")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._silent: list[Any] = []
        self._said = False

    def look(self, piece: Any) -> None:
        """A piece came.

        Raises:
            FailedAnswer: It says that the answer failed, and nothing was said before it; the pieces
                are its `answer`.
        """
        error = error_in(piece)
        if error is None:
            self._said = self._said or text_of(piece) is not None
            if not self._said:
                self._silent.append(piece)
            return
        if not self._said:
            raise failed([*self._silent, piece], error)
        spent = usage_of(piece) or self._attempt.spent()
        self._attempt.lease.fail(FailedAnswer(piece, error), spent)


class Watched:
    """The same pieces. No generator: one that is being closed cannot be closed from within.

    Raises:
        FailedAnswer: At the next piece: the answer failed before it said anything.
    """

    __slots__ = ("_pieces", "_watch")

    def __init__(self, pieces: Iterator[Any], attempt: Attempt) -> None:
        self._pieces = pieces
        self._watch = _Watch(attempt)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        piece = next(self._pieces)
        self._watch.look(piece)
        return piece

    def close(self) -> None:
        """End the SDK's own stream."""
        shut = getattr(self._pieces, "close", None)
        if shut is not None:
            shut()


class WatchedAsync:
    """The same in async code.

    Raises:
        FailedAnswer: At the next piece: the answer failed before it said anything.
    """

    __slots__ = ("_pieces", "_watch")

    def __init__(self, pieces: AsyncIterator[Any], attempt: Attempt) -> None:
        self._pieces = pieces
        self._watch = _Watch(attempt)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        piece = await anext(self._pieces)
        self._watch.look(piece)
        return piece

    async def aclose(self) -> None:
        """End the SDK's own stream."""
        shut = getattr(self._pieces, "aclose", None)
        if shut is not None:
            await shut()
