"""Names of limits without a package of their own, in answers to the real OpenAI SDK."""

from __future__ import annotations

import asyncio
import time

import openai
import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, Config, RetryPolicy
from tests.providers.models import CHAT, model_of

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
TWICE = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
MESSAGES = [{"role": "user", "content": "hi"}]
# name: headers of a good answer, then the limit per minute of requests and of tokens
FIELDS = {
    "Cerebras": (
        {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-remaining-requests-day": "14399",
         "x-ratelimit-reset-requests-day": "33011.38",
         "x-ratelimit-limit-tokens-minute": "60000",
         "x-ratelimit-remaining-tokens-minute": "59000",
         "x-ratelimit-reset-tokens-minute": "11.38"},
        10, 60_000,
    ),
    "Mistral, older": (
        {"ratelimitbysize-limit": "500000", "ratelimitbysize-remaining": "499990",
         "ratelimitbysize-reset": "9"},
        None, 500_000,
    ),
    "Mistral": (
        {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59",
         "x-ratelimit-limit-tokens-minute": "500000",
         "x-ratelimit-remaining-tokens-minute": "499990"},
        60, 500_000,
    ),
    "Groq": (
        {"x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "59",
         "x-ratelimit-reset-requests": "1s", "x-ratelimit-limit-tokens": "18000",
         "x-ratelimit-remaining-tokens": "17997", "x-ratelimit-reset-tokens": "7.66s"},
        60, 18_000,
    ),
    "two counters in one field": (
        {"x-ratelimit-limit": "60, 60", "x-ratelimit-remaining": "59, 59"}, 60, None,
    ),
    "IETF, items": (
        {"ratelimit-policy": '"burst";q=60;w=60', "ratelimit": '"burst";r=59;t=30'}, 60, None,
    ),
    "IETF, tokens by unit": (
        {"ratelimit-policy": '"t";q=9000;w=60;qu="tokens"', "ratelimit": '"t";r=8000;t=30'},
        None, 9000,
    ),
    "IETF, an hour": (
        {"ratelimit-policy": '"hourly";q=600;w=3600', "ratelimit": '"hourly";r=599;t=3000'},
        10, None,
    ),
    "IETF, three fields": (
        {"ratelimit-limit": "60, 60;w=60", "ratelimit-remaining": "59", "ratelimit-reset": "30"},
        60, None,
    ),
    "IETF, one field": (
        {"ratelimit-policy": "60;w=60", "ratelimit": "limit=60, remaining=59, reset=30"}, 60, None,
    ),
}  # fmt: skip


def limits(rm):
    [endpoint] = rm.statistics().endpoints.values()
    known = ((name, endpoint.rates.get(name)) for name in ("requests", "tokens"))
    return [
        None if one is None or one.source != "server" else one.limit_per_min for _, one in known
    ]


@pytest.mark.parametrize("door", ["model", "model in tasks", "client"])
@pytest.mark.parametrize("name", FIELDS)
def test_limits_are_read_from_the_fields(name, door, loopback):
    """The server's word, by the first good answer, whatever it calls its limits."""
    headers, requests, tokens = FIELDS[name]
    loopback.always(200, CHAT, **headers)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("openai", loopback.url), rm, retry=TWICE)
        if door == "client":
            bare = openai.OpenAI(base_url=loopback.url, api_key="test-key")
            manage_client(bare, rm).chat.completions.create(model="m", messages=MESSAGES)
        elif door == "model":
            model.invoke("hi")
        else:
            asyncio.run(model.ainvoke("hi"))
        assert limits(rm) == [pytest.approx(requests), pytest.approx(tokens)]


@pytest.mark.parametrize("name", ["openrouter", "openai"])
def test_limits_in_a_refusals_body_are_read(name, loopback):
    """OpenRouter repeats its headers there; by its own package and by the OpenAI SDK."""
    said = {
        "X-RateLimit-Limit": "20",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": str(int((time.time() + 0.3) * 1000)),
    }
    error = {"code": 429, "message": "Rate limit exceeded", "metadata": {"headers": said}}
    loopback.once(429, {"error": error}, CHAT)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of(name, loopback.url), rm, retry=TWICE)
        assert model.invoke("hi").text == "hi"
        assert limits(rm) == [20, None]
    assert len(loopback.requests) == 2
