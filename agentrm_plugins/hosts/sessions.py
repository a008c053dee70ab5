"""What contexts tell their core: each session's tiers, recalls, and who waits for a request.

Bounded: the sessions that were used last, and totals. Nothing here is on the way of a call that has
no managed context.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from agentrm_plugins.policy.pressure import Stall
from agentrm_plugins.types.agent_key import agent_key
from agentrm_plugins.types.effects import Compacted, Hibernated, Prepared, Recalled
from agentrm_plugins.types.statistics import (
    PressureStatistics,
    SessionStatistics,
    Stalled,
    Statistics,
)

if TYPE_CHECKING:
    from agentrm_plugins.hosts.clock import Clock

__all__ = ["Sessions"]

_MOST = 1_000
"""Sessions that are remembered, those used last. Guessed: what a page can show."""


class Sessions:
    """The sessions of all contexts that work with one core. Thread-safe.

    Args:
        clock: The core's.
    """

    __slots__ = ("_clock", "_lock", "_recalled", "_rows", "_stall", "_turns", "recalls")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.begin()

    def begin(self) -> None:
        """From nothing on, as in the child of a fork: its parent's turns are not its own."""
        self._lock = threading.RLock()  # a finaliser may end a turn inside of it
        self._rows: OrderedDict[str, SessionStatistics] = OrderedDict()
        self._recalled: Counter[str] = Counter()
        self._stall = Stall(self._clock.now())
        self._turns = 0
        self.recalls = 0

    def turn(self, by: int) -> None:
        """A turn begins (1) or is over (-1): as long as one goes on, somebody waits for context."""
        with self._lock:
            self._turns = max(0, self._turns + by)
            self._stall.set(self._turns > 0, self._clock.now())

    def note(self, effect: Prepared | Compacted | Recalled | Hibernated) -> None:
        """Something was done to a session's tiers."""
        key = agent_key(effect.tenant, effect.session)
        with self._lock:
            if effect.__class__ is Prepared:
                self._put(key, effect)
            elif effect.__class__ is Recalled:
                self._recall(key)
            elif effect.__class__ is Hibernated:
                self._rows.pop(key, None)
                self._recalled.pop(key, None)

    def _put(self, key: str, told: Prepared) -> None:
        self._rows[key] = SessionStatistics(
            told.tenant,
            told.used_tokens,
            told.budget_tokens,
            told.used_tokens / told.budget_tokens if told.budget_tokens else 0.0,
            told.hot_tokens,
            told.warm_tokens,
            told.messages,
            told.archived,
            told.compactions,
            self._recalled[key],
            told.cold_tokens,
        )
        if key in self._rows:
            self._rows.move_to_end(key)
        if len(self._rows) > _MOST:
            gone, _ = self._rows.popitem(last=False)
            self._recalled.pop(gone, None)

    def _recall(self, key: str) -> None:
        self.recalls += 1
        known = self._rows.get(key)
        self._recalled[key] += 1
        if known is not None:
            self._rows[key] = replace(known, recalls=self._recalled[key])
        elif len(self._recalled) > 2 * _MOST:  # of sessions that never took a turn here
            del self._recalled[next(iter(self._recalled))]

    def seen(self, statistics: Statistics) -> Statistics:
        """The statistics with what is known of the sessions, and of those that are agents."""
        with self._lock:
            now_s = self._clock.now()
            shares = self._stall.shares(now_s)
            stalled = Stalled(*shares, self._stall.waited_s(now_s))
            rows, recalls = dict(self._rows), self.recalls
        agents = statistics.agents
        if agents:
            for key in rows.keys() & agents.keys():
                rows[key] = replace(rows[key], received=agents[key])
        pressure = statistics.pressure
        return replace(
            statistics,
            sessions=rows,
            recalls=recalls,
            pressure=PressureStatistics(pressure.lanes, pressure.rate, stalled),
        )
