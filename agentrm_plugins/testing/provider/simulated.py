"""`SimulatedProvider`: the server in a thread of its own, and the handle that a test holds."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from threading import Event, Thread, current_thread
from typing import TYPE_CHECKING, Any, Self, Unpack

from agentrm_plugins.errors import ClosedError, ConfigError
from agentrm_plugins.testing.provider.config import ProviderConfig
from agentrm_plugins.testing.provider.connection import Connection
from agentrm_plugins.testing.provider.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from agentrm_plugins.testing.provider.arguments import ProviderArguments
    from agentrm_plugins.testing.provider.records import ProviderStatistics, RequestRecord

__all__ = ["SimulatedProvider"]

_JOIN_S = 10.0  # guessed: far more than closing some thousand sockets takes


class SimulatedProvider:
    """An OpenAI-compatible server on loopback, for tests, demos and benchmarks.

    Args:
        config: What it does; the default answers every request at once.
        port: A fixed port, 0 for any free one.
        **changes: Fields of `ProviderConfig`, on top of `config`.

    Raises:
        ConfigError: A field is unknown or has a bad value.

    Use it with `with` or `async with`; it listens on 127.0.0.1 only.
    """

    def __init__(
        self,
        config: ProviderConfig | None = None,
        *,
        port: int = 0,
        **changes: Unpack[ProviderArguments],
    ) -> None:
        if config is not None and not isinstance(config, ProviderConfig):
            raise ConfigError("config", config, "give a ProviderConfig")
        known = ProviderConfig.__dataclass_fields__
        for name, value in changes.items():
            if name not in known:
                raise ConfigError(name, value, f"give a field of ProviderConfig: {sorted(known)}")
        if not 0 <= port <= 65535:
            raise ConfigError("port", port, "give 0 to 65535")
        self._config = _merged(config, changes)
        self._wanted_port = port
        self._thread: Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._service: Service | None = None
        self._stop: asyncio.Event | None = None
        self._ready = Event()
        self._failure: BaseException | None = None
        self._closed = False
        self._port = 0
        self.started_s = 0.0

    # -- life

    def start(self) -> Self:
        """Listen. Called by `with`; a second call is a `ClosedError` after `close()`."""
        if self._closed:
            raise ClosedError("this SimulatedProvider was closed; make a new one")
        if self._thread is None:
            self._thread = Thread(target=self._run, name="simulated-provider", daemon=True)
            self._thread.start()
            self._ready.wait()
            if self._failure is not None:
                self._thread.join(_JOIN_S)
                raise self._failure
        return self

    def close(self) -> None:
        """Drop every connection, cancel what hangs, join the thread. A second call does nothing."""
        self._closed = True
        loop, stop, thread = self._loop, self._stop, self._thread
        if thread is None or loop is None or stop is None:
            return
        if thread.is_alive():
            loop.call_soon_threadsafe(stop.set)
            thread.join(_JOIN_S)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.close)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # noqa: BLE001  handed to the thread that waits for us
            self._failure = error
        finally:
            self._ready.set()

    async def _main(self) -> None:
        loop = asyncio.get_running_loop()
        service = Service(self._config, loop)
        stop = asyncio.Event()
        server = await loop.create_server(
            lambda: Connection(service, loop), "127.0.0.1", self._wanted_port, backlog=1024
        )
        self._loop, self._service, self._stop = loop, service, stop
        self._port = server.sockets[0].getsockname()[1]
        self.started_s = loop.time() - service.now_s()
        self._ready.set()
        try:
            await stop.wait()
        finally:
            service.stop()
            server.close()
            for connection in tuple(service.connections):
                connection.abort()
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()

    def _running(self) -> Service:
        if self._service is None:
            raise ClosedError("this SimulatedProvider is not started; use it in a with block")
        return self._service

    # -- where

    @property
    def port(self) -> int:
        """The port that it listens on."""
        self._running()
        return self._port

    @property
    def base_url(self) -> str:
        """What to give to a client: `http://127.0.0.1:PORT/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    # -- what it does

    @property
    def config(self) -> ProviderConfig:
        """The configuration in force."""
        return self._config if self._service is None else self._service.config

    def reconfigure(self, **changes: Unpack[ProviderArguments]) -> None:
        """Change fields in mid-run; in force when this returns. Any thread."""
        service, loop = self._running(), self._loop
        if loop is None or self._closed:
            raise ClosedError("this SimulatedProvider was closed; make a new one")

        async def apply() -> None:
            service.reconfigure(service.config.changed(changes))

        asyncio.run_coroutine_threadsafe(apply(), loop).result(_JOIN_S)

    def script(self, steps: Iterable[object], *, agent: str | None = None) -> None:
        """Answer the next requests with exactly these steps, in order of arrival. Any thread.

        Steps are `Reply`, `Status`, `Hang`, `Reset`, `Stall`, `Garbage`, a text, a `ToolCall` or
        a list of them. Scripted requests meet no limit and no random fault. With `agent`, only
        that agent's requests take them.

        Raises:
            ConfigError: A step is none of these.
        """
        self._running().script(steps, agent)

    # -- what it saw

    def _catch_up(self) -> Service:
        """Let the server finish its present step.

        The last byte of an answer leaves a moment before its record is written; without this a
        client that has its answer could look at counts that do not have it yet.
        """
        service, loop, thread = self._running(), self._loop, self._thread
        if loop is None or thread is None or thread is current_thread() or self._closed:
            return service
        caught_up = Event()
        with suppress(RuntimeError):  # the loop closed in between: its records are complete
            loop.call_soon_threadsafe(caught_up.set)
            caught_up.wait(1.0)
        return service

    def statistics(self) -> ProviderStatistics:
        """Frozen counts since the start; also after `close()`."""
        return self._catch_up().journal.statistics()

    @property
    def log(self) -> list[RequestRecord]:
        """A record of each finished request, in the order in which they ended."""
        return self._catch_up().journal.log()

    @property
    def errors(self) -> list[BaseException]:
        """What the responder raised, or the server itself (that is a bug)."""
        return list(self._running().errors)

    def wait_for(
        self, condition: Callable[[ProviderStatistics], bool], timeout_s: float = 5.0
    ) -> ProviderStatistics:
        """Block until the counts meet a condition.

        Raises:
            TimeoutError: They did not, within `timeout_s` seconds.
        """
        return self._running().journal.wait_for(condition, timeout_s)


def _merged(config: ProviderConfig | None, changes: Mapping[str, Any]) -> ProviderConfig:
    if config is None:
        return ProviderConfig(**changes)
    merged = {name: getattr(config, name) for name in ProviderConfig.__dataclass_fields__}
    return ProviderConfig(**{**merged, **changes})
