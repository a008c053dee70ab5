"""What follows from the answer: whose budget is charged, whose end reaches what, whose session."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from langchain_core.messages import HumanMessage

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Usage
from agentrm_plugins.config import BudgetConfig, ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.errors import AgentEnded, BudgetExceeded
from tests.langchain.fakes import FakeChat


def test_a_nested_slot_is_charged_to_the_agent_around() -> None:
    """The budget of the agent in whose slot another one's slot is taken has to pay for it."""
    with AgentRM(lanes=2, budgets=(BudgetConfig(100, agent="boss"),)) as rm, rm.slot(agent="boss"):
        with rm.slot(agent="sub", estimate=Usage(60)) as lease:
            lease.settle(Usage(60))
        with pytest.raises(BudgetExceeded), rm.slot(agent="sub", estimate=Usage(60)):
            pass


def test_the_end_of_an_agent_reaches_nested_slots() -> None:
    """A slot of another agent that waits inside an agent's block is withdrawn with that agent."""
    with AgentRM(lanes=1) as rm:
        ended: list[BaseException] = []

        def wait() -> None:
            try:
                with rm.identity(agent="boss"), rm.slot(agent="sub"):
                    pass
            except AgentEnded as error:
                ended.append(error)

        with rm.slot(agent="other"):
            thread = threading.Thread(target=wait)
            thread.start()
            while not rm.statistics().waiting:
                pass
            rm.end_agent("boss")
            thread.join()
        assert len(ended) == 1


def test_the_end_of_one_agent_leaves_what_is_done_for_another() -> None:
    """A shared agent that waits on behalf of two is withdrawn only where its own one ended."""
    with AgentRM(lanes=1) as rm:
        ended: list[str] = []

        def wait(boss: str) -> None:
            try:
                with rm.identity(agent=boss), rm.slot(agent="house"):
                    pass
            except AgentEnded:
                ended.append(boss)

        with rm.slot(agent="other"):
            threads = [threading.Thread(target=wait, args=(boss,)) for boss in ("one", "two")]
            for number, thread in enumerate(threads, 1):
                thread.start()
                while rm.statistics().waiting < number:
                    pass
            rm.end_agent("two")
        for thread in threads:
            thread.join()
        assert ended == ["two"]


@pytest.mark.parametrize("way", ["invoke", "stream", "batch", "bound", "ainvoke", "astream"])
def test_a_model_called_directly_keeps_its_threads_session(way: str) -> None:
    """The thread id in a direct call's own config names the session, as it does in a chain."""
    config: Any = {"configurable": {"thread_id": "ada"}, "metadata": {"tenant": "acme"}}
    with AgentRM(lanes=1) as rm, ContextLifecycle(ContextConfig(budget_tokens=500)) as context:
        model: Any = wrap_chat_model(FakeChat(), rm, context=context)
        said = [HumanMessage("hello")]

        async def use_async() -> None:
            if way == "ainvoke":
                await model.ainvoke(said, config)
            else:
                assert [chunk async for chunk in model.astream(said, config)]

        if way.startswith("a"):
            asyncio.run(use_async())
        elif way == "stream":
            assert list(model.stream(said, config))
        elif way == "batch":
            model.batch([said], config)
        else:
            (model.bind(stop=["x"]) if way == "bound" else model).invoke(said, config)
        ((key, pressure),) = context.statistics().items()
        assert (key.tenant, key.session, pressure.messages) == ("acme", "ada", 1)
        assert list(rm.statistics().agents) == ["acme/ada"]
