"""Connections that cannot be closed: what the provider said, or what broke, is what one is told."""

from __future__ import annotations

import asyncio
import json

import httpx2
import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
ANSWER = {
    "id": "1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
PIECE = {
    "id": "1",
    "object": "chat.completion.chunk",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "delta": {"content": "so "}, "finish_reason": None}],
}


class Stuck(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that may break, and breaks when it is closed."""

    def __init__(self, body, *, breaks=False):
        self.body, self.breaks = body, breaks

    def __iter__(self):
        yield self.body
        if self.breaks:
            raise httpx2.ReadError("it broke")

    async def __aiter__(self):
        for piece in self:
            yield piece

    def close(self):
        raise RuntimeError("not closed")

    async def aclose(self):
        self.close()


class Cut(Stuck):
    """Its first end is cancelled half way."""

    ended = 0

    async def aclose(self):
        self.ended += 1
        if self.ended == 1:
            raise asyncio.CancelledError


class Server(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """Answers from a list, the last one for ever."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), 0

    def handle_request(self, request):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def handle_async_request(self, request):
        return self.handle_request(request)


def refused(status=429, code="rate_limit_exceeded"):
    headers = {"content-type": "application/json", "retry-after-ms": "1"}
    body = json.dumps({"error": {"message": "slow down", "code": code}})
    return httpx2.Response(status, headers=headers, stream=Stuck(body.encode()))


def broken(said=PIECE):
    headers = {"content-type": "text/event-stream"}
    body = f"data: {json.dumps(said)}\n\n" if said else ": nothing yet\n\n"
    return httpx2.Response(200, headers=headers, stream=Stuck(body.encode(), breaks=True))


def sync_ai(rm, server):
    http = httpx2.Client(transport=server)
    return manage_client(openai.OpenAI(api_key="k", base_url="http://x/v1", http_client=http), rm)


def async_ai(rm, server):
    http = httpx2.AsyncClient(transport=server)
    client = openai.AsyncOpenAI(api_key="k", base_url="http://x/v1", http_client=http)
    return manage_client(client, rm)


def test_a_refusal_that_cannot_be_closed_is_a_refusal():
    """It goes again, as any other."""
    server = Server(refused(), httpx2.Response(200, json=ANSWER))
    with AgentRM(lanes=1) as rm:
        answer = sync_ai(rm, server).chat.completions.create(**ASK)
        assert answer.choices[0].message.content == "yes"
        assert server.asked == 2
        (endpoint,) = rm.statistics().endpoints.values()
        assert endpoint.limit_hits == 1


async def test_a_refusal_that_cannot_be_closed_is_a_refusal_async():
    """The same in a task."""
    server = Server(refused(401, "invalid_api_key"))
    async with AgentRM(lanes=1) as rm:
        with pytest.raises(openai.AuthenticationError, match="slow down"):
            await async_ai(rm, server).chat.completions.create(**ASK)
        assert server.asked == 1


def test_what_broke_a_stream_is_told_not_that_it_cannot_be_closed():
    """Whoever reads on gets the connection's own error, with the text so far."""
    with AgentRM(lanes=1) as rm:
        stream = sync_ai(rm, Server(broken())).chat.completions.create(**ASK, stream=True)
        assert next(stream).choices[0].delta.content == "so "
        with pytest.raises(openai.APIConnectionError) as caught:
            next(stream)
        assert str(caught.value.__cause__) == "it broke"
        assert caught.value.text_so_far == "so "
        assert rm.statistics().lanes_in_use == 0


async def test_what_broke_a_stream_is_told_async():
    """The same in a task."""
    async with AgentRM(lanes=1) as rm:
        client = async_ai(rm, Server(broken()))
        stream = await client.chat.completions.create(**ASK, stream=True)
        assert (await anext(stream)).choices[0].delta.content == "so "
        with pytest.raises(openai.APIConnectionError) as caught:
            await anext(stream)
        assert str(caught.value.__cause__) == "it broke"
        assert rm.statistics().lanes_in_use == 0


async def test_an_end_that_was_cancelled_is_tried_again():
    """So that the connection goes back though the reader was cut while it was given up."""
    body = Cut(f"data: {json.dumps(PIECE)}\n\n".encode(), breaks=True)
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=body)
    async with AgentRM(lanes=1) as rm:
        stream = await async_ai(rm, Server(answer)).chat.completions.create(**ASK, stream=True)
        await anext(stream)
        with pytest.raises(asyncio.CancelledError):
            await anext(stream)
        await stream.close()
        assert body.ended >= 2
        assert rm.statistics().lanes_in_use == 0
