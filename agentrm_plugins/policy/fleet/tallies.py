"""What all members have spent together: sums for budgets, shares of rates, levels and tenants.

Law: each member tells how much it has spent of a sum since it began, and what it has reserved now;
the server adds the difference to what that member told before, which a correction makes negative.
So an exchange that is heard twice counts once, whenever that is. Whoever begins a sum anew tells so
by another number, never by a smaller total. The answer is the sum of all, what of it is not older
than the sum's window, and what others have reserved.

Regimes: whoever is given up has spent what it had reserved. A sum that a member has no more (it was
empty, or its budget was taken out) gives back what was reserved of it there. If the server has lost
a sum, it goes on from the highest that a member was told, and from no less than what all who tell
have spent together.

Limits: a member knows what others spent as of its last exchange; so near its end a budget lets a
call go only when the server has heard of what it reserves (`policy.spending.ledgers`). A member
that was given up, comes back and then ends its calls has them counted once more.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import floor, inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.types.fleet import TallyDemand, TallySupply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.policy.fleet.state import Fleet, Member

__all__ = ["Tallies", "Tally", "forget", "tally", "write_off"]

SLICES = 60
MOST_TELLERS = 64
FORGOTTEN = 20  # sums that one exchange clears away, so that none takes long
MONTH = 30.0 * 86_400_000.0  # guessed: a sum without a window is forgotten so long after its last
SPARE = 60_000.0
_SAME = 1e-6
_MOST, _AGAIN_S, _SOFT_S, _KEPT_S = 64, 1.0, 0.5, 3600.0


class Tally:
    """One sum on the server: `slices` are ends and amounts of a window, `tellers` who told what."""

    __slots__ = ("born", "reserved", "slices", "sum", "tellers", "window")

    def __init__(self, known: float, window: float, born: float) -> None:
        self.born = born
        self.sum = known
        self.window = window
        self.reserved = 0.0
        self.slices: list[list[float]] = []
        self.tellers: dict[str, float] = {}

    def add(self, amount: float, now: float) -> None:
        """So much more was spent."""
        self.sum += amount
        self.put(amount, now)

    def hears(self, teller: str, own: float, before: float, now: float) -> None:
        """Somebody has spent so much since he began; who is not known here told `before` of it."""
        new = teller not in self.tellers
        more = own - self.tellers.get(teller, before)
        if more:
            self.add(more, now)
        self.tellers[teller] = own
        missing = sum(self.tellers.values()) - self.sum if new else 0.0
        if missing > _SAME:
            self.add(missing, now)

    def put(self, amount: float, now: float) -> None:
        """So much of the sum is of now."""
        if not self.window or not amount:
            return
        width = self.window / SLICES
        end = (floor(now / width) + 1) * width
        if self.slices and self.slices[-1][0] == end:
            self.slices[-1][1] += amount
        else:
            self.slices.append([end, amount])

    def lately(self, now: float) -> float:
        """What is not older than the window."""
        if not self.window:
            return self.sum
        while self.slices and self.slices[0][0] + self.window <= now:
            del self.slices[0]
        return sum(amount for _, amount in self.slices)


def tally(fleet: Fleet, member: Member, asked: dict[str, Any], now: float) -> dict[str, Any]:
    """Add what a member tells; what it is told."""
    told: dict[str, Any] = {}
    for key, row in sorted(asked.get("tally", {}).items()):
        teller, own, before, known, lately, reserved, window = row
        found = fleet.tallies.get(key)
        if found is None:
            found = fleet.tallies[key] = Tally(known, window, fleet.born)
            found.put(lately, now)
        elif known > found.sum + _SAME:  # a replica that had lost the last second of it
            found.add(known - found.sum, now)
            if teller in found.tellers:
                found.tellers[teller] = before
        if found.born != fleet.born:  # those who had reserved were lost with the rest
            found.add(found.reserved, now)
            found.reserved, found.born = 0.0, fleet.born
        new = teller not in found.tellers
        found.hears(teller, own, before, now)
        if new and len(found.tellers) > MOST_TELLERS:
            _prune(fleet, found, asked["m"], teller)
        found.reserved += reserved - member.reserved.get(key, 0.0)
        if reserved:
            member.reserved[key] = reserved
        else:
            member.reserved.pop(key, None)
        end = fleet.tally_ends[key] = now + (2 * window + SPARE if window else MONTH)
        heappush(fleet.tally_due, (end, key))
        told[key] = [found.sum, found.lately(now), found.reserved - reserved]
    return told


def write_off(fleet: Fleet, member: Member, now: float) -> None:
    """The member is gone: what it had reserved counts as spent."""
    for key, reserved in sorted(member.reserved.items()):
        found = fleet.tallies.get(key)
        if found is not None:
            found.reserved -= reserved
            found.add(reserved, now)


def forget(fleet: Fleet, now: float) -> None:
    """Sums that nobody has told of for long."""
    due, gone = fleet.tally_due, 0
    while due and due[0][0] <= now and gone < FORGOTTEN:
        end, key = heappop(due)
        if fleet.tally_ends.get(key) == end:
            del fleet.tally_ends[key]
            fleet.tallies.pop(key, None)
            gone += 1


def _prune(fleet: Fleet, found: Tally, mine: str, now_telling: str) -> None:
    for teller in sorted(found.tellers):
        name = teller.rpartition("#")[0]
        gone = teller != now_telling if name == mine else name not in fleet.members
        if gone:
            del found.tellers[teller]


class _Told:
    """What a member knows of one sum."""

    __slots__ = ("at_s", "lately", "number", "own", "reserved", "sum", "window_s")

    def __init__(self, number: int, window_s: float | None) -> None:
        self.number = number
        self.window_s = window_s
        self.own = self.reserved = self.sum = self.lately = 0.0
        self.at_s: float | None = None

    def is_other(self, demand: TallyDemand) -> bool:
        """Whether the sum was begun anew here."""
        return demand.number != self.number


class Tallies:
    """A member's side: what it tells of its sums, and what it learns of others.

    Args:
        name: The member's.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._told: dict[str, _Told] = {}
        self._telling: dict[str, TallyDemand] = {}
        self._anew = False

    def anew(self) -> None:
        """The server knows this member no longer: what it has reserved is told again."""
        self._anew = True

    def request(self, found: Mapping[str, TallyDemand], now_s: float) -> dict[str, list[Any]]:
        """What is told: first what has changed, then what was not heard of for long."""
        changed: list[str] = []
        old: list[str] = []
        for key, demand in found.items():
            told = self._told.get(key)
            if told is None or told.at_s is None or told.is_other(demand):
                changed.append(key)
            elif demand.soft and now_s - told.at_s < _SOFT_S:
                continue
            elif demand.own != told.own or demand.reserved != told.reserved:
                changed.append(key)
            elif now_s - told.at_s >= _AGAIN_S or (self._anew and demand.reserved):
                old.append(key)
        changed.sort(key=self._at_s)  # who was told longest ago comes first, so that all are told
        gone = self._gone(found)
        telling = [*gone.items(), *((key, found[key]) for key in [*changed, *old])]
        self._telling = dict(telling[:_MOST])
        self._anew = False
        return {key: self._row(key, demand, now_s) for key, demand in self._telling.items()}

    def _gone(self, found: Mapping[str, TallyDemand]) -> dict[str, TallyDemand]:
        """Sums that are none of ours any more, of which others still count what we reserved."""
        return {
            key: TallyDemand(told.number, told.own, window_s=told.window_s)
            for key, told in self._told.items()
            if told.reserved and key not in found
        }

    def _at_s(self, key: str) -> float:
        told = self._told.get(key)
        return -inf if told is None or told.at_s is None else told.at_s

    def _row(self, key: str, demand: TallyDemand, now_s: float) -> list[Any]:
        told = self._told.get(key)
        if told is None or told.is_other(demand):
            told = self._told[key] = _Told(demand.number, demand.window_s)
        teller = f"{self._name}#{demand.number}"
        window = (demand.window_s or 0.0) * 1000.0
        stale = demand.window_s is not None and now_s - (told.at_s or -inf) > demand.window_s
        lately = 0.0 if stale else told.lately
        return [teller, demand.own, told.own, told.sum, lately, demand.reserved, window]

    def answered(self, sums: Mapping[str, Any], now_s: float) -> dict[str, TallySupply]:
        """What others have spent since, and what they have reserved."""
        news = {}
        for key, (total, lately, reserved) in sums.items():
            demand, told = self._telling.get(key), self._told.get(key)
            if demand is None or told is None:
                continue
            if told.at_s is not None:
                more = (total - told.sum) - (demand.own - told.own)
                if demand.window_s is not None:
                    more = min(more, lately)  # what is older than the window has faded since
            else:
                more = lately - demand.own if demand.history else 0.0
            told.own, told.reserved, told.at_s = demand.own, demand.reserved, now_s
            told.sum, told.lately = total, lately
            more = more if more > _SAME else 0.0
            news[key] = TallySupply(demand.number, more, max(0.0, reserved), demand.mark)
        for key in [key for key, told in self._told.items() if self._is_old(told, now_s)]:
            del self._told[key]
        return news

    @staticmethod
    def _is_old(told: _Told, now_s: float) -> bool:
        return told.at_s is not None and now_s - told.at_s > _KEPT_S
