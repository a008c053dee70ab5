"""Agents, lanes, leases and ends of managed nodes."""

from __future__ import annotations

import asyncio
import operator
import threading
from contextlib import contextmanager
from typing import Annotated

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.types import Command, RetryPolicy, Send, StreamWriter, TimeoutPolicy, interrupt
from typing_extensions import TypedDict

from agentrm_langgraph import manage_graph, managed_node
from agentrm_plugins import AgentRM, Call, CallReaped, ClosedError, ConfigError, LaneGroup
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import asking, core_of

pytestmark = pytest.mark.lowest

QUICK = RetryPolicy(initial_interval=0.001, jitter=False)


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


EMPTY = {"log": []}


def one(fn, **options):
    builder = StateGraph(Log)
    return builder.add_node("node", fn, **options).add_edge(START, "node").compile()


def thread(name):
    return {"configurable": {"thread_id": name}}


@contextmanager
def taken(rm, group="model"):
    """Somebody else has both lanes of a group."""
    leases = [core_of(rm).admit_nowait(Call(f"other {n}", group=group)) for n in range(2)]
    try:
        yield leases
    finally:
        for lease in leases:
            lease.settle()


def me(_state):
    seen = asking.current_identity()
    return {"log": [f"{seen.agent} of {seen.parent_agent} at {seen.priority}"]}


def test_an_agent_is_a_thread_and_knows_its_parent(lanes: AgentRM) -> None:
    """The thread id names the agent; a graph run inside under a thread of its own is its child."""
    inner = manage_graph(one(me), lanes)
    outer = manage_graph(one(lambda state: inner.invoke(EMPTY, thread("child"))), lanes)
    assert outer.invoke(EMPTY, thread("boss"))["log"] == ["child of boss at None"]
    agents = lanes.statistics().agents
    assert agents["child"].parent == "boss"
    assert agents["boss"].calls == agents["child"].calls == 1


def test_runs_without_a_thread_are_agents_of_their_own(lanes: AgentRM) -> None:
    """Two runs without a thread id do not share their service; all nodes of one run do."""
    builder = StateGraph(Log).add_node("a", me).add_node("b", me)
    graph = manage_graph(builder.add_edge(START, "a").add_edge("a", "b"), lanes).compile()
    first, second = (graph.invoke(EMPTY)["log"] for _ in range(2))
    assert first[0] == first[1] != second[0] == second[1]


def test_the_agent_can_be_named_by_config_metadata_or_a_function(lanes: AgentRM) -> None:
    """Metadata names agent, tenant and priority; a function of the config wins; `identity` too."""
    graph = manage_graph(one(me), lanes)
    hints = {"agentrm_agent_id": "ada", "agentrm_tenant": "acme", "agentrm_priority": "batch"}
    said = graph.invoke(EMPTY, {**thread("t"), "metadata": hints})["log"]
    assert said == ["ada of None at batch"]
    assert lanes.statistics().tenants["acme"].service_s >= 0
    by_user = manage_graph(one(me), lanes, agent=lambda config: config["metadata"]["user"])
    assert by_user.invoke(EMPTY, {"metadata": {"user": "bob"}})["log"] == ["bob of None at None"]
    with lanes.identity(agent="caller"):
        assert graph.invoke(EMPTY)["log"] == ["caller of None at None"]
        assert graph.invoke(EMPTY, thread("t"))["log"] == ["caller of None at None"]
    with pytest.raises(ConfigError, match="agentrm_priority"):
        graph.invoke(EMPTY, {"metadata": {"agentrm_priority": "urgent"}})


def test_a_node_marked_as_background_is_an_agent_of_its_own() -> None:
    """Its priority counts from its start, and its service does not demote the thread's."""
    graph = one(me, metadata={"agentrm_priority": "background"})
    groups = (LaneGroup("model", 2), LaneGroup("node", 2))
    with AgentRM(lanes=4, groups=groups, order="mlfq_textbook") as rm:  # a hint is a level there
        said = manage_graph(graph, rm).invoke(EMPTY, thread("t"))["log"]
        agents = rm.statistics().agents
    assert said == ["t/background of t at background"]
    assert agents["default/t/background"].level == 2
    assert agents["default/t/background"].parent == "t"


