"""Sessions by tenant and id: made, woken, put to sleep. The door to the context lifecycle.

```python
manager = ContextLifecycle(ContextConfig(budget_tokens=8_000), store=SqliteStore("agent.db"))
view = manager.session("thread-1").prepare(history, tools=tools)
answer = client.chat.completions.create(messages=view.messages, ...)
```
"""

from __future__ import annotations

import platform
import threading
import time
import uuid
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live.archive import Owner
from agentrm_plugins.context.live.desk import Desk
from agentrm_plugins.context.live.notices import Notice
from agentrm_plugins.context.live.session import ContextSession
from agentrm_plugins.context.live.tool import RECALL_TOOL
from agentrm_plugins.context.live.waking import Woken, blank, woken
from agentrm_plugins.context.live.workers import Workers
from agentrm_plugins.context.plan.bodies import Source
from agentrm_plugins.context.plan.view import Pressure, View
from agentrm_plugins.context.stores.base import ColdStore, SessionKey
from agentrm_plugins.context.stores.sqlite import SqliteStore
from agentrm_plugins.errors import ClosedError, ConfigError, ContextError, SessionBusy, StoreError
from agentrm_plugins.types.checks import check_instance, check_name, check_number, check_whole

__all__ = ["RECALL_TOOL", "ContextLifecycle", "fit"]

_CLOSED = "this ContextLifecycle is closed; make a new one"
CLOSE_WAIT_S = 30.0
"""Seconds that `close` waits for background work. Guessed: a model's answer takes less."""


