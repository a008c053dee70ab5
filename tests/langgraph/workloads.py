"""LangGraph workloads, each a graph and the inputs that one conversation gives it in turn.

`mk` makes a node of a plain function: as it is, or async.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langchain_core.tools import tool
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langgraph.runtime import Runtime
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import CachePolicy, Command, RetryPolicy, Send, StreamWriter, interrupt
from pydantic import BaseModel
from typing_extensions import TypedDict


class Log(TypedDict):
    log: Annotated[list[str], operator.add]
    count: int


class Chat(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


@dataclass
class Who:
    user: str = "ada"


class Checked(BaseModel):
    count: int = 0


class Private(TypedDict):
    count: int


def injected(mk):
    """Everything that LangGraph injects by signature, and the custom stream."""

    def first(state: Log, config: RunnableConfig, *, runtime: Runtime[Who]):
        runtime.stream_writer({"from": "runtime"})
        name = config["metadata"]["langgraph_node"]
        return {"log": [f"{name} for {runtime.context.user}"], "count": 1}

    def second(state: Log, writer: StreamWriter, store: BaseStore):
        writer({"from": "writer"})
        store.put(("a",), "b", {"c": state["count"]})
        return {"log": [str(store.get(("a",), "b").value)]}

    def third(state: Private):
        return {"log": [str(sorted(state))]}

    builder = StateGraph(Log, context_schema=Who)
    for name, node in (("first", first), ("second", second), ("third", third)):
        builder.add_node(name, mk(node))
    builder.add_edge(START, "first").add_edge("first", "second").add_edge("second", "third")
    return builder, [{"log": ["in"], "count": 0}], {"store": InMemoryStore()}


def loop(mk):
    """Conditional edges, and a loop."""

    def step(state: Log):
        return {"log": [f"step {state['count']}"], "count": state["count"] + 1}

    def more(state: Log) -> Literal["step", "last"]:
        return "step" if state["count"] < 3 else "last"

    def last(state: Log):
        return {"log": ["last"]}

    builder = StateGraph(Log)
    builder.add_node("step", mk(step)).add_node("last", mk(last))
    builder.add_edge(START, "step").add_conditional_edges("step", more)
    return builder, [{"log": [], "count": 0}, {"log": ["again"], "count": 1}], {}


def fan_out(mk):
    """`Send`, a reducer, and a deferred node that waits for a longer branch."""

    def plan(state: Log):
        return {"count": 6}

    def spread(state: Log):
        return [Send("branch", {"count": i, "log": []}) for i in range(state["count"])]

    def branch(state: Log):
        return {"log": [f"branch {state['count']}"]}

    def aside(state: Log):
        return {"log": ["aside"]}

    def join(state: Log):
        return {"log": [f"joined {len(state['log'])}"]}

    builder = StateGraph(Log)
    for name, node in (("plan", plan), ("branch", branch), ("aside", aside)):
        builder.add_node(name, mk(node))
    builder.add_node("join", mk(join), defer=True)
    builder.add_edge(START, "plan").add_conditional_edges("plan", spread, ["branch"])
    builder.add_edge("plan", "aside").add_edge("aside", "join").add_edge("branch", "join")
    return builder, [{"log": [], "count": 0}], {}


def person(mk):
    """An interrupt in a node of a subgraph, and its answer."""

    def ask(state: Log):
        answer = interrupt({"question": state["count"]})
        return {"log": [f"answer {answer}"]}

    inner = StateGraph(Log)
    inner.add_node("ask", mk(ask)).add_edge(START, "ask")

    def before(state: Log):
        return {"log": ["before"], "count": 7}

    builder = StateGraph(Log)
    builder.add_node("before", mk(before)).add_node("inner", inner.compile())
    builder.add_edge(START, "before").add_edge("before", "inner")
    return builder, [{"log": [], "count": 0}, Command(resume="yes")], {}


def commands(mk):
    """Commands that update and go elsewhere, out of a subgraph too."""

    def there(state: Log) -> Command[Literal["inner", "never"]]:
        return Command(update={"log": ["there"]}, goto="inner")

    def up(state: Log):
        return Command(graph=Command.PARENT, update={"log": ["up"]}, goto="end")

    inner = StateGraph(Log)
    inner.add_node("up", mk(up)).add_edge(START, "up")

    def end(state: Log):
        return {"log": ["end"]}

    builder = StateGraph(Log)
    builder.add_node("there", mk(there)).add_node("inner", inner.compile(), destinations=("end",))
    builder.add_node("never", mk(end)).add_node("end", mk(end)).add_edge(START, "there")
    return builder, [{"log": [], "count": 0}], {}


def retried(mk):
    """A node that fails twice, under the user's own policy, and writes before it fails."""
    tries = {"n": 0}

    def shaky(state: Log, writer: StreamWriter):
        tries["n"] += 1
        writer({"try": tries["n"]})
        if tries["n"] % 3:
            raise ConnectionError("again")
        return {"log": ["at last"]}

    policy = RetryPolicy(initial_interval=0.001, jitter=False)
    builder = StateGraph(Log)
    builder.add_node("shaky", mk(shaky), retry_policy=policy).add_edge(START, "shaky")
    return builder, [{"log": [], "count": 0}], {}


