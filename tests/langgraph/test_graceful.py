"""Graceful ends: a core that is closed, Ctrl-C, a request that is cancelled, a zombie's context."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
import threading

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Send, StreamWriter, interrupt

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, Call, ClosedError, LaneGroup
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores.memory import MemoryStore
from agentrm_plugins.integration import core_of

pytestmark = pytest.mark.lowest

EMPTY = {"messages": []}
GROUPS = (LaneGroup("model", 2), LaneGroup("node", 2))


def thread(name, **metadata):
    return {"configurable": {"thread_id": name}, "metadata": metadata}


def free(rm: AgentRM) -> bool:
    seen = rm.statistics()
    return (seen.running, seen.waiting, seen.lanes_in_use) == (0, 0, 0)


def fan_out(branch, n: int = 9):
    builder = StateGraph(MessagesState).add_node("branch", branch)
    return builder.add_conditional_edges(START, lambda _: [Send("branch", EMPTY)] * n).compile()


async def test_closing_the_core_in_the_middle_of_an_async_run(recwarn) -> None:
    """Who waits for a lane is refused, who runs comes to its end; later runs are refused too."""
    rm, go, ended = AgentRM(lanes=4, groups=GROUPS), asyncio.Event(), []

    async def branch(_state):
        try:
            await go.wait()
        finally:
            ended.append(True)

    graph = manage_graph(fan_out(branch), rm)
    run = asyncio.create_task(graph.ainvoke(EMPTY, thread("t")))
    while rm.statistics().groups["node"].waiting < 7:
        await asyncio.sleep(0)
    rm.close()
    go.set()
    with pytest.raises(ClosedError, match="make a new one"):
        await run
    assert len(ended) == 2
    assert free(rm)
    with pytest.raises(ClosedError):
        await graph.ainvoke(EMPTY, thread("t"))
    assert not recwarn.list


def test_closing_the_core_in_the_middle_of_a_sync_run(recwarn) -> None:
    """The same on threads; the core's thread has ended when `close` returns."""
    rm, go, running = AgentRM(lanes=4, groups=GROUPS), threading.Event(), threading.Semaphore(0)

    def branch(_state):
        running.release()
        go.wait(20)

    graph = manage_graph(fan_out(branch, 4), rm)
    caught = []

    def run() -> None:
        try:
            graph.invoke(EMPTY, thread("t"))
        except ClosedError as error:
            caught.append(error)

    runner = threading.Thread(target=run)
    runner.start()
    for _ in range(2):
        assert running.acquire(timeout=20)
    rm.close()
    go.set()
    runner.join(20)
    assert caught
    assert free(rm)
    assert not [t for t in threading.enumerate() if t.name == "agentrm-pump" and t.is_alive()]
    assert not recwarn.list


PROGRAM = """
import asyncio, sys, threading
from langgraph.graph import START, MessagesState, StateGraph
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, LaneGroup

def sync_node(state):
    print("ready", flush=True)
    threading.Event().wait(60)

async def async_node(state):
    print("ready", flush=True)
    await asyncio.sleep(60)

async def model_node(state):
    async with rm.slot():
        print("ready", flush=True)
        await asyncio.sleep(60)

node = {"sync": sync_node, "async": async_node, "model": model_node}[sys.argv[1]]
rm = AgentRM(lanes=2, groups=(LaneGroup("model", 1), LaneGroup("node", 1)))
builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
graph = manage_graph(builder, rm).compile()
config = {"configurable": {"thread_id": "t"}}
try:
    if sys.argv[1] == "sync":
        graph.invoke({"messages": []}, config)
    else:
        asyncio.run(graph.ainvoke({"messages": []}, config))
except KeyboardInterrupt:
    seen = rm.statistics()
    held = seen.running, seen.waiting, seen.lanes_in_use
    print("interrupted", *held, *seen.abandoned, flush=True)
rm.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
@pytest.mark.parametrize("kind", ["sync", "async", "model"])
def test_ctrl_c_ends_a_run_and_the_program(kind: str, tmp_path) -> None:
    """A real SIGINT: KeyboardInterrupt, nothing held, no warning, and the process ends."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    command = [sys.executable, "-W", "error", str(program), kind]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGINT)
            out, errors = process.communicate(timeout=30)
        finally:
            process.kill()
    assert out == "interrupted 0 0 0 t\n"
    assert errors == ""
    assert process.returncode == 0


