"""Agents that ended while something still went on for them: who, how often, and who is told."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Abandoned"]

_LOG = logging.getLogger("agentrm")
_MOST = 1000  # names of agents that are remembered


class Abandoned:
    """The newest thousand.

    Attributes:
        times: How often, by tenant and agent.
        left: Those of whom nobody was told yet.
    """

    __slots__ = ("_listeners", "left", "times")

    def __init__(self) -> None:
        self.times: dict[tuple[str, str], int] = {}
        self.left: deque[tuple[str, str]] = deque()
        self._listeners: tuple[Callable[[str, str], None], ...] = ()

    def begin_anew(self) -> None:
        """In the child of a fork: the parent's agents are not ours, its listeners are."""
        self.times, self.left = {}, deque()

    def note(self, tenant: str, agent: str) -> None:
        """One more; `tell` says so, outside of the core."""
        key = tenant, agent
        self.times[key] = self.times.pop(key, 0) + 1
        if len(self.times) > _MOST:
            del self.times[next(iter(self.times))]
        if self._listeners:
            self.left.append(key)

    def tell(self) -> None:
        """Call the listeners for those that were noted."""
        while self.left:
            try:
                tenant, agent = self.left.popleft()
            except IndexError:  # another thread took it
                return
            for listener in self._listeners:
                try:
                    listener(agent, tenant)
                except Exception:  # noqa: BLE001 - the caller here has nothing to do with it
                    _LOG.exception("what was to be done for abandoned agent %r failed", agent)

    def on_abandoned(self, listener: Callable[[str, str], None]) -> None:
        """Call `listener(agent, tenant)` for each agent that is abandoned from here on."""
        self._listeners = (*self._listeners, listener)
