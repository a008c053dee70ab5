"""The agents: LangChain's `create_agent` and `ChatOpenAI`, and what each of them has to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import OpenAIError

from agentrm_plugins import AgentRMError
from agentrm_plugins.demo import talk
from agentrm_plugins.demo.settings import DemoSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["Agent", "Work", "crew", "work"]

TURNS = 4  # of an interactive agent, one after the other
ROWS, TASKS = 2, 3  # of a batch agent: rows at once, tasks one after the other in each
_MOST_TOKENS = {"interactive": 60, "batch": 400, "talk": 60}
_MODELS = {"interactive": "demo-chat", "batch": "demo-chat", "talk": "demo-talk"}


class AgentDied(Exception):
    """A turn failed for good, and with it the agent: nobody catches such an error in a program."""


@dataclass(slots=True)
class Agent:
    """One agent's name, kind and progress. Times in real seconds."""

    name: str
    kind: str
    total: int
    state: str = "idle"
    finished: int = 0
    died: str = ""
    remembered: bool | None = None
    turns_s: list[float] = field(default_factory=list)


def crew(settings: DemoSettings) -> list[Agent]:
    """The agents of one side."""
    people = [Agent(f"p{n + 1:02}", "interactive", TURNS) for n in range(settings.people)]
    batch = [Agent(f"b{n + 1:02}", "batch", ROWS * TASKS) for n in range(settings.batch)]
    talks = [Agent(f"t{n + 1:02}", "talk", talk.TALK_TURNS) for n in range(settings.talks)]
    return people + batch + talks


@dataclass(frozen=True, slots=True)
class Work:
    """How one side makes its agents: where to, with which client and what around the model."""

    settings: DemoSettings
    base_url: str
    client: dict[str, Any]
    manage: Callable[[BaseChatModel, Agent], Any]
    middleware: Callable[[Agent], Any]


def _model(agent: Agent, plan: Work) -> Any:
    return ChatOpenAI(
        model=_MODELS[agent.kind],
        base_url=plan.base_url,
        api_key="test-key",  # type: ignore[arg-type]  # a plain string is turned into a secret
        max_completion_tokens=_MOST_TOKENS[agent.kind],
        streaming=True,
        stream_usage=True,
        default_headers={"x-agentrm-agent": agent.name},
        **plan.client,
    )


def _agent(agent: Agent, plan: Work) -> Any:
    pause_s = plan.settings.time_scale * 0.5

    @tool
    async def look_up(query: str) -> str:
        """Look something up."""
        await asyncio.sleep(pause_s)
        return f"Notes about {query}."

    middleware = plan.middleware(agent)
    return create_agent(plan.manage(_model(agent, plan), agent), [look_up], middleware=middleware)


async def _turn(call: Any, agent: Agent) -> Any:
    started_s = time.monotonic()
    try:
        answer = await call
    except (AgentRMError, OpenAIError) as error:
        agent.died, agent.state = type(error).__name__, "died"
        raise AgentDied(agent.name) from error
    agent.finished += 1
    agent.turns_s.append(time.monotonic() - started_s)
    return answer


async def _interactive(agent: Agent, plan: Work) -> None:
    graph, scale = _agent(agent, plan), plan.settings.time_scale
    rng = Random(f"{plan.settings.seed}:{agent.name}")  # noqa: S311 - seeded on purpose
    for number in range(TURNS):
        agent.state = "reads"
        await asyncio.sleep(scale * rng.uniform(2.0, 15.0))
        agent.state = "asks"
        prompt = f"{agent.name}, question {number + 1}: what is new?"
        await _turn(graph.ainvoke({"messages": [("user", prompt)]}), agent)


async def _batch(agent: Agent, plan: Work) -> None:
    graph = _agent(agent, plan)

    async def row(number: int) -> None:
        for task in range(TASKS):
            if agent.died:
                return
            prompt = f"{agent.name}, document {number + 1}.{task + 1}: summarise"
            await _turn(graph.ainvoke({"messages": [("user", prompt)]}), agent)

    agent.state = "works"
    rows = await asyncio.gather(*(row(n) for n in range(ROWS)), return_exceptions=True)
    for found in rows:
        if isinstance(found, BaseException):
            raise found


async def _talk(agent: Agent, plan: Work) -> None:
    model = plan.manage(_model(agent, plan), agent)
    config = {"configurable": {"thread_id": agent.name}}
    history: list[Any] = []
    for turn in range(talk.TALK_TURNS):
        agent.state = "reads"
        await asyncio.sleep(plan.settings.time_scale * 6.0)
        agent.state = "talks"
        history.append(("user", talk.line(agent.name, turn)))
        answer = await _turn(model.ainvoke(list(history), config), agent)
        history.append(("ai", answer.text))
    agent.remembered = talk.code_of(agent.name) in history[-1][1]


_JOBS = {"interactive": _interactive, "batch": _batch, "talk": _talk}


async def work(agents: list[Agent], plan: Work) -> None:
    """Let all agents do their work to the end; one that dies leaves the others alone."""

    async def one(agent: Agent) -> None:
        try:
            await _JOBS[agent.kind](agent, plan)
        except AgentDied:
            return
        agent.state = "done"

    async with asyncio.TaskGroup() as group:
        for agent in agents:
            group.create_task(one(agent))
