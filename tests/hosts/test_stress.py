"""Eight threads and three loops on four lanes, with a fifth of all calls cut short somewhere."""

from __future__ import annotations

import asyncio
import gc
import random
import threading

import pytest

from agentrm_plugins import AgentRM, Call, CallRefused
from agentrm_plugins.config import Order
from agentrm_plugins.integration import core_of
from tests.hosts.worlds import wait_until

pytestmark = pytest.mark.lowest
LANES, THREADS, LOOPS = 4, 8, 3
CALLS_PER_THREAD, TASKS_PER_LOOP = 250, 700
CUT = 0.2


class Meter:
    """Counts who is inside a slot, on its own, not trusting the core."""

    def __init__(self):
        self.lock = threading.Lock()
        self.inside = self.peak = self.done = self.cut = 0

    def __enter__(self):
        with self.lock:
            self.inside += 1
            self.peak = max(self.peak, self.inside)

    def __exit__(self, *exc):
        with self.lock:
            self.inside -= 1
            self.done += exc[0] is None

    def note_cut(self):
        with self.lock:
            self.cut += 1


class Oops(Exception):
    pass


def in_thread(rm, meter, number):
    rng = random.Random(number)
    for _ in range(CALLS_PER_THREAD):
        agent, how = f"agent-{rng.randrange(20)}", rng.random()
        try:
            if how < CUT / 2:  # gives up soon
                with rm.slot(agent=agent, wait_timeout_s=rng.random() / 1000), meter:
                    pass
            elif how < CUT * 0.75:  # fails inside
                with rm.slot(agent=agent), meter:
                    raise Oops
            elif how < CUT:  # vanishes, lease and all
                core_of(rm).admit(Call(agent))
                meter.note_cut()
            else:
                with rm.slot(agent=agent, streaming=True) as lease, meter:
                    lease.beat(1)
        except (CallRefused, Oops):
            meter.note_cut()


async def one_task(rm, meter, rng):
    async with rm.slot(agent=f"agent-{rng.randrange(20)}") as lease:
        with meter:
            for _ in range(rng.randrange(4)):
                await asyncio.sleep(0)
                lease.beat(1)


async def in_loop(rm, meter, number):
    rng = random.Random(1000 + number)
    tasks = []
    for _ in range(TASKS_PER_LOOP):
        task = asyncio.create_task(one_task(rm, meter, rng))
        tasks.append(task)
        if rng.random() < CUT:
            for _ in range(rng.randrange(6)):
                await asyncio.sleep(0)
            rng.choice(tasks[-40:]).cancel()
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(result, asyncio.CancelledError):
            meter.note_cut()
        elif result is not None:
            raise result


@pytest.mark.parametrize("order", Order)
def test_peak_never_above_the_lanes_and_nothing_left(order):
    """Thousands of calls from eleven places at once: at most four inside, then all is empty."""
    meter, failures = Meter(), []
    with AgentRM(lanes=LANES, order=order, boost_interval=50) as rm:

        def guarded(work, *args):
            try:
                work(*args)
            except BaseException as error:
                failures.append(error)

        threads = [
            threading.Thread(target=guarded, args=(in_thread, rm, meter, number))
            for number in range(THREADS)
        ]
        threads += [
            threading.Thread(
                target=guarded, args=(lambda n: asyncio.run(in_loop(rm, meter, n)), number)
            )
            for number in range(LOOPS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(100)
        assert not any(thread.is_alive() for thread in threads), rm.statistics()
        assert not failures, failures
        gc.collect()
        wait_until(lambda: rm.statistics(agents=False).running == 0, "all lanes to be free")
        end = rm.statistics()
        assert (end.waiting, end.running, end.lanes_in_use, end.zombies) == (0, 0, 0, 0)
        assert end.queue_depth == (0, 0, 0, 0)
        assert meter.peak <= LANES == end.lanes_peak
        assert end.submitted <= THREADS * CALLS_PER_THREAD + LOOPS * TASKS_PER_LOOP
        assert end.submitted == end.settled + sum(end.refused.values())
        assert meter.cut > 0.1 * (meter.done + meter.cut)
        assert meter.done > 2000
        assert not rm._host._leases
        rm._host.read(lambda kernel: kernel.validate())
