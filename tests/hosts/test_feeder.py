"""The worker that feeds a sync stream: what it hands over at once, and who ends the source."""

from __future__ import annotations

import random
import threading
from collections import deque
from contextvars import copy_context

import pytest

from agentrm_plugins.hosts.feeder import Feeder

pytestmark = pytest.mark.lowest
END = object()


class Source:
    """Gives its chunks; it waits for `go` before each that is `gated`, and an error is raised."""

    def __init__(self, chunks, gated=()):
        self.chunks = list(chunks)
        self.gated = gated
        self.go = threading.Semaphore(0)
        self.given = 0
        self.threads = set()
        self.late = []
        self.back = threading.Event()
        self.within = threading.Event()
        self.feeder = Feeder(copy_context(), self.next, END, self.is_late)

    def next(self):
        self.threads.add(threading.get_ident())
        if self.given >= len(self.chunks):
            return END
        chunk = self.chunks[self.given]
        if chunk in self.gated:
            self.within.set()
            self.go.acquire()
        self.given += 1
        if isinstance(chunk, Exception):
            raise chunk
        return chunk

    def is_late(self, chunk, error):
        self.late.append((chunk, error))
        self.back.set()


def test_what_is_there_is_handed_over_at_once_and_no_more_than_the_bound():
    """Chunks lie there before they are asked for; of a consumer who pauses no more than 32."""
    source, ahead = Source(range(1000)), 0
    for number in range(1000):
        assert source.feeder.ask() == number
        if number == 500:
            threading.Event().wait(0.05)
        lie = source.given - number - 1
        assert lie <= 32
        ahead = max(ahead, lie)
    assert ahead > 1
    assert source.feeder.ask() is END
    assert threading.get_ident() not in source.threads


def test_what_has_to_be_waited_for_is_fetched_when_it_is_asked_for():
    """A chunk that took its time says that the next one will: nobody is at the source meanwhile."""
    source = Source(["slow", "next"], gated=("slow",))
    timer = threading.Timer(0.05, source.go.release)
    timer.start()
    assert source.feeder.ask() == "slow"
    threading.Event().wait(0.05)
    assert source.given == 1
    assert source.feeder.ask() == "next"
    timer.join()


def test_an_error_comes_behind_the_chunks_that_came_before_it():
    """And only once."""
    source = Source([1, 2, ValueError("broken")])
    assert (source.feeder.ask(), source.feeder.ask()) == (1, 2)
    with pytest.raises(ValueError, match="broken"):
        source.feeder.ask()
    assert source.feeder.leave()


def test_who_leaves_while_the_worker_waits_in_the_source_leaves_it_to_the_worker():
    """It is told what came; nobody else is at the source."""
    source = Source([1, 2, 3], gated=(3,))
    assert source.feeder.ask() == 1
    assert source.within.wait(5)
    assert source.feeder.unseen() == [2]
    assert not source.feeder.leave()
    assert not source.late
    source.go.release()
    assert source.back.wait(5)
    assert source.late == [(3, None)]


def test_who_leaves_a_worker_that_lingers_ends_the_source_himself():
    """Before its quarter of a second is over, and after it."""
    for wait_s in (0.0, 0.4):
        source = Source(["slow", 2], gated=("slow",))
        timer = threading.Timer(0.02, source.go.release)
        timer.start()
        assert source.feeder.ask() == "slow"
        timer.join()
        threading.Event().wait(0.02 + wait_s)
        assert source.feeder.leave()
        assert not source.late


def test_who_is_sent_away_from_a_wait_leaves_it_to_the_worker():
    """The lane is lost: the consumer is back at once, and the worker when it is."""
    source = Source([1], gated=(1,))
    timer = threading.Timer(0.05, source.feeder.abandon)
    timer.start()
    source.feeder.ask()
    assert source.feeder.abandoned
    assert not source.feeder.leave()
    source.go.release()
    assert source.back.wait(5)
    assert source.late == [(1, None)]
    timer.join()


def test_who_is_woken_for_a_chunk_that_he_has_already_waits_for_the_next_one():
    """The worker lays down a chunk, and finds the question for the next when it looks for one."""
    source = Source([1, 2, 3], gated=(3,))

    class Slow(deque):
        def append(self, chunk):
            super().append(chunk)
            for _ in range(500 * (chunk == 2)):
                if source.feeder._turn:
                    return
                threading.Event().wait(0.01)

    source.feeder._ready = Slow()
    timer = threading.Timer(0.2, source.go.release)
    timer.start()
    assert [source.feeder.ask() for _ in range(4)] == [1, 2, 3, END]
    timer.join()


def test_who_is_sent_away_just_before_he_waits_does_not_wait():
    """The lane is lost between his look at it and his question: nobody would wake him later."""
    source = Source([1, 2, 3], gated=(3,))
    assert source.feeder.ask() == 1
    assert source.within.wait(5)
    source.feeder.abandon()
    assert source.feeder.ask() == 2  # it was there already
    asker = threading.Thread(target=source.feeder.ask, daemon=True)
    asker.start()
    asker.join(5)
    was_sent_away, mine = not asker.is_alive(), source.feeder.leave()
    source.go.release()
    assert was_sent_away
    assert source.feeder.abandoned
    assert not mine
    assert source.back.wait(5)
    assert source.late == [(3, None)]


@pytest.mark.parametrize("seed", range(8))
def test_no_chunk_is_lost_and_the_source_is_ended_once_whatever_the_moment(seed):
    """Chunks and questions that come at any time, and a consumer who leaves at any time."""
    rng = random.Random(seed)
    pause = threading.Event()
    for _ in range(60):
        count, leaves_at = rng.randrange(1, 60), rng.choice([None, rng.randrange(60)])
        naps = {number: rng.random() * 0.003 for number in range(count) if rng.random() < 0.2}
        source = Source(range(count))
        fetch = source.next

        def napping(fetch=fetch, naps=naps, source=source):
            nap_s = naps.get(source.given)
            if nap_s is not None:
                pause.wait(nap_s)
            return fetch()

        source.feeder._fetch = napping
        got, mine = [], None
        while mine is None:
            if len(got) == leaves_at:
                if rng.random() < 0.3:
                    pause.wait(rng.random() * 0.003)
                mine = source.feeder.leave()
                break
            chunk = source.feeder.ask()
            if chunk is END:
                mine = source.feeder.leave()
            else:
                got.append(chunk)
            if rng.random() < 0.1:
                pause.wait(rng.random() * 0.003)
        assert got == list(range(len(got)))
        if leaves_at is None:
            assert len(got) == count
        if mine:
            pause.wait(0.001)
            assert not source.late
        else:
            assert source.back.wait(5)
        assert len(source.late) == (not mine)
