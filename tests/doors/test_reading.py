"""Who reads a stream may ask for other calls meanwhile, also where streams have all the lanes."""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import openai
import pytest
from langchain_core.runnables import RunnableGenerator, RunnableLambda
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, WouldDeadlock
from agentrm_plugins.errors import WaitTimeout
from agentrm_plugins.testing.provider import Reply, SimulatedProvider

WORDS = "one two three four"
ASK = {"model": "simulated", "messages": [{"role": "user", "content": "go"}]}
LANES = 4


@pytest.fixture
def provider():
    with SimulatedProvider(seed=3, time_scale=0.01, responder=lambda _: Reply(WORDS)) as simulated:
        yield simulated


@pytest.fixture(params=[1, LANES])
def rm(request):
    with AgentRM(lanes=request.param) as core:
        yield core
        counts = core.statistics()
        assert (counts.lanes_in_use, counts.running, counts.waiting) == (0, 0, 0)
        assert core.statistics().reaped == 0


def model_of(provider, rm):
    """Who would wait for ever waits for five seconds."""
    bare = ChatOpenAI(base_url=provider.base_url, api_key="k", model="simulated")
    return wrap_chat_model(bare, rm, wait_timeout_s=5.0)


def read(model, ask):
    """Read a stream, and ask `ask` for each of its first words."""
    said, told = "", []
    for chunk in model.stream("go"):
        said += chunk.text
        if chunk.text:
            told.append(ask())
    return said, told


def right(given):
    said, told = given
    return said == WORDS and told == [WORDS] * len(told) != []


def test_threads(provider, rm):
    """As many as there are lanes, each in the middle of a stream of its own."""
    model, lanes = model_of(provider, rm), rm.statistics().lanes
    all_in = Barrier(lanes)

    def work(_):
        first = True

        def ask():
            nonlocal first
            if first:
                first = False
                all_in.wait()
            return model.invoke("and").text

        return read(model, ask)

    with ThreadPoolExecutor(lanes) as pool:
        assert all(map(right, pool.map(work, range(lanes))))


def of_tasks(model):
    """Ways in which the task that reads may ask."""

    async def plain():
        return (await model.ainvoke("and")).text

    async def gathered():
        first, second = await asyncio.gather(model.ainvoke("and"), model.ainvoke("and"))
        return first.text if first.text == second.text else None

    async def in_time():
        return (await asyncio.wait_for(model.ainvoke("and"), 60.0)).text

    async def in_a_group():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(model.ainvoke("and"))
        return task.result().text

    async def batched():
        return (await model.abatch(["and", "and"]))[1].text

    async def on_the_loop():
        return model.invoke("and").text

    async def streamed():
        return "".join([chunk.text async for chunk in model.astream("and")])

    return [plain, gathered, in_time, in_a_group, batched, on_the_loop, streamed]


@pytest.mark.parametrize("way", range(7))
def test_tasks(provider, rm, way):
    """As many as there are lanes: itself, or in tasks that it awaits."""
    model, lanes = model_of(provider, rm), rm.statistics().lanes
    ask = of_tasks(model)[way]

    async def work(all_in):
        said, told = "", []
        async for chunk in model.astream("go"):
            said += chunk.text
            if chunk.text and not told:
                all_in.release()
                while all_in._value < lanes:
                    await asyncio.sleep(0)
                told.append(await ask())
        return said, told

    async def main():
        all_in = asyncio.Semaphore(0)
        return await asyncio.gather(*(work(all_in) for _ in range(lanes)))

    assert all(map(right, asyncio.run(main())))


def test_two_streams_in_turns(provider):
    """One lane serves both, for one of them is at rest."""
    with AgentRM(lanes=1) as rm:
        model = model_of(provider, rm)
        pairs = list(zip(model.stream("a"), model.stream("b"), strict=False))
        assert "".join(one.text for one, _ in pairs) == WORDS
        assert "".join(other.text for _, other in pairs).startswith(WORDS[:-5])


def test_generators_in_a_chain(provider, rm):
    """One that reads the model's stream calls it for each word, and so does who reads the chain."""
    model = model_of(provider, rm)

    def translated(chunks):
        for chunk in chunks:
            if chunk.text:
                yield model.invoke("translate").text

    told = [
        (word, model.invoke("and").text)
        for word in (model | RunnableGenerator(translated)).stream("a")
    ]
    assert told == [(WORDS, WORDS)] * len(told) != []


def test_a_call_inside_a_call_of_a_reader(provider, rm):
    """In a block that he enters beside his stream, and in a stream that is read in a block."""
    model = model_of(provider, rm)

    def ask():
        with rm.slot(agent="tool"):
            return model.invoke("and").text

    assert right(read(model, ask))
    with rm.slot(agent="tool"):
        assert right(read(model, ask))


@pytest.mark.parametrize("same", [False, True])
def test_clients(provider, rm, same):
    """A managed SDK client, in sync code."""
    with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
        ai, told = manage_client(client, rm, wait_timeout_s=5.0), []
        with ai.chat.completions.create(**ASK, stream=True) as stream:
            for _ in stream:
                if same:
                    told += [
                        "".join(
                            p.choices[0].delta.content or ""
                            for p in ai.chat.completions.create(**ASK, stream=True)
                            if p.choices
                        )
                    ]
                else:
                    told.append(ai.chat.completions.create(**ASK).choices[0].message.content)
        assert told == [WORDS] * len(told) != []


def test_async_clients(provider, rm):
    """And in a task."""

    async def main():
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k") as client:
            ai, told = manage_client(client, rm, wait_timeout_s=5.0), []
            async for _ in await ai.chat.completions.create(**ASK, stream=True):
                answer = await ai.chat.completions.create(**ASK)
                told.append(answer.choices[0].message.content)
            return told

    told = asyncio.run(main())
    assert told == [WORDS] * len(told) != []


def test_a_pools_job_that_begins_before_its_task_awaits_it(provider, rm):
    """A thread that is new has the interpreter first, and asks before the loop goes on."""
    model = model_of(provider, rm)

    async def main():
        loop, told = asyncio.get_running_loop(), []
        async for chunk in model.astream("go"):
            if chunk.text:
                with ThreadPoolExecutor(1) as pool:
                    told.append(await loop.run_in_executor(pool, model.invoke, "and"))
        return [answer.text for answer in told]

    told = asyncio.run(main())
    assert told == [WORDS] * len(told) != []


def test_who_waits_for_a_thread_that_waits_for_his_stream_is_told(provider):
    """A thread that another waits for is not seen as it asks, so it is told soon."""
    with AgentRM(lanes=1) as rm, ThreadPoolExecutor(1) as pool:
        bare = ChatOpenAI(base_url=provider.base_url, api_key="k", model="simulated")
        model = wrap_chat_model(bare, rm)

        def ask():
            return pool.submit(contextvars.Context().run, model.invoke, "and").result()

        with pytest.raises(WouldDeadlock, match="wait for ever"):
            read(model, ask)


def test_a_pools_next_job_is_no_reader_of_the_last_ones_stream(provider):
    """Others may go on with that one meanwhile: two would be at work on the lane."""
    with AgentRM(lanes=1) as rm, ThreadPoolExecutor(1) as pool:
        model = model_of(provider, rm)
        stream = model.stream("a")
        pool.submit(next, stream).result()
        slot = rm.slot(agent="other", wait_timeout_s=0.0)
        with pytest.raises(WaitTimeout):
            pool.submit(slot.__enter__).result()
        assert "".join(chunk.text for chunk in stream) == WORDS
        assert RunnableLambda(model.invoke).invoke("a").text == WORDS
