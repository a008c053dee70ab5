"""Budgets: how much an agent or a tenant may use, over a window or in all.

Law: ``spent = settled + reserved``; a call of estimate ``n`` is refused when ``spent + n >
hard``, and slowed when ``spent + n > soft * hard``: with ``x = over / (hard - soft * hard)``, its
delay is ``x * n * window / hard`` (at ``x = 1`` just the pace that the window allows) or ``x *
most_delay`` where there is no window; at most `most_delay_s`. A call that was reserved is settled
with what it really used, once; overdraft is possible that way and counts against the next call.

Regimes: *total* (no window): what is spent stays spent. *Windowed*: what was spent longer ago
than `window_s` is free again, exact to a sixtieth of the window. A share of a rate is a windowed
budget of ``share * limit * window``. Children are charged to their parents: reserve in the
child's ledger and in each ledger above it, all or nothing (`first_refusal`).

Limits: a hard windowed budget says when there is room again (`time_until`); a total one never.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from math import inf

__all__ = ["Budget", "Resource", "first_refusal"]

_SLICES = 60
_ROUNDING = 1e-9
_LEFT = 0.9  # of the hard mark: guessed, so that each refusal beside it is not a crossing


class Resource(StrEnum):
    """What a budget counts."""

    TOKENS = "tokens"
    CALLS = "calls"
    COST = "cost"


class Budget:
    """One ledger: one resource of one agent or tenant.

    Args:
        name: For people: whose budget this is and of what.
        resource: What is counted: tokens, calls, or cost in the unit of the prices given.
        hard: The most that may be spent, 0 or more.
        soft: Share of `hard` from which calls are slowed; 1 for never, 0 to 1.
        window_s: Seconds after which what was spent is free again; None for a total budget.
        most_delay_s: The longest delay of one call.

    `own` is what this core has settled, as the `number`th ledger of its core; the rest is of other
    processes of a fleet, which have `reserved_elsewhere` reserved. `mark` is the number of the last
    reservation, `unheard` are those that went before the others have heard of them.
    """

    __slots__ = (
        "_most_delay_s",
        "_slices",
        "_window_s",
        "hard",
        "mark",
        "marked",
        "name",
        "number",
        "own",
        "reserved",
        "reserved_elsewhere",
        "resource",
        "settled",
        "soft",
        "unheard",
    )

    def __init__(
        self,
        name: str,
        resource: Resource,
        hard: float,
        *,
        soft: float = 1.0,
        window_s: float | None = None,
        most_delay_s: float = 30.0,
    ) -> None:
        self.name = name
        self.resource = resource
        self.hard = hard
        self.soft = soft
        self.mark = 0
        self.marked = ""
        self.number = 0
        self.own = 0.0
        self.reserved = 0.0
        self.reserved_elsewhere = 0.0
        self.settled = 0.0
        self._window_s = window_s
        self._most_delay_s = most_delay_s
        self._slices: deque[list[float]] = deque()
        self.unheard: deque[tuple[int, float]] = deque()

    def may_go(self, amount: float, mark: int, part: float, now_s: float) -> bool:
        """Whether a call that was reserved just now may go before the others have heard of it.

        All those together take at most `part` of what is left.
        """
        ahead = amount + sum(unheard for _, unheard in self.unheard)
        if ahead > part * (self.hard - self.spent(now_s) + ahead):
            return False
        self.unheard.append((mark, amount))
        return True

    def heard(self, mark: int) -> None:
        """The others have heard of all reservations up to that one."""
        while self.unheard and self.unheard[0][0] <= mark:
            self.unheard.popleft()

    def spent(self, now_s: float) -> float:
        """Settled and reserved together."""
        settled = self.settled
        if self._window_s is not None:
            for end_s, used in self._slices:
                if end_s + self._window_s > now_s:
                    break
                settled -= used
            else:
                settled = 0.0  # no rounding error survives an empty window
        return settled + self.reserved + self.reserved_elsewhere

    @property
    def window_s(self) -> float | None:
        """Seconds after which what was spent is free again; None: it never is."""
        return self._window_s

    def elsewhere(self, more: float, reserved: float, now_s: float) -> None:
        """Other processes have spent so much more, and have so much reserved now."""
        if more:
            own = self.own
            self.settle(0.0, more, now_s)
            self.own = own  # to the last digit: others are told the difference
        self.reserved_elsewhere = reserved

    def allows(self, amount: float, now_s: float) -> bool:
        """Whether a call of `amount` fits."""
        return self.spent(now_s) + amount <= self.hard

    def time_until(self, amount: float, now_s: float) -> float:
        """Seconds until a call of `amount` would fit, were all reserved calls to use all of it."""
        missing = self.spent(now_s) + amount - self.hard
        if missing <= 0:
            return 0.0
        if self._window_s is not None:
            for at_s, part in self._slices:
                if at_s + self._window_s <= now_s:
                    continue  # it is free already
                missing -= part
                if missing <= 0:
                    return max(0.0, at_s + self._window_s - now_s)
        return inf

    def delay_s(self, amount: float, now_s: float) -> float:
        """For how long a call of `amount` is slowed; 0 below the soft mark, and never too long."""
        mark = self.soft * self.hard
        over = self.spent(now_s) + amount - mark
        if over <= 0 or mark >= self.hard:
            return 0.0
        share = min(1.0, over / (self.hard - mark))
        if self._window_s is None:
            return share * self._most_delay_s
        return min(self._most_delay_s, share * amount * self._window_s / self.hard)

    def crossed(self, now_s: float) -> str | None:
        """The mark that was passed since this was asked last: "soft" or "hard"; None: none was.

        Below its marks again, it can cross them again.
        """
        spent, before = self.spent(now_s), self.marked
        if spent >= self.hard:
            self.marked = "hard"
        elif before != "hard" or spent < _LEFT * self.hard:
            self.marked = "soft" if spent > self.soft * self.hard else ""
        return self.marked if self.marked and self.marked != before != "hard" else None

    def refused(self) -> bool:
        """A call does not fit. Whether this is the first that the hard mark turns away."""
        before, self.marked = self.marked, "hard"
        return before != "hard"

    def reserve(self, amount: float) -> None:
        """A call of `amount` goes."""
        self.reserved += amount

    def settle(self, reserved: float, used: float, now_s: float) -> None:
        """The call that reserved `reserved` really used `used`."""
        self._roll(now_s)
        self.reserved -= reserved
        if abs(self.reserved) < _ROUNDING:
            self.reserved = 0.0  # no rounding error survives
        self.settled += used
        self.own += used
        if self._window_s is None or not used:
            return
        slice_s = self._window_s / _SLICES
        # Each slice carries its end, so that nothing is free before its time.
        end_s = (now_s // slice_s + 1) * slice_s
        if self._slices and self._slices[-1][0] == end_s:
            self._slices[-1][1] += used
        else:
            self._slices.append([end_s, used])

    def _roll(self, now_s: float) -> None:
        while self._slices and self._window_s is not None:
            end_s, used = self._slices[0]
            if end_s + self._window_s > now_s:
                return
            self._slices.popleft()
            self.settled -= used
        if self._window_s is not None:
            self.settled = 0.0  # no rounding error survives an empty window


def first_refusal(
    ledgers: Iterable[Budget], amounts: dict[Resource, float], now_s: float
) -> Budget | None:
    """The first ledger (child before parent) that has no room for the call; None if all have."""
    for ledger in ledgers:
        if not ledger.allows(amounts.get(ledger.resource, 0.0), now_s):
            return ledger
    return None
