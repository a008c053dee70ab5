"""OpenTelemetry: what is exported, by which names, on whose span; and that it costs no call."""

from __future__ import annotations

import importlib
import os
import re
import sys
import threading
import time
import types
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from agentrm_plugins import AgentRM, Call, ConfigError, Usage
from agentrm_plugins.telemetry import instrument
from agentrm_plugins.telemetry.metrics.catalogue import CATALOGUE
from agentrm_plugins.telemetry.otel.genai import DURATION, TOKENS, attributes_of
from tests.telemetry.export.otlp import attributes, collector, points
from tests.telemetry.export.scraping import busy, with_all, work

UNIT = re.compile(r"|1|s|\{[a-z]+\}(/s)?")
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
CLIENT = ["gen_ai.client.operation.duration", "gen_ai.client.token.usage"]


def collected(reader):
    """Metrics by name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: metric
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def values(metric):
    return {
        tuple(sorted(point.attributes.items())): getattr(point, "value", None)
        for point in metric.data.data_points
    }


def test_every_metric_of_the_table_is_exported_under_its_name(reader, meters, monkeypatch):
    """With its unit, its words and its labels under agentrm.; and the client's two beside them."""
    with busy() as rm, instrument(rm, meter_provider=meters, agents=5) as told:
        with_all(rm, monkeypatch)
        work(rm)
        told.flush()
        found = collected(reader)
        seen = rm.statistics()
    assert found.keys() == {metric.name for metric in CATALOGUE} | set(CLIENT)
    for metric in CATALOGUE:
        mine = found[metric.name]
        assert (mine.unit, mine.description) == (metric.unit, metric.help)
        for point in mine.data.data_points:
            assert point.attributes.keys() == {f"agentrm.{label}" for label in metric.labels}
    assert values(found["agentrm.calls.submitted"]) == {(): seen.submitted}
    waits = found["agentrm.queue.wait"].data.data_points
    assert sum(point.count for point in waits) == seen.granted


def test_names_and_units_keep_the_rules():
    """Lower case, dots between namespaces, units of UCUM: as the conventions ask for."""
    for metric in CATALOGUE:
        assert NAME.fullmatch(metric.name), metric
        assert UNIT.fullmatch(metric.unit), metric
        assert not metric.name.endswith(("_total", "_seconds", ".total"))
        assert metric.help.endswith(".")


def test_the_clients_metrics_are_those_of_the_conventions(reader, meters):
    """Names, units, attributes and buckets, held against the package of the conventions."""
    semconv = "opentelemetry.semconv._incubating"
    metrics = importlib.import_module(f"{semconv}.metrics.gen_ai_metrics")
    names = importlib.import_module(f"{semconv}.attributes.gen_ai_attributes")
    server = importlib.import_module("opentelemetry.semconv.attributes.server_attributes")
    errors = importlib.import_module("opentelemetry.semconv.attributes.error_attributes")
    known = {value for key, value in vars(names).items() if key.startswith("GEN_AI_")}
    known |= {server.SERVER_ADDRESS, server.SERVER_PORT, errors.ERROR_TYPE}
    assert DURATION.name == metrics.GEN_AI_CLIENT_OPERATION_DURATION
    assert TOKENS.name == metrics.GEN_AI_CLIENT_TOKEN_USAGE
    with AgentRM() as rm, instrument(rm, meter_provider=meters, gen_ai=True) as told:
        call = Call("ada", endpoint="api.openai.com:8443/gpt-4o#0123abcd", estimate=Usage(10, 10))
        rm._core.admit(call).settle(Usage(30, 12))
        rm._core.admit(call).fail(TimeoutError("no"))
        told.flush()
        found = collected(reader)
    for name in CLIENT:
        for point in found[name].data.data_points:
            assert point.attributes.keys() <= known
            assert point.attributes["gen_ai.operation.name"] == "chat"
            assert point.attributes["gen_ai.provider.name"] == "openai"
            assert point.attributes["gen_ai.request.model"] == "gpt-4o"
            assert point.attributes["server.address"] == "api.openai.com"
            assert point.attributes["server.port"] == 8443
            assert not any("0123abcd" in str(value) for value in point.attributes.values())
    good, bad = sorted(found[CLIENT[0]].data.data_points, key=lambda p: len(p.attributes))
    assert "error.type" not in good.attributes
    assert bad.attributes["error.type"]
    assert good.explicit_bounds == DURATION.buckets
    assert found[CLIENT[0]].unit == "s"
    tokens = {
        point.attributes["gen_ai.token.type"]: point.sum
        for point in found[CLIENT[1]].data.data_points
    }
    assert tokens == {"input": 30, "output": 12}
    assert found[CLIENT[1]].unit == "{token}"


