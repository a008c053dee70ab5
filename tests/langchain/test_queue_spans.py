"""The queue's time is visible to tracers: a call that waited does not look like a slow model."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import ClassVar

import pytest
from langchain_core.tracers.base import BaseTracer
from langsmith.utils import get_env_var
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Call, CallRefused
from tests.langchain.fakes import FakeChat, ask


class Kept(BaseTracer):
    """What LangSmith's and Langfuse's handlers build upon: whole trees of runs."""

    def __init__(self):
        super().__init__()
        self.trees = []

    def _persist_run(self, run):
        self.trees.append(run)


def hold(rm):
    """Take the only lane; gives what lets it go."""
    return rm._core.admit(Call("other"))


def let_go_when_waiting(rm, lease):
    def watch():
        while not rm.statistics().waiting:
            time.sleep(0.002)
        time.sleep(0.2)
        lease.settle()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_wait_is_a_child_run_of_the_models_run(way):
    """With what waited and for how long; a call that goes at once has no such run."""
    tracer = Kept()
    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(FakeChat(), rm, agent="ada")
        await ask(model, {"callbacks": [tracer]}, way)
        thread = let_go_when_waiting(rm, hold(rm))
        await ask(model, {"callbacks": [tracer]}, way)
        thread.join()
    first, second = tracer.trees
    assert first.child_runs == []  # it went at once
    (waited,) = second.child_runs
    assert waited.name == "agentrm.queue"
    assert waited.parent_run_id == second.id
    assert waited.extra["metadata"]["agentrm.agent"] == "ada"
    assert waited.outputs["waited_s"] >= 0.1
    assert (waited.end_time - waited.start_time).total_seconds() >= 0.1
    assert waited.error is None


async def test_a_refused_wait_is_told_as_an_error():
    """Why it was not run; the call's own error is as before."""
    tracer = Kept()
    with AgentRM(lanes=1) as rm:
        lease = hold(rm)
        model = wrap_chat_model(FakeChat(), rm, wait_timeout_s=0.2)
        with pytest.raises(CallRefused):
            await model.ainvoke("hi", {"callbacks": [tracer]})
        lease.settle()
    (waited,) = tracer.trees[0].child_runs
    assert "wait_timeout" in waited.error


async def test_a_cancelled_wait_is_told_as_an_error():
    """The run ends, and nothing is held."""
    tracer = Kept()
    with AgentRM(lanes=1) as rm:
        lease = hold(rm)
        model = wrap_chat_model(FakeChat(), rm)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await model.ainvoke("hi", {"callbacks": [tracer]})
        assert rm.statistics().waiting == 0
        lease.settle()
    (cut,) = tracer.run_map.values()  # LangChain tells of no end when a call is cancelled
    (waited,) = cut.child_runs
    assert "CancelledError" in waited.error


async def test_a_tracer_that_fails_costs_its_span_only():
    """The call is made all the same."""

    class Broken(Kept):
        raise_error = True

        def on_chain_start(self, *args, **kwargs):
            raise RuntimeError("no")

    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(FakeChat(), rm)
        thread = let_go_when_waiting(rm, hold(rm))
        answer = await model.ainvoke("hi", {"callbacks": [Broken()]})
        thread.join()
    assert answer.text


@pytest.fixture(scope="module")
def spans():
    """What the process's one provider of tracers exports; another test may have set it."""
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    exporter = InMemorySpanExporter()
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    return exporter


def test_a_wait_is_a_span_of_opentelemetry(spans):
    """A child of the current one, for whatever is managed; without a current span there is none."""
    spans.clear()
    tracer = trace.get_tracer("test")
    with AgentRM(lanes=1) as rm:
        thread = let_go_when_waiting(rm, hold(rm))
        with tracer.start_as_current_span("mine") as mine, rm.slot(agent="ada", tenant="acme"):
            pass
        thread.join()
        thread = let_go_when_waiting(rm, hold(rm))
        with rm.slot(agent="bo"):
            pass
        thread.join()
    waited, outer = spans.get_finished_spans()
    assert (waited.name, outer.name) == ("agentrm.queue", "mine")
    assert waited.parent.span_id == mine.get_span_context().span_id
    assert waited.attributes["agentrm.tenant"] == "acme"
    assert waited.attributes["agentrm.waited_s"] >= 0.1
    assert waited.end_time - waited.start_time >= 100_000_000


def test_what_a_span_tells_holds_no_secret(spans):
    """Names alone: not even the fingerprint of a key."""
    spans.clear()
    with AgentRM(lanes=1) as rm, trace.get_tracer("test").start_as_current_span("mine"):
        thread = let_go_when_waiting(rm, hold(rm))
        rm._core.admit(Call("ada", endpoint="api.example/gpt#0123abcd")).settle()
        thread.join()
    assert spans.get_finished_spans()[0].attributes["agentrm.endpoint"] == "api.example/gpt"


class Posted:
    """What stands for LangSmith's client: the names of the runs that are posted."""

    tracing_queue = None
    names: ClassVar[list[str]] = []

    def create_run(self, **run):
        self.names.append(run["name"])

    def update_run(self, **run):
        pass


@pytest.mark.parametrize("way", ["invoke", "ainvoke", "stream", "astream"])
async def test_a_tracer_of_the_environment_sees_the_wait_once(way, monkeypatch):
    """LANGSMITH_TRACING alone: one run of the model, one of its wait, none twice."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setattr("langchain_core.tracers.langchain.get_client", Posted)
    monkeypatch.setattr(Posted, "names", [])
    get_env_var.cache_clear()
    try:
        with AgentRM(lanes=1) as rm:
            thread = let_go_when_waiting(rm, hold(rm))
            await ask(wrap_chat_model(FakeChat(), rm), {}, way)
            thread.join()
    finally:
        get_env_var.cache_clear()
    assert sorted(Posted.names) == ["FakeChat", "agentrm.queue"]
