"""What members were configured with, where they differ: the least of each limit counts.

Law: each value is counted by how many members say it; whoever is gone says nothing any more. Limits
of places bind by their least at once, marks of budgets and shares with each member's next exchange;
limits of an endpoint bind by the next fold, which makes its controllers anew with the least of each
field, as full as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isclose
from typing import Any

from agentrm_plugins.policy.marks import BUDGET, SHARE

__all__ = ["Said", "changed", "differ", "exchanged", "least", "say", "spread"]

_SAME = 1e-9  # numbers go through JSON of 14 digits


def say(values: dict[str, int], value: float, change: int) -> None:
    """One member more says so (1), or one fewer (-1)."""
    told = f"{value:.17g}"
    values[told] = values.get(told, 0) + change
    if not values[told]:
        del values[told]


def spread(values: Mapping[str, int]) -> list[float]:
    """The least and the most of what is said; nothing where all say the same."""
    numbers = list(map(float, values))
    return [min(numbers), max(numbers)] if len(numbers) > 1 else []


def differ(
    said: Mapping[str, Mapping[str, int]], own: Mapping[str, float]
) -> dict[str, list[float]]:
    """The least and the most of each field that is said here too, where they differ."""
    found = {field: spread(values) for field, values in said.items() if field in own}
    return {field: both for field, both in found.items() if both}


def exchanged(
    said: dict[str, dict[str, int]], before: Mapping[str, float], own: Mapping[str, float]
) -> dict[str, dict[str, int]]:
    """What is said, now that one member says something else than before."""
    for field, value in before.items():
        say(said[field], value, -1)
    for field, value in own.items():
        say(said.setdefault(field, {}), value, 1)
    return {field: values for field, values in said.items() if values}


def least(said: Mapping[str, Mapping[str, int]]) -> dict[str, float]:
    """The least of each field that somebody says."""
    return {field: min(map(float, values)) for field, values in said.items() if values}


def changed(said: Mapping[str, Mapping[str, int]], known: Mapping[str, float]) -> bool:
    """Whether something else is the least than is known."""
    now = least(said)
    return now.keys() != known.keys() or any(
        not isclose(number, known[field], rel_tol=_SAME) for field, number in now.items()
    )


class Said:
    """A member's side: what it was configured with, and where others were told something else.

    Args:
        limits: Of places.

    Attributes:
        own: What this member was told, by name: of places, and "e:endpoint|field".
        differ: The least and the most of what members were told, where that differs.
    """

    def __init__(self, limits: Mapping[str, float]) -> None:
        self._limits = limits
        self.own: dict[str, float] = dict(limits)
        self.differ: dict[str, tuple[float, float]] = {}

    @property
    def lowered(self) -> dict[str, float]:
        """Limits of which another member says less: that counts."""
        return {
            key: least
            for key, (least, _) in self.differ.items()
            if least < self.own[key] and not isclose(least, self.own[key], rel_tol=_SAME)
        }

    @property
    def marks(self) -> dict[str, float]:
        """Those of them that are marks of budgets and of shares."""
        return {k: least for k, least in self.lowered.items() if k.startswith((BUDGET, SHARE))}

    def tells(self, endpoints: Mapping[str, Mapping[str, float]]) -> None:
        """What is configured of each endpoint."""
        self.own = dict(self._limits)
        for name, said in endpoints.items():
            for field, value in said.items():
                self.own[f"e:{name}|{field}"] = value

    def answered(self, answer: Mapping[str, Any]) -> None:
        """What is said of places, and of those endpoints that the answer is about."""
        endpoints = dict(answer["eps"] or {})
        differ = {
            key: both
            for key, both in self.differ.items()
            if key.startswith("e:")
            and key in self.own
            and key[2:].rpartition("|")[0] not in endpoints
        }
        news = list(dict(answer.get("limits") or {}).items())
        for name, given in endpoints.items():
            said = dict(given.get("said") or {})
            news += [(f"e:{name}|{field}", both) for field, both in said.items()]
        differ.update((key, (low, high)) for key, (low, high) in news if key in self.own)
        self.differ = differ
