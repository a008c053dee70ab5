"""Beside the tracers that users have: one span for a model call, none doubled and none lost.

LangSmith's tracer comes with langchain-core. Langfuse's handler and OpenInference's instrumentation
are of the group ``dev``; in an environment without them these tests are skipped.
"""

from __future__ import annotations

from typing import ClassVar

import pytest
from langchain_core.tracers.langchain import LangChainTracer

from agentrm_plugins.telemetry import instrument
from tests.telemetry.export.tracers import STORY, WAYS, story_of_a_call


def following(spans):
    return lambda rm: instrument(rm, tracer_provider=spans.provider, metrics=False)


def events_of(span):
    return [event.name for event in span.events]


class Posted:
    """What stands for LangSmith's client: the runs that are posted, as they end."""

    tracing_queue = None
    runs: ClassVar[dict] = {}

    def create_run(self, **run):
        assert run["id"] not in self.runs, "posted twice"
        self.runs[run["id"]] = run

    def flush(self):
        pass

    def update_run(self, run_id=None, **run):
        self.runs[run_id] |= {key: value for key, value in run.items() if value is not None}


@pytest.mark.parametrize("way", WAYS)
async def test_langsmiths_tracer(way, spans, monkeypatch):
    """One run of the model with the story in its events, the wait as its child; no OTel span."""
    monkeypatch.setattr(Posted, "runs", {})
    tracer = LangChainTracer(client=Posted())
    await story_of_a_call(following(spans), {"callbacks": [tracer]}, way)
    tracer.wait_for_futures()
    by_name = {run["name"]: run for run in Posted.runs.values()}
    assert sorted(run["name"] for run in Posted.runs.values()) == ["Flaky", "agentrm.queue"]
    model = by_name["Flaky"]
    told = [event for event in model["events"] if event["name"].startswith("agentrm.")]
    assert [event["name"] for event in told] == STORY
    assert told[0]["kwargs"]["agentrm.agent"] == "ada"
    assert told[2]["kwargs"]["http.response.status_code"] == 500
    assert by_name["agentrm.queue"]["parent_run_id"] == model["id"]
    assert spans.get_finished_spans() == ()


@pytest.mark.parametrize("way", WAYS)
async def test_langsmiths_tracer_inside_a_span_of_the_users(way, spans, monkeypatch):
    """Both hear of it, each once, and no span of OpenTelemetry stands beside the run."""
    monkeypatch.setattr(Posted, "runs", {})
    tracer = LangChainTracer(client=Posted())
    with spans.provider.get_tracer("web").start_as_current_span("request"):
        await story_of_a_call(following(spans), {"callbacks": [tracer]}, way)
    tracer.wait_for_futures()
    assert sorted(run["name"] for run in Posted.runs.values()) == ["Flaky", "agentrm.queue"]
    [request] = spans.get_finished_spans()
    assert events_of(request) == STORY


@pytest.mark.parametrize("way", WAYS)
async def test_openinference(way, spans):
    """Its span of the model has the story; the wait is a child of it; nothing is doubled."""
    langchain = pytest.importorskip("openinference.instrumentation.langchain")
    instrumentor = langchain.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=spans.provider)
    try:
        with spans.provider.get_tracer("web").start_as_current_span("request"):
            await story_of_a_call(following(spans), {}, way)
    finally:
        instrumentor.uninstrument()
    wait, model, request = sorted(spans.get_finished_spans(), key=lambda span: span.end_time)
    assert (wait.name, model.name, request.name) == ("agentrm.queue", "Flaky", "request")
    assert [event for event in events_of(model) if event.startswith("agentrm")] == STORY
    assert events_of(request) == []
    assert wait.parent.span_id == model.context.span_id
    assert model.parent.span_id == request.context.span_id


@pytest.mark.parametrize("way", WAYS)
async def test_langfuse(way, spans, monkeypatch):
    """Its generation has the story; the wait is a child of it; nothing is doubled."""
    langfuse = pytest.importorskip("langfuse")
    handlers = pytest.importorskip("langfuse.langchain")
    key = f"pk-lf-{way}"  # it keeps one client for each
    keys = {"public_key": key, "secret_key": "s" * 8, "base_url": "http://127.0.0.1:9"}
    client = langfuse.Langfuse(**keys, span_exporter=spans, flush_at=1)
    handler = handlers.CallbackHandler(public_key=key)
    await story_of_a_call(following(spans), {"callbacks": [handler]}, way)
    client.flush()
    found = {span.name: span for span in spans.get_finished_spans()}
    assert sorted(span.name for span in spans.get_finished_spans()) == ["Flaky", "agentrm.queue"]
    told = [event for event in events_of(found["Flaky"]) if event.startswith("agentrm")]
    assert told == STORY
    assert found["agentrm.queue"].parent.span_id == found["Flaky"].context.span_id
