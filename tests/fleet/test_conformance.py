"""What every host promises holds on a coordinated one as well, with another process beside it.

The core's clock stands still as in the other worlds, and the exchanges go by real time: so the
world in which calls have no thread and no loop is left out, for a grant takes a round trip.
"""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from agentrm_plugins import AgentRM, Coordination
from agentrm_plugins.hosts import VirtualClock
from tests.hosts.test_conformance import *  # noqa: F403 - the very same tests
from tests.hosts.worlds import World, running_loop

LOOPS = {"threads": 0, "asyncio": 1, "two loops": 2}
pytestmark = []


class StandingClock(VirtualClock):
    """Its time is told, and whoever asks is told that it is real."""

    real = True

    def advance(self, seconds):
        """The exchanges' thread may be inside: what is due is done when this returns."""
        super().advance(seconds)
        for host in self._hosts:
            host.read(lambda kernel: kernel.next_deadline())


class FleetWorld(World):
    """A world whose core shares its limits."""

    def __init__(self, name, loops, server, namespace):
        super().__init__(name, loops)
        self.clock = StandingClock()
        self.terms = Coordination(server.url, namespace, lease_s=36_000.0)
        self.beside = None

    def open(self, **settings):
        self.beside = AgentRM(coordination=self.terms, **settings)
        self.rm = AgentRM(clock=self.clock, coordination=self.terms, **settings)
        return self.rm

    def leave(self):
        super().leave()
        if self.beside is not None:
            self.beside.close()


@pytest.fixture(params=LOOPS)
def world(request, server, namespace):
    with ExitStack() as stack:
        loops = [stack.enter_context(running_loop()) for _ in range(LOOPS[request.param])]
        made = FleetWorld(request.param, loops, server, namespace)
        yield made
        made.leave()


def test_everything_is_in_the_event_stream_in_order(world):
    """As elsewhere, but that a call may have to wait for the exchange that brings its lane."""
    world.open(lanes=1)
    events = world.rm.events()
    call = world.call("a")
    ticket = call.expect_granted().ticket
    call.end()
    world.expect(running=0)
    story = [(type(event).__name__, event.ticket) for event in events.drain()]
    assert [part for part in story if part[0] != "Queued"] == [
        ("Submitted", ticket),
        ("Granted", ticket),
        ("Settled", ticket),
    ]
