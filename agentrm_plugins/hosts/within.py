"""An async source whose every step runs in one context, whichever task asks for it.

A further attempt opens its stream in a task of its own, and the caller's task reads it. What its
model sets in a contextvar when it begins, it takes back when it ends: that works in one context
only. Each step is driven by hand, so the task that reads stays the one that waits.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Generator
    from contextvars import Context

__all__ = ["Within"]


class Within:
    """The source.

    Args:
        context: Where it is begun, read and closed.
        begin: Gives it.
    """

    __slots__ = ("_context", "_source")

    def __init__(self, context: Context, begin: Callable[[], AsyncIterator[Any]]) -> None:
        self._context = context
        self._source = context.run(begin)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        return await _Steps(self._context, self._source.__anext__)

    async def aclose(self) -> None:
        """End the source, if it can be ended."""
        shut = getattr(self._source, "aclose", None)
        if shut is not None:
            await _Steps(self._context, shut)


class _Steps:
    """One awaitable, driven in a context.

    Args:
        context: The context.
        begin: Gives the awaitable.
    """

    __slots__ = ("_begin", "_context")

    def __init__(self, context: Context, begin: Callable[[], Awaitable[Any]]) -> None:
        self._context = context
        self._begin = begin

    def __await__(self) -> Generator[Any, Any, Any]:
        steps: Any = self._context.run(self._begin).__await__()
        step: Callable[[], Any] = partial(steps.send, None)
        while True:
            try:
                awaited = self._context.run(step)
            except StopIteration as stop:
                return stop.value
            finally:
                del step  # an error that it throws holds this frame: a circle
            try:
                given = yield awaited
            except BaseException as error:  # noqa: BLE001 - whatever it is, the source sees it
                step = partial(steps.throw, error)
            else:
                step = partial(steps.send, given)
