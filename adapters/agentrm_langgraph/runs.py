"""Runs of managed graphs: which agents work in them, and what they leave behind.

A run is one `invoke`, `stream`, `ainvoke` or `astream`. When the last run of an agent is over,
however it ended (finished, failed, cancelled, or a client that went away), whatever still waits for
the agent or for its children is withdrawn. The statistics count it as ``refused["agent_ended"]``.
"""

from __future__ import annotations

import itertools
import threading
import uuid
import weakref
from collections import deque
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM

__all__ = ["RUN", "Run", "new_run"]

_Key = tuple[str, str]  # tenant, agent


class _Ledger:
    """How many runs each agent of one core has open.

    A run may end inside the garbage collector, in the middle of `_drain` of the same thread: so
    nobody blocks on the lock, and whoever holds it does the others' work too.
    """

    def __init__(self) -> None:
        self._inbox: deque[tuple[_Key, int]] = deque()
        self._lock = threading.Lock()
        self._open: dict[_Key, int] = {}

    def enter(self, rm: AgentRM, key: _Key) -> None:
        self._change(rm, key, 1)

    def leave(self, rm: AgentRM, key: _Key) -> None:
        self._change(rm, key, -1)

    def _change(self, rm: AgentRM, key: _Key, by: int) -> None:
        self._inbox.append((key, by))
        while self._inbox and self._lock.acquire(blocking=False):
            try:
                ended = self._drain()
            finally:
                self._lock.release()
            for tenant, agent in ended:
                rm.end_agent(agent, tenant=tenant)

    def _drain(self) -> list[_Key]:
        ended = []
        while self._inbox:
            key, by = self._inbox.popleft()
            count = self._open.get(key, 0) + by
            if count:
                self._open[key] = count
            else:
                del self._open[key]
                ended.append(key)
        return ended


_LEDGERS: weakref.WeakKeyDictionary[AgentRM, _Ledger] = weakref.WeakKeyDictionary()
_LEDGERS_LOCK = threading.Lock()
_NUMBERS = itertools.count(1)
_PROCESS = uuid.uuid4().hex[:8]


class Run:
    """One run of a managed graph.

    Args:
        rm: The core.
        ledger: The open runs of that core's agents.
    """

    __slots__ = ("_agents", "_ledger", "_over", "name", "rm")

    def __init__(self, rm: AgentRM, ledger: _Ledger) -> None:
        self.rm = rm
        self.name = f"run-{_PROCESS}-{next(_NUMBERS)}"  # the agent of a run without a thread id
        self._ledger = ledger
        self._agents: dict[_Key, None] = {}
        self._over = False

    def works_for(self, key: tuple[str, str]) -> None:
        """A node of this run works for this tenant's agent."""
        if key not in self._agents and not self._over:
            self._agents[key] = None
            self._ledger.enter(self.rm, key)

    def end(self) -> None:
        """The run is over; nothing may wait for it any more. A second time does nothing."""
        self._over = True
        while self._agents:
            try:
                key, _ = self._agents.popitem()
            except KeyError:  # another thread took the last
                return
            self._ledger.leave(self.rm, key)


RUN: ContextVar[Run | None] = ContextVar("agentrm_run", default=None)


def new_run(rm: AgentRM) -> Run:
    """A run on this core begins."""
    ledger = _LEDGERS.get(rm)
    if ledger is None:
        with _LEDGERS_LOCK:
            ledger = _LEDGERS.setdefault(rm, _Ledger())
    return Run(rm, ledger)
