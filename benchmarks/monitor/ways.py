"""The ways in which a core may be watched, each of them as one contestant of a race."""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from agentrm_plugins import AgentRM, Call, Usage
from agentrm_plugins.integration import core_of
from agentrm_plugins.telemetry import AgentRMCollector, Recording, instrument
from benchmarks.monitor.bookkeeping import without_bookkeeping

__all__ = ["WAYS", "Cost", "Way"]

CALL = Call("ada", "acme")
USAGE = Usage(1000, 100)
SCRAPE_S = 1.0  # fifteen times as often as Prometheus does by default
DEAD = "http://127.0.0.1:9"  # the port "discard": nobody listens


class Cost:
    """Seconds of a loop: by the wall's clock where the calls are made, and of all threads' CPU."""

    def __init__(self, wall_s: float, cpu_s: float) -> None:
        self.wall_s, self.cpu_s = wall_s, cpu_s


class Way:
    """A core that is watched in one way.

    Args:
        rm: The core.
        around: What holds while it is its turn.
        finish: Does what is left to do after the calls, such as writing what waits to be written;
            it counts as CPU.
    """

    def __init__(
        self,
        rm: AgentRM,
        around: Callable[[], Any] = nullcontext,
        finish: Callable[[], object] = lambda: None,
    ) -> None:
        self.rm, self._around, self._finish = rm, around, finish

    def run(self, calls: int) -> Cost:
        """So many calls, one after the other."""
        core = core_of(self.rm)
        with self._around():
            begun_s, cpu_s = perf_counter(), process_time()
            for _ in range(calls):
                core.admit(CALL).settle(USAGE)
            wall_s = perf_counter() - begun_s
            self._finish()
            return Cost(wall_s, process_time() - cpu_s)


@contextmanager
def bare(_: Path) -> Iterator[Way]:
    with AgentRM(lanes=8) as rm:
        rm._host.kernel._history = deque(maxlen=0)  # noqa: SLF001 - to be without it
        yield Way(rm, without_bookkeeping)


@contextmanager
def off(_: Path) -> Iterator[Way]:
    with AgentRM(lanes=8) as rm:
        yield Way(rm)


@contextmanager
def recorded(folder: Path) -> Iterator[Way]:
    recording = Recording(folder / "events.jsonl", max_bytes=16_000_000)
    with AgentRM(lanes=8, record=recording) as rm:
        yield Way(rm, finish=rm._recorder.flush)  # noqa: SLF001 - what a second would do


@contextmanager
def full_disk(folder: Path) -> Iterator[Way]:
    full = Path("/dev/full")
    with AgentRM(lanes=8, record=str(full if full.exists() else folder)) as rm:
        yield Way(rm, finish=rm._recorder.flush)  # noqa: SLF001 - what a second would do


@contextmanager
def stuck_reader(_: Path) -> Iterator[Way]:
    with AgentRM(lanes=8) as rm, rm.events(capacity=1000):
        yield Way(rm)


@contextmanager
def counted(_: Path) -> Iterator[Way]:
    with AgentRM(lanes=8) as rm:
        collector = AgentRMCollector(rm)
        yield Way(rm)
        collector.close()


@contextmanager
def scraped(_: Path) -> Iterator[Way]:
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry()
    with AgentRM(lanes=8) as rm:
        collector = AgentRMCollector(rm)
        registry.register(collector)
        yield Way(rm, lambda: _now_and_then(lambda: generate_latest(registry)))
        collector.close()


@contextmanager
def _now_and_then(scrape: Callable[[], object]) -> Iterator[None]:
    over = threading.Event()

    def work() -> None:
        scrape()  # at once, so that a short turn has one as well
        while not over.wait(SCRAPE_S):
            scrape()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def otel_metrics(_: Path) -> Iterator[Way]:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    meters = MeterProvider([reader])
    with AgentRM(lanes=8) as rm, instrument(rm, meter_provider=meters, traces=False) as told:

        def finish() -> None:
            told.flush()
            reader.get_metrics_data()

        yield Way(rm, finish=finish)
    meters.shutdown()


@contextmanager
def otel_traces(_: Path) -> Iterator[Way]:
    from opentelemetry.sdk.trace import TracerProvider

    tracers = TracerProvider()
    with AgentRM(lanes=8) as rm, instrument(rm, tracer_provider=tracers, metrics=False):
        tracer = tracers.get_tracer("benchmark")
        yield Way(rm, lambda: tracer.start_as_current_span("model"))


@contextmanager
def dead_exporter(_: Path) -> Iterator[Way]:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    exporter = OTLPMetricExporter(f"{DEAD}/v1/metrics", timeout=1)
    meters = MeterProvider([PeriodicExportingMetricReader(exporter, 500)])
    with AgentRM(lanes=8) as rm, instrument(rm, meter_provider=meters, traces=False) as told:
        yield Way(rm, finish=told.flush)
    with contextlib.suppress(Exception):
        meters.shutdown(timeout_millis=2000)


WAYS: dict[str, Callable[[Path], Any]] = {
    "no bookkeeping": bare,
    "exporters off": off,
    "recording on": recorded,
    "Prometheus' collector": counted,
    "Prometheus, scraped each second": scraped,
    "OpenTelemetry's metrics": otel_metrics,
    "OpenTelemetry's events on a span": otel_traces,
    "a subscriber that never reads": stuck_reader,
    "recording on a full disk": full_disk,
    "OpenTelemetry, its collector dead": dead_exporter,
}
