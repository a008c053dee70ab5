"""Consumers of streams who are away while a date of the core comes: it rings for none of them."""

from __future__ import annotations

import pytest

from agentrm_plugins import Call
from agentrm_plugins.config import Config, LeaseConfig
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.hosts.host import Host

pytestmark = pytest.mark.lowest


class Clock(VirtualClock):
    """It stands still, but for what each look at it lets pass."""

    look_s = 0.0

    def now(self):
        self._now_s += self.look_s
        return self._now_s


def begun(count):
    """A host, its clock, and streams of which the first chunk was given away at once."""
    clock = Clock()
    host = Host(Config(lanes=count, leases=LeaseConfig(silence_timeout_s=60.0)), clock)
    leases = [host.submit(Call(agent="a", streaming=True)) for _ in range(count)]
    for lease in leases:
        lease.beat(1, visible=True)
        lease.is_read(read=True)
        lease.away_s = 0.0
    return host, clock, leases


@pytest.mark.parametrize("first", [0, 1])
def test_who_went_after_the_date_lets_it_ring_for_nobody_who_went_before(first):
    """The date is looked at a little late, and another consumer got a chunk meanwhile."""
    host, clock, leases = begun(2)
    busy, away = leases[first], leases[1 - first]
    clock.advance(30.0)
    busy.beat(1, visible=True)
    clock._now_s, busy.away_s = 60.002, 60.001
    host.tick()
    assert [away.reaped, busy.reaped] == [False, False]


def test_a_date_between_two_looks_at_the_clock_rings_for_nobody_who_is_away():
    """Whatever happens at that moment, the time at which it does is the one that was looked at."""
    _, clock, (away, busy) = begun(2)
    clock.advance(30.0)
    busy.beat(1, visible=True)
    clock._now_s, clock.look_s = 59.0, 0.75
    for _ in range(4):
        busy.beat(1, visible=True)
    assert not away.reaped
