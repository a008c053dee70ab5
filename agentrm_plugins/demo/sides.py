"""The two sides. They differ in what stands around the model, and in nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from langchain.agents.middleware import AgentMiddleware, ModelRetryMiddleware

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import CallReaped
from agentrm_plugins.demo.agents import Agent, Work, crew, work
from agentrm_plugins.demo.board import Board, ManagedBoard, UnmanagedBoard
from agentrm_plugins.demo.settings import RETRIES, DemoSettings
from agentrm_plugins.testing.provider import SimulatedProvider
from agentrm_plugins.types.calls import Priority

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["Side", "managed", "unmanaged"]

_SDK_DELAY_S = 0.5  # the OpenAI SDK's first wait before it tries again
_LOOK_EVERY_S = 0.12


@dataclass(frozen=True, slots=True)
class Side:
    """What came out. Times in real seconds.

    `zombies` are calls that hung, `waste_s` how long the provider saw them held; both are counted
    by the provider, alike for both sides.
    """

    title: str
    finished: int
    failed: int
    quantiles_s: dict[str, tuple[float, float] | None]
    calls: int
    zombies: int
    waste_s: float
    wall_s: float
    peak: int
    errors: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class _Semaphore(AgentMiddleware[Any, Any]):
    """What people do today: one semaphore around every model call."""

    def __init__(self, gate: asyncio.Semaphore, board: UnmanagedBoard, name: str) -> None:
        super().__init__()
        self.gate, self.board, self.agent = gate, board, name

    async def awrap_model_call(self, request: Any, handler: Callable[[Any], Awaitable[Any]]) -> Any:
        """Wait for a place, then call."""
        board = self.board
        board.note(board.waiting, self.agent, 1)
        try:
            await self.gate.acquire()
        finally:
            board.note(board.waiting, self.agent, -1)
        board.note(board.running, self.agent, 1)
        try:
            return await handler(request)
        finally:
            board.note(board.running, self.agent, -1)
            self.gate.release()


async def unmanaged(settings: DemoSettings, look: Callable[[Board], None]) -> Side:
    """The stock `ChatOpenAI` with its own timeout and retries, behind a shared semaphore."""
    agents, gate = crew(settings), asyncio.Semaphore(settings.lanes)
    async with SimulatedProvider(settings.provider()) as provider:
        board = UnmanagedBoard("Unmanaged", settings.lanes, agents, provider=provider)
        plan = Work(
            settings,
            provider.base_url,
            {"timeout": settings.time_scale * settings.timeout_s, "max_retries": RETRIES},
            manage=lambda model, _: model,
            middleware=lambda agent: [_Semaphore(gate, board, agent.name)],
        )
        return await _run(plan, agents, board, provider, look)


async def managed(settings: DemoSettings, look: Callable[[Board], None]) -> Side:
    """The same model in `wrap_chat_model`; a reaped call is tried again as often."""
    agents = crew(settings)

    def manage(model: BaseChatModel, agent: Agent) -> BaseChatModel:
        return wrap_chat_model(model, rm, agent=agent.name, priority=Priority(agent.kind))

    def retry(_: Agent) -> list[AgentMiddleware[Any, Any]]:
        return [
            ModelRetryMiddleware(
                max_retries=RETRIES,
                retry_on=(CallReaped,),
                on_failure="error",
                initial_delay=_SDK_DELAY_S,
            )
        ]

    async with SimulatedProvider(settings.provider()) as provider:
        with settings.core() as rm, rm.events() as stream:
            title = f"Managed ({settings.order})"
            board = ManagedBoard(title, settings.lanes, agents, rm=rm, stream=stream)
            client = {"max_retries": 0}
            plan = Work(settings, provider.base_url, client, manage=manage, middleware=retry)
            return await _run(plan, agents, board, provider, look)


async def _run(
    plan: Work,
    agents: list[Agent],
    board: Board,
    provider: SimulatedProvider,
    look: Callable[[Board], None],
) -> Side:
    started_s = time.monotonic()

    async def watch() -> None:
        while True:
            board.refresh(time.monotonic() - started_s)
            look(board)
            await asyncio.sleep(_LOOK_EVERY_S)

    watcher = asyncio.create_task(watch())
    try:
        await work(agents, plan)
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)
    wall_s = time.monotonic() - started_s
    board.refresh(wall_s)
    look(board)
    await asyncio.to_thread(provider.wait_for, lambda seen: seen.in_flight == 0)
    return _summary(board, agents, provider, wall_s)


def _summary(board: Board, agents: list[Agent], provider: SimulatedProvider, wall_s: float) -> Side:
    finished, failed, _ = board.progress
    hung = [record for record in provider.log if record.fault == "hang"]
    times: dict[str, list[float]] = {"interactive": [], "batch": []}
    for agent in agents:
        times[agent.kind] += agent.turns_s
    seen = provider.statistics()
    return Side(
        title=board.title,
        finished=finished,
        failed=failed,
        quantiles_s={kind: _quantiles(found) for kind, found in times.items()},
        calls=seen.requests,
        zombies=len(hung),
        waste_s=sum(record.finished_s - record.started_s for record in hung),
        wall_s=wall_s,
        peak=seen.peak_concurrency,
        errors=tuple(sorted(error for agent in agents for error in agent.errors)),
    )


def _quantiles(values: list[float]) -> tuple[float, float] | None:
    if not values:
        return None
    ordered = sorted(values)
    last = len(ordered) - 1
    return ordered[round(0.5 * last)], ordered[round(0.95 * last)]
