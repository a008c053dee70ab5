"""For whom a call is made, without any declaration and with one."""

from __future__ import annotations

from enum import Enum

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import ConfigError, LaneGroup
from tests.langchain.fakes import FakeChat

pytestmark = pytest.mark.lowest


class Whole:
    """A whole number of another library, such as numpy's."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Named(str, Enum):  # noqa: UP042 - that one has another `str`
    TOOLS = "tools"


def key(agent, tenant):
    """How the statistics name an agent."""
    return agent if tenant == "default" else f"{tenant}/{agent}"


def config(this, **metadata):
    return {**this.config, "metadata": metadata}


@pytest.mark.parametrize("way", ["invoke", "stream"])
@pytest.mark.parametrize(
    ("metadata", "agent", "tenant"),
    [
        ({"agent": "writer", "tenant": "gold"}, "writer", "gold"),
        ({"agentrm_agent": "a", "agent": "b", "agentrm_tenant": "t"}, "a", "t"),
        ({"agentrm_agent_id": "a", "thread_id": "t-1"}, "a", "default"),
        ({"thread_id": "t-1"}, "t-1", "default"),
        ({"thread_id": 7}, "7", "default"),
        ({"agentrm_agent": Whole(7)}, "7", "default"),
        ({"agentrm_agent": Named.TOOLS}, "tools", "default"),
    ],
)
def test_metadata_names_the_agent(way, metadata, agent, tenant, managed, rm):
    """Our keys first, then the plain ones, then the thread."""
    this = managed(rm)
    list(getattr(this.model, way)("go", config(this, **metadata)))
    assert list(rm.statistics().agents) == [key(agent, tenant)]


@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_metadata_in_async_code(way, managed, rm):
    """The same on the async side."""
    this = managed(rm)
    if way == "ainvoke":
        await this.model.ainvoke("go", config(this, agent="writer"))
    else:
        async for _ in this.model.astream("go", config(this, agent="writer")):
            pass
    assert list(rm.statistics().agents) == ["writer"]


def test_priority_and_lane_from_metadata(managed, core):
    """A hint sets where the agent starts; `agentrm_lane` the group of lanes."""
    groups = (LaneGroup("model", 1), LaneGroup("fast", 1))
    rm = core(lanes=2, groups=groups, order="mlfq_textbook")  # where a hint chooses a level
    this = managed(rm)
    this.model.invoke("go", config(this, agent="a", priority="background", agentrm_lane="fast"))
    statistics = rm.statistics()
    assert statistics.agents["a"].level == 2
    assert statistics.groups["fast"].peak == 1
    this.model.invoke("go", config(this, priority="P1"))  # somebody else's word
    with pytest.raises(ConfigError, match="agentrm_priority='P1'"):
        this.model.invoke("go", config(this, agentrm_priority="P1"))


def test_the_thread_of_a_configurable(managed, rm):
    """A thread id in `configurable` is known as well."""
    this = managed(rm)
    chain = RunnableLambda(lambda x: x) | this.model
    chain.invoke("go", {**this.config, "configurable": {"thread_id": "t-2"}})
    assert list(rm.statistics().agents) == ["t-2"]


def test_declared_identity_and_block(managed, core):
    """`rm.identity` names the agent of all calls in a block; a managed block passes its own on."""
    rm = core(order="mlfq_textbook")  # where a hint chooses a level
    this = managed(rm)
    with rm.identity(agent="session", tenant="gold", priority="batch"):
        this.model.invoke("go", this.config)
    with rm.slot(agent="outer", tenant="silver"):
        this.model.invoke("go", this.config)
    agents = rm.statistics().agents
    assert (agents["gold/session"].tenant, agents["gold/session"].level) == ("gold", 1)
    assert (agents["silver/outer"].tenant, agents["silver/outer"].calls) == ("silver", 2)


def test_the_root_run_is_the_agent_of_its_calls(managed, rm):
    """Without any declaration the calls below one chain run are one agent's."""
    this = managed(rm)

    def twice(x):
        this.model.invoke(x)
        return this.model.invoke(x)

    chain = RunnableLambda(lambda x: x) | RunnableLambda(twice)
    chain.invoke("go", this.config)
    chain.invoke("go", this.config)
    calls = [agent.calls for agent in rm.statistics().agents.values()]
    if this.handler is not None:
        assert calls == [2, 2]
        agents = {run.agent for run in this.handler.runs()}
        assert agents == set(rm.statistics().agents)
    else:
        assert calls == [2, 2]


def test_own_arguments_yield_to_metadata(rm):
    """What the model was given holds unless the call's own config says otherwise."""
    model = wrap_chat_model(FakeChat(), rm, agent="house", tenant="t")
    model.invoke("go")
    model.invoke("go", {"metadata": {"agent": "guest"}})
    handler = AgentRMCallbackHandler(rm, agent="handler")
    FakeChat().invoke("go", {"callbacks": [handler]})
    assert list(rm.statistics().agents) == ["t/house", "t/guest", "handler"]


def test_parents_are_known_from_the_runs_above(rm):
    """A chain of one agent that calls another's makes the one the other's parent."""
    handler = AgentRMCallbackHandler(rm)
    for model in (FakeChat(), wrap_chat_model(FakeChat(), rm)):
        helper = RunnableLambda(lambda x: x) | model

        @tool
        def ask_helper(text: str) -> str:
            """Ask the helper."""
            return helper.invoke(text, {"metadata": {"agent": "helper"}}).text  # noqa: B023

        boss = RunnableLambda(lambda x: ask_helper.invoke({"text": x}))
        boss.invoke("go", {"callbacks": [handler], "metadata": {"agent": "boss"}})
    assert rm.statistics().agents["helper"].parent == "boss"


def test_who_called_what_is_recorded_and_bounded(rm):
    """`runs()` is a frozen tree: ids, names, agents, durations, outcomes; the newest are kept."""
    handler = AgentRMCallbackHandler(rm, max_runs=5)
    model = FakeChat()

    @tool
    def look(text: str) -> str:
        """Look."""
        return model.invoke(text).text

    chain = RunnableLambda(lambda x: look.invoke({"text": x})).with_config(run_name="outer")
    chain.invoke("go", {"callbacks": [handler], "metadata": {"agent": "a"}})
    inner, middle, outer = handler.runs()
    assert [(run.kind, run.name) for run in (outer, middle, inner)] == [
        ("chain", "outer"),
        ("tool", "look"),
        ("model", "FakeChat"),
    ]
    assert (outer.parent_id, middle.parent_id, inner.parent_id) == (
        None,
        outer.run_id,
        middle.run_id,
    )
    assert {run.agent for run in handler.runs()} == {"a"}
    assert all(run.outcome == "ok" and run.duration_s >= 0 for run in handler.runs())
    with pytest.raises(ValueError, match="no"):
        RunnableLambda(lambda _: (_ for _ in ()).throw(ValueError("no"))).invoke(
            "x", {"callbacks": [handler]}
        )
    assert handler.runs()[-1].outcome == "error"
    for _ in range(9):
        model.invoke("go", {"callbacks": [handler]})
    assert len(handler.runs()) == 5
