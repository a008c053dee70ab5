"""What a member tells of its endpoints: the totals that grew, and the events that are new.

Each is told once. What was in an exchange counts as told when that was answered; an exchange that
is sent again carries the same.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentrm_plugins.types.fleet import EndpointDemand

__all__ = ["Reporter"]

_COUNTS = ("n", "ok", "bad")
_SUMS = ("sent", "back")
_LOOK_S = 0.5  # guessed: so often a member asks what has become of an endpoint it does not use


class Reporter:
    """What has been told, by endpoint."""

    def __init__(self) -> None:
        self._told: dict[str, EndpointDemand] = {}
        self._telling: dict[str, EndpointDemand] = {}
        self._there: dict[str, bool] = {}
        self._told_s: dict[str, float] = {}

    def matters(self, name: str, found: EndpointDemand, now_s: float) -> bool:
        """Whether there is something to tell of an endpoint, or was, or to hear after a while."""
        last = self._told.get(name)
        there = bool(
            found.running
            or any(found.hand.values())
            or last is None
            or last.seen["n"] != found.seen["n"]
            or last.returned != found.returned
            or (found.events and _number(found) != _number(last))
        )
        before, self._there[name] = self._there.get(name, False), there
        return there or before or now_s - self._told_s.get(name, -inf) >= _LOOK_S

    def report(
        self, name: str, found: EndpointDemand, at: Callable[[float], float], now_s: float
    ) -> dict[str, Any]:
        """One endpoint's part of an exchange; `at` gives the server's time in milliseconds."""
        last = self._told.get(name)
        self._telling[name] = found
        self._told_s[name] = now_s
        seen: dict[str, Any] = {}
        for key in _COUNTS:
            count = found.seen[key] - (0 if last is None else last.seen[key])
            if count:
                seen[key] = count
        for key in _SUMS:
            grown = _grown(found.seen[key], {} if last is None else last.seen[key])
            if grown:
                seen[key] = grown
        known = 0 if last is None else _number(last)
        return {
            "version": found.version,
            "hand": {name: amount for name, amount in found.hand.items() if amount},
            "give": _grown(found.returned, {} if last is None else last.returned),
            "seen": seen,
            "events": [_plain(event, at) for number, event in found.events if number > known],
            "told": found.told,
            "said": dict(found.said),
        }

    def acknowledged(self) -> None:
        """The exchange was answered: what was in it is told."""
        self._told.update(self._telling)
        self._telling = {}

    def forget(self) -> None:
        """The exchange is given up; what was in it may have been heard, so it is not told again."""
        self.acknowledged()


def _number(found: EndpointDemand) -> int:
    return found.events[-1][0] if found.events else 0


def _grown(now: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    return {key: more for key, value in now.items() if (more := value - before.get(key, 0.0))}


def _plain(event: Mapping[str, Any], at: Callable[[float], float]) -> dict[str, Any]:
    plain = {key: value for key, value in event.items() if value is not None}
    for key in ("at", "sent"):
        if key in plain:
            plain[key] = at(plain[key])
    if "again_s" in plain:
        plain["again"] = plain.pop("again_s") * 1000.0
    return plain
