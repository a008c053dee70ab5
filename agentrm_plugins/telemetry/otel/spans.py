"""What happens to a call, told to the span that its user has already.

Law: no model call gets a second span. Where a call is made inside a span that is recorded, that
    span gets an event for each thing that happened: the wait and its reason, the grant and what was
    reserved, a failure and the next attempt, a hang, a second attempt. A wait of more than 50 ms
    is a child span as well, so that it can be seen how long it took. Where there is no span, or it
    is not sampled, nothing is told, and nothing begins a trace.
Regimes: the span is the one that a tracer of LangChain says is the model's (OpenInference's
    `get_span`); else the current one of the context in which the call was made. A run that a tracer
    of LangChain keeps without a span (LangSmith) gets the same events.

The core only notes what happened, in a list of the call. It is told where the call is made: the
lock of a span is never taken inside of the core, where a finaliser might hold it already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentrm_plugins.telemetry.metrics.tally import Listening
from agentrm_plugins.types.effects import (
    Effect,
    Granted,
    Hedged,
    Queued,
    Reaped,
    Refused,
    Requeued,
    Suspected,
    Throttled,
)
from agentrm_plugins.types.identity import QUEUED

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.lease import HostLease
    from agentrm_plugins.types.identity import QueueEnd

__all__ = ["Spans"]

_WAIT = "agentrm.queue"
_MOST = 128  # events that may wait to be told; the SDK keeps as many for a span
_NS = 1_000_000_000


class Spans:
    """Follows each call of a core that has a span.

    Args:
        host: The kernel and its callers.
        tracer: OpenTelemetry's, for the spans of waits.
    """

    def __init__(self, host: Host, tracer: Any) -> None:
        self._host = host
        self._tracer = tracer
        self._stream: Listening | None = None
        self._closed = False
        self._begin()
        host.on_fork(self._begin)

    def _begin(self) -> None:
        if not self._closed:
            self._host.tracer = self
            self._stream = Listening.to(self._host, self._took)

    def close(self) -> None:
        """Follow no more."""
        self._closed = True
        self._host.tracer = None
        if self._stream is not None:
            self._stream.close()

    def submitted(self, lease: HostLease, of: int | None) -> None:
        """A call asks for a lane, inside a span or not."""
        with suppress(Exception):
            first = None if of is None else self._host.lease(of)
            if first is not None and first.traced is not None:
                lease.traced = first.traced  # so that both attempts' events stand in their order
                return
            told = _told_here()
            if told:
                tokens = lease.call.estimate.total_tokens
                lease.traced = _Call(told, self._tracer, self._host.streams.wall_offset_s, tokens)

    def _took(self, effects: Sequence[Effect]) -> None:
        lease_of = self._host.lease
        for effect in effects:
            if effect.__class__ in _TOLD:
                lease = lease_of(effect.ticket)
                traced = None if lease is None else lease.traced
                if isinstance(traced, _Call):
                    traced.pending.append(effect)


def _told_here() -> list[Any]:
    """Who is told: the model's span, or else the current one; and the run of a tracer's."""
    from opentelemetry import trace

    run = QUEUED.get()
    find = getattr(run, "span", None)
    span = None if find is None else find()
    found = [trace.get_current_span() if span is None else span]
    if hasattr(run, "add_event"):
        found.append(run)
    return [one for one in found if one.is_recording()]


class _Call:
    """One call, and who is told of it."""

    __slots__ = ("_tokens", "_tracer", "_wall", "pending", "told")

    def __init__(
        self, told: list[Any], tracer: Any, wall: Callable[[], float], tokens: int
    ) -> None:
        self.told = told
        self._tracer = tracer
        self._wall = wall
        self._tokens = tokens
        self.pending: deque[Any] = deque(maxlen=_MOST)

    def tell(self) -> None:
        """Events for all that has happened since the last time."""
        if not self.pending:
            return
        with suppress(Exception):
            told = [one for one in self.told if one.is_recording()]
            offset_s = self._wall()
            while self.pending:
                effect = self.pending.popleft()
                name, of = _TOLD[effect.__class__]
                attributes = {**_whose(effect), **of(effect)}
                if effect.__class__ is Granted:
                    attributes["agentrm.reserved_tokens"] = self._tokens
                at_ns = int((effect.at_s + offset_s) * _NS)
                known = {key: value for key, value in attributes.items() if value not in {None, ""}}
                for one in told:
                    with suppress(Exception):
                        one.add_event(name, known, at_ns)

    def wait(self, told: dict[str, str]) -> QueueEnd | None:
        """A child span of the call's own."""
        from opentelemetry import trace

        span = self.told[0]
        if not span.is_recording() or not isinstance(span, trace.Span):
            return None
        context = trace.set_span_in_context(span)
        span = self._tracer.start_span(_WAIT, context=context, attributes=told)

        def end(waited_s: float, refused_for: str) -> None:
            span.set_attribute("agentrm.waited_s", waited_s)
            if refused_for:
                span.set_status(trace.Status(trace.StatusCode.ERROR, refused_for))
            span.end()

        return end


def _whose(effect: Any) -> dict[str, Any]:
    """Names alone: nothing of what is sent, and not even the fingerprint of a key."""
    return {
        "agentrm.ticket": effect.ticket,
        "agentrm.agent": effect.agent,
        "agentrm.tenant": effect.tenant,
        "agentrm.group": effect.group,
        "agentrm.endpoint": (effect.endpoint or "").partition("#")[0],
        "agentrm.cause": effect.cause,
    }


_TOLD: dict[type, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    Queued: (
        "agentrm.queued",
        lambda e: {"agentrm.level": e.level, "agentrm.waiting": e.waiting},
    ),
    Throttled: ("agentrm.throttled", lambda e: {"agentrm.for_s": e.for_s}),
    Granted: ("agentrm.granted", lambda e: {"agentrm.waited_s": e.waited_s}),
    Requeued: (
        "agentrm.retried",
        lambda e: {"http.response.status_code": e.status, "agentrm.held_s": e.held_s},
    ),
    Suspected: ("agentrm.late", lambda e: {"agentrm.silent_s": e.silent_s}),
    Hedged: ("agentrm.hedged", lambda e: {"agentrm.hedge_of": e.hedge_of}),
    Reaped: (
        "agentrm.reaped",
        lambda e: {
            "agentrm.held_s": e.held_s, "agentrm.limit_s": e.limit_s, "agentrm.source": e.source,
        },
    ),
    Refused: ("agentrm.refused", lambda e: {"agentrm.waited_s": e.waited_s}),
}  # fmt: skip
