"""Ends sources whose end may fail as well: what went wrong first is what is told.

Law: of an error on its way and one that came of cleaning up after it, the first is raised, and the
other stands in its context. An interrupt or a cancellation that comes meanwhile outranks both. Who
ends a source himself (no error is on its way, or `GeneratorExit`) is told that it could not be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Shutting", "first_told"]


class first_told:  # noqa: N801 - it reads as a sentence: with first_told(error): close()
    """A block that cleans up while `error` is on its way; None: none is."""

    __slots__ = ("_error",)

    def __init__(self, error: BaseException | None) -> None:
        self._error = error

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        other: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        error, self._error = self._error, None
        if other is None or error is None or isinstance(error, GeneratorExit):
            return False
        if not isinstance(other, Exception):
            return False
        _beside(error, other)
        return True


class Shutting:
    """A source that is ended when its block is left, by its `close` or `aclose` if it has one.

    Args:
        source: What is read in the block; None: nothing.
    """

    __slots__ = ("_source",)

    def __init__(self, source: Any) -> None:
        self._source = source

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shut = getattr(self._source, "close", None)
        if shut is not None:
            with first_told(error):
                shut()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shut = getattr(self._source, "aclose", None)
        if shut is not None:
            with first_told(error):
                await shut()


def _beside(error: BaseException, other: BaseException) -> None:
    """Put `other`, and what it came of, into the context of `error`, before what is there."""
    chain, last = {id(error)}, other
    while last.__context__ is not None and id(last.__context__) not in chain:
        chain.add(id(last))
        last = last.__context__
    earlier = error.__context__
    while earlier is not None:
        if earlier is other or id(earlier) in chain:
            return  # it is told of already
        earlier = earlier.__context__
    if other is not error:
        last.__context__, error.__context__ = error.__context__, other
