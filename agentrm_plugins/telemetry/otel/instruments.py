"""Metrics for OpenTelemetry: what is read when it is collected, and histograms as things happen.

Law: a call does nothing for them but to put its events into a bounded stream. A thread reads that
    and records the histograms; what is read at a moment is read by the SDK's own thread. A reader
    that is stuck loses events, which are counted, and nothing else.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.bell import Bell
from agentrm_plugins.telemetry.metrics.catalogue import CATALOGUE, METRICS, attribute_of
from agentrm_plugins.telemetry.metrics.naming import Bounded, clean, endpoint_labels
from agentrm_plugins.telemetry.metrics.tally import outcome_of
from agentrm_plugins.telemetry.metrics.values import BOUNDS_S, Counted, Values
from agentrm_plugins.telemetry.otel.genai import (
    DURATION,
    TOKENS,
    attributes_of,
    error_type,
    somebody_else_reports,
)
from agentrm_plugins.types.effects import Granted, Reaped, Requeued, Settled

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.stream import EventStream
    from agentrm_plugins.telemetry.metrics.measure import Meter

__all__ = ["Observed", "Readings", "Recorded"]

_LOG = logging.getLogger("agentrm.telemetry")
_CAPACITY = 50_000
_BATCH = 400
_BREATH_S = 0.1
_CLOSE_S = 5.0
_MOST_ENDPOINTS = 50


class Readings:
    """The instruments of one meter, and the cores that they are read from.

    The SDK makes an instrument once and forgets the callbacks of whoever asks for it again, so
    later cores, and a core that is instrumented anew, share those of the first.
    """

    def __init__(self, meter: Any) -> None:
        self.sources: list[Observed] = []
        for metric in CATALOGUE:
            if metric.kind != "histogram":
                make = getattr(meter, f"create_observable_{metric.kind}")
                make(
                    metric.name,
                    callbacks=[self._callback(metric.name)],
                    unit=metric.unit,
                    description=metric.help,
                )

    def _callback(self, name: str) -> Callable[[Any], Iterable[Any]]:
        def read(_: Any) -> Iterable[Any]:
            return [one for source in tuple(self.sources) for one in source.observe(name)]

        return read


class Observed:
    """Counters and gauges of one core, read when somebody collects.

    Args:
        readings: The instruments.
        measured: The core.
        core: Its name, if it has one.
    """

    def __init__(self, readings: Readings, measured: Meter, core: str | None) -> None:
        self._measured = measured
        self._own = {} if core is None else {attribute_of("core"): core}
        self._lock = threading.Lock()
        self._values: Values | None = None
        self._given: set[str] = set()
        self._readings = readings
        readings.sources.append(self)

    def close(self) -> None:
        """Tell nothing more."""
        if self in self._readings.sources:
            self._readings.sources.remove(self)
        self._measured.close()

    def observe(self, name: str) -> list[Any]:
        """A metric's values as they are now."""
        from opentelemetry.metrics import Observation

        labels = [attribute_of(label) for label in METRICS[name].labels]
        found = self._seen(name).by_metric.get(name, {})
        return [
            Observation(value, {**self._own, **dict(zip(labels, of, strict=True))})
            for of, value in found.items()
            if not isinstance(value, Counted)
        ]

    def _seen(self, name: str) -> Values:
        """One look for all metrics of one collection: who asks a second time gets a new one."""
        with self._lock:
            if self._values is None or name in self._given:
                self._given.clear()
                try:
                    self._values = self._measured.values()
                except Exception:  # noqa: BLE001 - never to the reader of the user's own metrics
                    _LOG.exception("the metrics of a core could not be read")
                    self._values = Values()
            self._given.add(name)
            return self._values


