"""The worlds in which callers live; a behaviour is written once and holds in each.

A world starts callers that take a slot, hold it until they are told to finish, and say how it went.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import contextmanager

from agentrm_plugins import AgentRM, Call, CallReaped
from agentrm_plugins.hosts import VirtualClock

PATIENCE_S = 20.0


def wait_until(condition, what="the condition"):
    """Poll until it holds: for states that no event announces to us."""
    end_s = time.monotonic() + PATIENCE_S
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < end_s, f"gave up waiting for {what}"
        pause.wait(0.0005)


class Caller:
    """One call in some world. `error` is what its slot raised."""

    def __init__(self):
        self.lease = None
        self.error = None
        self.granted = threading.Event()
        self.ended = threading.Event()

    def expect_granted(self):
        assert self.granted.wait(PATIENCE_S), f"never granted; {self.error!r}"
        return self.lease

    def expect_error(self, kind):
        assert self.ended.wait(PATIENCE_S), "never ended"
        assert isinstance(self.error, kind), f"{self.error!r}"
        return self.error

    def end(self):
        self.finish()
        assert self.ended.wait(PATIENCE_S), "never ended"
        return self.error


class ThreadCaller(Caller):
    def __init__(self, rm, settings):
        super().__init__()
        self.go = threading.Event()
        self.thread = threading.Thread(target=self.run, args=(rm, settings))
        self.thread.start()

    def run(self, rm, settings):
        try:
            with rm.slot(**settings) as lease:
                self.lease = lease
                self.granted.set()
                self.go.wait(PATIENCE_S)
        except Exception as error:
            self.error = error
        self.ended.set()

    def finish(self):
        self.go.set()


class TaskCaller(Caller):
    def __init__(self, rm, settings, loop):
        super().__init__()
        self.loop = loop
        self.go = asyncio.Event()
        self.future = asyncio.run_coroutine_threadsafe(self.run(rm, settings), loop)

    async def run(self, rm, settings):
        try:
            async with rm.slot(**settings) as lease:
                self.lease = lease
                self.granted.set()
                await self.go.wait()
        except BaseException as error:
            self.error = error
        self.ended.set()

    def finish(self):
        self.loop.call_soon_threadsafe(self.go.set)

    def cancel(self):
        self.future.cancel()


class VirtualCaller(Caller):
    """No thread and no loop: the lease itself, as a simulation sees it."""

    def __init__(self, rm, settings):
        super().__init__()
        try:
            self.lease = rm._host.submit(Call(**settings))
        except Exception as error:
            self.error = error

    def look(self):
        if self.error is None and self.lease.decided and not self.granted.is_set():
            try:
                self.lease.result()
                self.granted.set()
            except Exception as error:
                self.error = error

    def expect_granted(self):
        self.look()
        assert self.granted.is_set(), self.error
        return self.lease

    def expect_error(self, kind):
        self.look()
        if self.error is None and self.lease.reaped:
            try:
                self.lease.raise_if_reaped()
            except CallReaped as error:
                self.error = error
        assert isinstance(self.error, kind), f"{self.error!r}"
        return self.error

    def finish(self):
        self.lease.settle()

    def end(self):
        self.look()
        self.finish()
        return self.error

    def cancel(self):
        self.lease.withdraw()


@contextmanager
def running_loop():
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


class World:
    def __init__(self, name, loops=()):
        self.name = name
        self.loops = loops
        self.cancels = name != "threads"
        self.clock = VirtualClock()
        self.callers = []
        self.rm = None

    def open(self, **settings):
        self.rm = AgentRM(clock=self.clock, **settings)
        return self.rm

    def call(self, agent="a", **settings):
        settings["agent"] = agent
        if self.name == "virtual":
            caller = VirtualCaller(self.rm, settings)
        elif self.name == "threads":
            caller = ThreadCaller(self.rm, settings)
        else:
            loop = self.loops[len(self.callers) % len(self.loops)]
            caller = TaskCaller(self.rm, settings, loop)
        self.callers.append(caller)
        return caller

    def queue(self, agent="a", **settings):
        """A call that is seen to wait."""
        before = self.rm.statistics().waiting
        caller = self.call(agent, **settings)
        wait_until(lambda: self.rm.statistics().waiting == before + 1, "the call to wait")
        return caller

    def expect(self, **counts):
        """Statistics become these."""
        wait_until(
            lambda: all(
                getattr(self.rm.statistics(), name) == count for name, count in counts.items()
            ),
            f"{counts} instead of {self.rm.statistics()}",
        )

    def leave(self):
        """Everybody goes, and nothing is left over."""
        for caller in self.callers:
            if self.name != "virtual":
                caller.finish()
            elif caller.lease is not None:
                caller.cancel()
        self.callers.clear()
        if self.rm is not None:
            self.expect(running=0, waiting=0, lanes_in_use=0)
            self.rm._host.read(lambda kernel: kernel.validate())
            self.rm.close()
