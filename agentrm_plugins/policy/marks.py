"""Marks of budgets and shares of rates, by names that are the same in each process of a fleet.

Law: a budget is told by its owner, resource and window, a share by its owner, resource and
endpoints. Where processes were told different marks of one, the lowest of each counts for all that
have it.

Limits: who was told nothing of a budget is not bound by it, and what he spends is not counted.
Another window is another budget.
"""

from __future__ import annotations

import json
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.config.endpoints import BudgetConfig, ShareConfig

__all__ = ["BUDGET", "SHARE", "Lowest", "budget_of", "mark_name", "marks_of", "share_of"]

BUDGET, SHARE = "b:", "s:"


def budget_of(config: BudgetConfig) -> tuple[object, ...]:
    """Which budget it is: 60 and 60.0 seconds are one window."""
    window_s = None if config.window_s is None else float(config.window_s)
    return config.agent, config.tenant, config.resource, window_s


def share_of(config: ShareConfig) -> tuple[object, ...]:
    """Which share of a rate it is."""
    return config.agent, config.tenant, config.resource, config.endpoint


def mark_name(kind: str, field: str, what: Iterable[object]) -> str:
    """The name of a mark.

    >>> mark_name("b:", "limit", (None, "acme", "calls", 60.0))
    'b:["limit",null,"acme","calls",60.0]'
    """
    return kind + json.dumps([field, *what], separators=(",", ":"))


def marks_of(budgets: Iterable[BudgetConfig], shares: Iterable[ShareConfig]) -> dict[str, float]:
    """All marks that a process was told; of two for the same budget the lower."""
    found: dict[str, float] = {}
    for budget in budgets:
        for field in ("limit", "soft"):
            name = mark_name(BUDGET, field, budget_of(budget))
            found[name] = min(found.get(name, inf), getattr(budget, field))
    for share in shares:
        for field in ("share", "burst_s"):
            name = mark_name(SHARE, field, share_of(share))
            found[name] = min(found.get(name, inf), getattr(share, field))
    return found


class Lowest:
    """The lowest marks that other processes were told, where those are lower than here.

    Args:
        marks: By name.
    """

    def __init__(self, marks: Mapping[str, float]) -> None:
        self.marks = marks

    def budget(self, config: BudgetConfig) -> tuple[float, float]:
        """The hard mark of a budget and its soft one, as they hold for the fleet."""
        if not self.marks:
            return config.limit, config.soft
        what = budget_of(config)
        return (
            min(config.limit, self.marks.get(mark_name(BUDGET, "limit", what), inf)),
            min(config.soft, self.marks.get(mark_name(BUDGET, "soft", what), inf)),
        )

    def share(self, config: ShareConfig) -> tuple[float, float]:
        """The share and its burst in seconds, as they hold for the fleet."""
        if not self.marks:
            return config.share, config.burst_s
        what = share_of(config)
        return (
            min(config.share, self.marks.get(mark_name(SHARE, "share", what), inf)),
            min(config.burst_s, self.marks.get(mark_name(SHARE, "burst_s", what), inf)),
        )
