"""A key never leaves: not by names, statistics, events, logs or our errors, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import string
import traceback

import httpx2
import openai
import pytest
import tenacity
from hypothesis import given
from hypothesis import strategies as st
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_openai import manage_client, managed_http_client
from agentrm_plugins import AgentRM, AgentRMError, LeaseConfig, RetryPolicy
from agentrm_plugins.config.endpoints import BreakerConfig, BudgetConfig, EndpointConfig
from agentrm_plugins.testing.provider import (
    Garbage,
    Hang,
    Reply,
    Reset,
    SimulatedProvider,
    Stall,
    Status,
)
from tests.effort import effort

MARK = "planted"  # digits alone may be in a text by chance
KEYS = st.text(string.ascii_letters + string.digits + "-_.", max_size=30).map(f"sk-{MARK}".__add__)
TWICE = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
TROUBLES = ["refused", "coded", "headers", "reset", "stall", "garbage", "hang"]
REFUSALS = ["none", "budget", "large", "breaker", "closed"]
WAYS = [
    *("sdk", "sdk stream", "sdk async", "transport", "wrapped", "wrapped stream", "wrapped async"),
    "callback",
]


def step_of(trouble, status, key):
    """What the server does; some servers echo the key in texts, codes and headers."""
    return {
        "refused": Status(status, message=f"Incorrect API key provided: {key}"),
        "coded": Status(status, code=key[:40]),
        "headers": Status(status, headers={"retry-after": key, "x-ratelimit-limit-requests": key}),
        "reset": Reset(),
        "stall": Stall(after_tokens=1),
        "garbage": Garbage("json"),
        "hang": Hang(),
    }[trouble]


def core_of(refusal):
    settings = {
        "budget": {"budgets": (BudgetConfig(1, "calls", agent="*"),)},
        "large": {"endpoints": {"*": EndpointConfig(tpm=1)}},
        "breaker": {"breaker": BreakerConfig(least_calls=1, share=0.01)},
    }
    leases = LeaseConfig(0.15, 0.15, 0.15)
    return AgentRM(lanes=1, leases=leases, **settings.get(refusal, {}))


def ask(way, rm, base_url, key):
    """One call, made in this way, with that key."""
    messages = [{"role": "user", "content": "go"}]
    chat = {"model": "simulated", "messages": messages}
    options = {"base_url": base_url, "api_key": key, "max_retries": 0, "timeout": 0.4}
    if way == "sdk async":

        async def run():
            async with openai.AsyncOpenAI(**options) as client:
                managed = manage_client(client, rm, retry=TWICE)
                await managed.chat.completions.create(**chat)

        asyncio.run(run())
    elif way == "transport":
        with managed_http_client(rm, timeout=0.4) as http:
            openai.OpenAI(**options, http_client=http).chat.completions.create(**chat)
    elif way.startswith("sdk"):
        with openai.OpenAI(**options) as client:
            managed = manage_client(client, rm, retry=TWICE)
            if way == "sdk":
                managed.chat.completions.create(**chat)
            else:
                list(managed.chat.completions.create(**chat, stream=True))
    elif way == "wrapped async":

        async def go():
            async with httpx2.AsyncClient(timeout=0.4) as http:
                model = ChatOpenAI(model="simulated", **options, http_async_client=http)
                await wrap_chat_model(model, rm, retry=TWICE).ainvoke("go")

        asyncio.run(go())
    else:
        with httpx2.Client(timeout=0.4) as http:
            model = ChatOpenAI(model="simulated", **options, http_client=http)
            if way == "callback":
                model.invoke("go", config={"callbacks": [AgentRMCallbackHandler(rm)]})
            elif way == "wrapped":
                wrap_chat_model(model, rm, retry=TWICE).invoke("go")
            else:
                list(wrap_chat_model(model, rm, retry=TWICE).stream("go"))


def seen(way, core, base_url, key, *, close):
    """All that two such calls leave to be seen of a core, but for the provider's own errors."""
    records, shown = [], []
    handler = logging.Handler(logging.DEBUG)
    handler.emit = lambda record: records.append(record.getMessage())
    ours = logging.getLogger("agentrm_plugins")
    ours.addHandler(handler)
    with core as rm:
        events = rm.events()
        for turn in range(2):
            if close and turn:
                rm.close()
            try:
                ask(way, rm, base_url, key)
            except Exception as error:
                if isinstance(error, AgentRMError):
                    shown += [repr(error), str(error), str(vars(error))]
                    shown += traceback.format_exception_only(error)
        shown += [repr(rm.statistics()), repr(events.drain()), repr(rm), str(rm.config)]
    ours.removeHandler(handler)
    return shown + records


@pytest.mark.parametrize("way", WAYS)
@effort(10)
@given(
    key=KEYS,
    trouble=st.sampled_from(TROUBLES),
    refusal=st.sampled_from(REFUSALS),
    status=st.sampled_from([400, 401, 403, 408, 429, 500, 503, 529]),
    in_url=st.booleans(),
)
def test_the_key_is_nowhere(way, key, trouble, refusal, status, in_url):
    """Whatever the server and the core say no with, whatever the server gives away itself."""
    steps = [step_of(trouble, status, key)] * 2 + [Reply("well")]
    with SimulatedProvider(seed=7) as provider:
        provider.script(steps)
        base_url = provider.base_url
        if in_url:  # a gateway with a password in its address
            base_url = base_url.replace("://", f"://me:{key}@")
        shown = seen(way, core_of(refusal), base_url, key, close=refusal == "closed")
    if way != "transport":  # which tells of answers only
        assert any("/simulated" in text for text in shown)
    assert not [text for text in shown if MARK in text]