class _KeyLock:
    """A lock that a weak dictionary can hold."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class ContextLifecycle:
    """All sessions of one process that share an archive. Thread-safe.

    Args:
        config: For every session that brings none of its own.
        store: The archive; SQLite in memory if left out.
        summariser: An object with `summarise` or `asummarise` (see `LLMSummariser`); its text is
            added to the notes. None: notes alone.
        submit: Runs a background job, `submit(job)`; the gate of `AgentRM` can stand here. Up
            to eight threads of the manager's own if left out.
        clock: Seconds since the epoch.
        max_live: Sessions kept in memory; the one used least recently is hibernated beyond it.
        lease_s: Seconds for which a session is this process's after each turn. Another process
            gets it at once if its history holds all that is archived, else after this time, or as
            soon as it is hibernated here. Guessed: longer than a turn by far, and so short that a
            killed process is succeeded within a user's patience.
        wait_s: Seconds that a turn waits for a session that another process has; then it raises
            `SessionBusy`. 0: it never waits. Guessed: a lease and half of one.
    """

    def __init__(
        self,
        config: ContextConfig | None = None,
        *,
        store: ColdStore | None = None,
        summariser: Any | None = None,
        submit: Callable[[Callable[[], None]], object] | None = None,
        clock: Callable[[], float] = time.time,
        max_live: int = 256,
        lease_s: float = 10.0,
        wait_s: float = 15.0,
    ) -> None:
        max_live = check_whole("max_live", max_live, 1)
        check_number("lease_s", lease_s, above=True)
        check_number("wait_s", wait_s)
        if summariser is not None and not (
            hasattr(summariser, "summarise") or hasattr(summariser, "asummarise")
        ):
            way = "give an object with a method summarise or asummarise"
            raise ConfigError.of_kind("summariser", summariser, way)
        self.config = check_instance(
            "config", ContextConfig() if config is None else config, ContextConfig
        )
        self.store: ColdStore = store if store is not None else SqliteStore(":memory:")
        self._own_store = store is None
        owner = Owner(f"{platform.node()}:{uuid.uuid4().hex[:8]}", lease_s)
        self._desk = Desk(self.store, self._run, clock, owner, wait_s, summariser)
        self._submit = submit
        self._max_live = max_live
        self._live: OrderedDict[SessionKey, ContextSession] = OrderedDict()
        self._lock = threading.Lock()
        self._locks: weakref.WeakValueDictionary[SessionKey, _KeyLock] = (
            weakref.WeakValueDictionary()
        )
        self._workers = Workers()
        self._closed = self._done = False

    def session(
        self, session: str, *, tenant: str = "default", config: ContextConfig | None = None
    ) -> ContextSession:
        """Give a session, woken from the archive if it is there, new otherwise.

        Args:
            session: Its id, such as a LangGraph thread id.
            tenant: Whose it is; another tenant's session of the same id is another session.
            config: Its own settings; they count when it is not live yet.
        """
        for name, value in (("session", session), ("tenant", tenant)):
            check_name(name, str(value) if value else value)
        key = SessionKey(tenant, session)
        found = self._found(key)
        if found is None:
            # Whoever wants this session waits while it is woken; nobody else does.
            with self._moving(key):
                found = self._found(key)
                if found is None:
                    found = self._wake(key, config or self.config)
                    with self._lock:
                        if self._closed:
                            raise ClosedError(_CLOSED)
                        self._live[key] = found
        self._bound()
        return found

    def _found(self, key: SessionKey) -> ContextSession | None:
        with self._lock:
            if self._closed:
                raise ClosedError(_CLOSED)
            found = self._live.get(key)
            if found is not None:
                self._live.move_to_end(key)
            return found

    def _moving(self, key: SessionKey) -> _KeyLock:
        """The lock under which one session is woken and hibernated; gone when nobody holds it."""
        with self._lock:
            lock = self._locks.get(key)
            if lock is None:
                lock = self._locks[key] = _KeyLock()
            return lock

    def _wake(self, key: SessionKey, config: ContextConfig) -> ContextSession:
        def wake() -> Woken:
            return woken(key, self.store, config)

        try:
            found = wake()
        except StoreError as error:
            if config.on_store_error == "raise":
                raise
            found = blank(config, error)
        return ContextSession(key, found, wake, self._desk)

    def _run(self, job: Callable[[], None]) -> object:
        if self._submit is not None:
            return self._submit(job)
        self._workers.submit(job)
        return None

    def _bound(self) -> None:
        with self._lock:
            most, live = len(self._live) - self._max_live, list(self._live.items())[:-1]
        for key, oldest in live:
            if most <= 0:
                return
            if oldest.busy:  # with a model's summary, perhaps: nobody waits for that here
                continue
            try:
                most -= self._retire(key, "bound")
            except (SessionBusy, StoreError):
                continue

    def _retire(self, key: SessionKey, cause: str) -> bool:
        """Hibernate a session; whoever holds it still is led to the one that lives then."""
        with self._moving(key):
            with self._lock:
                found = self._live.get(key)
            if found is None:
                return False
            config = found.config

            def lives_on() -> ContextSession:
                return self.session(key.session, tenant=key.tenant, config=config)

            found.hibernate(lives_on, cause=cause)
            with self._lock:
                self._live.pop(key, None)
            return True

    def hibernate(self, session: str, *, tenant: str = "default") -> None:
        """Write one session to the archive and let go of it.

        Raises:
            StoreError: The store refused; the session stays in memory.
            SessionBusy: Messages wait to be archived, and another process has the session.
        """
        self._retire(SessionKey(tenant, session), "asked")

    def hibernate_idle(self, idle_s: float, *, now_s: float | None = None) -> list[SessionKey]:
        """Hibernate all sessions that were not used for `idle_s` seconds; give their keys.

        Raises:
            StoreError: The store refused one; that one and those after it stay in memory.
        """
        now = self._desk.clock() if now_s is None else now_s
        with self._lock:
            idle = [
                key
                for key, found in self._live.items()
                if now - found.used_at_s >= idle_s and not found.busy
            ]
        return [key for key in idle if self._retire(key, "idle")]

    def listen(
        self, owner: Any, tell: Callable[[Notice], None], turn: Callable[[int], None] | None = None
    ) -> None:
        """Tell `tell` of each request, compaction, recall and hibernation, while `owner` lives.

        The adapters let their core listen, so that its events and recordings tell of it.

        Args:
            owner: Held weakly only. One that listens already goes on as it does.
            tell: Gets a `Prepared`, `Compacted`, `Recalled` or `Hibernated` with `at_s` 0 and
                `ticket` 0, on any thread. What it raises is dropped: it must not fail a turn.
            turn: Called with 1 when a turn begins and with -1 when it is over; must not raise.
        """
        self._desk.notices.add(owner, tell, turn)

    def statistics(self) -> Mapping[SessionKey, Pressure]:
        """Give how full each live session's window is."""
        with self._lock:
            live = list(self._live.items())
        return {key: session.pressure for key, session in live}

    def close(self) -> None:
        """Finish the background work and hibernate every session. A second time does nothing.

        A hook that hangs is not waited for beyond half a minute: what it gives later is dropped.

        Raises:
            StoreError: The store refused; what it did not take is tried again at the next `close`.
        """
        with self._lock:
            self._closed = True
            if self._done:
                return
            live = list(self._live.items())
        self._workers.close(CLOSE_WAIT_S)
        failed: ContextError | None = None
        for key, session in live:
            try:
                session.hibernate(cause="closed")
            except (SessionBusy, StoreError) as error:
                failed = error
            else:
                with self._lock:
                    self._live.pop(key, None)
        if failed is not None:
            raise failed
        self._done = True
        if self._own_store:
            self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def fit(
    messages: Sequence[Source],
    budget_tokens: int,
    *,
    model: str | None = None,
    tools: Sequence[Any] = (),
    config: ContextConfig | None = None,
    now_s: float = 0.0,
) -> View:
    """Fit a list of messages into a budget once, without a session: the plain function.

    What does not fit becomes notes, and what the newest user message asks about is looked up in
    it. For a conversation with more than one turn use a session: it keeps the prefix and the work.

    Args:
        messages: OpenAI-format dicts or `Message` objects; not changed.
        budget_tokens: The most that the request may hold; 200 or more.
        model: For the counts; that of `config` if left out, or else gpt-4o.
        tools: Tool schemas that will be sent along.
        config: Other settings.
        now_s: Seconds since the epoch, for messages without a time of their own.
    """
    base = config or ContextConfig()
    settings = replace(base, budget_tokens=budget_tokens, model=model or base.model)
    with ContextLifecycle(settings, submit=lambda _: None, clock=lambda: now_s) as manager:
        return manager.session("fit").prepare(messages, tools=tools, model=model)
