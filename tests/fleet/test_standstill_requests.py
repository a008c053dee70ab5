"""A process that stood still for longer than its lease sends no request that was granted before.

Time jumps in the middle of a request's way to the provider, which is a real server: the process was
stopped there.
"""

from __future__ import annotations

import asyncio

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from agentrm_openai import manage_client
from agentrm_plugins import CallReaped
from agentrm_plugins.integration import Endpoint, key_fingerprint
from agentrm_plugins.testing.provider import SimulatedProvider
from tests.fleet.standing import Asked, Process
from tests.hosts.worlds import wait_until

MESSAGES = [{"role": "user", "content": "word"}]
ASK = {"model": "m", "messages": MESSAGES, "max_tokens": 8}


@pytest.fixture
def process():
    made = Process()
    yield made
    made.close()


@pytest.fixture
def provider(process):
    with SimulatedProvider(seed=1, output_tokens=4) as running:
        name = Endpoint(f"127.0.0.1:{running.port}", "m", key_fingerprint("k")).name
        process.endpoints.add(name)
        process.supply(2)
        yield running


def chat(process, client):
    return client.chat.completions.create(**ASK).choices[0].message.content


def stream(process, client):
    return "".join(
        piece.choices[0].delta.content or ""
        for piece in client.chat.completions.create(stream=True, **ASK)
        if piece.choices
    )


async def chat_async(client):
    return (await client.chat.completions.create(**ASK)).choices[0].message.content


async def stream_async(client):
    answer = await client.chat.completions.create(stream=True, **ASK)
    return "".join(
        [piece.choices[0].delta.content or "" async for piece in answer if piece.choices]
    )


class Stopped:
    """Stops the process once, where somebody waits for `place`."""

    def __init__(self, process, place):
        self.process, self.place, self.done = process, place, False

    def __call__(self, place):
        if place == self.place and not self.done:
            self.done = True
            self.process.stand_still()


class Connections:
    """A network backend that says when a connection is made and when a head was written."""

    def __init__(self, inner, stopped):
        self.inner, self.stopped = inner, stopped

    def connect_tcp(self, *args, **options):
        made = Writes(self.inner.connect_tcp(*args, **options), self.stopped)
        self.stopped("connected")
        return made

    def sleep(self, seconds):
        self.inner.sleep(seconds)


class Writes:
    def __init__(self, inner, stopped):
        self.inner, self.stopped = inner, stopped

    def write(self, buffer, timeout=None):
        self.inner.write(buffer, timeout)
        self.stopped("head written")

    def __getattr__(self, name):
        return getattr(self.inner, name)


class AsyncConnections(Connections):
    async def connect_tcp(self, *args, **options):
        made = AsyncWrites(await self.inner.connect_tcp(*args, **options), self.stopped)
        self.stopped("connected")
        return made


class AsyncWrites(Writes):
    async def write(self, buffer, timeout=None):
        await self.inner.write(buffer, timeout)
        self.stopped("head written")


PLACES = ("asked for", "connected", "head written")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ask", [chat, stream])
def test_a_request_on_its_way_is_not_sent(process, provider, ask, place):
    """Sync: stopped before its request, while it connects, and between its head and its body."""
    stopped = Stopped(process, place)
    transport = httpx2.HTTPTransport()
    transport._pool._network_backend = Connections(transport._pool._network_backend, stopped)
    hooks = {"request": [lambda _: stopped("asked for")]}
    http = httpx2.Client(transport=transport, event_hooks=hooks)
    bare = OpenAI(base_url=provider.base_url, api_key="k", http_client=http)
    with manage_client(bare, process.rm, retry=None) as client:
        asked = Asked(lambda: ask(process, client))
        wait_until(lambda: process.waiting == 1)
        assert stopped.done
        assert not provider.log
        process.supply(1)
        assert asked.end()
    assert asked.error is None
    assert len(provider.log) == 1


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("ask", [chat_async, stream_async])
def test_a_request_on_its_way_is_not_sent_in_async_code(process, provider, ask, place):
    """The same in a task."""
    stopped = Stopped(process, place)
    transport = httpx2.AsyncHTTPTransport()
    transport._pool._network_backend = AsyncConnections(transport._pool._network_backend, stopped)

    async def hook(_):
        stopped("asked for")

    async def main():
        http = httpx2.AsyncClient(transport=transport, event_hooks={"request": [hook]})
        bare = AsyncOpenAI(base_url=provider.base_url, api_key="k", http_client=http)
        async with manage_client(bare, process.rm, retry=None) as client:
            return await ask(client)

    asked = Asked(lambda: asyncio.run(main()))
    wait_until(lambda: process.waiting == 1)
    assert stopped.done
    assert not provider.log
    process.supply(1)
    assert asked.end()
    assert asked.error is None
    assert len(provider.log) == 1


