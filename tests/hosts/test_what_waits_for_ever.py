"""What a thread's wait is for ever for: a lane that nobody gives back, and no date that comes."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, as_completed, wait

import pytest

from agentrm_plugins import AgentRM, Call, EndpointConfig
from agentrm_plugins.errors import WouldDeadlock
from agentrm_plugins.hosts import VirtualClock, thread_picture
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.standing_still import check_helpers
from agentrm_plugins.integration import Attempt, core_of

pytestmark = pytest.mark.lowest

API = {"api": EndpointConfig(rpm=30, burst_s=0.5, concurrency=4)}


class Overloaded(Exception):
    status_code = 503


def within_a_call(rm, work, endpoint=None):
    """This thread is in the middle of a call, which has the only lane."""
    core = core_of(rm)
    made = Call("outer", endpoint=endpoint)
    return core.call(made, lambda lease: Attempt(core.number, lease).on_worker(lambda: work(lease)))


def is_for_ever(lease):
    try:
        check_helpers(lease)
    except WouldDeadlock:
        return True
    return False


@pytest.fixture(autouse=True)
def _each_look_is_fresh(monkeypatch):
    """No picture of another test's threads answers here."""
    monkeypatch.setattr(thread_picture, "_SHARE", 0.0)
    monkeypatch.setattr(thread_picture, "_last", (0.0, thread_picture.Picture({})))


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def rm(clock):
    with AgentRM(lanes=1, clock=clock, endpoints=API) as rm:
        yield rm


def test_a_lane_that_its_own_thread_has(rm):
    """Nobody gives it back, whatever time passes."""

    def work(_):
        lease = core_of(rm).host.submit(Call("inner"))
        told = is_for_ever(lease)
        lease.withdraw()
        return told

    assert within_a_call(rm, work)


@pytest.mark.parametrize("nested", [True, False])
def test_a_rate_is_waited_for(rm, clock, nested):
    """A call within a call goes when its turn has come; another one lacks the lane then."""
    core = core_of(rm)

    def work(outer):
        core.host.submit(Call("first", endpoint="api"), outer.ticket).settle()
        parent = outer.ticket if nested else None
        lease = core.host.submit(Call("inner", endpoint="api"), parent)
        assert not lease.granted
        assert not is_for_ever(lease)
        clock.advance(2.5)
        assert lease.granted is nested
        told = is_for_ever(lease)
        lease.withdraw()
        return told

    assert within_a_call(rm, work) is not nested


def test_a_back_off_is_waited_for(rm, clock):
    """A call within a call that sleeps goes on by itself."""
    core = core_of(rm)

    def work(outer):
        lease = core.host.submit(Call("inner"), outer.ticket)
        assert lease.granted
        lease.requeue(judge(Overloaded(), lease.tables), 2.0)
        assert not is_for_ever(lease)
        clock.advance(2.5)
        assert lease.granted
        lease.settle()

    within_a_call(rm, work)


def test_a_closed_endpoint_is_waited_for(rm, clock):
    """It says itself when it opens."""
    core = core_of(rm)

    def work(outer):
        error = Overloaded()
        error.headers = {"retry-after": "5"}
        core.host.submit(Call("first", endpoint="api"), outer.ticket).fail(error)
        clock.advance(3.0)
        lease = core.host.submit(Call("inner", endpoint="api"), outer.ticket)
        assert not lease.granted
        assert not is_for_ever(lease)
        lease.withdraw()

    within_a_call(rm, work)


def test_calls_in_flight_have_lanes_themselves(clock):
    """A limit of theirs is given back by those who have the lanes, or by nobody."""
    with AgentRM(lanes=1, clock=clock, endpoints={"api": EndpointConfig(concurrency=1)}) as rm:

        def work(_):
            lease = core_of(rm).host.submit(Call("inner", endpoint="api"))
            told = is_for_ever(lease)
            lease.withdraw()
            return told

        assert within_a_call(rm, work, "api")


def test_a_seat_of_the_parent_is_waited_for(rm):
    """A sibling has it, on a thread that goes on."""
    core = core_of(rm)

    def work(outer):
        rides = core.host.submit(Call("first"), outer.ticket)
        waits = core.host.submit(Call("second"), outer.ticket)
        assert (rides.granted, waits.granted) == (True, False)
        assert not is_for_ever(waits)
        rides.settle()
        assert waits.granted
        waits.settle()

    within_a_call(rm, work)


def for_ever(waited, _):
    waited.result()


def not_for_long(waited, _):
    waited.result(timeout=20)


def all_of(waited, works):
    wait([waited, works])


def any_of(waited, works):
    wait([waited, works], return_when=FIRST_COMPLETED)


def one_by_one(waited, works):
    next(as_completed([waited, works]))


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        (for_ever, True),
        (all_of, True),
        (not_for_long, False),
        (any_of, False),
        (one_by_one, False),
    ],
)
def test_how_the_other_waits_counts(rm, way, expected):
    """A timeout, or the first of several that is over, lets it go on and give back its lane."""
    me, gate, told = threading.get_ident(), threading.Event(), []

    def look():
        lease = core_of(rm).host.submit(Call("helper"))
        end_s = time.monotonic() + 5.0
        while sys._current_frames()[me].f_code is not threading.Condition.wait.__code__:
            if time.monotonic() > end_s:
                break
        told.append(is_for_ever(lease))
        lease.withdraw()
        gate.set()

    with ThreadPoolExecutor(2) as pool:
        works = pool.submit(gate.wait, 20)
        within_a_call(rm, lambda _: way(pool.submit(look), works))
    assert told == [expected]


def test_a_look_that_fails_ends_no_call(rm):
    """A loop of the user's that does not say what others do is no reason to end a call."""

    class Odd:
        @property
        def _thread_id(self):
            raise RuntimeError("ask me not")

    core = core_of(rm)
    held = core.admit(Call("a"))
    held.loop = Odd()
    waits = core.host.submit(Call("b"))
    check_helpers(waits)
    assert not waits.decided
    waits.withdraw()
    held.settle()


def test_those_who_wait_share_a_look(rm, monkeypatch):
    """All of them together spend no more than a small share of the time on it."""
    now, taken, frames = [1e6], [], sys._current_frames

    def current():
        taken.append(now[0])
        now[0] += 1.0
        return frames()

    monkeypatch.setattr(thread_picture, "perf_counter", lambda: now[0])
    monkeypatch.setattr(thread_picture, "_SHARE", 20.0)
    monkeypatch.setattr(sys, "_current_frames", current)
    core = core_of(rm)
    held = core.admit(Call("a"))
    waits = [core.host.submit(Call("b")) for _ in range(100)]
    for _ in range(19):
        for one in waits:
            check_helpers(one)
        now[0] += 1.0
    assert len(taken) == 1
    now[0] += 1.5
    check_helpers(waits[0])
    assert len(taken) == 2
    for one in waits:
        one.withdraw()
    held.settle()
