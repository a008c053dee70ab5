"""What is charged is what the server bills, to the token: real HTTP, hung and hedged calls."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest
import tenacity

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, BudgetConfig, CallReaped, RetryPolicy
from agentrm_plugins.testing.provider import Hang, ProviderConfig, Reply, SimulatedProvider

CALLS, WARM = 60, 40
NUMBER = re.compile(r"call (\d+)")


class Bill:
    """A provider that hangs some attempts and is slow with some, and counts what it bills.

    It bills the input of every request that it took, and the output of what it has answered.
    """

    def __init__(self, *, warm=WARM):
        self._warm = warm
        self._lock = threading.Lock()
        self.sent: Counter[int] = Counter()
        self.input = 0
        self.provider = SimulatedProvider(
            ProviderConfig(seed=5, time_to_first_token_s=0.02, responder=self._respond)
        )

    def _respond(self, request):
        number = int(NUMBER.search(request.user_text).group(1))
        with self._lock:
            attempt = self.sent[number]
            self.sent[number] += 1
            self.input += request.input_tokens
        late = number >= self._warm
        if late and number % 4 == 0 and attempt == 0:
            return Hang()
        slow = 100.0 if late and number % 4 == 1 else 1.0  # two seconds
        return Reply(f"answer {number}", output_tokens=7 + number % 3, slow=slow)

    def total(self):
        """Tokens, once the server has seen who has left."""
        end_s = time.monotonic() + 10.0
        while self.provider.statistics().in_flight and time.monotonic() < end_s:
            threading.Event().wait(0.02)
        answered = sum(one.output_tokens for one in self.provider.log if one.status == 200)
        return self.input + answered


def prompt(number):
    words = "say something of the weather and of the way here. " * (number % 7)
    return [{"role": "user", "content": f"call {number}: {words}"}]


def ask(ai, number, *, stream):
    answer = ai.chat.completions.create(
        model="simulated", messages=prompt(number), max_tokens=20, stream=stream, **usage(stream)
    )
    if not stream:
        return answer.choices[0].message.content
    return "".join(p.choices[0].delta.content or "" for p in answer if p.choices)


async def ask_async(ai, number, *, stream):
    answer = await ai.chat.completions.create(
        model="simulated", messages=prompt(number), max_tokens=20, stream=stream, **usage(stream)
    )
    if not stream:
        return answer.choices[0].message.content
    return "".join([p.choices[0].delta.content or "" async for p in answer if p.choices])


def usage(stream):
    return {"stream_options": {"include_usage": True}} if stream else {}


def run_sync(rm, url, *, stream):
    with openai.OpenAI(base_url=url, api_key="k") as client, ThreadPoolExecutor(8) as pool:
        ai = manage_client(client, rm)
        return list(pool.map(lambda number: ask(ai, number, stream=stream), range(CALLS)))


async def run_async(rm, url, *, stream):
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        ai = manage_client(client, rm)
        numbers, answers = iter(range(CALLS)), {}

        async def agent():
            for number in numbers:
                answers[number] = await ask_async(ai, number, stream=stream)

        await asyncio.gather(*(agent() for _ in range(8)))
        return [answers[number] for number in range(CALLS)]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("world", ["sync", "async"])
def test_what_is_charged_is_what_was_billed(world, stream):
    """Attempts that hung and were cancelled, and slow ones that were outrun, are among them."""
    bill = Bill()
    with bill.provider as provider, AgentRM(lanes=8) as rm:
        if world == "sync":
            answers = run_sync(rm, provider.base_url, stream=stream)
        else:
            answers = asyncio.run(run_async(rm, provider.base_url, stream=stream))
        assert all(text for text in answers)
        billed, counts = bill.total(), rm.statistics()
    assert sum(bill.sent.values()) > CALLS
    (endpoint,) = counts.endpoints.values()
    assert endpoint.sent >= sum(bill.sent.values())
    if endpoint.sent > sum(bill.sent.values()):
        pytest.skip("an attempt was cut off before the server had read it: a very slow machine")
    assert counts.input_tokens + counts.output_tokens == billed
    assert counts.agents["main"].input_tokens == bill.input


def test_attempts_that_a_timeout_cut_off_are_charged_what_was_billed():
    """Nothing is learnt here: the client's own timeout ends them, and the call goes again."""
    bill = Bill(warm=0)
    with bill.provider as provider, AgentRM(lanes=8, adaptive=False) as rm:
        options = {"base_url": provider.base_url, "api_key": "k", "timeout": 4.0}
        with openai.OpenAI(**options) as client, ThreadPoolExecutor(8) as pool:
            ai = manage_client(client, rm)
            answers = list(pool.map(lambda number: ask(ai, number, stream=False), range(12)))
        assert all(answers)
        billed, counts = bill.total(), rm.statistics()
    (endpoint,) = counts.endpoints.values()
    if endpoint.sent > sum(bill.sent.values()):
        pytest.skip("an attempt was cut off before the server had read it: a very slow machine")
    assert sum(bill.sent.values()) >= 15
    assert counts.input_tokens + counts.output_tokens == billed


