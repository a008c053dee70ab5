"""How often a call was sent before: what the SDK says of its own retries, said of ours.

The SDK counts in its own loop, which under management runs once for each attempt. The count goes
into the header ``x-stainless-retry-count`` and into ``retries_taken`` of raw responses, so servers
and callers read the same as of a client that nobody manages.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CountedRetries", "Requests"]


class Requests:
    """The requests of one call so far.

    Attributes:
        sent: How many were built. A second attempt beside a late one counts as that one does: it is
            the same try, sent twice.
    """

    __slots__ = ("sent",)

    def __init__(self) -> None:
        self.sent = 0

    @contextmanager
    def again_after(self, before: int) -> Iterator[None]:
        """Requests built in this block come after `before` others."""
        token = _BEFORE.set((self, before))
        try:
            yield
        finally:
            _BEFORE.reset(token)


_BEFORE: ContextVar[tuple[Requests, int] | None] = ContextVar("agentrm_requests", default=None)


class CountedRetries:
    """Mixed into a client of the SDK, before its own class."""

    def _build_request(self, options: Any, *, retries_taken: int = 0, **more: Any) -> Any:
        around = _BEFORE.get()
        if around is not None:
            requests, before = around
            retries_taken += before
            requests.sent = max(requests.sent, retries_taken + 1)
        return super()._build_request(options, retries_taken=retries_taken, **more)  # type: ignore[misc]

    def _process_response(self, *, retries_taken: int = 0, **answer: Any) -> Any:
        # A coroutine of the async client: it is made here, in the block, and awaited by the SDK.
        around = _BEFORE.get()
        taken = retries_taken if around is None else retries_taken + around[1]
        return super()._process_response(retries_taken=taken, **answer)  # type: ignore[misc]
