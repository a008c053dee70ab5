from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time

import httpx2
import openai
import pytest
from langchain_openai import ChatOpenAI

from agentrm_plugins.testing.provider import (
    Garbage,
    Hang,
    ModelConfig,
    Reset,
    SimulatedProvider,
    Stall,
    Status,
)

MESSAGES = [{"role": "user", "content": "hi"}]


def threads():
    return {t.name for t in threading.enumerate() if t.name.startswith("simulated")}


@pytest.mark.parametrize(
    ("step", "error", "count"),
    [
        (Hang(), openai.APITimeoutError, "hangs"),
        (Stall(), openai.APITimeoutError, "stalls"),
        (Reset(), openai.APIConnectionError, "resets"),
        (Garbage("json"), json.JSONDecodeError, "garbage"),
        (Garbage("cut"), openai.APIConnectionError, "garbage"),
        (Status(500), openai.InternalServerError, "errors"),
        (Status(502), openai.InternalServerError, "errors"),
        (Status(503), openai.InternalServerError, "errors"),
        (Status(529), openai.InternalServerError, "errors"),
    ],
)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_each_fault_reaches_the_real_client(start, chat, step, error, count, stream):
    """Each fault ends in the SDK's own error, whole or streamed, and is counted once."""
    provider = start()
    late = error is openai.APITimeoutError
    model = chat(provider, timeout=0.3 if late else 5)
    provider.script([step])
    with pytest.raises(error):
        list(model.stream("hi")) if stream else model.invoke("hi")
    statistics = provider.wait_for(lambda s: s.in_flight == 0)
    assert getattr(statistics, count) == 1
    assert statistics.ok == 0
    assert statistics.abandoned == late
    assert chat(provider).invoke("hi").text


def test_a_reset_is_a_real_rst(start):
    """The kernel sends RST: the client's read fails with ECONNRESET, it does not just end."""
    provider = start()
    provider.script([Reset()])
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", provider.port), timeout=5) as client:
        client.sendall(head.encode() + body)
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_stream_breaks_after_so_many_tokens(start, chat):
    """What came before a reset or a stall in mid-stream was delivered and is counted."""
    provider = start(tokens_per_chunk=1, output_tokens=20)
    for step in (Reset(after_tokens=6), Stall(after_tokens=6)):
        provider.script([step])
        seen = []
        with pytest.raises(openai.APIConnectionError):
            for chunk in chat(provider, timeout=0.3).stream("hi"):
                seen.append(chunk.text)
        assert len("".join(seen)) == 24
    provider.wait_for(lambda s: s.in_flight == 0)
    assert [record.output_tokens for record in provider.log] == [6, 6]


def test_the_sdk_retries_a_500_and_obeys_should_retry(start, chat):
    """500 then 200 succeeds with the SDK's retries; x-should-retry: false stops them."""
    provider = start()
    provider.script([Status(500, retry_after=0.01), "fine"])
    assert chat(provider, max_retries=1).invoke("hi").text == "fine"
    provider.script([Status(500, headers={"x-should-retry": "false"}), "never"])
    with pytest.raises(openai.InternalServerError):
        chat(provider, max_retries=1).invoke("hi")


def test_a_hang_can_end(start, chat):
    """With hang_s the server drops the hanging connection itself."""
    provider = start(hang_rate=1.0, hang_s=5.0, time_scale=0.01)
    with pytest.raises(openai.APIConnectionError):
        chat(provider, timeout=5).invoke("hi")
    statistics = provider.wait_for(lambda s: s.in_flight == 0)
    assert (statistics.hangs, statistics.abandoned) == (1, 0)


def test_slow_spikes_and_latencies(start, chat):
    """A spike takes slow_factor times as long; time to first token and pace are kept."""
    provider = start(time_to_first_token_s=0.02, token_time_s=0.002, output_tokens=20)
    chat(provider).invoke("hi")
    list(chat(provider).stream("hi"))
    provider.reconfigure(slow_rate=1.0, slow_factor=3)
    chat(provider).invoke("hi")
    plain, streamed, slow = (r.finished_s - r.started_s for r in provider.log)
    assert 0.06 <= plain < 2
    assert 0.06 <= streamed < 2
    assert slow >= 0.18
    assert provider.log[2].fault == "slow"
    first = provider.log[1].first_byte_s - provider.log[1].started_s
    assert 0.02 <= first < streamed


async def outcomes(provider, *, shuffled=False, one_by_one=False):
    """What each of forty requests met, by its text, when sent in different ways."""
    prompts = [f"task {i}" for i in range(40)]
    if shuffled:
        prompts = prompts[::2][::-1] + prompts[1::2]
    async with httpx2.AsyncClient(timeout=1.5) as http:
        model = ChatOpenAI(
            base_url=provider.base_url,
            api_key="test-key",
            model="m",
            max_retries=0,
            http_async_client=http,
            timeout=1.5,
        )

        async def one(prompt):
            try:
                return prompt, len((await model.ainvoke(prompt)).text)
            except Exception as error:
                return prompt, type(error).__name__

        if one_by_one:
            return dict([await one(prompt) for prompt in prompts[:10]])
        return dict(await asyncio.gather(*(one(prompt) for prompt in prompts)))


