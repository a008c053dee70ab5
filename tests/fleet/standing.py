"""A process of a fleet that stands still when a test says so, on a virtual clock.

The kernel is the real one; what a fleet would say is said by hand.
"""

from __future__ import annotations

import threading

from agentrm_plugins import AgentRM
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.integration import core_of
from agentrm_plugins.types.effects import Granted, Requeued
from agentrm_plugins.types.events import Supply
from agentrm_plugins.types.fleet import EndpointSupply

LEASE_S = 5.0


class Nobody:
    """Stands for the exchanges: what they would say the test says."""

    def ensure(self):
        pass

    def notice(self, kernel):
        pass

    def after_fork(self):
        pass


class Process:
    """A core of a fleet; it stands still once, when it is told to or at the next grant."""

    def __init__(self, rm=None, clock=None, lease_s=LEASE_S):
        self.lease_s = lease_s
        self.clock = clock or VirtualClock()
        self.rm = rm or AgentRM(lanes=4, clock=self.clock)
        self.core = core_of(self.rm)
        self.host = self.core.host
        self.host.coordinator = Nobody()
        self.at_grant = False
        self.requeued = []
        self.endpoints = {"x/m"}
        self.host.streams.open += (self,)
        self.supply(2)

    def supply(self, lanes, **more):
        held = {"l": lanes, "g:model": lanes, "g:tool": lanes}
        plenty = dict.fromkeys(("requests", "tokens", "input_tokens", "output_tokens"), 1e6)
        given = dict.fromkeys(self.endpoints, EndpointSupply(add=plenty))
        lease_s = self.clock.now() + self.lease_s
        self.host.feed(Supply(set=held, endpoints=given, lease_s=lease_s, **more))

    def push(self, effects):
        """The core tells what has happened, at once."""
        self.requeued += [one for one in effects if isinstance(one, Requeued)]
        if self.at_grant and any(isinstance(one, Granted) for one in effects):
            self.at_grant = False
            self.stand_still()

    def stand_still(self, *_):
        self.clock._now_s += 2 * self.lease_s

    @property
    def waiting(self):
        return self.host.read(lambda kernel: kernel.queue.count)

    def close(self):
        self.rm.close()


class Asked:
    """Something that goes on in a thread of its own."""

    def __init__(self, work):
        self.result = self.error = None
        self.thread = threading.Thread(target=self._run, args=(work,))
        self.thread.start()

    def _run(self, work):
        try:
            self.result = work()
        except Exception as error:
            self.error = error

    def end(self):
        self.thread.join(20)
        assert not self.thread.is_alive(), "it hangs"
        return self.result
