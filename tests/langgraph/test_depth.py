"""The depth hint: which nodes stand back, and what that does to their agents."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Literal

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command
from typing_extensions import TypedDict

from agentrm_langgraph import manage_graph
from agentrm_langgraph.depth import aside
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import asking

pytestmark = pytest.mark.lowest


class Log(TypedDict):
    log: Annotated[list[str], operator.add]


def who(_state: Log):
    seen = asking.current_identity()
    return {"log": [f"{seen.agent} at {seen.priority}"]}


def built(edges: str, **nodes):
    """A graph of edges "a-b", with < for START and > for END; nodes do nothing but say who asks."""
    pairs = [pair.split("-") for pair in edges.split()]
    names = dict.fromkeys(name for pair in pairs for name in pair if name not in "<>")
    builder = StateGraph(Log)
    for name in names:
        builder.add_node(name, nodes.get(name, who))
    for start, end in pairs:
        builder.add_edge(START if start == "<" else start, END if end == ">" else end)
    return builder


@pytest.mark.parametrize(
    ("edges", "expected"),
    [
        ("<-a a-b b->", {}),
        ("<-a a-> <-log", {"log": "background"}),
        ("<-a a-> a-log log-more", {"log": "background", "more": "background"}),
        ("<-a a-b <-log", {"log": "batch"}),  # nobody names the end: both lead there
        ("<-a a-b b-c c-> <-short short-c", {"short": "batch"}),
        ("<-a a-c c-> <-b b-c", {}),
        ("<-a a-b b-a b-> <-short short->", {"short": "batch"}),  # a loop counts once
    ],
)
def test_nodes_that_stand_back(edges: str, expected: dict[str, str]) -> None:
    """What leads nowhere is background, the shorter of branches side by side is batch."""
    assert aside(built(edges).compile()) == expected


def test_conditions_and_commands_count_as_ways() -> None:
    """Edges that a condition or a command takes lead to the end; they are not side by side."""

    def there(_state: Log) -> Command[Literal["far"]]:
        return Command(goto="far")

    builder = built("<-start far-> near->", there=there)
    builder.add_node("there", there)
    builder.add_conditional_edges("start", lambda _: "near", ["there", "near"])
    assert aside(builder.compile()) == {}
    anywhere = built("<-start log-log2 answer->")
    anywhere.add_conditional_edges("start", lambda _: "answer")
    assert aside(anywhere.compile()) == {"log": "background", "log2": "background"}


def test_a_subgraph_counts_for_its_longest_way_and_has_branches_of_its_own() -> None:
    """Its own nodes that lead nowhere stand back too, and it outweighs a single node."""
    inner = built("<-a a-b b-> a-log").compile()
    outer = built("<-inner <-single inner-> single->", inner=inner).compile()
    assert aside(outer) == {"single": "batch"}
    with AgentRM(lanes=2) as rm:
        graph = manage_graph(outer, rm, hint="depth")
        graph.invoke({"log": []}, {"configurable": {"thread_id": "t"}})
        said = {
            name: graph.nodes["inner"].bound.nodes[name].agentrm_gate.branch
            for name in ("a", "b", "log")
        }
        assert said == {"a": None, "b": None, "log": "background"}


def test_a_branch_that_stands_back_is_an_agent_of_its_own_below_its_thread() -> None:
    """Also in its subgraphs; a run that is background already does not rise by it."""
    inner = built("<-deep deep->").compile()
    graph = built("<-a a-> <-log log-inner", inner=inner).compile()
    with AgentRM(lanes=2) as rm:
        managed = manage_graph(graph, rm, hint="depth")
        config = {"configurable": {"thread_id": "t"}}
        expected = ["t at None", "t/background at background", "t/background at background"]
        assert sorted(set(managed.invoke({"log": []}, config)["log"])) == sorted(set(expected))
        run = asyncio.run(managed.ainvoke({"log": []}, config))
        assert sorted(set(run["log"])) == sorted(set(expected))
        low = {**config, "metadata": {"agentrm_priority": "background"}}
        said = managed.invoke({"log": []}, low)["log"]
        assert "t at background" in said
        short = built("<-a a-b b-> <-s s->").compile()
        said = manage_graph(short, rm, hint="depth").invoke({"log": []}, low)["log"]
        assert "t/batch at background" in said


def test_the_hint_is_off_by_default_and_checked() -> None:
    """Without it all nodes are alike; there is one hint, and the error names it."""
    graph = built("<-a a-> <-log").compile()
    with AgentRM(lanes=2) as rm:
        said = manage_graph(graph, rm).invoke({"log": []}, {"configurable": {"thread_id": "t"}})
        assert said["log"] == ["t at None", "t at None"]
        with pytest.raises(ConfigError, match=r"hint='breadth'.*'depth'"):
            manage_graph(graph, rm, hint="breadth")
