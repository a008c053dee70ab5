"""All doors are driven through one table of situations, and give one answer."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, ConfigError
from tests.doors.conftest import Doors
from tests.langchain.fakes import FakeChat

THREAD = {"configurable": {"thread_id": "ada"}}


def plainly(_rm: AgentRM, _config: Any, ask: Any) -> Any:
    """No run around."""
    return ask()


def in_chain(_rm: AgentRM, config: Any, ask: Any) -> Any:
    """Inside a chain that was called with this config."""
    return RunnableLambda(lambda _: ask()).invoke(None, config)


def in_graph(_rm: AgentRM, config: Any, ask: Any) -> Any:
    """Inside a node of a graph that is not managed."""
    return _in_node(lambda graph: graph, config, ask)


def in_managed_graph(rm: AgentRM, config: Any, ask: Any) -> Any:
    """Inside a node, without a lane, of a managed graph."""
    return _in_node(lambda graph: manage_graph(graph, rm, lane=None), config, ask)


def _in_node(manage: Any, config: Any, ask: Any) -> Any:
    found = []
    builder = StateGraph(MessagesState).add_node("node", lambda _: found.append(ask()) or {})
    manage(builder.add_edge(START, "node").compile()).invoke({"messages": []}, config)
    return found[0]


def metadata(**words: Any) -> Any:
    return {"metadata": words}


# where, its config, the blocks around, what the plugin is given: tenant, agent, parent, level
TABLE: dict[str, Any] = {
    "identity": (plainly, None, [("identity", {"agent": "alice"})], {}, "default alice None 0"),
    "identity, all of it": (
        plainly,
        None,
        [("identity", {"agent": "a", "tenant": "t", "priority": "batch", "parent_agent": "p"})],
        {},
        "t a p 1",
    ),
    "identity around a thread": (
        in_chain,
        THREAD,
        [("identity", {"agent": "alice"})],
        {},
        "default alice None 0",
    ),
    "identity of a tenant alone": (
        in_graph,
        THREAD,
        [("identity", {"tenant": "acme"})],
        {},
        "acme ada None 0",
    ),
    "thread of a chain": (in_chain, THREAD, [], {}, "default ada None 0"),
    "thread of a graph": (in_graph, THREAD, [], {}, "default ada None 0"),
    "thread of a managed graph": (in_managed_graph, THREAD, [], {}, "default ada None 0"),
    "thread that is a number": (
        in_chain,
        {"configurable": {"thread_id": 7}},
        [],
        {},
        "default 7 None 0",
    ),
    "metadata, plain": (
        in_chain,
        metadata(agent="writer", tenant="acme", priority="background"),
        [],
        {},
        "acme writer None 2",
    ),
    "metadata, ours": (
        in_graph,
        {**THREAD, **metadata(agentrm_agent="w", agentrm_tenant="t", agentrm_parent_agent="p")},
        [],
        {},
        "t w p 0",
    ),
    "metadata of a tenant in a managed graph": (
        in_managed_graph,
        {**THREAD, **metadata(tenant="acme")},
        [],
        {},
        "acme ada None 0",
    ),
    "somebody else's priority": (
        in_chain,
        {**THREAD, **metadata(priority="P1")},
        [],
        {},
        "default ada None 0",
    ),
    "a slot": (
        plainly,
        None,
        [("slot", {"agent": "boss", "tenant": "acme", "priority": "batch"})],
        {},
        "acme boss None 1",
    ),
    "a slot around a thread": (
        in_chain,
        THREAD,
        [("slot", {"agent": "boss"})],
        {},
        "default boss None 0",
    ),
    "another agent in a slot": (
        plainly,
        None,
        [("slot", {"agent": "boss"})],
        {"agent": "sub"},
        "default sub boss 0",
    ),
    "another agent in an identity": (
        plainly,
        None,
        [("identity", {"agent": "boss"})],
        {"agent": "sub"},
        "default sub boss 0",
    ),
    "a slot in an identity": (
        plainly,
        None,
        [("identity", {"agent": "alice", "tenant": "t"}), ("slot", {"agent": "boss"})],
        {},
        "t boss alice 0",
    ),
    "an identity in a slot": (
        plainly,
        None,
        [("slot", {"agent": "boss", "tenant": "t"}), ("identity", {"agent": "alice"})],
        {},
        "t alice boss 0",
    ),
    "a tenant's identity in a slot": (
        plainly,
        None,
        [
            *(("identity", {"agent": "alice"}), ("slot", {"agent": "boss"})),
            ("identity", {"tenant": "t"}),
        ],
        {},
        "t boss None 0",  # alice of another tenant is nobody here
    ),
    "a slot in a slot in a slot": (
        plainly,
        None,
        [("slot", {"agent": "a"}), ("slot", {"agent": "b"}), ("slot", {})],
        {},
        "default b a 0",
    ),
    "another tenant's slot": (
        plainly,
        None,
        [("slot", {"agent": "boss", "tenant": "t"}), ("identity", {"tenant": "u"})],
        {"agent": "sub"},
        "u sub boss 0",
    ),
    "another agent in a managed node": (
        in_managed_graph,
        THREAD,
        [],
        {"agent": "sub"},
        "default sub ada 0",
    ),
    "the plugin's own agent in a thread": (
        in_chain,
        THREAD,
        [],
        {"agent": "house"},
        "default house None 0",
    ),
    "all that a plugin is given": (
        in_chain,
        THREAD,
        [("slot", {"agent": "boss", "tenant": "acme"})],
        {"agent": "house", "tenant": "acme", "priority": "batch"},
        "acme house boss 1",
    ),
    "the plugin's own tenant": (
        in_graph,
        THREAD,
        [("slot", {"agent": "boss"})],
        {"tenant": "acme", "priority": "background"},
        "acme boss None 2",
    ),
}  # fmt: skip


@pytest.mark.parametrize("door", Doors.names)
@pytest.mark.parametrize("situation", TABLE)
def test_all_doors_give_one_answer(doors: Doors, door: str, situation: str) -> None:
    """Whatever the way in, the same surroundings mean the same agent, tenant, parent and level."""
    where, config, blocks, own, expected = TABLE[situation]

    def within(left: list[Any]) -> Any:
        if not left:
            return where(doors.rm, config, lambda: doors.ask(door, **own))
        kind, words = left[0]
        with getattr(doors.rm, kind)(**words) if kind else nullcontext():
            return within(left[1:])

    tenant, agent, parent, level = expected.split()
    answer = (tenant, agent, None if parent == "None" else parent, int(level))
    assert within(blocks) == {answer}


@pytest.mark.parametrize("door", Doors.take_config)
def test_a_direct_call_knows_its_own_thread(doors: Doors, door: str) -> None:
    """A config that is given to the call itself counts as that of a chain around it does."""
    for _turn in range(2):  # its service is carried over: it is the same agent each turn
        assert doors.ask(door, THREAD) == {("default", "ada", None, 0)}
    assert list(doors.rm.statistics().agents) == ["ada"]
    with doors.rm.identity(agent="alice"):
        assert doors.ask(door, THREAD) == {("default", "alice", None, 0)}


@pytest.mark.parametrize("way", ["stream", "batch", "bind", "with_config", "with_retry", "events"])
@pytest.mark.parametrize("managed", ["wrapped", "callback"])
def test_every_way_to_call_a_model_knows_its_thread(doors: Doors, way: str, managed: str) -> None:
    """Streams, batches, bound and configured models, sync and async."""
    model: Any = FakeChat()
    config: Any = THREAD
    if managed == "wrapped":
        model = wrap_chat_model(model, doors.rm)
    else:
        config = {**THREAD, "callbacks": [AgentRMCallbackHandler(doors.rm)]}
    if way in {"bind", "with_retry"}:
        model = model.bind(stop=["x"]) if way == "bind" else model.with_retry()
    elif way == "with_config":
        model, config = model.with_config(config), None

    async def use_async() -> None:
        if way == "batch":
            await model.abatch(["a", "b"], config)
        elif way == "stream":
            assert [chunk async for chunk in model.astream("a", config)]
        elif way == "events":
            assert [event async for event in model.astream_events("a", config, version="v2")]
        else:
            await model.ainvoke("a", config)

    if doors.is_async or way == "events":
        asyncio.run(use_async())
    elif way == "batch":
        model.batch(["a", "b"], config)
    elif way == "stream":
        assert list(model.stream("a", config))
    else:
        model.invoke("a", config)
    assert list(doors.rm.statistics().agents) == ["ada"]


@pytest.mark.parametrize("door", Doors.take_config)
def test_a_run_of_another_thread_inside_a_node_is_a_child(doors: Doors, door: str) -> None:
    """A thread of its own makes it an agent of its own, which works for the thread around."""
    config = {"configurable": {"thread_id": "child"}}
    found = in_managed_graph(doors.rm, THREAD, lambda: doors.ask(door, config))
    assert found == {("default", "child", "ada", 0)}


@pytest.mark.parametrize("door", [name for name in Doors.names if name != "slot"])
def test_metadata_is_nearer_than_the_plugins_own_arguments(doors: Doors, door: str) -> None:
    """What a run says holds for it; what the plugin was given holds for all runs."""
    found = in_chain(doors.rm, metadata(agent="guest"), lambda: doors.ask(door, agent="house"))
    assert found == {("default", "guest", None, 0)}


@pytest.mark.parametrize("door", ["slot", "client"])
def test_nobody_is_main(doors: Doors, door: str) -> None:
    """Where nothing is said and no run is known."""
    assert doors.ask(door) == {("default", "main", None, 0)}


@pytest.mark.parametrize("door", ["model", "callback", "middleware", "graph"])
def test_a_run_of_no_thread_is_an_agent_of_its_own(doors: Doors, door: str) -> None:
    """Two runs do not share their service."""
    for expected in (1, 2):
        assert len(doors.ask(door)) == 1
        assert len(doors.rm.statistics().agents) == expected


def test_a_bad_priority_is_refused_by_every_door(doors: Doors) -> None:
    """Our own word must be one of the three."""
    config = metadata(agentrm_priority="urgent")
    for door in Doors.names:
        with pytest.raises(ConfigError, match="agentrm_priority='urgent'"):
            in_chain(doors.rm, config, lambda door=door: doors.ask(door))


def test_statistics_keep_agents_apart() -> None:
    """A name with a slash is not another tenant's agent, and no tenant's name runs into one."""
    pairs = [
        *(("a", "b/c"), ("a/b", "c"), ("default", "x/y"), ("x", "y"), ("default", "x")),
        *(("a%2Fb", "c"), ("default", "default/x"), ("default/x", "y"), ("x", "default")),
    ]
    with AgentRM(lanes=2) as rm:
        for tenant, agent in pairs:
            with rm.slot(agent=agent, tenant=tenant):
                pass
            rm.end_agent(agent, tenant=tenant, abandoned=True)
        seen = rm.statistics()
    assert len(seen.agents) == len(seen.abandoned) == len(pairs)
    assert all(one.calls == 1 for one in seen.agents.values())
    for tenant, agent in pairs:
        assert seen.agent(agent, tenant=tenant).tenant == tenant


def test_an_id_of_the_frameworks_with_half_a_surrogate_pair_is_written_as_its_escape() -> None:
    """A run that works bare works managed; what it is called can be written, and is one name."""
    half, rm = "a\ud800", AgentRM(lanes=2)
    model = wrap_chat_model(FakeChat(), rm)
    model.invoke("go", {"configurable": {"thread_id": half}})
    model.invoke("go", {"metadata": {"agentrm_agent": half, "agentrm_tenant": half}})
    told = rm.statistics()
    assert set(told.agents) == {"a\\ud800", "a\\ud800/a\\ud800"}
    json.dumps(asdict(told), ensure_ascii=False, default=str).encode()
    for wrong in (lambda: rm.end_agent(half), lambda: rm.drain(half), lambda: rm.slot(agent=half)):
        with pytest.raises(ConfigError, match="half a surrogate pair"):
            wrong()
    rm.close()
