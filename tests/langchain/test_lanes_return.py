"""Whatever ends a call, its lane comes back: LangChain does not tell of each end."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ensure_config

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import Call, CallReaped, LeaseConfig
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import core_of
from tests.langchain.fakes import FakeChat, SyncOnly

pytestmark = [
    pytest.mark.lowest,
    pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"),
]


async def started(bare, rm):
    """Wait until a hanging call is inside the model and holds its lane."""
    for _ in range(1000):
        if bare.calls and rm.statistics().lanes_in_use:
            return
        await asyncio.sleep(0)
    raise AssertionError("the call did not start")


async def test_a_cancelled_ainvoke(managed, rm, empty):
    """Cancelling `ainvoke` fires no event: the lane is back all the same."""
    this = managed(rm, hang=True)
    task = asyncio.create_task(this.model.ainvoke("go", this.config))
    await started(this.bare, rm)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await empty(rm)


async def test_wait_for(managed, rm, empty):
    """`wait_for` around `ainvoke` gives the lane back at its timeout."""
    this = managed(rm, hang=True)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(this.model.ainvoke("go", this.config), 0.01)
    await empty(rm)


async def test_a_timeout_inside_a_task_that_lives_on(managed, rm, empty):
    """`asyncio.timeout` in the caller's own task: no event, and no task ends; yet it is back."""
    this = managed(rm, hang=True)
    try:
        async with asyncio.timeout(0.01):
            await this.model.ainvoke("go", this.config)
    except TimeoutError:
        pass
    await empty(rm)


async def test_cancelled_inside_a_chain(managed, rm, empty):
    """Only the chain is told of the cancellation; the model's lane is back with it."""
    this = managed(rm, hang=True)
    chain = RunnableLambda(lambda x: x) | this.model
    task = asyncio.create_task(chain.ainvoke("go", this.config))
    await started(this.bare, rm)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await empty(rm)


async def test_a_failing_sibling(managed, rm, empty):
    """A parallel branch that fails cancels the other, which fires nothing."""
    this = managed(rm, hang=True)

    async def fail(_):
        await started(this.bare, rm)
        raise ValueError("the sibling failed")

    async def ask(x):
        return await this.model.ainvoke(x)

    async def both(x):
        async with asyncio.TaskGroup() as group:
            group.create_task(RunnableLambda(ask).ainvoke(x))
            group.create_task(RunnableLambda(fail).ainvoke(x))

    with pytest.raises(ExceptionGroup):
        await RunnableLambda(both).ainvoke("go", this.config)
    await empty(rm)


@pytest.mark.parametrize("way", ["astream", "events v2"])
async def test_a_cancelled_stream(way, managed, rm, empty):
    """Cancelling the consumer of a stream ends it."""
    this = managed(rm, hang_after=1)

    async def consume():
        if way == "astream":
            async for _ in this.model.astream("go", this.config):
                pass
        else:
            async for _ in this.model.astream_events("go", this.config, version="v2"):
                pass

    task = asyncio.create_task(consume())
    await started(this.bare, rm)
    for _ in range(50):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await empty(rm)


def test_break_out_of_a_stream(managed, rm):
    """A stream abandoned half way gives its lane back, and is charged by its chunks."""
    this = managed(rm)
    for _ in this.model.stream("go", this.config):
        break
    gc.collect()
    statistics = rm.statistics()
    assert statistics.lanes_in_use == 0
    assert statistics.output_tokens == 1


async def test_break_out_of_an_astream(managed, rm, empty):
    """In async code it may take a turn of the loop."""
    this = managed(rm)
    stream = this.model.astream("go", this.config)
    async for _ in stream:
        break
    await stream.aclose()
    await empty(rm)


async def test_an_astream_that_nobody_closes(managed, rm, empty):
    """The loop finalises an abandoned generator."""
    this = managed(rm)
    async for _ in this.model.astream("go", this.config):
        break
    await empty(rm)


