"""A process that stood still for longer than its lease sends nothing that was granted before.

The kernel is the real one and its clock virtual; what a fleet would say is said by hand. Time jumps
at the very moment at which a call is let go, or in the middle of its way to the provider: so the
process was stopped there, for longer than a lease.
"""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace

import httpx2
import pytest
from openai import AsyncOpenAI, OpenAI

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, Call, CallReaped, Usage
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import Attempt, Endpoint, core_of, key_fingerprint
from agentrm_plugins.testing.provider import SimulatedProvider
from agentrm_plugins.types.effects import Granted, Requeued
from agentrm_plugins.types.events import Supply
from agentrm_plugins.types.fleet import EndpointSupply
from tests.hosts.test_late_calls import CALL, Script
from tests.hosts.test_late_calls import World as Late
from tests.hosts.worlds import wait_until

LEASE_S = 5.0
MESSAGES = [{"role": "user", "content": "word"}]
ASK = {"model": "m", "messages": MESSAGES, "max_tokens": 8}


class Nobody:
    """Stands for the exchanges: what they would say the test says."""

    def ensure(self):
        pass

    def notice(self, kernel):
        pass

    def after_fork(self):
        pass


class Process:
    """A core of a fleet; it stands still once, when it is told to or at the next grant."""

    def __init__(self, rm=None, clock=None, lease_s=LEASE_S):
        self.lease_s = lease_s
        self.clock = clock or VirtualClock()
        self.rm = rm or AgentRM(lanes=4, clock=self.clock)
        self.core = core_of(self.rm)
        self.host = self.core.host
        self.host.coordinator = Nobody()
        self.at_grant = False
        self.requeued = []
        self.endpoints = {"x/m"}
        self.host.streams.open += (self,)
        self.supply(2)

    def supply(self, lanes, **more):
        held = {"l": lanes, "g:model": lanes, "g:tool": lanes}
        plenty = dict.fromkeys(("requests", "tokens", "input_tokens", "output_tokens"), 1e6)
        given = dict.fromkeys(self.endpoints, EndpointSupply(add=plenty))
        lease_s = self.clock.now() + self.lease_s
        self.host.feed(Supply(set=held, endpoints=given, lease_s=lease_s, **more))

    def push(self, effects):
        """The core tells what has happened, at once."""
        self.requeued += [one for one in effects if isinstance(one, Requeued)]
        if self.at_grant and any(isinstance(one, Granted) for one in effects):
            self.at_grant = False
            self.stand_still()

    def stand_still(self, *_):
        self.clock._now_s += 2 * self.lease_s

    @property
    def waiting(self):
        return self.host.read(lambda kernel: kernel.queue.count)

    def close(self):
        self.rm.close()


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


class Asked:
    """Something that goes on in a thread of its own."""

    def __init__(self, work):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(work,))
        self.thread.start()

    def _run(self, work):
        try:
            self.result = work()
        except Exception as error:
            self.error = error

    def end(self):
        self.thread.join(20)
        assert not self.thread.is_alive(), "it hangs"
        return self.result


def slot(process, began):
    with process.rm.slot(agent="a"):
        began()


def slot_async(process, began):
    async def block():
        async with process.rm.slot(agent="a"):
            began()

    asyncio.run(block())


def nowait_slot(process, began):
    lease = process.core.admit_nowait(Call("a"))
    if lease is not None:
        began()
        lease.settle()


def call(process, began):
    def make(lease):
        return Attempt(process.core.number, lease).here(began)

    process.core.call(Call("a", endpoint="x/m"), make)


def call_on_worker(process, began):
    def make(lease):
        return Attempt(process.core.number, lease).on_worker(began)

    process.core.call(Call("a", endpoint="x/m"), make)


def call_async(process, began):
    async def work():
        began()

    async def make(lease):
        return await Attempt(process.core.number, lease).in_task(work)

    asyncio.run(process.core.call_async(Call("a", endpoint="x/m"), make))


def call_in_thread(process, began):
    async def make(lease):
        return await Attempt(process.core.number, lease).in_thread(began)

    asyncio.run(process.core.call_async(Call("a", endpoint="x/m"), make))


DOORS = (slot, slot_async, call, call_on_worker, call_async, call_in_thread)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "after a wait"])
def test_what_was_let_go_before_the_stop_waits_for_a_lane_again(process, door, waits):
    """It begins only once the fleet has said that it may, and is no failure."""
    began = []
    if waits:
        process.supply(0)
    process.at_grant = True
    asked = Asked(lambda: door(process, lambda: began.append(1)))
    if waits:
        wait_until(lambda: process.waiting == 1)
        process.supply(1)
    wait_until(lambda: process.requeued and process.waiting == 1)
    assert not began
    process.supply(0)
    assert not began
    process.supply(1)
    asked.end()
    assert asked.error is None
    assert began == [1]
    assert [one.cause for one in process.requeued] == ["unsent"]


def test_who_does_not_wait_gets_nothing(process):
    """`admit_nowait` says no rather than to give a lane that is others'."""
    process.at_grant = True
    began = []
    nowait_slot(process, lambda: began.append(1))
    assert not began
    assert process.waiting == 0
    process.supply(1)
    nowait_slot(process, lambda: began.append(1))
    assert began == [1]


@pytest.mark.parametrize("door", DOORS)
def test_a_lane_that_others_have_by_then_is_no_failure_either(process, door):
    """The exchange gave the call up before it was sent: it asks for its place again."""
    began = []
    process.at_grant = True
    host, stand_still = process.host, process.stand_still

    def stopped():
        stand_still()
        lost = {"l": 1, "g:model": 1}  # heard by the exchanges' thread before anybody else runs
        host._inbox.append(Supply(set={}, lost=lost, lease_s=process.clock.now() + LEASE_S))

    process.stand_still = stopped
    asked = Asked(lambda: door(process, lambda: began.append(1)))
    wait_until(lambda: process.waiting == 1)
    assert not began
    process.supply(1)
    asked.end()
    assert asked.error is None
    assert began == [1]


# -- on the way to the provider -------------------------------------------------------------------


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


@pytest.mark.parametrize("shape", ["task", "worker"])
def test_a_second_attempt_is_not_sent_either(shape):
    """It is asked for while the first is on the wire, and let go just before the stop."""
    late = Late(shape)
    process = Process(late.rm, late.clock, lease_s=0.3)  # shorter than what makes a call late
    script = Script("hang", "well")

    async def main():
        task = asyncio.ensure_future(late.call(script))
        await late.until(script, 1, step_s=0.0)
        process.at_grant = True
        for _ in range(400):
            if process.at_grant:
                process.supply(4)
                late.clock.advance(0.1)
            elif process.requeued:
                break
            await asyncio.sleep(0.005)
        assert [one.cause for one in process.requeued] == ["unsent"]
        await asyncio.sleep(0.02)
        assert len(script.begun) == 1
        process.supply(4)
        return await task

    assert asyncio.run(main()) == "well"
    assert len(script.begun) == 2
    script.never.set()
    late.rm.close()


def test_nobody_looks_at_the_time_without_a_fleet():
    """A core of its own has no lease: nothing is asked."""
    clock = VirtualClock()
    rm = AgentRM(lanes=1, clock=clock)
    lease = core_of(rm).admit(CALL)
    clock._now_s += 1e6
    rm._host.clock = SimpleNamespace(now=lambda: pytest.fail("the time was asked"))
    assert not lease.is_void
    assert core_of(rm).look_before() is None
    lease.settle(Usage(1, 1))
    rm._host.clock = clock
    rm.close()
