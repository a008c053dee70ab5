"""The system gives no further thread: a healthy call goes on without what it was for."""

from __future__ import annotations

import asyncio
import threading
from contextvars import Context
from functools import partial

import pytest

from agentrm_plugins.hosts import workers
from agentrm_plugins.hosts.left_streams import LeftStreams
from tests.hosts.test_late_calls import Script, World
from tests.hosts.test_left_streams import asked_elsewhere, begin


@pytest.fixture
def no_threads(monkeypatch):
    """Call it: from then on no worker can be started, and those that were idle are busy."""
    over = threading.Event()

    def begin_now():
        start = threading.Thread.start

        def refused(thread):
            if thread.name.startswith("agentrm-worker"):
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refused)
        for _ in range(len(workers._idle)):
            workers._idle.pop().give(workers.Job(Context(), partial(over.wait, 20)))

    yield begin_now
    over.set()


@pytest.mark.parametrize("shape", ["worker", "thread", "here"])
async def test_a_late_call_goes_on_alone(shape, no_threads):
    """There is no second attempt, the core's clock goes on, and the answer is the first's."""
    world, script = World(shape), Script("hang", "never sent")
    call = asyncio.create_task(world.call(script))
    await world.until(script, 1)
    no_threads()
    for _ in range(40):
        world.clock.advance(1.0)
        await asyncio.sleep(0.002)
    script.never.set()
    assert await call == "late"
    counts = world.end(script)
    assert (script.begun, counts.input_tokens) == ([0], 41 * 100)


def test_a_look_for_streams_that_were_left_is_made_later(no_threads):
    """The collector needs a thread: the look that finds none does not end its own."""
    host, clock, _held = begin()
    left = LeftStreams()
    _waiting = asked_elsewhere(host)
    clock.advance(1.5)
    no_threads()
    left.look(host)
    assert clock.now() < left._next_s < clock.now() + 60.0
