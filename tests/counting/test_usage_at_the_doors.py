"""What a call is charged, by a real client of each door against a server that reports oddly."""

from __future__ import annotations

import asyncio

import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, CallRefused
from agentrm_plugins.config import BudgetConfig
from agentrm_plugins.counting.requests import request_tokens
from tests.counting.canned import Canned

PROMPT = "how are you today? " * 200
BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": PROMPT}]}
SENT = request_tokens(BODY, "gpt-4o")


def chat(server, http, **more):
    settings = {"model": "gpt-4o", "api_key": "test-key", "base_url": server.base_url}
    return ChatOpenAI(**settings, max_retries=0, http_client=http, **more)


def sdk(server, http, kind=openai.OpenAI):
    return kind(base_url=server.base_url, api_key="test-key", http_client=http, max_retries=0)


def wrapped(rm, server, http):
    return wrap_chat_model(chat(server, http), rm).invoke(PROMPT)


def wrapped_stream(rm, server, http):
    return list(wrap_chat_model(chat(server, http), rm).stream(PROMPT))


def callback(rm, server, http):
    return chat(server, http).invoke(PROMPT, {"callbacks": [AgentRMCallbackHandler(rm)]})


def callback_stream(rm, server, http):
    config = {"callbacks": [AgentRMCallbackHandler(rm)]}
    return list(chat(server, http, stream_usage=True).stream(PROMPT, config))


def client(rm, server, http):
    return manage_client(sdk(server, http), rm).chat.completions.create(**BODY)


def client_raw(rm, server, http):
    managed = manage_client(sdk(server, http), rm)
    return managed.chat.completions.with_raw_response.create(**BODY).parse()


def client_stream(rm, server, http):
    return list(manage_client(sdk(server, http), rm).chat.completions.create(**BODY, stream=True))


def in_tasks(way):
    """The same way with a client for tasks."""

    async def run(rm, server):
        async with httpx2.AsyncClient() as http:
            model = ChatOpenAI(
                model="gpt-4o", api_key="test-key", base_url=server.base_url, http_async_client=http
            )
            if way == "wrapped":
                return await wrap_chat_model(model, rm).ainvoke(PROMPT)
            if way == "wrapped stream":
                return [chunk async for chunk in wrap_chat_model(model, rm).astream(PROMPT)]
            managed = manage_client(sdk(server, http, openai.AsyncOpenAI), rm)
            if way == "client":
                return await managed.chat.completions.create(**BODY)
            stream = await managed.chat.completions.create(**BODY, stream=True)
            return [piece async for piece in stream]

    return lambda rm, server, _: asyncio.run(run(rm, server))


WHOLE = {
    "wrapped": wrapped, "callback": callback, "client": client, "client raw": client_raw,
    "wrapped async": in_tasks("wrapped"), "client async": in_tasks("client"),
}  # fmt: skip
STREAMS = {
    "wrapped": wrapped_stream, "callback": callback_stream, "client": client_stream,
    "wrapped async": in_tasks("wrapped stream"), "client async": in_tasks("client stream"),
}  # fmt: skip


def charged(way, server):
    with AgentRM(lanes=1) as rm, httpx2.Client() as http, server:
        way(rm, server, http)
        counts = rm.statistics()
        assert (counts.submitted, counts.settled) == (1, 1)
        return counts.input_tokens, counts.output_tokens


@pytest.mark.parametrize("door", WHOLE)
def test_reasoning_that_is_counted_outside_is_charged(door):
    """Prompt 10 + completion 5 + total 1,015: 1,015."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}
    assert charged(WHOLE[door], Canned(usage)) == (10, 1005)


@pytest.mark.parametrize("door", WHOLE)
@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": 0, "completion_tokens": 0,
                                              "total_tokens": 0}])  # fmt: skip
def test_an_answer_without_usage_costs_the_estimate(door, usage):
    """The input as counted before the call, and the answer's text: not 0."""
    sent, came = charged(WHOLE[door], Canned(usage, text="well " * 40))
    assert sent == SENT
    assert 38 <= came <= 44


ABSURD = {"huge": 10**400, "nan": float("nan"), "1e15": 10**15}
"""Counts of a prompt that are none, beside a count of the answer that is one."""


def absurd(kind):
    read = ABSURD[kind]
    total = read + 5 if kind == "1e15" else 5
    return {"prompt_tokens": read, "completion_tokens": 5, "total_tokens": total}


@pytest.mark.parametrize("kind", ABSURD)
@pytest.mark.parametrize("door", WHOLE)
def test_an_input_that_is_no_count_costs_the_estimate(door, kind):
    """Beside five tokens of output, which are charged as told: no input is free."""
    assert charged(WHOLE[door], Canned(absurd(kind))) == (SENT, 5)


@pytest.mark.parametrize(
    ("door", "kind"),
    [(door, kind) for door in STREAMS for kind in ABSURD if kind != "nan" or "client" in door],
)
def test_an_input_that_is_no_count_costs_the_estimate_in_a_stream(door, kind):
    """Told once, with the last chunk. (LangChain cannot add NaN up: such a stream is its error.)"""
    chunks = [None] * 4 + [absurd(kind)]
    assert charged(STREAMS[door], Canned(chunks=chunks)) == (SENT, 5)


def totals(read, chunks):
    return [
        {"prompt_tokens": read, "completion_tokens": n + 1, "total_tokens": read + n + 1}
        for n in range(chunks)
    ]


@pytest.mark.parametrize("door", STREAMS)
def test_running_totals_in_each_chunk_count_once(door):
    """Twenty chunks that each tell all so far: 733, not 15,203 nor the like."""
    assert sum(charged(STREAMS[door], Canned(chunks=totals(713, 20)))) == 733


@pytest.mark.parametrize("door", STREAMS)
def test_usage_that_comes_once_is_charged_once(door):
    """The usual: with the last chunk alone."""
    assert charged(STREAMS[door], Canned(chunks=[None] * 19 + totals(713, 20)[-1:])) == (713, 20)


@pytest.mark.parametrize("door", STREAMS)
def test_a_stream_without_usage_costs_the_estimate(door):
    """The input as counted and a token or so for each chunk."""
    sent, came = charged(STREAMS[door], Canned(chunks=[None] * 30))
    assert sent == SENT
    assert 30 <= came <= 40


@pytest.mark.parametrize("door", [*WHOLE, "stream"])
def test_a_budget_is_not_passed_by_saying_nothing(door):
    """Calls of some 1,000 tokens each without a word of usage: 5,000 are used up by the sixth."""
    way = WHOLE.get(door, wrapped_stream)
    budget = BudgetConfig(5_000, agent="*")
    server = Canned(text="", chunks=[None])
    went = 0
    with AgentRM(lanes=1, budgets=(budget,)) as rm, httpx2.Client() as http, server:
        with rm.identity(agent="ada"), pytest.raises(CallRefused):
            for _ in range(30):
                way(rm, server, http)
                went += 1
    assert 3 <= went <= 5