class Recorded:
    """Histograms, recorded by a thread that follows the event stream.

    Args:
        meter: OpenTelemetry's.
        host: The kernel and its callers.
        core: The core's name, if it has one.
        gen_ai: Whether the client's metrics are reported; None: unless somebody else does.
    """

    def __init__(self, meter: Any, host: Host, core: str | None, *, gen_ai: bool | None) -> None:
        self._host = host
        self._gen_ai = gen_ai
        self._own = {} if core is None else {attribute_of("core"): core}
        self._wait = _histogram(meter, "agentrm.queue.wait")
        self._endpoint_wait = _histogram(meter, "agentrm.endpoint.wait")
        self._call = _histogram(meter, "agentrm.call.duration")
        self._operation, self._tokens = (
            meter.create_histogram(
                one.name, one.unit, one.help, explicit_bucket_boundaries_advisory=list(one.buckets)
            )
            for one in (DURATION, TOKENS)
        )
        self._endpoints = Bounded(_MOST_ENDPOINTS)
        self._reading = threading.Lock()
        self._stop = threading.Event()
        self._bell = Bell()
        self._begin()
        host.on_fork(self._begin)

    def _begin(self) -> None:
        if self._stop.is_set():
            return
        self._reading, self._bell = threading.Lock(), Bell()
        self._stream: EventStream = self._host.streams.subscribe(_CAPACITY, self._bell.ring)
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._follow, name="agentrm-otel", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Record what has happened, and then no more; waits for that five seconds at most."""
        self._stop.set()
        self._stream.close()
        self._bell.ring()
        if threading.current_thread() is not self._thread:
            self._thread.join(_CLOSE_S)

    def flush(self) -> None:
        """Record what has happened so far, here and now."""
        with self._reading:
            while self._batch():
                pass

    def _follow(self) -> None:
        while not self._stop.is_set():
            self._bell.wait()
            self.flush()
            self._stop.wait(_BREATH_S)  # so that a busy core rings once for many events
        self.flush()

    def _batch(self) -> bool:
        events = self._stream.take(_BATCH)
        gen_ai = self._gen_ai if self._gen_ai is not None else not somebody_else_reports()
        for event in events:
            record = _RECORDED.get(event.__class__)
            if record is not None:
                try:
                    record(self, event, gen_ai)
                except Exception:  # noqa: BLE001 - an instrument of the user's that fails
                    _LOG.debug("a metric could not be recorded", exc_info=True)
        return bool(events)

    def granted(self, event: Granted, _: bool) -> None:
        """A wait has ended."""
        own = self._own
        self._wait.record(event.waited_s, {**own, "agentrm.group": clean(event.group)})
        if event.endpoint is not None:
            at = endpoint_labels(self._endpoints.of(event.endpoint))
            labels = dict(zip(("agentrm.endpoint", "agentrm.key_fingerprint"), at, strict=True))
            self._endpoint_wait.record(event.waited_s, {**own, **labels})

    def ended(self, event: Settled | Requeued | Reaped, gen_ai: bool) -> None:
        """An attempt has ended; one that was reaped is heard of once as an operation."""
        if event.cause == "unsent":  # that was no attempt
            return
        if not isinstance(event, Reaped):
            outcome = outcome_of(event)
            labels = {"agentrm.group": clean(event.group), "agentrm.outcome": outcome}
            self._call.record(event.held_s, {**self._own, **labels})
        if event.cause in {"late", "gave_way"}:
            return
        if gen_ai and event.endpoint is not None:
            self._client(event)

    def _client(self, event: Settled | Requeued | Reaped) -> None:
        attributes = attributes_of(clean(self._endpoints.of(str(event.endpoint))))
        failed = error_type(event)
        usage = getattr(event, "usage", None)
        more = {} if failed is None else {"error.type": failed}
        self._operation.record(event.held_s, {**self._own, **attributes, **more})
        if usage is not None:
            for kind, tokens in (("input", usage.input_tokens), ("output", usage.output_tokens)):
                own = {**self._own, **attributes, "gen_ai.token.type": kind}
                self._tokens.record(tokens, own)


_RECORDED: dict[type, Callable[[Recorded, Any, bool], None]] = {
    Granted: Recorded.granted,
    Settled: Recorded.ended,
    Requeued: Recorded.ended,
    Reaped: Recorded.ended,
}


def _histogram(meter: Any, name: str) -> Any:
    metric = METRICS[name]
    bounds = list(BOUNDS_S)
    return meter.create_histogram(
        metric.name, metric.unit, metric.help, explicit_bucket_boundaries_advisory=bounds
    )