def test_a_kept_generator_is_not_silent(managed, core):
    """A stream whose consumer does not ask for the next chunk goes on when he does.

    A callback does not see who asks: the lane is free after the silence, but the stream goes on.
    """
    clock = VirtualClock()
    rm = core(clock=clock)
    this = managed(rm)
    stream = this.model.stream("go", this.config)
    next(stream)
    clock.advance(59)
    assert rm.statistics().running == 1
    clock.advance(2000)
    wrapped = hasattr(this.model, "inner")
    assert (rm.statistics().reaped, rm.statistics().lanes_in_use) == ((0, 1) if wrapped else (1, 0))
    assert [chunk.text for chunk in stream]
    statistics = rm.statistics()
    assert (statistics.lanes_in_use, statistics.zombies, statistics.settled) == (0, 0, 1)


def test_an_abandoned_v3_stream(managed, rm):
    """A sync protocol stream that is dropped fires no end."""
    this = managed(rm)
    stream = this.model.stream_events("go", this.config, version="v3")
    next(iter(stream))
    assert rm.statistics().lanes_in_use == 1
    del stream
    gc.collect()
    assert rm.statistics().lanes_in_use == 0


async def test_a_v3_stream_left_by_its_consumer(managed, rm, empty):
    """Without `async with` the producer runs on to its end, and so long holds its lane."""
    this = managed(rm)
    stream = await this.model.astream_events("go", this.config, version="v3")
    async for _ in stream:
        break
    await empty(rm)
    assert rm.statistics().output_tokens == 3


async def test_a_v3_stream_closed(managed, rm, empty):
    """In `async with` it is cancelled."""
    this = managed(rm, hang_after=1)
    async with await this.model.astream_events("go", this.config, version="v3") as stream:
        async for _ in stream:
            break
    await empty(rm)


async def test_a_cancelled_ainvoke_of_a_sync_only_model(rm, empty):
    """The lane is back at once; the model's thread runs on to its end."""
    inner = FakeChat(hang=True)
    for model in (wrap_chat_model(SyncOnly(inner=inner), rm), SyncOnly(inner=inner)):
        callbacks = [] if hasattr(model, "rm") else [AgentRMCallbackHandler(rm)]
        inner.calls.clear()
        task = asyncio.create_task(model.ainvoke("go", {"callbacks": callbacks}))
        await asyncio.to_thread(inner.entered.acquire)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await empty(rm)
    inner.release.set()


async def test_cancelled_in_the_rate_limiter(managed, rm, empty):
    """LangChain asks the limiter outside its `try`: a cancellation there fires nothing."""
    from langchain_core.rate_limiters import InMemoryRateLimiter

    limiter = InMemoryRateLimiter(requests_per_second=1e-6, check_every_n_seconds=0.001)
    this = managed(rm, rate_limiter=limiter)

    async def consume():
        async for _ in this.model.astream("go", this.config):
            pass

    task = asyncio.create_task(consume())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    del task
    await empty(rm)


def test_the_second_prompt_of_a_failed_generate(managed, rm):
    """Sync `generate` starts all runs; when the first fails the others get no end."""
    this = managed(rm, fail=True)
    ask = [HumanMessage("go")]
    with pytest.raises(ValueError, match="the model failed"):
        this.model.generate([ask, ask, ask], callbacks=this.callbacks)
    gc.collect()
    assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_an_error_of_the_provider(way, managed, rm):
    """The provider's error comes through unchanged, and its lane is back."""
    this = managed(rm, fail=True)
    with pytest.raises(ValueError, match="the model failed"):
        list(getattr(this.model, way)("go", this.config))
    assert rm.statistics().lanes_in_use == 0


async def test_a_child_that_outlives_its_parent_keeps_its_lane(core, empty):
    """A chain may leave a call running in a task of its own: while it runs it holds a lane."""
    rm = core()
    bare = FakeChat(hang=True)
    handler = AgentRMCallbackHandler(rm)
    tasks = []

    async def leave(x):
        tasks.append(asyncio.create_task(bare.ainvoke(x, ensure_config())))
        await started(bare, rm)

    await RunnableLambda(leave).ainvoke("go", {"callbacks": [handler]})
    assert rm.statistics().lanes_in_use == 1
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await empty(rm)


def test_a_thread_that_waits_can_be_interrupted_by_closing(managed, core):
    """Closing the core refuses whoever waits, in the caller's own words."""
    rm = core()
    this = managed(rm)
    lease = core_of(rm).admit(Call("other"))
    errors = []

    def ask():
        try:
            this.model.invoke("go", this.config)
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not rm.statistics().waiting:
        pass
    rm.close()
    thread.join()
    lease.settle()
    assert [type(error).__name__ for error in errors] == ["ClosedError"]
    assert this.bare.calls == []


