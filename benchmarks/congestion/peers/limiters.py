"""Tools for limiting and retrying that users put around a model by hand."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from benchmarks.congestion.peers.base import (
    ATTEMPTS,
    BACKOFF_CAP_S,
    BACKOFF_S,
    BUCKET_SHARE,
    NotForThis,
    Plain,
    Seen,
    Setting,
    chat_models,
)
from benchmarks.congestion.workload import Agent, Turn


def _curable(error: BaseException) -> bool:
    import openai

    if isinstance(error, openai.APIStatusError):
        return error.status_code in {408, 409, 429} or error.status_code >= 500
    return isinstance(error, openai.APIConnectionError | TimeoutError | OSError) or (
        type(error).__module__.startswith(("httpx", "httpcore"))
    )


class Tenacity(Plain):
    """Tenacity around the whole call, random exponential waits; curable errors only."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, chat_models(setting, 0))
        import tenacity

        self._rules: dict[str, Any] = {
            "retry": tenacity.retry_if_exception(_curable),
            "wait": tenacity.wait_random_exponential(multiplier=BACKOFF_S, max=BACKOFF_CAP_S),
            "stop": tenacity.stop_after_attempt(ATTEMPTS),
            "reraise": True,
        }
        self._async, self._sync = tenacity.AsyncRetrying, tenacity.Retrying

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        return str(await self._async(**self._rules)(super().ask, agent, turn, seen))

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        return str(self._sync(**self._rules)(super().ask_sync, agent, turn, seen))


class Semaphore(Plain):
    """A semaphore with as many places as ours has lanes, around `ChatOpenAI(max_retries=9)`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, chat_models(setting, ATTEMPTS - 1))
        self._places = asyncio.Semaphore(setting.lanes)
        self._places_sync = threading.Semaphore(setting.lanes)

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        async with self._places:
            return await super().ask(agent, turn, seen)

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        with self._places_sync:
            return super().ask_sync(agent, turn, seen)


class AioLimiter(Plain):
    """aiolimiter, one bucket of requests and one of tokens, each nearly the size of the server's.

    A call takes its exact input and its `max_tokens` before it goes. Nothing is given back
    afterwards, because aiolimiter cannot.
    """

    def __init__(self, setting: Setting) -> None:
        limits = setting.limits
        if limits is None or not (limits.rpm or limits.tpm):
            raise NotForThis("needs a rate")
        if setting.variant.mode == "threads":
            raise NotForThis("asyncio only")
        super().__init__(setting, chat_models(setting, ATTEMPTS - 1))
        from aiolimiter import AsyncLimiter

        def bucket(per_min: float | None) -> Any:
            # AsyncLimiter(n, period) holds n and regains n in a period.
            period_s = limits.bucket_s * BUCKET_SHARE
            return per_min and AsyncLimiter(per_min / 60.0 * period_s, period_s)

        self._buckets = {
            model: (bucket(limits.rpm), bucket(limits.tpm)) for model in setting.scenario.models
        }

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        requests, tokens = self._buckets[agent.model]
        if tokens:
            await tokens.acquire(turn.input_tokens + 7 + agent.kind.max_tokens)
        if requests:
            await requests.acquire()
        return await super().ask(agent, turn, seen)
