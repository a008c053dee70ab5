"""Runs of managed graphs: which agents work in them, and what they leave behind.

A run is one `invoke`, `stream`, `ainvoke` or `astream`. When the last run of an agent is over,
however it ended (finished, failed, cancelled, or a client that went away), whatever still waits for
the agent or for its children is withdrawn. The statistics count it as ``refused["agent_ended"]``,
and name the agents whose client went away, or who left something waiting, under ``abandoned``.
Their sessions in a `ContextLifecycle` are hibernated, if it was given to `manage_graph`: nobody may
ever come back for them, and whoever does finds them in the archive.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from contextvars import ContextVar, copy_context
from functools import partial
from typing import TYPE_CHECKING

from agentrm_plugins.integration import Job, hand_off

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM, ContextLifecycle

__all__ = ["RUN", "Run", "new_run", "release_contexts"]

_LOG = logging.getLogger("agentrm.langgraph")

_Key = tuple[str, str]  # tenant, agent


class _Ledger:
    """How many runs each agent of one core has open.

    A run may end inside the garbage collector, in the middle of `_drain` of the same thread: so
    nobody blocks on the lock, and whoever holds it does the others' work too.
    """

    def __init__(self) -> None:
        self._inbox: deque[tuple[_Key, int, bool]] = deque()
        self._lock = threading.Lock()
        self._open: dict[_Key, int] = {}

    def enter(self, rm: AgentRM, key: _Key) -> None:
        self._change(rm, key, 1, abandoned=False)

    def leave(self, rm: AgentRM, key: _Key, *, abandoned: bool) -> None:
        self._change(rm, key, -1, abandoned=abandoned)

    def _change(self, rm: AgentRM, key: _Key, by: int, *, abandoned: bool) -> None:
        self._inbox.append((key, by, abandoned))
        while self._inbox and self._lock.acquire(blocking=False):
            try:
                ended = self._drain()
            finally:
                self._lock.release()
            for (tenant, agent), gone in ended:
                rm.end_agent(agent, tenant=tenant, abandoned=gone)

    def _drain(self) -> list[tuple[_Key, bool]]:
        ended = []
        while self._inbox:
            key, by, abandoned = self._inbox.popleft()
            count = self._open.get(key, 0) + by
            if count:
                self._open[key] = count
            else:
                del self._open[key]
                ended.append((key, abandoned))
        return ended


_LEDGERS: weakref.WeakKeyDictionary[AgentRM, _Ledger] = weakref.WeakKeyDictionary()
_LEDGERS_LOCK = threading.Lock()
_CONTEXTS: weakref.WeakKeyDictionary[AgentRM, weakref.WeakSet[ContextLifecycle]] = (
    weakref.WeakKeyDictionary()
)


class Run:
    """One run of a managed graph.

    Args:
        rm: The core.
        ledger: The open runs of that core's agents.
    """

    __slots__ = ("_agents", "_ledger", "_over", "abandoned", "rm")

    def __init__(self, rm: AgentRM, ledger: _Ledger) -> None:
        self.rm = rm
        self._ledger = ledger
        self._agents: dict[_Key, None] = {}
        self._over = False
        self.abandoned = False  # whether whoever waited for it went away

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
            self._ledger.leave(self.rm, key, abandoned=self.abandoned)


def release_contexts(rm: AgentRM, context: ContextLifecycle) -> None:
    """Hibernate the sessions of agents of this core that are abandoned from here on."""
    with _LEDGERS_LOCK:
        known = _CONTEXTS.setdefault(rm, weakref.WeakSet())
        if context in known:
            return
        known.add(context)
    reference = weakref.ref(context)

    def release(agent: str, tenant: str) -> None:
        manager = reference()
        if manager is not None:
            hand_off(Job(copy_context(), partial(_hibernate, manager, agent, tenant)))

    rm.on_abandoned(release)


def _hibernate(context: ContextLifecycle, agent: str, tenant: str) -> None:
    try:
        context.hibernate(agent, tenant=tenant)
    except Exception:  # noqa: BLE001 - nobody is left to be told
        _LOG.exception("the session of abandoned agent %r could not be hibernated", agent)


RUN: ContextVar[Run | None] = ContextVar("agentrm_run", default=None)


def new_run(rm: AgentRM) -> Run:
    """A run on this core begins."""
    ledger = _LEDGERS.get(rm)
    if ledger is None:
        with _LEDGERS_LOCK:
            ledger = _LEDGERS.setdefault(rm, _Ledger())
    return Run(rm, ledger)