async def test_the_same_seed_gives_the_same_fates_in_any_order(start):
    """Faults and lengths depend on the seed and the request, not on order or concurrency."""
    settings = {
        "hang_rate": 0.1,
        "reset_rate": 0.1,
        "error_rate": 0.1,
        "error_statuses": (500, 503),
        "garbage_rate": 0.1,
        "stall_rate": 0.05,
        "output_tokens": 30,
    }
    first = await outcomes(start(seed=4, **settings))
    assert await outcomes(start(seed=4, **settings), shuffled=True) == first
    alone = await outcomes(start(seed=4, **settings), one_by_one=True)
    assert alone == {prompt: first[prompt] for prompt in alone}
    assert len(alone) == 10
    assert await outcomes(start(seed=5, **settings)) != first
    kinds = set(first.values())
    assert {"OpenAITimeoutError", "OpenAIConnectionError", "OpenAIAPIError", 120} <= kinds


def test_each_try_has_a_fate_of_its_own(start, chat):
    """The same request tried again draws anew, the same way in each run; a model may differ."""

    def fates(provider):
        made = []
        for _ in range(12):
            try:
                chat(provider).invoke("same")
                made.append(200)
            except openai.InternalServerError as error:
                made.append(error.status_code)
        return made

    first = fates(start(seed=1, error_rate=0.5))
    assert set(first) == {200, 500}
    assert fates(start(seed=1, error_rate=0.5)) == first
    provider = start(models={"bad": ModelConfig(hang_rate=1.0)})
    with pytest.raises(openai.APITimeoutError):
        chat(provider, model="bad", timeout=0.2).invoke("hi")
    assert chat(provider).invoke("hi").text


def test_a_rejected_try_uses_up_no_draw(start, chat):
    """A 429 in between does not change what the admitted tries meet."""
    calm, tight = start(seed=1, error_rate=0.5), start(seed=1, error_rate=0.5, rpm=60, burst=0.05)

    def admitted(provider):
        made = []
        while len(made) < 6:
            try:
                chat(provider).invoke("same")
                made.append(200)
            except openai.RateLimitError:
                provider.reconfigure(rpm=None)
            except openai.InternalServerError:
                made.append(500)
        return made

    assert admitted(tight) == admitted(calm)
    assert tight.statistics().rejected == 1


async def test_a_client_that_leaves_is_noticed_at_once(start):
    """Cancelled calls and abandoned streams are counted, and their generation stops."""
    provider = start(token_time_s=0.01, output_tokens=5000, tokens_per_chunk=1)
    async with httpx2.AsyncClient(timeout=60) as http:
        model = ChatOpenAI(
            base_url=provider.base_url, api_key="test-key", model="m", http_async_client=http
        )
        stream = model.astream("hi")
        async for chunk in stream:
            if chunk.text:
                break
        await stream.aclose()
        await asyncio.to_thread(provider.wait_for, lambda s: s.abandoned == 1)
        call = asyncio.create_task(model.ainvoke("hi"))
        await asyncio.to_thread(provider.wait_for, lambda s: s.in_flight == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(provider.wait_for, lambda s: s.abandoned == 2)
    assert all(record.client_gone for record in provider.log)
    assert 1 <= provider.log[0].output_tokens < 1000
    assert provider.log[1].output_tokens == 0
    assert provider.statistics().in_flight == 0


def test_close_leaves_nothing_behind():
    """Hanging requests are cancelled, the thread is joined, the port is free again."""
    before = threads()
    provider = SimulatedProvider(hang_rate=1.0)
    errors = []

    def call():
        client = openai.OpenAI(base_url=url, api_key="test-key", max_retries=0)
        with client:
            try:
                client.chat.completions.create(model="m", messages=MESSAGES)
            except openai.APIConnectionError as error:
                errors.append(error)

    with provider:
        url = provider.base_url
        assert provider.start() is provider
        callers = [threading.Thread(target=call) for _ in range(5)]
        for caller in callers:
            caller.start()
        provider.wait_for(lambda s: s.hangs == 0 and s.in_flight == 5)
        port = provider.port
        with pytest.raises(TimeoutError, match="not so"):
            provider.wait_for(lambda s: s.ok == 1, timeout_s=0.01)
    for caller in callers:
        caller.join(5)
    assert len(errors) == 5
    assert threads() == before
    assert provider.statistics().abandoned == 0
    assert provider.statistics().hangs == 5
    with SimulatedProvider(port=port) as again:
        assert again.port == port
        with pytest.raises(OSError, match="in use"), SimulatedProvider(port=port):
            pass
    assert threads() == before


async def test_it_is_an_async_context_manager_too():
    """`async with` does not block the loop and closes as well."""
    async with SimulatedProvider() as provider, httpx2.AsyncClient() as client:
        answer = await client.get(f"{provider.base_url}/models")
        assert answer.json()["data"][0]["id"] == "simulated-model"


def test_protocol_errors_do_not_harm(start, chat):
    """Nonsense bytes, a vanishing client and a pipelined pair leave the server well."""
    provider = start()
    address = ("127.0.0.1", provider.port)
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"what is this\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
        seen = b""
        until = time.monotonic() + 5
        while seen.count(b"HTTP/1.1 200") < 2 and time.monotonic() < until:
            seen += client.recv(65536)
    assert seen.count(b"simulated-model") == 2
    with socket.create_connection(address, timeout=5) as client:
        client.sendall(
            b"GET /v1/models HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            b"Content-Length: 2\r\nConnection: close\r\n\r\n"
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100")
        client.sendall(b"{}")
        assert b"200" in client.recv(100)
    assert chat(provider).invoke("hi").text
    assert provider.errors == []
