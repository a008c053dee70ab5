"""What happens to a call is told on the span that its user has already, and nowhere else."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from agentrm_plugins import AgentRM, Call, CallReaped, CallRefused, Usage
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.telemetry import instrument


def in_span(spans, what):
    """Run `what` inside a span of the user's; gives the spans by name."""
    with spans.provider.get_tracer("app").start_as_current_span("model"):
        what()
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_reaped_call_is_told_on_its_span(spans):
    """Which limit it passed, and who set that."""
    with AgentRM() as rm, instrument(rm, tracer_provider=spans.provider, metrics=False):

        def hang():
            with pytest.raises(CallReaped):
                with rm.slot(agent="ada", total_timeout_s=0.1):
                    time.sleep(0.4)

        events = in_span(spans, hang)["model"].events
    assert [event.name for event in events] == ["agentrm.granted", "agentrm.reaped"]
    assert events[1].attributes["agentrm.limit_s"] == pytest.approx(0.1)
    assert events[1].attributes["agentrm.cause"] == "total"


def test_a_refused_call_is_told_on_its_span(spans):
    """With its cause; its wait is a child that ended with an error."""
    with AgentRM(lanes=1) as rm, instrument(rm, tracer_provider=spans.provider, metrics=False):
        held = rm._core.admit(Call("other"))

        def wait():
            with pytest.raises(CallRefused):
                with rm.slot(agent="ada", wait_timeout_s=0.2):
                    pass

        found = in_span(spans, wait)
        held.settle()
    events = found["model"].events
    assert [event.name for event in events] == ["agentrm.queued", "agentrm.refused"]
    assert events[1].attributes["agentrm.cause"] == "wait_timeout"
    assert found["agentrm.queue"].status.description == "wait_timeout"
    assert found["agentrm.queue"].parent.span_id == found["model"].context.span_id


def test_a_late_call_and_its_second_attempt_are_told_on_one_span(spans):
    """Both attempts belong to the call, and so to its span, whoever asks for the second one."""
    clock = VirtualClock()
    with (
        AgentRM(lanes=2, clock=clock) as rm,
        instrument(rm, tracer_provider=spans.provider, metrics=False),
    ):
        host = rm._host
        call = Call("ada", endpoint="h/m")
        for _ in range(30):
            lease = host.submit(call)
            while not lease.granted:
                clock.advance(0.05)
            clock.advance(1.0)
            lease.settle(Usage(1, 1))

        def late():
            first = host.submit(call)
            while not first.suspected:
                clock.advance(1.0)
            second = first.hedge()
            while not second.granted:
                clock.advance(0.1)
            second.settle(Usage(1, 1))
            first.supersede(None)

        names = [event.name for event in in_span(spans, late)["model"].events]
    assert [name for name in names if name != "agentrm.throttled"] == [
        "agentrm.granted", "agentrm.late", "agentrm.hedged", "agentrm.granted",
    ]  # fmt: skip


def test_without_a_span_nothing_is_told_and_no_trace_begins(spans):
    """Nor where the span is not sampled."""
    off = TracerProvider(sampler=ALWAYS_OFF)
    off.add_span_processor(SimpleSpanProcessor(spans))
    with AgentRM(lanes=1) as rm, instrument(rm, tracer_provider=spans.provider, metrics=False):
        held = rm._core.admit(Call("other"))
        threading.Timer(0.15, held.settle).start()
        with rm.slot(agent="ada"):
            pass
        with off.get_tracer("app").start_as_current_span("model"), rm.slot(agent="ada"):
            pass
    assert spans.get_finished_spans() == ()


async def test_calls_at_once_tell_their_own_spans(spans):
    """Fifty tasks with a span each: every span has the story of its own call and no other."""
    tracer = spans.provider.get_tracer("app")
    with AgentRM(lanes=3) as rm, instrument(rm, tracer_provider=spans.provider, metrics=False):

        async def one(number):
            with tracer.start_as_current_span(f"model {number}"):
                async with rm.slot(agent=f"a{number}"):
                    await asyncio.sleep(0)

        await asyncio.gather(*map(one, range(50)))
    models = [span for span in spans.get_finished_spans() if span.name.startswith("model")]
    assert len(models) == 50
    for span in models:
        agents = {event.attributes["agentrm.agent"] for event in span.events}
        assert agents == {f"a{span.name.partition(' ')[2]}"}
        assert sum(event.name == "agentrm.granted" for event in span.events) == 1


class Hostile:
    """A span that fails at everything but being there."""

    def is_recording(self):
        return True

    def __getattr__(self, name):
        raise RuntimeError(name)


def test_a_span_that_fails_costs_its_events_only(monkeypatch, spans):
    """The call is made all the same."""
    monkeypatch.setattr("opentelemetry.trace.get_current_span", Hostile)
    with AgentRM() as rm, instrument(rm, tracer_provider=spans.provider, metrics=False):
        with rm.slot(agent="ada") as lease:
            assert lease.granted


def test_what_is_told_holds_no_text_and_no_key(spans, meters, reader):
    """Names of agents and models alone; not the label's text, nor a key's fingerprint on a span."""
    secret = "the prompt itself"
    with (
        AgentRM() as rm,
        instrument(rm, meter_provider=meters, tracer_provider=spans.provider, gen_ai=True) as told,
    ):
        call = Call("ada", endpoint="h/m#0123abcd", label=secret, estimate=Usage(1, 1))

        def ask():
            rm._core.admit(call).fail(ValueError(secret))

        found = in_span(spans, ask)["model"]
        told.flush()
        metrics = reader.get_metrics_data().to_json()
    assert secret not in str([dict(event.attributes) for event in found.events])
    assert "0123abcd" not in str([dict(event.attributes) for event in found.events])
    assert secret not in metrics
