"""The agents: LangChain's `create_agent` on `ChatOpenAI`, with a tool, and what each has to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import OpenAIError

from agentrm_plugins import AgentRMError
from agentrm_plugins.demo.settings import DemoSettings

if TYPE_CHECKING:
    from langchain.agents.middleware import AgentMiddleware
    from langchain_core.language_models import BaseChatModel

__all__ = ["Agent", "Work", "crew", "work"]

TURNS = 4  # of an interactive agent, one after the other
ROWS, TASKS = 2, 3  # of a batch agent: rows at once, tasks one after the other in each
_MOST_TOKENS = {"interactive": 60, "batch": 400}
_MODELS = {"interactive": "demo-chat", "batch": "demo-batch"}


@dataclass(slots=True)
class Agent:
    """One agent's name, kind and progress. Times in real seconds."""

    name: str
    kind: str
    total: int
    state: str = "idle"
    finished: int = 0
    failed: int = 0
    turns_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def crew(settings: DemoSettings) -> list[Agent]:
    """The agents of one side."""
    interactive = [
        Agent(f"interactive-{n + 1:02}", "interactive", TURNS) for n in range(settings.interactive)
    ]
    return interactive + [
        Agent(f"batch-{n + 1:02}", "batch", ROWS * TASKS) for n in range(settings.batch)
    ]


@dataclass(frozen=True, slots=True)
class Work:
    """How one side makes its agents: where to, with which client and what around the model."""

    settings: DemoSettings
    base_url: str
    client: dict[str, Any]
    manage: Callable[[BaseChatModel, Agent], BaseChatModel]
    middleware: Callable[[Agent], Sequence[AgentMiddleware[Any, Any]]]


def _build(agent: Agent, plan: Work) -> Any:
    pause_s = plan.settings.time_scale * 0.5

    @tool
    async def look_up(query: str) -> str:
        """Look something up."""
        await asyncio.sleep(pause_s)
        return f"Notes about {query}."

    model = ChatOpenAI(
        model=_MODELS[agent.kind],
        base_url=plan.base_url,
        api_key="test-key",  # type: ignore[arg-type]  # a plain string is turned into a secret
        max_completion_tokens=_MOST_TOKENS[agent.kind],
        streaming=True,
        stream_usage=True,
        default_headers={"x-agentrm-agent": agent.name},
        **plan.client,
    )
    managed = plan.manage(model, agent)
    return create_agent(managed, [look_up], middleware=plan.middleware(agent))


async def _turn(graph: Any, agent: Agent, prompt: str) -> None:
    started_s = time.monotonic()
    try:
        await graph.ainvoke({"messages": [("user", prompt)]})
    except (AgentRMError, OpenAIError) as error:
        agent.failed += 1
        agent.errors.append(type(error).__name__)
    else:
        agent.finished += 1
        agent.turns_s.append(time.monotonic() - started_s)


async def _interactive(graph: Any, agent: Agent, settings: DemoSettings) -> None:
    rng = Random(f"{settings.seed}:{agent.name}")  # noqa: S311 - seeded on purpose
    for number in range(TURNS):
        agent.state = "reads"
        await asyncio.sleep(settings.time_scale * rng.uniform(2.0, 15.0))
        agent.state = "asks"
        await _turn(graph, agent, f"{agent.name}, question {number + 1}: what is new?")
    agent.state = "done"


async def _batch(graph: Any, agent: Agent) -> None:
    async def row(number: int) -> None:
        for task in range(TASKS):
            await _turn(graph, agent, f"{agent.name}, document {number + 1}.{task + 1}: summarise")

    agent.state = "works"
    await asyncio.gather(*(row(number) for number in range(ROWS)))
    agent.state = "done"


async def work(agents: Sequence[Agent], plan: Work) -> None:
    """Let all agents do their work to the end."""
    async with asyncio.TaskGroup() as group:
        for agent in agents:
            graph = _build(agent, plan)
            if agent.kind == "interactive":
                group.create_task(_interactive(graph, agent, plan.settings))
            else:
                group.create_task(_batch(graph, agent))
