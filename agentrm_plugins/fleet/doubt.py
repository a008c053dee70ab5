"""A process that cannot use what the server answers: it asks ever less often, and for less.

Else it would take all that the others wait for, again and again: lanes and amounts that it was
granted would lie at the server, and what it had reserved would be spent with each try.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.fleet.link import Link

__all__ = ["Doubt", "give_back"]

_LOG = logging.getLogger("agentrm.fleet")
_FIRST_S = 0.1  # guessed: pause after the first failure; each further one doubles it
_LEASES = 2.0  # guessed: the longest pause


class Doubt:
    """Whether answers can be used.

    Args:
        lease_s: The lease.

    Attributes:
        error: Why the last answer could not be used; None: it could.
    """

    def __init__(self, lease_s: float) -> None:
        self.error: Exception | None = None
        self._longest_s = _LEASES * lease_s
        self._tries = 0
        self._again_s = 0.0

    def met(self, error: Exception, now_s: float) -> None:
        """One more answer could not be used."""
        pause_s = min(self._longest_s, _FIRST_S * 2.0 ** min(self._tries, 20))
        self.error, self._tries, self._again_s = error, self._tries + 1, now_s + pause_s

    def over(self) -> None:
        """An answer was used."""
        self.error, self._tries = None, 0

    def waits(self, now_s: float) -> bool:
        """Whether it is too early for the next try."""
        return self.error is not None and now_s < self._again_s

    def bounded(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What is asked; in doubt for one call alone, and for nothing ahead.

        Nor is anything reported then, of endpoints or of budgets: who cannot use the answer would
        tell the same again, and that would count again.
        """
        if self.error is None:
            return asked
        silent: dict[str, Any] = {"ahead": {}, "seen": {}, "events": []}
        endpoints = {name: one | silent for name, one in asked["eps"].items()}
        return {**asked, "asks": asked["asks"][:1], "ahead": {}, "eps": endpoints, "tally": {}}


def give_back(link: Link, asked: dict[str, Any]) -> None:
    """What an answer granted is the others' again: begin anew with what runs alone.

    Args:
        link: The way to the server.
        asked: What was answered; nothing happens where nothing was asked yet.
    """
    nothing: dict[str, Any] = {"ahead": {}, "eps": {}, "tally": {}, "folds": {}}
    if not asked:
        return
    try:
        link.exchange({**asked, **nothing, "e": -1, "asks": []})
    except Exception as error:  # noqa: BLE001 - what it holds is free after a lease then
        _LOG.debug("nothing was given back: %s", error)
