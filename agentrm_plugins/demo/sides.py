"""The two sides. They differ in what stands around the model, and in nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware
from openai import DefaultAsyncHttpxClient

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import ContextConfig, ContextLifecycle
from agentrm_plugins.demo.agents import Agent, Work, crew, work
from agentrm_plugins.demo.board import Board, ManagedBoard, UnmanagedBoard
from agentrm_plugins.demo.settings import RETRIES, DemoSettings
from agentrm_plugins.demo.talk import BUDGET_TOKENS
from agentrm_plugins.testing.provider import SimulatedProvider
from agentrm_plugins.types.calls import Priority

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["Side", "boards", "managed", "unmanaged"]


@dataclass(frozen=True, slots=True)
class Side:
    """What came out. Times in real seconds.

    `zombies` are calls that hung, `waste_s` how long the provider saw them held; both are counted
    by the provider, alike for both sides. `lanes_peak` is the most model calls that held a lane
    (or a place of the semaphore) at once. `held` are calls that the provider still held when this
    was counted: it had not heard yet that they were given up.
    """

    title: str
    finished: int
    turns: int
    died: dict[str, int]
    agents: int
    quantiles_s: dict[str, tuple[float, float] | None]
    calls: int
    refusals: int
    zombies: int
    waste_s: float
    remembered: int
    talks: int
    lanes_peak: int
    second_attempts: int
    wall_s: float
    held: int = 0
    effects: list[Any] = field(default_factory=list, repr=False)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        del found["effects"]
        return found


class _Semaphore(AgentMiddleware[Any, Any]):
    """What people do today: one semaphore around every model call."""

    def __init__(self, gate: asyncio.Semaphore, board: UnmanagedBoard, name: str) -> None:
        super().__init__()
        self.gate, self.board, self.agent = gate, board, name

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Wait for a place, then call."""
        async with self.board.place(self.gate, self.agent):
            return await handler(request)


class _Gated:
    """The same semaphore around a bare model, for the talks."""

    def __init__(self, model: Any, gate: asyncio.Semaphore, board: UnmanagedBoard, name: str):
        self.model, self.gate, self.board, self.agent = model, gate, board, name

    async def ainvoke(self, messages: Any, config: Any) -> Any:
        """Wait for a place, then call."""
        async with self.board.place(self.gate, self.agent):
            return await self.model.ainvoke(messages, config)


async def unmanaged(settings: DemoSettings, board: UnmanagedBoard) -> Side:
    """The stock `ChatOpenAI` with its own timeout and retries, behind a shared semaphore."""
    gate = asyncio.Semaphore(settings.lanes)
    async with (
        SimulatedProvider(settings.provider()) as provider,
        DefaultAsyncHttpxClient() as http,
    ):
        board.provider = provider
        plan = Work(
            settings,
            provider.base_url,
            {
                "timeout": settings.time_scale * settings.timeout_s,
                "max_retries": RETRIES,
                "http_async_client": http,
            },
            manage=lambda model, agent: (
                _Gated(model, gate, board, agent.name) if agent.kind == "talk" else model
            ),
            middleware=lambda agent: [_Semaphore(gate, board, agent.name)],
        )
        return await _run(plan, board, provider)


async def managed(settings: DemoSettings, board: ManagedBoard) -> Side:
    """The same model in `wrap_chat_model`, with a context for the talks."""

    def manage(model: BaseChatModel, agent: Agent) -> BaseChatModel:
        if agent.kind == "talk":
            return wrap_chat_model(model, rm, agent=agent.name, context=context)
        return wrap_chat_model(model, rm, agent=agent.name, priority=Priority(agent.kind))

    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(DefaultAsyncHttpxClient())
        provider = stack.enter_context(SimulatedProvider(settings.provider()))
        rm = stack.enter_context(settings.core())
        context = stack.enter_context(ContextLifecycle(ContextConfig(BUDGET_TOKENS)))
        stream = stack.enter_context(rm.events())
        board.provider, board.rm, board.stream, board.context = provider, rm, stream, context
        plan = Work(
            settings,
            provider.base_url,
            {"max_retries": 0, "http_async_client": http},
            manage=manage,
            middleware=lambda _: [],
        )
        return await _run(plan, board, provider)


def boards(settings: DemoSettings) -> tuple[UnmanagedBoard, ManagedBoard]:
    """What is seen of both sides."""
    return (
        UnmanagedBoard("Unmanaged", settings, crew(settings)),
        ManagedBoard(f"Managed ({settings.order})", settings, crew(settings)),
    )


async def _run(plan: Work, board: Board, provider: SimulatedProvider) -> Side:
    board.started_s = time.monotonic()
    await work(board.agents, plan)
    wall_s = time.monotonic() - board.started_s
    board.refresh()
    board.ended = True
    with suppress(TimeoutError):  # the table says of what is still held that it is
        await asyncio.to_thread(provider.wait_for, lambda seen: seen.in_flight == 0)
    return _summary(board, provider, wall_s)


def _summary(board: Board, provider: SimulatedProvider, wall_s: float) -> Side:
    hung = [record for record in provider.log if record.fault == "hang"]
    times: dict[str, list[float]] = {"interactive": [], "batch": [], "talk": []}
    died: dict[str, int] = {}
    for agent in board.agents:
        times[agent.kind] += agent.turns_s
        if agent.died:
            died[agent.died] = died.get(agent.died, 0) + 1
    seen = provider.statistics()
    return Side(
        title=board.title,
        finished=board.finished,
        turns=sum(agent.total for agent in board.agents),
        died=died,
        agents=len(board.agents),
        quantiles_s={kind: _quantiles(found) for kind, found in times.items()},
        calls=seen.requests,
        refusals=seen.rejected,
        zombies=len(hung),
        waste_s=sum(record.finished_s - record.started_s for record in hung),
        remembered=sum(bool(agent.remembered) for agent in board.agents),
        talks=sum(agent.kind == "talk" for agent in board.agents),
        lanes_peak=board.lanes_peak,
        second_attempts=board.second_attempts,
        wall_s=wall_s,
        held=seen.in_flight,
        effects=board.effects,
    )


def _quantiles(values: list[float]) -> tuple[float, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.5 * last)], ordered[round(0.95 * last)]
