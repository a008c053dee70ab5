"""Streams in circles that stand unread while calls wait: the collector is run for the latter."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentrm_plugins import Call
from agentrm_plugins.config import Config
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.hosts.host import Host
from agentrm_plugins.hosts.left_streams import LeftStreams

pytestmark = pytest.mark.lowest


class Held:
    """A user's object that holds a stream's lease, and itself."""

    def __init__(self, lease):
        self.lease, self.me = lease, self


@pytest.fixture(autouse=True)
def _no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def begin():
    """A host with one lane, its clock, and a stream that was given a chunk and is held."""
    clock = VirtualClock()
    host = Host(Config(lanes=1), clock)
    lease = host.submit(Call(agent="a", streaming=True))
    lease.beat(1, visible=True)
    lease.is_read(read=True)
    lease.away_s = clock.now()
    return host, clock, Held(lease)


def asked_elsewhere(host):
    """Another thread's call: the reader's own would go on the stream's lane."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(host.submit, Call(agent="b")).result()


def test_a_stream_that_nobody_can_read_any_more_is_collected():
    host, clock, held = begin()
    left, given = LeftStreams(), threading.Event()
    waiting = asked_elsewhere(host)
    waiting.wake = given.set
    del held
    left.look(host)
    assert not given.wait(0.05)  # it may be about to ask for the next chunk
    clock.advance(1.5)
    left.look(host)
    assert given.wait(20)
    assert waiting.granted


def test_one_that_is_held_goes_on_and_the_collector_is_not_run_all_the_time():
    host, clock, held = begin()
    left, runs, ran = LeftStreams(), [], threading.Event()

    def note(phase, _):
        if phase == "stop":
            runs.append(clock.now())
            ran.set()

    _waiting = asked_elsewhere(host)
    clock.advance(1.5)
    gc.callbacks.append(note)
    try:
        left.look(host)
        assert ran.wait(20)
        while left._next_s == float("inf"):
            pass
        left.look(host)
        assert (len(runs), held.lease.reaped, held.lease.ended) == (1, False, False)
    finally:
        gc.callbacks.remove(note)


def test_nobody_waits_so_it_is_not_run():
    host, clock, _held = begin()
    left, runs = LeftStreams(), []
    gc.callbacks.append(lambda *_: runs.append(1))
    try:
        clock.advance(60)
        left.look(host)
        assert left._next_s == -float("inf")
        assert runs == []
    finally:
        gc.callbacks.pop()
