"""Who makes the calls: ours, and what people do without it.

Each peer may try as often as ours does (16 times), except the SDK as it comes. Peers have a timeout
of their own, for without one a hung call takes ten minutes; ours is told none, but in one row.
LiteLLM needs another version of the SDK, so what a way needs is imported when it begins.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

__all__ = ["ATTEMPTS", "WAYS", "Way"]

ATTEMPTS = 16  # ours: the retry policy's own bound
_KEY, _MODEL = "test-key", "simulated"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to call.

    Args:
        create: As `chat.completions.create` of the SDK, without the model.
        rm: The core; None: it has none.
    """

    create: Callable[..., Awaitable[Any]]
    rm: Any = None

    async def ask(self, prompt: str, most: int) -> str:
        """From a prompt and the most tokens of its answer to the answer."""
        answer = await self.create(messages=_messages(prompt), max_tokens=most)
        return answer.choices[0].message.content or ""

    async def stream(self, prompt: str) -> AsyncIterator[str]:
        """The text of a streamed answer, piece by piece."""
        async for chunk in await self.create(messages=_messages(prompt), stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                yield chunk.choices[0].delta.content


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _of(client: Any) -> Callable[..., Awaitable[Any]]:
    async def create(**request: Any) -> Any:
        return await client.chat.completions.create(model=_MODEL, **request)

    return create


@asynccontextmanager
async def _sdk(url: str, **options: Any) -> AsyncIterator[Any]:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=url, api_key=_KEY, **options) as client:
        yield client


@asynccontextmanager
async def ours(url: str, lanes: int, _: float) -> AsyncIterator[Way]:
    """A managed client; nothing is told of the endpoint."""
    from agentrm_openai import manage_client
    from agentrm_plugins import AgentRM

    with AgentRM(lanes=lanes) as rm:
        async with _sdk(url) as client:
            yield Way(_of(manage_client(client, rm)), rm)


@asynccontextmanager
async def ours_told(url: str, lanes: int, timeout_s: float) -> AsyncIterator[Way]:
    """A managed client with the timeout that the peers have."""
    from agentrm_openai import manage_client
    from agentrm_plugins import AgentRM

    with AgentRM(lanes=lanes) as rm:
        async with _sdk(url, timeout=timeout_s) as client:
            yield Way(_of(manage_client(client, rm)), rm)


@asynccontextmanager
async def bare(url: str, _: int, timeout_s: float) -> AsyncIterator[Way]:
    """The SDK with a timeout and the two retries that it comes with."""
    async with _sdk(url, timeout=timeout_s) as client:
        yield Way(_of(client))


@asynccontextmanager
async def patient(url: str, _: int, timeout_s: float) -> AsyncIterator[Way]:
    """The SDK with a timeout and as many attempts as ours."""
    async with _sdk(url, timeout=timeout_s, max_retries=ATTEMPTS - 1) as client:
        yield Way(_of(client))


@asynccontextmanager
async def with_tenacity(url: str, _: int, timeout_s: float) -> AsyncIterator[Way]:
    """The SDK with a timeout, and tenacity's retries around the call."""
    import tenacity
    from openai import APIConnectionError, APITimeoutError, InternalServerError

    again = tenacity.retry(
        stop=tenacity.stop_after_attempt(ATTEMPTS),
        wait=tenacity.wait_random_exponential(multiplier=0.1, max=8),
        retry=tenacity.retry_if_exception_type(
            (APIConnectionError, APITimeoutError, InternalServerError)
        ),
        reraise=True,
    )
    async with _sdk(url, timeout=timeout_s, max_retries=0) as client:
        yield Way(again(_of(client)))


@asynccontextmanager
async def litellm_router(url: str, _: int, timeout_s: float) -> AsyncIterator[Way]:
    """LiteLLM's Router with a timeout and as many attempts as ours."""
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    params = {"model": f"openai/{_MODEL}", "api_base": url, "api_key": _KEY}
    router = litellm.Router(
        model_list=[{"model_name": _MODEL, "litellm_params": params}],
        num_retries=ATTEMPTS - 1,
        timeout=timeout_s,
        stream_timeout=timeout_s,
    )

    async def create(**request: Any) -> Any:
        return await router.acompletion(model=_MODEL, **request)

    yield Way(create)


WAYS = {
    "ours": ours,
    "ours, with the timeout": ours_told,
    "SDK, 2 retries": bare,
    "SDK, 16 attempts": patient,
    "tenacity": with_tenacity,
    "LiteLLM Router": litellm_router,
}
