"""What drifted once where one thing was written several times: each line of it, held.

Who is asking (the direct call's thread, blocks, metadata, nested slots) is held by
`test_who_is_asking` and `test_families_and_sessions`, the one count of a request by
`tests/counting/test_one_count.py`. Here is the rest.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

import agentrm_langchain
import agentrm_langgraph
import agentrm_openai
import agentrm_plugins
from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, AgentRMError, Config, ConfigError, ContextConfig, errors
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.types.calls import Call
from agentrm_plugins.types.events import Submit

OPTIONAL = re.compile(r"\.(cli|demo|telemetry|testing|fleet|__main__)\b")
"""Rooms that need extras; their errors are looked for where these are imported anyway."""


def test_direct_turns_of_one_thread_are_one_agent() -> None:
    """What an agent has earned in one turn is its own in the next."""
    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(FakeListChatModel(responses=["hello"]), rm)
        for _ in range(3):
            model.invoke("hi", {"configurable": {"thread_id": "ada"}})
        (agent,) = rm.statistics().agents.values()
    assert agent.calls == 3


def test_a_setting_that_does_nothing_is_refused() -> None:
    """`note_tokens` was taken, documented and read by nobody."""
    given: dict[str, Any] = {"note_tokens": 8}
    with pytest.raises(ConfigError, match="note_tokens"):
        ContextConfig(**given)


def test_a_look_at_the_statistics_moves_nothing() -> None:
    """Not the kernel's clock, nor what is told to others: `handle` alone changes it."""
    kernel = Kernel(Config(lanes=1))
    kernel.handle(1.0, Submit(1, Call("a")), Submit(2, Call("b")))
    before = kernel.books.now_s, kernel.next_deadline(), len(kernel.history())
    first = kernel.statistics()
    assert kernel.statistics() == first
    assert (kernel.books.now_s, kernel.next_deadline(), len(kernel.history())) == before


def test_every_error_stands_in_the_one_tree() -> None:
    """Each class that derives from `AgentRMError`, wherever it is, is drawn where it belongs."""
    for package in (agentrm_plugins, agentrm_langchain, agentrm_langgraph, agentrm_openai):
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not OPTIONAL.search(found.name):
                importlib.import_module(found.name)
    kinds, left = set[type[AgentRMError]](), [AgentRMError]
    while left:
        kind = left.pop()
        kinds.add(kind)
        left += kind.__subclasses__()
    ours = {kind for kind in kinds if not kind.__module__.startswith("tests.")}
    drawn = set(
        re.findall(r"(?:-- |^ +)([A-Z]\w+?)(?:\(|  |$)", errors.__doc__ or "", re.MULTILINE)
    )
    assert {kind.__name__ for kind in ours} <= drawn
    assert {kind.__module__ for kind in ours} == {"agentrm_plugins.errors"}
