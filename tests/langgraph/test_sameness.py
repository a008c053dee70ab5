"""A managed graph behaves as the graph does: states, streams of all modes, checkpoints."""

from __future__ import annotations

import asyncio
import functools
import re
from contextlib import ExitStack
from typing import Any

import pytest
from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from workloads import WORKLOADS, Who, compiled, injected, loop, plain

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

pytestmark = pytest.mark.lowest

MODES = ["values", "updates", "messages", "custom", "debug", "checkpoints", "tasks"]
VOLATILE = {
    "id",
    "run_id",
    "ts",
    "timestamp",
    "created_at",
    "task_id",
    "checkpoint_id",
    "interrupt_id",
}
ID = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32}|[0-9a-f]{24,}")


def settled(value: Any) -> Any:
    """`value` without what differs between two runs of the same graph: ids and times."""
    if isinstance(value, dict):
        return {
            str(settled(key)): "*" if key in VOLATILE else settled(entry)
            for key, entry in sorted(value.items(), key=lambda item: str(item[0]))
            if key not in {"lc_versions", "revision_id"}
        }
    if isinstance(value, BaseMessage):
        return [value.__class__.__name__, settled({**dict(value), "id": None})]
    if hasattr(value, "_asdict"):
        return [value.__class__.__name__, settled(value._asdict())]
    if isinstance(value, list | tuple):
        return [settled(entry) for entry in value]
    return ID.sub("*", repr(value) if not isinstance(value, str) else value)


def unordered(chunks: list[Any]) -> list[str]:
    """Chunks of branches that run side by side come in any order."""
    return sorted(map(str, chunks))


def to_async(fn):
    @functools.wraps(fn)
    async def node(*args, **kwargs):
        await asyncio.sleep(0)
        return fn(*args, **kwargs)

    return node


def story(graph, inputs) -> dict[str, Any]:
    """All that can be seen of a conversation, in sync code."""
    config = {"configurable": {"thread_id": "t1"}, "tags": ["tag"], "metadata": {"key": 1}}
    seen: dict[str, Any] = {"streams": [], "states": []}
    context = {"context": Who()} if graph.context_schema else {}
    for given in inputs:
        chunks = []
        options = {"stream_mode": MODES, "subgraphs": True, **context}
        try:
            chunks.extend(settled(chunk) for chunk in graph.stream(given, config, **options))
        except ValueError as error:
            chunks.append(repr(error))
        seen["streams"].append(chunks)
        seen["states"].append(settled(graph.get_state(config, subgraphs=True)))
    seen["history"] = [settled(state) for state in graph.get_state_history(config)]
    return seen


async def astory(graph, inputs) -> dict[str, Any]:
    """The same in async code."""
    config = {"configurable": {"thread_id": "t1"}, "tags": ["tag"], "metadata": {"key": 1}}
    seen: dict[str, Any] = {"streams": [], "states": []}
    context = {"context": Who()} if graph.context_schema else {}
    for given in inputs:
        chunks = []
        options = {"stream_mode": MODES, "subgraphs": True, **context}
        try:
            async for chunk in graph.astream(given, config, **options):
                chunks.append(settled(chunk))
        except ValueError as error:
            chunks.append(repr(error))
        seen["streams"].append(chunks)
        seen["states"].append(settled(await graph.aget_state(config, subgraphs=True)))
    seen["history"] = [settled(state) async for state in graph.aget_state_history(config)]
    return seen


def compare(unmanaged: dict[str, Any], managed: dict[str, Any]) -> None:
    assert managed["states"] == unmanaged["states"]
    assert managed["history"] == unmanaged["history"]
    for theirs, ours in zip(unmanaged["streams"], managed["streams"], strict=True):
        assert unordered(ours) == unordered(theirs)


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.__name__)
def test_sync_runs_are_the_same(workload, rm: AgentRM) -> None:
    """States, streams in every mode and checkpoints of a sync run, one conversation long."""
    theirs = story(*compiled(workload, plain, lambda graph: graph))
    ours = story(*compiled(workload, plain, lambda graph: manage_graph(graph, rm)))
    compare(theirs, ours)


@pytest.mark.parametrize("mk", [plain, to_async], ids=["sync nodes", "async nodes"])
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.__name__)
async def test_async_runs_are_the_same(workload, mk, rm: AgentRM) -> None:
    """The same of an async run, with sync and with async nodes."""
    if workload.__name__ == "functional" and mk is plain:
        pytest.skip("a sync entrypoint blocks on its tasks: LangGraph wants an async one here")
    theirs = await astory(*compiled(workload, mk, lambda graph: graph))
    ours = await astory(*compiled(workload, mk, lambda graph: manage_graph(graph, rm)))
    compare(theirs, ours)