def test_a_request_whose_lane_was_given_away_meanwhile_is_not_sent(process, provider):
    """The exchange was first: the call is given up, nothing was sent, so it is no failure."""

    def stopped(_):
        if not done:
            done.append(1)
            process.stand_still()
            process.supply(0, lost={"l": 1, "g:model": 1})

    done = []
    http = httpx2.Client(event_hooks={"request": [stopped]})
    bare = OpenAI(base_url=provider.base_url, api_key="k", http_client=http)
    with manage_client(bare, process.rm, retry=None) as client:
        asked = Asked(lambda: chat(process, client))
        wait_until(lambda: done and process.waiting == 1)
        assert not provider.log
        process.supply(1)
        assert asked.end()
    assert asked.error is None
    assert len(provider.log) == 1


def test_a_task_whose_lane_was_given_away_meanwhile_sends_nothing(process, provider):
    """The same in async code, where the task is cancelled on its way."""
    done = []

    async def stopped(_):
        if not done:
            done.append(1)
            process.stand_still()
            process.supply(0, lost={"l": 1, "g:model": 1})
            await asyncio.sleep(0)

    async def main():
        http = httpx2.AsyncClient(event_hooks={"request": [stopped]})
        bare = AsyncOpenAI(base_url=provider.base_url, api_key="k", http_client=http)
        async with manage_client(bare, process.rm, retry=None) as client:
            return await chat_async(client)

    asked = Asked(lambda: asyncio.run(main()))
    wait_until(lambda: done and process.waiting == 1)
    assert not provider.log
    process.supply(1)
    assert asked.end()
    assert asked.error is None
    assert len(provider.log) == 1


def test_an_sdk_that_goes_on_to_retry_sends_nothing_either(process, provider):
    """Its own retry meets the same look; what the SDK makes of the error does not matter."""
    stopped = Stopped(process, "asked for")
    hooks = {"request": [lambda _: stopped("asked for")]}
    bare = OpenAI(
        base_url=provider.base_url,
        api_key="k",
        max_retries=1,
        http_client=httpx2.Client(event_hooks=hooks),
    )
    with pytest.warns(UserWarning, match="goes on to retry"):
        client = manage_client(bare, process.rm, retry=None, keep_sdk_retries=True)
    with client:
        asked = Asked(lambda: chat(process, client))
        wait_until(lambda: process.waiting == 1)
        assert not provider.log
        process.supply(1)
        assert asked.end()
    assert len(provider.log) == 1


def test_a_client_in_a_slot_for_the_same_endpoint_is_left_alone(process, provider):
    """What a user's block does cannot be done again by us: it gets its answer."""
    stopped = Stopped(process, "asked for")
    hooks = {"request": [lambda _: stopped("asked for")]}
    http = httpx2.Client(event_hooks=hooks)
    bare = OpenAI(base_url=provider.base_url, api_key="k", http_client=http)
    with manage_client(bare, process.rm) as client:
        with process.rm.slot(agent="a", endpoint="x/m"):
            assert chat(process, client)
    assert stopped.done
    assert len(provider.log) == 1


def test_what_is_on_the_wire_goes_on(process, provider):
    """It cannot be taken back: where its lane is kept, its answer is the call's."""
    with manage_client(OpenAI(base_url=provider.base_url, api_key="k"), process.rm) as client:
        answer = client.chat.completions.create(stream=True, **ASK)
        process.stand_still()
        process.supply(1)
        assert "".join(p.choices[0].delta.content or "" for p in answer if p.choices)
    assert not process.requeued


def test_what_is_on_the_wire_and_was_given_up_is_told_so(process, provider):
    """Others have its lane: the caller hears of it."""
    with manage_client(OpenAI(base_url=provider.base_url, api_key="k"), process.rm) as client:
        answer = client.chat.completions.create(stream=True, **ASK)
        process.stand_still()
        process.supply(0, lost={"l": 1, "g:model": 1})
        with pytest.raises(CallReaped, match="fleet"):
            list(answer)
