"""The queue's time, told to whoever traces a call: else a call that waited looks like a slow model.

Only a call that waits for longer than `GRACE_S` is told of, from there on: pacing alone makes most
calls wait for some milliseconds. An adapter that knows its framework's tracers says so through
`QUEUED`; where nobody does and OpenTelemetry is in use, the wait is a child span of the current
one. A tracer that fails costs its span, never the call.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self

from agentrm_plugins.types.identity import QUEUED

if TYPE_CHECKING:
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.types.calls import Call
    from agentrm_plugins.types.identity import QueueEnd

__all__ = ["GRACE_S", "SPAN", "Traced", "TracedWait", "Tracer", "about", "is_traced"]

SPAN = "agentrm.queue"
GRACE_S = 0.05
"""Guessed: less is noise beside a model's seconds."""


class Traced(Protocol):
    """One call whose user has a span; none of this fails."""

    def tell(self) -> None:
        """Tell the span what has happened since the last time. Called where the call is made."""

    def wait(self, told: dict[str, str]) -> QueueEnd | None:
        """Begin a span for the wait; gives what to call at its end."""


class Tracer(Protocol):
    """Whoever traces all calls of a core; what it does must be quick and must not fail."""

    def submitted(self, lease: HostLease, of: int | None) -> None:
        """A call asks for a lane, here and now; `of` is the ticket of the one that it goes for."""


def about(call: Call) -> dict[str, str]:
    """What a span tells of the call that waits: names, and nothing of what is sent."""
    known = {
        "agentrm.agent": call.agent,
        "agentrm.tenant": call.tenant,
        "agentrm.group": call.group,
        "agentrm.endpoint": (call.endpoint or "").partition("#")[0],
        "agentrm.priority": str(call.priority or ""),
    }
    return {name: value for name, value in known.items() if value}


class TracedWait:
    """A block in which a lease is waited for; the parkers call `begin` once it is worth a span.

    Args:
        lease: The lease.
        begun_s: When the wait began, by `monotonic`.
    """

    __slots__ = ("_begun_s", "_end", "_lease")

    def __init__(self, lease: HostLease, begun_s: float) -> None:
        self._lease = lease
        self._end: QueueEnd | None = None
        self._begun_s = begun_s

    def __enter__(self) -> Self:
        return self

    def begin(self) -> None:
        """It goes on for longer than `GRACE_S`: tell whoever traces."""
        begin, traced = QUEUED.get(), self._lease.traced
        with suppress(Exception):
            told = about(self._lease.call)
            if begin is not None:
                self._end = begin(told)
            elif traced is not None:
                self._end = traced.wait(told)
            else:
                self._end = _otel_span(told)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        end = self._end
        if end is not None:
            why = type(error).__name__ if error is not None else self._lease.refused_for
            with suppress(Exception):
                end(monotonic() - self._begun_s, why)


def is_traced(lease: HostLease) -> bool:
    """Whether anybody would be told of a wait."""
    if QUEUED.get() is not None or lease.traced is not None:
        return True
    trace = sys.modules.get("opentelemetry.trace")
    if trace is not None:
        with suppress(Exception):
            return bool(trace.get_current_span().is_recording())
    return False


def _otel_span(told: dict[str, str]) -> QueueEnd | None:
    """A child span, if the program uses OpenTelemetry and something is being recorded."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None or not trace.get_current_span().is_recording():
        return None
    span = trace.get_tracer("agentrm").start_span(SPAN, attributes=told)

    def end(waited_s: float, refused_for: str) -> None:
        span.set_attribute("agentrm.waited_s", waited_s)
        if refused_for:
            span.set_status(trace.Status(trace.StatusCode.ERROR, refused_for))
        span.end()

    return end