@pytest.mark.parametrize(
    ("endpoint", "provider", "operation"),
    [
        ("api.openai.com/gpt-4o", "openai", "chat"),
        ("mine.openai.azure.com/deploy", "azure.ai.openai", "chat"),
        ("api.anthropic.com/claude-x", "anthropic", "chat"),
        ("bedrock-runtime.eu-west-1.amazonaws.com/x", "aws.bedrock", "chat"),
        ("generativelanguage.googleapis.com/gemini-x", "gcp.gemini", "chat"),
        ("api.openai.com/text-embedding-3-small", "openai", "embeddings"),
        ("[::1]:8000/m", "[::1]", "chat"),
        ("evil-api.openai.com.example/m", "evil-api.openai.com.example", "chat"),
        ("name-only", "name-only", "chat"),
        ("", "_OTHER", "chat"),
        ("h/", "h", "chat"),
        ("h/a/b#c/d", "h", "chat"),
    ],
)
def test_a_provider_is_called_as_the_conventions_call_it(endpoint, provider, operation):
    """Known hosts by the well-known words, others by their own name; odd ones break nothing."""
    found = attributes_of(endpoint)
    assert found["gen_ai.provider.name"] == provider
    assert found["gen_ai.operation.name"] == operation
    assert "" not in found.values()


def test_nobody_reports_the_clients_metrics_twice(reader, meters, monkeypatch):
    """Where an instrumentation is loaded that reports them, ours are left out."""
    module = "opentelemetry.instrumentation.openai_v2"
    monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    with AgentRM() as rm, instrument(rm, meter_provider=meters) as told:
        rm._core.admit(Call("ada", endpoint="h/m")).settle(Usage(1, 1))
        told.flush()
        assert not collected(reader).keys() & set(CLIENT)