def test_a_builder_compiles_to_a_managed_graph_and_stays_a_builder(rm: AgentRM) -> None:
    """A managed builder takes further nodes; the builder that was given is as it was."""
    builder, _, _ = loop(plain)
    managed = manage_graph(builder, rm)
    managed.add_node("extra", lambda state: {"log": ["extra"]}).add_edge("last", "extra")
    assert "extra" not in builder.nodes
    assert ("last", "extra") not in builder.edges
    graph = managed.compile()
    assert graph.invoke({"log": [], "count": 2})["log"] == ["step 2", "last", "extra"]
    assert isinstance(graph, type(builder.compile()))
    assert builder.compile().invoke({"log": [], "count": 2})["log"] == ["step 2", "last"]


def test_events_invoke_batch_and_drawing_are_the_same(rm: AgentRM) -> None:
    """Events of every run below, batches, schemas and the picture of the graph."""
    theirs = compiled(injected, plain, lambda graph: graph)[0]
    ours = compiled(injected, plain, lambda graph: manage_graph(graph, rm))[0]
    given = {"log": ["x"], "count": 0}
    configs = [{"configurable": {"thread_id": str(n)}} for n in range(3)]
    results = [graph.batch([given] * 3, configs, context=Who()) for graph in (theirs, ours)]
    assert results[0] == results[1]
    assert ours.get_graph(xray=True).to_json() == theirs.get_graph(xray=True).to_json()
    assert ours.get_input_jsonschema() == theirs.get_input_jsonschema()
    assert ours.get_context_jsonschema() == theirs.get_context_jsonschema()
    assert ours.get_name() == theirs.get_name()

    async def events(graph) -> list[str]:
        config: RunnableConfig = {"configurable": {"thread_id": "e"}}
        options = {"version": "v2", "context": Who()}
        found = [event async for event in graph.astream_events(given, config, **options)]
        return [str((e["event"], e["name"], sorted(e["tags"]))) for e in found]

    assert asyncio.run(events(ours)) == asyncio.run(events(theirs))


def test_time_travel_and_edited_states_are_the_same(rm: AgentRM) -> None:
    """A run from an old checkpoint, and one after the state was edited."""
    found = []
    for manage in (lambda graph: graph, lambda graph: manage_graph(graph, rm)):
        graph, inputs = compiled(loop, plain, manage)
        config = {"configurable": {"thread_id": "t"}}
        graph.invoke(inputs[0], config)
        old = [state for state in graph.get_state_history(config) if state.next == ("step",)]
        again = graph.invoke(None, old[-1].config)
        edited = graph.update_state(old[0].config, {"count": 9}, as_node="step")
        found.append(
            (again, graph.invoke(None, edited), len(list(graph.get_state_history(config))))
        )
    assert found[0] == found[1]


@pytest.mark.parametrize("mode", [*MODES, [], ["values"]], ids=str)
def test_each_stream_mode_alone(mode, rm: AgentRM) -> None:
    """A stream of one mode, of none and of a list of one has the same chunks."""
    found = []
    for manage in (lambda graph: graph, lambda graph: manage_graph(graph, rm)):
        graph, inputs = compiled(injected, plain, manage)
        config = {"configurable": {"thread_id": "t"}}
        chunks = graph.stream(inputs[0], config, stream_mode=mode, context=Who())
        found.append([settled(chunk) for chunk in chunks])
    assert unordered(found[0]) == unordered(found[1])


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
async def test_events_v3_are_the_same(rm: AgentRM) -> None:
    """LangGraph's newest stream of events, in sync and in async code."""
    found = []
    for manage in (lambda graph: graph, lambda graph: manage_graph(graph, rm)):
        graph, inputs = compiled(loop, plain, manage)
        config = {"configurable": {"thread_id": "t"}}
        with graph.stream_events(inputs[0], config, version="v3") as events:
            sync = [settled(event) for event in events]
        config = {"configurable": {"thread_id": "u"}}
        async with await graph.astream_events(inputs[0], config, version="v3") as events:
            parallel = [settled(event) async for event in events]
        assert sync
        assert parallel
        found.append((unordered(sync), unordered(parallel)))
    assert found[0] == found[1]


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_checkpointers_are_the_same(kind, durability, rm: AgentRM, tmp_path) -> None:
    """Checkpoints in memory and in SQLite, written at once, on the side or at the end."""
    found = []
    for number, manage in enumerate((lambda graph: graph, lambda graph: manage_graph(graph, rm))):
        with ExitStack() as stack:
            if kind == "memory":
                saver = InMemorySaver()
            else:
                sqlite = pytest.importorskip("langgraph.checkpoint.sqlite")
                path = str(tmp_path / f"{number}.db")
                saver = stack.enter_context(sqlite.SqliteSaver.from_conn_string(path))
            builder, inputs, _ = loop(plain)
            graph = manage(builder.compile(checkpointer=saver))
            config = {"configurable": {"thread_id": "t"}}
            last = graph.invoke(inputs[0], config, durability=durability)
            history = [settled(state) for state in graph.get_state_history(config)]
            found.append((last, history))
    assert found[0] == found[1]