def test_lanes_are_chosen_by_group_name_and_mapping() -> None:
    """By default nodes take lanes of groups made for nodes, and never one of the models'."""
    counted = {}
    for lane in ("auto", None, "model", {"node": "spare"}):
        groups = (LaneGroup("model", 1), LaneGroup("node", 1), LaneGroup("spare", 1))
        with AgentRM(lanes=3, groups=groups) as rm:
            manage_graph(one(me), rm, lane=lane).invoke(EMPTY)
            counted[str(lane)] = [rm.statistics().groups[g.name].peak for g in groups]
    expected = {"auto": [0, 1, 0], "None": [0, 0, 0], "model": [1, 0, 0]}
    assert counted == {**expected, "{'node': 'spare'}": [0, 0, 1]}
    with AgentRM(lanes=1) as rm:
        manage_graph(one(me), rm).invoke(EMPTY)
        assert rm.statistics().submitted == 0


def test_mistakes_are_told_with_the_way_out(lanes: AgentRM) -> None:
    """No such group, no such node, no graph, no core, a second core, a generator."""
    graph = one(me)
    with pytest.raises(ConfigError, match=r"lane='gpu'.*'model', 'node'.*LaneGroup"):
        manage_graph(graph, lanes, lane="gpu")
    with pytest.raises(ConfigError, match=r"no such node; it has 'node'"):
        manage_graph(graph, lanes, lane={"nude": "node"})
    with pytest.raises(ConfigError, match="StateGraph"):
        manage_graph(me, lanes)
    with pytest.raises(ConfigError, match="AgentRM"):
        manage_graph(graph, "rm")
    with pytest.raises(ConfigError, match="manage_graph"):
        managed_node(graph, lanes)
    with pytest.raises(ConfigError, match="generator"):
        managed_node(lambda state: (yield state), lanes)
    with AgentRM() as other, pytest.raises(ConfigError, match="another core"):
        manage_graph(manage_graph(graph, lanes), other)


def test_managed_twice_is_managed_once(lanes: AgentRM) -> None:
    """A managed node in a managed graph that is managed again takes one lane, by its own rules."""
    node = managed_node(managed_node(me, lanes, lane="model"), lanes, lane="node")
    graph = manage_graph(manage_graph(one(node), lanes), lanes)
    graph.invoke(EMPTY, thread("t"))
    asyncio.run(graph.ainvoke(EMPTY, thread("t")))
    seen = lanes.statistics()
    assert (seen.granted, seen.settled) == (2, 2)
    assert (seen.groups["model"].peak, seen.groups["node"].peak) == (1, 0)


def test_one_lane_in_all_is_enough() -> None:
    """Nodes, tasks in nodes and calls in tasks, forty at a time: nobody waits for ever."""
    groups = (LaneGroup("model", 1), LaneGroup("node", 1))
    with AgentRM(lanes=1, groups=groups) as rm:

        @task
        def call(n: int) -> str:
            with rm.slot(), rm.slot(group="node"), rm.slot():
                return str(n)

        def branch(state):
            with rm.slot():
                return {"log": [call(state["n"]).result()]}

        builder = StateGraph(Log).add_node("branch", branch)
        builder.add_conditional_edges(
            START, lambda _: [Send("branch", {"n": i}) for i in range(40)]
        )
        graph = manage_graph(builder.compile(), rm)
        expected = sorted(map(str, range(40)))
        assert sorted(graph.invoke(EMPTY, thread("t"))["log"]) == expected
        assert sorted(asyncio.run(graph.ainvoke(EMPTY, thread("t")))["log"]) == expected
        assert rm.statistics().lanes_peak == 1


def test_a_person_is_waited_for_without_lane_or_clock() -> None:
    """An interrupt ends its node's lease, and counts as no failure."""
    clock = VirtualClock()
    with AgentRM(lanes=1, groups=(LaneGroup("node", 1),), clock=clock) as rm:
        builder = StateGraph(Log).add_node("ask", lambda _: {"log": [interrupt("?")]})
        graph = manage_graph(builder.add_edge(START, "ask"), rm)
        graph = graph.compile(checkpointer=InMemorySaver())
        with rm.events() as events:
            graph.invoke(EMPTY, thread("t"))
            clock.advance(1e6)
            assert graph.invoke(Command(resume="yes"), thread("t"))["log"] == ["yes"]
            ends = [event for event in events.drain() if event.__class__.__name__ == "Settled"]
        assert [end.cause for end in ends] == ["ok", "ok"]
        assert rm.statistics().reaped == 0


