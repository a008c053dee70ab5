"""What `AgentRM` has of its end: who comes is refused, who runs may be waited for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from agentrm_plugins.hosts.bell import Bell

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentrm_plugins.hosts.host import Host

__all__ = ["Closing"]


class Closing:
    """The part of `AgentRM` that ends it, as a context manager too.

    `_at_once` is done as soon as nobody is let in any more, and is quick; `_at_last` may take its
    time.
    """

    _host: Host
    _at_once: list[Callable[[], None]]
    _at_last: list[Callable[[], None]]

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._host.closed

    def close(self, drain_s: float = 0.0) -> None:
        """Refuse whoever waits and whoever comes, and end the core's thread.

        Running calls may still settle. A second time does nothing.

        Args:
            drain_s: Seconds to wait for running calls to end; 0 does not wait.
        """
        self._refuse()
        if drain_s > 0:
            idle = Bell()
            self._host.on_idle(idle.ring)
            idle.wait(drain_s)
        self._host.stop()
        for end in self._at_last:
            end()

    async def aclose(self, drain_s: float = 0.0) -> None:
        """The same without blocking the event loop."""
        self._refuse()
        if drain_s > 0:
            loop, idle = asyncio.get_running_loop(), asyncio.Event()
            self._host.on_idle(lambda: _ring(loop, idle))
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await idle.wait()
        self._host.stop()
        for end in self._at_last:
            await asyncio.to_thread(end)

    def _refuse(self) -> None:
        """Refuse who comes; whoever only looks on ends with the last call."""
        if not self.closed:
            self._host.close()
            for begin in self._at_once:
                begin()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()


def _ring(loop: asyncio.AbstractEventLoop, idle: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(idle.set)