class Told(ContextLifecycle):
    """A context manager that says when it has hibernated a session."""

    def __init__(self) -> None:
        super().__init__(store=MemoryStore())
        self.asleep = threading.Event()

    def hibernate(self, session: str, *, tenant: str = "default") -> None:
        super().hibernate(session, tenant=tenant)
        self.asleep.set()


async def test_a_cancelled_request_releases_lane_place_and_context(recwarn) -> None:
    """The client went away: the statistics name the agent, and its session is in the archive."""
    with AgentRM(lanes=4, groups=GROUPS) as rm, Told() as context:

        async def node(_state):
            context.session("t", tenant="acme").prepare([{"role": "user", "content": "hello"}])
            async with rm.slot():
                started.set()
                await asyncio.Event().wait()

        started = asyncio.Event()
        builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
        graph = manage_graph(builder, rm, context=context).compile()
        request = asyncio.create_task(graph.ainvoke(EMPTY, thread("t", agentrm_tenant="acme")))
        await started.wait()
        assert len(context.statistics()) == 1
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert free(rm)
        assert rm.statistics().abandoned == {"acme/t": 1}
        assert await asyncio.to_thread(context.asleep.wait, 20)
        assert not context.statistics()
        view = context.session("t", tenant="acme").prepare([{"role": "user", "content": "hello"}])
        assert [m["content"] for m in view.messages] == ["hello"]
    assert not recwarn.list


def test_a_child_left_waiting_is_named_and_its_context_released() -> None:
    """The run ended well, but a child's call still waited: it is withdrawn, the child named."""
    with AgentRM(lanes=1) as rm, Told() as context:
        context.session("kid").prepare([{"role": "user", "content": "hello"}])
        context.session("t").prepare([{"role": "user", "content": "hello"}])
        ends = []

        def wait() -> None:
            try:
                core_of(rm).admit(Call("kid", parent_agent="t"))
            except Exception as error:
                ends.append(error)

        waiting = threading.Thread(target=wait)

        def node(_state):
            waiting.start()
            while not rm.statistics().waiting:
                pass

        builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
        graph = manage_graph(builder, rm, context=context).compile()
        with rm.slot(agent="t"):
            graph.invoke(EMPTY, thread("t"))
        waiting.join(20)
        assert [error.cause for error in ends] == ["agent_ended"]
        assert rm.statistics().abandoned == {"kid": 1}
        assert context.asleep.wait(20)
        assert [key.session for key in context.statistics()] == ["t"]


def test_who_ends_well_or_waits_for_a_person_is_not_abandoned() -> None:
    """A finished turn and an interrupt keep their sessions; a stream left half way does not."""
    with AgentRM(lanes=2) as rm, Told() as context:

        def node(_state, writer: StreamWriter):
            context.session("t").prepare([{"role": "user", "content": "hello"}])
            writer("here")
            interrupt("go on?")

        builder = StateGraph(MessagesState).add_node("node", node).add_edge(START, "node")
        graph = manage_graph(builder, rm, context=context).compile(checkpointer=InMemorySaver())
        graph.invoke(EMPTY, thread("t"))
        assert rm.statistics().abandoned == {}
        assert len(context.statistics()) == 1
        stream = graph.stream(EMPTY, thread("t"), stream_mode="custom")
        assert next(stream) == "here"
        stream.close()
        assert rm.statistics().abandoned == {"t": 1}
        assert context.asleep.wait(20)
        assert not context.statistics()