async def test_a_hung_async_node_is_reaped_cancelled_and_tried_again() -> None:
    """What the graph sees is an error that its own retry policy handles."""
    clock, started, cancelled = VirtualClock(), asyncio.Event(), []
    with AgentRM(lanes=1, groups=(LaneGroup("node", 1),), clock=clock) as rm:

        async def node(_state):
            if not started.is_set():
                started.set()
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(True)
                    raise
            return {"log": ["done"]}

        run = asyncio.create_task(manage_graph(one(node, retry_policy=QUICK), rm).ainvoke(EMPTY))
        await started.wait()
        clock.advance(601)
        assert (await run)["log"] == ["done"]
        assert cancelled
        seen = rm.statistics()
        assert (seen.reaped, seen.zombies, seen.settled) == (1, 0, 2)


@pytest.mark.parametrize("inside", [True, False], ids=["graph managed", "node managed"])
def test_a_hung_sync_node_is_abandoned_and_tried_again(inside: bool) -> None:
    """Nobody waits for its thread, and what it still writes reaches nobody."""
    clock, started, release, over = VirtualClock(), *(threading.Event() for _ in range(3))
    with AgentRM(lanes=1, groups=(LaneGroup("node", 1),), clock=clock) as rm:

        def node(state: Log, writer: StreamWriter):
            if started.is_set():
                return {"log": ["done"]}
            started.set()
            release.wait(20)
            writer("late")
            over.set()
            return {"log": ["late"]}

        if inside:
            graph = manage_graph(one(node, retry_policy=QUICK), rm)
        else:
            graph = one(managed_node(node, rm, lane="node"), retry_policy=QUICK)

        def hurry() -> None:
            started.wait(20)
            clock.advance(601)

        threading.Thread(target=hurry).start()
        seen = list(graph.stream(EMPTY, stream_mode=["custom", "values"]))
        assert seen[-1] == ("values", {"log": ["done"]})
        assert rm.statistics().lanes_in_use == 0
        release.set()
        assert over.wait(20)
        assert ("custom", "late") not in seen


async def test_a_node_that_gives_signs_of_life_is_not_reaped() -> None:
    """What it writes to the stream, and the end of a call within, each wind its clock up."""
    clock, steps = VirtualClock(), asyncio.Queue()
    groups = (LaneGroup("node", 1), LaneGroup("model", 1))
    with AgentRM(lanes=1, groups=groups, clock=clock) as rm:

        async def node(state: Log, writer: StreamWriter):
            for _ in range(3):
                writer("still here")
                await steps.get()
            async with rm.slot(
                total_timeout_s=1e4, silence_timeout_s=1e4, first_token_timeout_s=1e4
            ):
                await steps.get()  # a long call: the node only waits for it
            await steps.get()
            return {"log": ["done"]}

        graph = manage_graph(one(node), rm, total_timeout_s=1e4)
        run = asyncio.create_task(graph.ainvoke(EMPTY))
        for seconds in (100, 100, 100, 1000, 100):
            for _ in range(20):
                await asyncio.sleep(0)
            clock.advance(seconds)
            steps.put_nowait(None)
        assert (await run)["log"] == ["done"]
        assert rm.statistics().reaped == 0


async def test_a_reaped_node_without_a_policy_fails_with_the_reason() -> None:
    """The error names the timeout that was passed."""
    clock, started = VirtualClock(), asyncio.Event()
    with AgentRM(lanes=1, groups=(LaneGroup("node", 1),), clock=clock) as rm:

        async def node(_state):
            started.set()
            await asyncio.Event().wait()

        graph = manage_graph(one(node), rm, silence_timeout_s=7)
        run = asyncio.create_task(graph.ainvoke(EMPTY))
        await started.wait()
        clock.advance(8)
        with pytest.raises(CallReaped) as caught:
            await run
        assert caught.value.held_s == pytest.approx(7)


async def test_waiting_is_not_idling(lanes: AgentRM) -> None:
    """A node with an idle timeout may wait longer than that: for its lane, and for a call's."""

    async def node(_state):
        async with lanes.slot():
            return {"log": ["done"]}

    timeout = TimeoutPolicy(idle_timeout=0.2)
    graph = manage_graph(one(node, timeout=timeout), lanes)
    loop = asyncio.get_running_loop()
    for group in ("node", "model"):
        with taken(lanes, group) as leases:
            for lease in leases:
                loop.call_later(0.5, lease.settle)
            assert (await graph.ainvoke(EMPTY))["log"] == ["done"]


async def test_a_finished_run_leaves_nobody_waiting(lanes: AgentRM) -> None:
    """What a run left behind is withdrawn when it ends, with its children, and is counted."""
    left = []

    async def leave(_state):
        async def wait(agent):
            async with lanes.slot(agent=agent, parent_agent="t" if agent == "kid" else None):
                pass

        left.extend([asyncio.create_task(wait("t")), asyncio.create_task(wait("kid"))])
        await asyncio.sleep(0)
        return {"log": ["gone"]}

    graph = manage_graph(one(leave), lanes)
    with taken(lanes):
        await graph.ainvoke(EMPTY, thread("t"))
        ends = await asyncio.gather(*left, return_exceptions=True)
    assert [getattr(end, "cause", end) for end in ends] == ["agent_ended"] * 2
    assert lanes.statistics().refused["agent_ended"] == 2


