"""`manage_client` for every kind of client: OpenAI's and Azure's, over httpx2 and legacy httpx."""

from __future__ import annotations

import asyncio

import httpx
import httpx2
import openai
import pytest
import tenacity

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, RetryPolicy
from agentrm_plugins.testing.provider import Status

MESSAGES = [{"role": "user", "content": "go"}]
CHAT = {"model": "simulated", "messages": MESSAGES}
STREAM = {**CHAT, "stream": True, "stream_options": {"include_usage": True}}
QUICK = RetryPolicy(wait=tenacity.wait_none())
LIBRARIES = {
    "httpx2": (httpx2.Client, httpx2.AsyncClient),
    "httpx": (httpx.Client, httpx.AsyncClient),
}


def drain(stream):
    return list(stream)


async def adrain(stream):
    return [piece async for piece in stream]


SYNC = {
    "chat": lambda ai: ai.chat.completions.create(**CHAT),
    "chat raw": lambda ai: ai.chat.completions.with_raw_response.create(**CHAT).parse(),
    "chat stream": lambda ai: drain(ai.chat.completions.create(**STREAM)),
    "responses": lambda ai: ai.responses.create(model="simulated", input="go"),
    "responses stream": lambda ai: drain(
        ai.responses.create(model="simulated", input="go", stream=True)
    ),
    "embeddings": lambda ai: ai.embeddings.create(model="simulated", input="go"),
    "embeddings raw": lambda ai: ai.embeddings.with_raw_response.create(
        model="simulated", input="go"
    ).parse(),
}


async def _raw(resource, **fields):
    return (await resource.with_raw_response.create(**fields)).parse()


async def _stream(resource, **fields):
    return await adrain(await resource.create(**fields))


ASYNC = {
    "chat": lambda ai: ai.chat.completions.create(**CHAT),
    "chat raw": lambda ai: _raw(ai.chat.completions, **CHAT),
    "chat stream": lambda ai: _stream(ai.chat.completions, **STREAM),
    "responses": lambda ai: ai.responses.create(model="simulated", input="go"),
    "responses stream": lambda ai: _stream(
        ai.responses, model="simulated", input="go", stream=True
    ),
    "embeddings": lambda ai: ai.embeddings.create(model="simulated", input="go"),
    "embeddings raw": lambda ai: _raw(ai.embeddings, model="simulated", input="go"),
}


def client_of(maker, kind, provider, http):
    options = {"base_url": provider.base_url, "api_key": "test-key", "http_client": http}
    name = {"openai": "OpenAI", "azure": "AzureOpenAI"}[kind]
    if kind == "azure":
        options["api_version"] = "2024-10-21"
    return getattr(openai, maker + name)(**options)


def hold(rm, provider):
    """Asked twice and answered once: one call, one settle, the provider's count, the one name."""
    counts = rm.statistics()
    refused, served = provider.log
    assert (refused.status, served.status) == (429, 200)
    assert (counts.submitted, counts.settled, counts.lanes_in_use) == (1, 1, 0)
    assert (counts.input_tokens, counts.output_tokens) == (
        served.input_tokens,
        served.output_tokens,
    )
    (name,) = counts.endpoints
    endpoint = counts.endpoints[name]
    assert name.startswith(f"127.0.0.1:{provider.port}/simulated#")
    assert (endpoint.limit_hits, endpoint.requeues, endpoint.in_flight) == (1, 1, 0)
    assert endpoint.rates["requests"].source == "server"
    assert endpoint.rates["requests"].limit_per_min == pytest.approx(6000)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["openai", "azure"])
@pytest.mark.parametrize("way", SYNC)
def test_every_kind_of_client_in_threads(way, kind, library, start):
    """A refusal costs one more request; the limits are read from every answer's headers."""
    style = "azure" if kind == "azure" else "openai"
    provider = start(seed=7, rpm=6000, header_style=style)
    provider.script([Status(429, retry_after=0.01)])
    with AgentRM(lanes=1) as rm, LIBRARIES[library][0](timeout=20) as http:
        SYNC[way](manage_client(client_of("", kind, provider, http), rm, retry=QUICK))
        hold(rm, provider)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("kind", ["openai", "azure"])
@pytest.mark.parametrize("way", ASYNC)
def test_every_kind_of_client_in_tasks(way, kind, library, start):
    """The same on an event loop."""
    style = "azure" if kind == "azure" else "openai"
    provider = start(seed=7, rpm=6000, header_style=style)
    provider.script([Status(429, retry_after=0.01)])

    async def run(rm):
        async with LIBRARIES[library][1](timeout=20) as http:
            client = client_of("Async", kind, provider, http)
            await ASYNC[way](manage_client(client, rm, retry=QUICK))

    with AgentRM(lanes=1) as rm:
        asyncio.run(run(rm))
        hold(rm, provider)