def failing(mk):
    """A node that fails for good beside one that works."""

    def good(state: Log):
        return {"log": ["good"]}

    def bad(state: Log):
        raise ValueError("for good")

    builder = StateGraph(Log)
    builder.add_node("good", mk(good)).add_node("bad", mk(bad))
    builder.add_edge(START, "good").add_edge("good", "bad")
    return builder, [{"log": [], "count": 0}], {}


def cached(mk):
    """A node whose result comes from the user's cache the second time."""
    runs = {"n": 0}

    def costly(state: Private):
        runs["n"] += 1
        return {"log": [f"computed {runs['n']}"]}

    builder = StateGraph(Log)
    builder.add_node("costly", mk(costly), cache_policy=CachePolicy()).add_edge(START, "costly")
    inputs = [{"log": [], "count": 3}, {"log": [], "count": 3}, {"log": [], "count": 4}]
    return builder, inputs, {"cache": InMemoryCache()}


def checked(mk):
    """A pydantic state, and a runnable sequence, a lambda and a generator as nodes."""

    def add(state: Checked):
        return {"count": state.count + 1}

    def double(state: Checked):
        return {"count": state.count * 2}

    def chunks(state: Checked):
        yield {"count": state.count + 100}

    sequence = RunnableLambda(lambda s: s.count) | RunnableLambda(lambda n: {"count": n + 10})
    builder = StateGraph(Checked)
    builder.add_node("add", mk(add)).add_node("sequence", sequence)
    builder.add_node("double", RunnableLambda(double)).add_node("chunks", chunks)
    builder.add_edge(START, "add").add_edge("add", "sequence")
    builder.add_edge("sequence", "double").add_edge("double", "chunks")
    return builder, [{"count": 1}], {}


@tool
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def agent(mk):
    """A model that streams, its tools, and the loop between them."""

    def call(state: Chat):
        said = [m for m in state["messages"] if isinstance(m, AIMessage)]
        calls = [{"name": "add", "args": {"a": 2, "b": n}, "id": f"c{n}"} for n in (3, 4)]
        wants = AIMessage("", tool_calls=calls, id="m1")
        reply = wants if not said else AIMessage("the sums are 5 and 6", id="m2")
        model = GenericFakeChatModel(messages=iter([reply]))
        return {"messages": [model.invoke(state["messages"])]}

    def route(state: Chat) -> Literal["tools", "__end__"]:
        return "tools" if state["messages"][-1].tool_calls else END

    builder = StateGraph(Chat)
    builder.add_node("model", mk(call)).add_node("tools", ToolNode([add]))
    builder.add_edge(START, "model").add_conditional_edges("model", route)
    builder.add_edge("tools", "model")
    return builder, [{"messages": [HumanMessage("2+3 and 2+4?", id="h1")]}], {}


def parallel(mk):
    """Branches side by side that meet at a join, one with two interrupts."""

    def one(state: Log):
        return {"log": ["one"]}

    def two(state: Log):
        first = interrupt("first?")
        return {"log": [f"two {first} {interrupt('second?')}"]}

    def meet(state: Log):
        return {"log": ["meet"]}

    builder = StateGraph(Log)
    builder.add_node("one", mk(one)).add_node("two", mk(two)).add_node("meet", mk(meet))
    builder.add_edge(START, "one").add_edge(START, "two").add_edge(["one", "two"], "meet")
    return builder, [{"log": [], "count": 0}, Command(resume="a"), Command(resume="b")], {}


def functional(mk):
    """`@entrypoint` and `@task`: futures, a task tried again, an interrupt, `previous`."""
    tries = {"n": 0}

    @task(retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    def shaky(n: int) -> int:
        tries["n"] += 1
        if tries["n"] == 2:
            raise ConnectionError("again")
        return n * 10

    @task
    def outer(n: int) -> int:
        return shaky(n).result() + 1 if mk is plain else n * 10 + 1

    if mk is plain:

        def flow(n: int, *, previous: Any = None, writer: StreamWriter) -> Any:
            writer({"n": n})
            parts = [shaky(1).result(), outer(2).result()]
            answer = interrupt("go on?")
            return entrypoint.final(value=[parts, answer, previous], save=n)

    else:

        async def flow(n: int, *, previous: Any = None, writer: StreamWriter) -> Any:
            writer({"n": n})
            parts = [await shaky(1), await outer(2)]
            answer = interrupt("go on?")
            return entrypoint.final(value=[parts, answer, previous], save=n)

    return flow, [5, Command(resume="yes"), 6, Command(resume="no")], {}


def within(mk):
    """A node's function that runs a graph of its own."""

    def leaf(state: Log):
        return {"log": ["leaf"]}

    inner = StateGraph(Log)
    inner.add_node("leaf", leaf).add_edge(START, "leaf")
    compiled = inner.compile()

    def call(state: Log):
        return {"log": compiled.invoke({"log": ["inner"], "count": 0})["log"]}

    builder = StateGraph(Log)
    builder.add_node("call", mk(call)).add_edge(START, "call")
    return builder, [{"log": [], "count": 0}], {}


def plain(fn):
    return fn


WORKLOADS = [
    *(injected, loop, fan_out, person, commands, retried, failing, cached, checked, agent),
    *(parallel, functional, within),
]


def compiled(workload, mk, manage):
    """The graph of a workload, put through `manage`, and its inputs."""
    made, inputs, options = workload(mk)
    if isinstance(made, StateGraph):
        return manage(made.compile(checkpointer=InMemorySaver(), **options)), inputs
    return manage(entrypoint(checkpointer=InMemorySaver(), **options)(made)), inputs