async def test_a_client_that_goes_away_releases_everything(lanes: AgentRM) -> None:
    """A stream that is closed, and a request that is cancelled, in the middle of a wide fan-out."""

    async def branch(_state, writer: StreamWriter):
        async with lanes.slot():
            writer("here")
            await asyncio.Event().wait()

    builder = StateGraph(Log).add_node("branch", branch)
    builder.add_conditional_edges(START, lambda _: [Send("branch", {})] * 20)
    graph = manage_graph(builder.compile(), lanes)
    stream = graph.astream(EMPTY, thread("a"), stream_mode="custom")
    async for _ in stream:
        break
    await stream.aclose()
    seen = lanes.statistics()
    assert (seen.running, seen.waiting) == (0, 0)
    run = asyncio.create_task(graph.ainvoke(EMPTY, thread("b")))
    while lanes.statistics().groups["node"].waiting < 10:
        await asyncio.sleep(0)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


async def test_two_runs_of_one_thread_do_not_end_each_other(lanes: AgentRM) -> None:
    """Only the last run of an agent to end withdraws what still waits."""

    async def wait(_state):
        async with lanes.slot():
            return {"log": ["done"]}

    slow, quick = manage_graph(one(wait), lanes), manage_graph(one(me), lanes)
    with taken(lanes):
        run = asyncio.create_task(slow.ainvoke(EMPTY, thread("t")))
        while lanes.statistics().groups["model"].waiting < 1:
            await asyncio.sleep(0)
        await quick.ainvoke(EMPTY, thread("t"))
        assert not run.done()
    assert (await run)["log"] == ["done"]


async def test_closing_the_core_ends_the_runs_that_wait(lanes: AgentRM) -> None:
    """Nodes that wait are refused, in words; those that run go on to their end."""
    go = asyncio.Event()

    async def node(_state):
        await go.wait()
        return {"log": ["done"]}

    graph = manage_graph(one(node), lanes)
    runs = [asyncio.create_task(graph.ainvoke(EMPTY)) for _ in range(5)]
    while lanes.statistics().waiting < 3:
        await asyncio.sleep(0)
    lanes.close()
    go.set()
    ends = await asyncio.gather(*runs, return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["ClosedError"] * 3 + ["dict"] * 2
    with pytest.raises(ClosedError):
        await graph.ainvoke(EMPTY)


def test_tasks_take_lanes_and_keep_their_policies(lanes: AgentRM) -> None:
    """Tasks of a managed entrypoint are managed; a managed task is managed in any graph."""
    tries = []

    @task(retry_policy=QUICK)
    def shaky(n: int) -> str:
        tries.append(n)
        if len(tries) % 2:
            raise ConnectionError("again")
        return f"{n} for {asking.current_identity().agent}"

    def flow(n: int) -> list[str]:
        return [future.result() for future in [shaky(n)]]

    whole = manage_graph(entrypoint(checkpointer=InMemorySaver())(flow), lanes)
    assert whole.invoke(1, thread("t")) == ["1 for t"]
    assert lanes.statistics().groups["node"].peak == 1
    assert lanes.statistics().granted == 2
    shaky = managed_node(shaky, lanes, lane="model")
    assert entrypoint()(flow).invoke(2, thread("u")) == ["2 for u"]
    assert whole.invoke(3, thread("t")) == ["3 for t"]
    assert lanes.statistics().groups["node"].peak == 1
    assert lanes.statistics().granted == 6


def test_max_concurrency_and_the_lanes_bind_together(lanes: AgentRM) -> None:
    """The user's own bound on a run still holds below ours."""
    running, peak = [], []

    def branch(state):
        running.append(1)
        peak.append(len(running))
        running.pop()
        return {"log": ["x"]}

    builder = StateGraph(Log).add_node("branch", branch)
    builder.add_conditional_edges(START, lambda _: [Send("branch", {})] * 30)
    graph = manage_graph(builder.compile(), lanes)
    assert len(graph.invoke(EMPTY, {"max_concurrency": 1})["log"]) == 30
    assert max(peak) == 1
    assert len(graph.invoke(EMPTY)["log"]) == 30
    assert lanes.statistics().groups["node"].peak <= 2