async def test_reaped_while_the_caller_awaits(core):
    """Async: a hung call's caller gets `CallReaped`, not a cancellation, at that moment."""
    clock = VirtualClock()
    rm = core(clock=clock, leases=LeaseConfig(response_timeout_s=5))
    model = wrap_chat_model(FakeChat(hang=True), rm, retry=None)
    task = asyncio.create_task(model.ainvoke("go"))
    await started(model.inner, rm)
    clock.advance(6)
    with pytest.raises(CallReaped) as reaped:
        await task
    assert (reaped.value.cause, reaped.value.held_s) == ("response", 5)
    assert rm.statistics().zombies == 0


@pytest.mark.parametrize("after", [0, 1])
async def test_reaped_in_an_astream(after, core):
    """Async: before the first chunk by its timeout, between two by the other."""
    clock = VirtualClock()
    rm = core(clock=clock, leases=LeaseConfig(first_token_timeout_s=5, silence_timeout_s=3))
    model = wrap_chat_model(FakeChat(hang_after=after), rm, retry=None)

    async def consume():
        return [chunk async for chunk in model.astream("go")]

    task = asyncio.create_task(consume())
    await started(model.inner, rm)
    for _ in range(100):
        await asyncio.sleep(0)
    clock.advance(6)
    with pytest.raises(CallReaped) as reaped:
        await task
    assert reaped.value.cause == ("first_token" if after == 0 else "silence")
    assert rm.statistics().output_tokens == after
    assert rm.statistics().zombies == 0


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_reaped_in_sync_code(way, core):
    """Sync: the caller gets `CallReaped` at once; the late result is charged and frees nothing."""
    clock = VirtualClock()
    rm = core(clock=clock)
    bare = FakeChat(hang=way == "invoke", hang_after=1)
    model = wrap_chat_model(bare, rm, retry=None)
    errors = []

    def ask():
        try:
            list(getattr(model, way)("go"))
        except CallReaped as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(1 if way == "invoke" else 2):
        assert bare.entered.acquire(timeout=10)
    clock.advance(1000)
    thread.join(10)
    assert [error.cause for error in errors] == ["response" if way == "invoke" else "silence"]
    assert rm.statistics().lanes_in_use == 0
    assert rm.statistics().zombies == 1
    with rm.slot(agent="next"):
        bare.release.set()
        while rm.statistics().zombies:
            pass
        statistics = rm.statistics()
    assert statistics.lanes_in_use == 1  # the next call's own
    assert statistics.output_tokens == (3 if way == "invoke" else 2)


async def test_reaped_sync_only_model_in_async_code(core):
    """Its worker is left behind; what it brings is charged when it comes."""
    clock = VirtualClock()
    rm = core(clock=clock)
    inner = FakeChat(hang=True)
    model = wrap_chat_model(SyncOnly(inner=inner), rm, retry=None)
    task = asyncio.create_task(model.ainvoke("go"))
    await asyncio.to_thread(inner.entered.acquire)
    clock.advance(1000)
    with pytest.raises(CallReaped):
        await task
    inner.release.set()
    while rm.statistics().zombies:
        await asyncio.sleep(0.001)
    assert rm.statistics().output_tokens == 3


def test_a_callback_tells_of_a_reaped_call_at_its_next_event(core):
    """It cannot interrupt: the lane is free at once, and the caller learns of it at the end."""
    clock = VirtualClock()
    rm = core(clock=clock)
    bare = FakeChat(hang=True)
    errors = []

    def ask():
        try:
            bare.invoke("go", {"callbacks": [AgentRMCallbackHandler(rm)]})
        except CallReaped as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert bare.entered.acquire(timeout=10)
    clock.advance(1000)
    assert rm.statistics().lanes_in_use == 0
    bare.release.set()
    thread.join(10)
    assert [error.cause for error in errors] == ["response"]
    assert rm.statistics().output_tokens == 3


async def test_parallel_branches_share_one_lane(managed, rm):
    """With one lane, parallel branches take turns and none is lost."""
    this = managed(rm)
    chain = RunnableParallel({str(i): this.model for i in range(5)})
    answers = await chain.ainvoke("go", this.config)
    assert len(answers) == 5
    assert rm.statistics().lanes_peak == 1
