"""Who makes the calls: ours, and what people do without it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import tenacity
from openai import APIConnectionError, APITimeoutError, AsyncOpenAI, InternalServerError

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM

__all__ = ["WAYS", "Ask"]

TIMEOUT_S = 30.0
_KEY = "test-key"
Ask = Callable[[str, int], Awaitable[str]]
"""From a prompt and the most tokens of its answer to the answer."""
_CURABLE = (APIConnectionError, APITimeoutError, InternalServerError)


def _asking(client: AsyncOpenAI) -> Ask:
    async def ask(prompt: str, most: int) -> str:
        answer = await client.chat.completions.create(
            model="simulated",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=most,
        )
        return answer.choices[0].message.content or ""

    return ask


@asynccontextmanager
async def ours(url: str, lanes: int, **settings: Any) -> AsyncIterator[tuple[Ask, Any]]:
    """A managed client; nothing is told of the endpoint."""
    with AgentRM(lanes=lanes, **settings) as rm:
        async with AsyncOpenAI(base_url=url, api_key=_KEY) as client:
            yield _asking(manage_client(client, rm)), rm


@asynccontextmanager
async def bare(url: str, _: int) -> AsyncIterator[tuple[Ask, Any]]:
    """The SDK with a timeout and its own two retries."""
    async with AsyncOpenAI(base_url=url, api_key=_KEY, timeout=TIMEOUT_S) as client:
        yield _asking(client), None


@asynccontextmanager
async def with_tenacity(url: str, _: int) -> AsyncIterator[tuple[Ask, Any]]:
    """The SDK with a timeout, and tenacity's retries around the call."""
    options = {"base_url": url, "api_key": _KEY, "timeout": TIMEOUT_S, "max_retries": 0}
    async with AsyncOpenAI(**options) as client:
        again = tenacity.retry(
            stop=tenacity.stop_after_attempt(10),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=8),
            retry=tenacity.retry_if_exception_type(_CURABLE),
            reraise=True,
        )
        yield again(_asking(client)), None


@asynccontextmanager
async def litellm_router(url: str, _: int) -> AsyncIterator[tuple[Ask, Any]]:
    """LiteLLM's Router with a timeout and nine retries, where it is installed."""
    import os

    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    params = {"model": "openai/simulated", "api_base": url, "api_key": _KEY}
    router = litellm.Router(
        model_list=[{"model_name": "simulated", "litellm_params": params}],
        num_retries=9,
        timeout=TIMEOUT_S,
    )

    async def ask(prompt: str, most: int) -> str:
        answer = await router.acompletion(
            model="simulated", messages=[{"role": "user", "content": prompt}], max_tokens=most
        )
        return answer.choices[0].message.content or ""

    yield ask, None


WAYS = {"ours": ours, "bare": bare, "tenacity": with_tenacity, "litellm": litellm_router}