def test_a_real_export_over_otlp(monkeypatch):
    """Protobufs over HTTP to a collector on loopback: names, points, events; and no secret."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "cumulative")
    with collector() as (address, got):
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(f"{address}/v1/metrics"), 3.6e6)
        meters = MeterProvider([reader])
        tracers = TracerProvider()
        tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces")))
        with (
            AgentRM(lanes=1) as rm,
            instrument(rm, meter_provider=meters, tracer_provider=tracers, gen_ai=True) as told,
        ):
            call = Call("ada", endpoint="api.openai.com/gpt-4o#0123abcd", estimate=Usage(10, 5))
            with tracers.get_tracer("app").start_as_current_span("chat gpt-4o"):
                rm._core.admit(call).settle(Usage(10, 5))
            told.flush()
            meters.force_flush()
            tracers.force_flush()
        meters.shutdown()
        tracers.shutdown()
    by_name = {metric.name: metric for scope, metric in got.metrics if scope == "agentrm"}
    [submitted] = points(by_name["agentrm.calls.submitted"])
    assert (submitted.as_int, by_name["agentrm.calls.submitted"].unit) == (1, "{call}")
    assert by_name["agentrm.calls.submitted"].sum.is_monotonic
    [duration] = points(by_name[CLIENT[0]])
    assert attributes(duration)["gen_ai.provider.name"] == "openai"
    assert duration.count == 1
    [(scope, span)] = got.spans
    assert (scope, span.name) == ("app", "chat gpt-4o")
    [granted] = span.events
    assert granted.name == "agentrm.granted"
    assert attributes(granted)["agentrm.reserved_tokens"] == 15
    assert span.start_time_unix_nano <= granted.time_unix_nano + 5e6
    assert granted.time_unix_nano <= span.end_time_unix_nano + 5e6


class Stuck(MetricExporter):
    """An exporter that never comes back, until it is told to."""

    def __init__(self):
        super().__init__()
        self.entered, self.release = threading.Event(), threading.Event()

    def export(self, data, timeout_millis=0, **_):
        self.entered.set()
        self.release.wait(60)
        return MetricExportResult.FAILURE

    def force_flush(self, timeout_millis=0):
        return True

    def shutdown(self, timeout_millis=0, **_):
        self.release.set()


def test_a_stuck_exporter_holds_up_no_call(spans):
    """While it hangs in the middle of an export, a thousand calls are made."""
    stuck = Stuck()
    meters = MeterProvider([PeriodicExportingMetricReader(stuck, 20, 1e9)])
    with AgentRM() as rm, instrument(rm, meter_provider=meters, tracer_provider=spans.provider):
        assert stuck.entered.wait(30)
        for _ in range(1000):
            with rm.slot(agent="ada"):
                pass
        assert rm.statistics().settled == 1000
        assert not stuck.release.is_set()
        stuck.release.set()
    meters.shutdown()


def test_a_dead_collector_holds_up_no_call(caplog):
    """Nobody listens where the SDK sends to: calls go on, and closing does not wait for it.

    What we close does not; the SDK's own end may try for some seconds, and is not measured.
    """
    address = "http://127.0.0.1:9"
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(f"{address}/v1/metrics", timeout=1), 50
    )
    meters, tracers = MeterProvider([reader]), TracerProvider()
    tracers.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(f"{address}/v1/traces", timeout=1))
    )
    with AgentRM() as rm, instrument(rm, meter_provider=meters, tracer_provider=tracers):
        for _ in range(300):
            with tracers.get_tracer("app").start_as_current_span("model"), rm.slot(agent="ada"):
                pass
        assert rm.statistics().settled == 300
        begun_s = time.monotonic()
    assert time.monotonic() - begun_s < 10.0
    meters.shutdown(timeout_millis=2000)
    tracers.shutdown()


def test_an_instrument_that_hangs_loses_events_and_nothing_else(meters, monkeypatch):
    """The reader of the stream hangs in it; the stream stays bounded, calls go on."""
    release, entered = threading.Event(), threading.Event()

    def hang(*_):
        entered.set()
        release.wait(60)

    monkeypatch.setattr("agentrm_plugins.telemetry.otel.instruments._CAPACITY", 100)
    with AgentRM() as rm, instrument(rm, meter_provider=meters, traces=False) as told:
        monkeypatch.setattr(told._parts[1]._wait, "record", hang)
        for _ in range(500):
            with rm.slot(agent="ada"):
                pass
        assert entered.wait(30)
        for _ in range(500):
            with rm.slot(agent="ada"):
                pass
        seen = rm.statistics()
        release.set()
    assert seen.settled == 1000
    assert seen.events_dropped > 0


def test_a_core_is_instrumented_once(meters, reader):
    """Twice would count twice: it is refused. Once closed it may be again."""
    with AgentRM(lanes=3) as rm:
        told = instrument(rm, meter_provider=meters)
        with pytest.raises(ConfigError, match="close that first"):
            instrument(rm, meter_provider=meters)
        told.close()
        told.close()
        assert "agentrm.lanes.limit" not in collected(reader)
        with instrument(rm, meter_provider=meters):
            assert values(collected(reader)["agentrm.lanes.limit"]) == {(): 3}


def test_two_cores_are_told_apart_by_name(meters, reader):
    """Without a name the second one is refused."""
    with AgentRM(lanes=3) as web, AgentRM(lanes=4) as batch, instrument(web, meter_provider=meters):
        with pytest.raises(ConfigError, match="give each a name"):
            instrument(batch, meter_provider=meters)
        instrument(batch, meter_provider=MeterProvider()).close()  # that has nothing to tell apart
        with instrument(batch, meter_provider=meters, core="batch"):
            found = values(collected(reader)["agentrm.lanes.limit"])
    assert found == {(): 3, (("agentrm.core", "batch"),): 4}


@pytest.mark.parametrize("how", [{"metrics": 1}, {"traces": "no"}, {"agents": -1}, {"agents": 1e6}])
def test_arguments_are_checked_and_nothing_stays_behind(how, meters):
    """An error names the argument; the core can be instrumented afterwards."""
    with AgentRM() as rm:
        with pytest.raises(ConfigError):
            instrument(rm, meter_provider=meters, **how)
        assert rm._host.tracer is None
        assert rm._host.streams.open == ()
        instrument(rm, meter_provider=meters).close()
        assert rm._host.streams.open == ()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forks_child_follows_its_own_calls(meters, spans):
    """On its own streams, with a thread of its own."""
    with AgentRM() as rm, instrument(rm, meter_provider=meters, tracer_provider=spans.provider):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                with spans.provider.get_tracer("app").start_as_current_span("model") as span:
                    with rm.slot(agent="ada"):
                        pass
                    code = 0 if [event.name for event in span.events] else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_subscriber_and_a_recording_on_a_full_disk_beside_it(meters, tmp_path):
    """None of them knows of the others: calls go on, each loses only its own."""
    with AgentRM(record="/dev/full" if Path("/dev/full").exists() else str(tmp_path / "x")) as rm:
        with instrument(rm, meter_provider=meters, traces=False), rm.events(capacity=1) as stuck:
            for _ in range(200):
                with rm.slot(agent="ada"):
                    pass
            assert rm.statistics().settled == 200
            assert stuck.dropped > 0
    assert replace(rm.statistics(), fleet=None).settled == 200