@pytest.mark.parametrize("asynchronous", [False, True])
def test_attempts_without_a_connection_cost_nothing(asynchronous):
    """Nobody was asked: no tokens are charged, and a hard budget is as it was."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        options = {"base_url": f"http://127.0.0.1:{held.getsockname()[1]}/v1", "api_key": "k"}
        budget = BudgetConfig(2_000, agent="*")
        policy = RetryPolicy(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_none())
        with AgentRM(lanes=2, budgets=(budget,)) as rm:
            for _ in range(3):
                with pytest.raises(openai.APIConnectionError):
                    _ask_nobody(options, rm, policy, asynchronous=asynchronous)
            counts = rm.statistics()
    (endpoint,) = counts.endpoints.values()
    assert endpoint.sent == 9
    assert counts.input_tokens == counts.output_tokens == 0


def _ask_nobody(options, rm, policy, *, asynchronous):
    said = [{"role": "user", "content": "hello " * 1_000}]
    terms = {"model": "gpt-4o", "messages": said, "max_tokens": 5}

    async def ask_in_a_task():
        async with openai.AsyncOpenAI(**options) as client:
            await manage_client(client, rm, retry=policy).chat.completions.create(**terms)

    if asynchronous:
        asyncio.run(ask_in_a_task())
    else:
        with openai.OpenAI(**options) as client:
            manage_client(client, rm, retry=policy).chat.completions.create(**terms)


FULL = httpx2.Limits(max_connections=1)
SOON = httpx2.Timeout(600.0, pool=0.2)


def _told(provider):
    """Once the server has read the one request that left: what it was."""
    provider.wait_for(lambda seen: seen.requests >= 1, timeout_s=30.0)
    assert provider.statistics().requests == 1


@pytest.mark.parametrize("end", ["cancelled", "failed"])
async def test_a_request_that_never_left_costs_nothing(end):
    """The only connection is taken by a call that hangs: the next one is cut off unsent."""
    bill = Bill(warm=0)
    with bill.provider as provider, AgentRM(lanes=8, adaptive=False) as rm:
        http = httpx2.AsyncClient(limits=FULL, timeout=SOON if end == "failed" else None)
        options = {"base_url": provider.base_url, "api_key": "k", "http_client": http}
        async with openai.AsyncOpenAI(**options) as client:
            ai = manage_client(client, rm, retry=None)
            hung = asyncio.create_task(ask_async(ai, 0, stream=False))
            await asyncio.to_thread(_told, provider)
            own = manage_client(client, rm, retry=None, agent="unsent")
            unsent = asyncio.create_task(ask_async(own, 3, stream=False))
            if end == "cancelled":
                while rm.statistics().running < 2:
                    await asyncio.sleep(0)
                unsent.cancel()
            error = (await asyncio.gather(unsent, return_exceptions=True))[0]
            assert isinstance(error, asyncio.CancelledError | openai.APITimeoutError)
            hung.cancel()
            await asyncio.gather(hung, return_exceptions=True)
        counts = rm.statistics()
    assert sum(bill.sent.values()) == 1
    (endpoint,) = counts.endpoints.values()
    assert endpoint.sent == 2
    assert counts.agents["unsent"].input_tokens == 0
    assert counts.agents["main"].input_tokens == counts.input_tokens > 0


def test_a_request_that_never_left_costs_nothing_in_a_thread():
    """The same without a loop, and it goes again: each attempt waits for a connection in vain."""
    bill = Bill(warm=0)
    with bill.provider as provider, AgentRM(lanes=8, adaptive=False) as rm:
        http = httpx2.Client(limits=FULL, timeout=SOON)
        options = {"base_url": provider.base_url, "api_key": "k", "http_client": http}
        with openai.OpenAI(**options) as client, ThreadPoolExecutor(1) as pool:
            policy = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
            ai = manage_client(client, rm, retry=policy, agent="unsent")
            own = manage_client(client, rm, retry=None, first_token_timeout_s=3.0)
            hung = pool.submit(ask, own, 0, stream=False)
            _told(provider)
            with pytest.raises(openai.APITimeoutError):
                ask(ai, 3, stream=False)
            assert isinstance(hung.exception(), openai.APIError | CallReaped)
        counts = rm.statistics()
    assert sum(bill.sent.values()) == 1
    (endpoint,) = counts.endpoints.values()
    assert endpoint.sent == 3
    assert counts.agents["unsent"].input_tokens == 0
    assert counts.agents["main"].input_tokens == counts.input_tokens > 0
