"""Runs without a thread, words in metadata, threads that carry, and namesakes in other tenants."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_langgraph import manage_graph, managed_node
from agentrm_plugins import AgentRM, ConfigError
from tests.doors.conftest import Doors
from tests.langchain.fakes import FakeChat

KINDS = ("chain", "graph", "managed graph", "managed node")


def run_of_two_steps(kind: str, rm: AgentRM, step: Any, config: Any) -> None:
    """Call `step` twice, in two nodes or in one chain."""
    if kind == "chain":
        RunnableLambda(lambda _: (step(None), step(None))).invoke(None, config)
        return
    first = managed_node(step, rm) if kind == "managed node" else step
    builder = StateGraph(MessagesState).add_node("first", first).add_node("second", step)
    graph = builder.add_edge(START, "first").add_edge("first", "second").compile()
    if kind == "managed graph":
        graph = manage_graph(graph, rm)
    graph.invoke({"messages": []}, config)


@pytest.mark.parametrize("with_callback", [False, True], ids=["alone", "with the callback"])
@pytest.mark.parametrize("kind", KINDS)
def test_without_a_thread_all_doors_in_one_function_are_for_one_run(
    doors: Doors, kind: str, with_callback: bool
) -> None:
    """The run right above, or the root where the callback sees the whole tree."""
    rm, steps = doors.rm, []

    def step(_: Any) -> Any:
        before = {name: one.calls for name, one in rm.statistics().agents.items()}
        wrap_chat_model(FakeChat(), rm).invoke("go")
        doors.slot()
        doors.client()
        after = rm.statistics().agents
        steps.append({name for name, one in after.items() if one.calls > before.get(name, 0)})
        return {}

    config = {"callbacks": [AgentRMCallbackHandler(rm)]} if with_callback else {}
    run_of_two_steps(kind, rm, step, config)
    assert [len(step) for step in steps] == [1, 1]
    assert "main" not in rm.statistics().agents
    whole = with_callback or kind in {"chain", "managed graph"}
    assert len(rm.statistics().agents) == (1 if whole else 2)


def test_two_runs_of_an_empty_thread_id_are_two_agents() -> None:
    """An empty thread id is none, at a managed node too."""
    with AgentRM(lanes=2) as rm:
        for _ in range(2):
            config = {"configurable": {"thread_id": ""}}
            run_of_two_steps("managed graph", rm, lambda _: rm.slot().__enter__().settle(), config)
        assert len(rm.statistics().agents) == 2


@pytest.mark.parametrize("door", Doors.take_config)
def test_a_thread_of_number_0_is_a_thread(doors: Doors, door: str) -> None:
    """It is no empty one."""
    found = doors.ask(door, {"configurable": {"thread_id": 0}})
    assert found == {("default", "0", None, 0)}


@pytest.mark.parametrize("door", Doors.names)
def test_a_child_in_another_tenant_has_no_parent_here(doors: Doors, door: str) -> None:
    """acme/sub is not default/sub, and its calls are not charged to a boss of acme."""

    def ask() -> Any:
        return RunnableLambda(lambda _: doors.ask(door)).invoke(None, {"metadata": words})

    with doors.rm.slot(agent="boss"), doors.rm.slot(agent="sub"):
        words = {"tenant": "acme"}
        assert ask() == {("acme", "sub", None, 0)}
        words = {}
        assert ask() == {("default", "sub", "boss", 0)}


def test_a_parent_that_a_block_names_without_a_tenant_is_for_any(doors: Doors) -> None:
    """The tenant may come from the plugin or the run."""
    with doors.rm.identity(agent="sub", parent_agent="boss"):
        assert doors.ask("model", tenant="acme") == {("acme", "sub", "boss", 0)}


@pytest.mark.parametrize("door", Doors.names)
@pytest.mark.parametrize("word", ["agent", "tenant", "parent_agent", "priority"])
def test_our_own_words_are_names_or_refused(doors: Doors, door: str, word: str) -> None:
    """An empty text says nothing, whatever the word; what is no name is refused by its name."""
    chain = RunnableLambda(lambda _: doors.ask(door))
    thread = {"configurable": {"thread_id": "ada"}}
    found = chain.invoke(None, {**thread, "metadata": {f"agentrm_{word}": ""}})
    assert found == {("default", "ada", None, 0)}
    with pytest.raises(ConfigError, match=f"^agentrm_{word}"):
        chain.invoke(None, {**thread, "metadata": {f"agentrm_{word}": {"a": 1}}})
    if word != "parent_agent":
        found = chain.invoke(None, {**thread, "metadata": {word: {"a": 1}}})
        assert found == {("default", "ada", None, 0)}


@pytest.mark.parametrize("door", ["model", "callback"])
def test_a_lane_that_does_not_exist_is_named_as_it_was_given(doors: Doors, door: str) -> None:
    """By ``agentrm_lane``, and an empty one says nothing."""
    with pytest.raises(ConfigError, match=r"^agentrm_lane='nope': use one of .*'tools'"):
        doors.ask(door, {"metadata": {"agentrm_lane": "nope"}})
    assert doors.ask(door, {"metadata": {"agentrm_lane": "", "agent": "a"}})


def test_threads_that_carry_pythons_context_carry_who_is_asking() -> None:
    """And a bare pool carries nothing, which the docs say."""
    with AgentRM(lanes=2) as rm:
        model = wrap_chat_model(FakeChat(), rm)

        def asked(submit: Any) -> set[str]:
            graph = StateGraph(MessagesState).add_node("node", lambda _: submit() or {})
            before = set(rm.statistics().agents)
            config = {"metadata": {"agent": f"agent {len(before)}"}}
            manage_graph(graph.add_edge(START, "node").compile(), rm, lane=None).invoke(
                {"messages": []}, config
            )
            return {name.rpartition(" ")[0] for name in set(rm.statistics().agents) - before}

        def in_pool(kind: Any, *call: Any) -> None:
            with kind(1) as pool:
                pool.submit(*call, model.invoke, "hi").result()

        assert asked(lambda: in_pool(ContextThreadPoolExecutor)) == {"agent"}
        assert asked(lambda: in_pool(ThreadPoolExecutor, copy_context().run)) == {"agent"}
        assert asked(lambda: asyncio.run(asyncio.to_thread(model.invoke, "hi")) and {}) == {"agent"}
        assert asked(lambda: model.batch(["hi", "ho"]) and {}) == {"agent"}
        assert "agent" not in asked(lambda: in_pool(ThreadPoolExecutor))
