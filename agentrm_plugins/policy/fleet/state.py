"""What a namespace knows of its members, as the script on the server keeps it.

All of it is soft: each exchange carries a member's whole truth, so whatever is lost here heals
within one exchange of each member. Times are milliseconds of the server's clock.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import Any, NamedTuple

__all__ = ["EndpointShare", "Fleet", "Member", "Need", "Sorted"]


_OF_KEYS = {
    "m": "members",
    "x": "expiry",
    "h": "heads",
    "n": "needs",
    "o": "oldest",
    "e": "endpoints",
    "g": "tallies",
}


class Sorted(dict[str, float]):
    """Names by score, as a sorted set of the server: the first ones and a place cost no search."""

    def __init__(self) -> None:
        super().__init__()
        self.line: list[tuple[float, str]] = []

    def __setitem__(self, name: str, score: float) -> None:
        self.pop(name, None)
        super().__setitem__(name, score)
        insort(self.line, (score, name))

    def pop(self, name: str, default: Any = None) -> Any:
        """Take one out; `default` if it is not there."""
        score = super().pop(name, None)
        if score is None:
            return default
        del self.line[bisect_left(self.line, (score, name))]
        return score

    def clear(self) -> None:
        """Take all out."""
        super().clear()
        self.line.clear()

    def before(self, name: str) -> int:
        """How many come before it."""
        return bisect_left(self.line, (self[name], name))


class Need(NamedTuple):
    """What a member's first waiting call of one kind lacks."""

    member: str
    places: list[str]
    endpoint: str | None
    amounts: dict[str, float]


class Member:
    """One process.

    `epoch` fences its older incarnations, `number` its last exchange, `answer` what that was told.
    `held` are the places that it has (lanes in all, lanes of groups, places at endpoints), `busy`
    its lanes at work by group, `hand` the amounts that it has of each endpoint and has not reported
    as sent, `heads` the names under which its first waiting calls stand, `limits` and `said` what
    it was configured with: of places, and of each endpoint; `ttl` how long its lease is.
    """

    __slots__ = (
        *("answer", "busy", "epoch", "hand", "heads", "held", "limits", "number", "reserved"),
        *("said", "ttl"),
    )

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.number = 0
        self.answer: dict[str, Any] = {}
        self.held: dict[str, int] = {}
        self.busy: dict[str, int] = {}
        self.hand: dict[str, dict[str, float]] = {}
        self.heads: list[str] = []
        self.limits: dict[str, float] = {}
        self.reserved: dict[str, float] = {}
        self.said: dict[str, dict[str, float]] = {}
        self.ttl = 0.0


class EndpointShare:
    """One endpoint's buckets, and what is known of it.

    `level` is what is in each bucket, `out` what members have in hand, `refill` what comes at once
    at some time. `seen` sums up what members reported since the last fold, `lent` is what the
    holder of the baton folds now. `told` is what every member is to know, with its `version`;
    `said` counts what members were configured with, by field and value.
    """

    __slots__ = (
        "at",
        "baton",
        "closed",
        "cut",
        "events",
        "fold",
        "folded",
        "lent",
        "lent_events",
        "level",
        "out",
        "probe",
        "refill",
        "said",
        "seen",
        "state",
        "told",
        "version",
    )

    def __init__(self, told: dict[str, Any], now: float, *, full: bool) -> None:
        self.told = told
        caps: dict[str, float] = told["cap"]
        self.level = {name: cap if full else 0.0 for name, cap in caps.items()}
        self.out: dict[str, float] = {}
        self.refill: dict[str, list[float]] = {}
        self.at = now
        self.closed = 0.0
        self.cut = 0.0
        self.probe = 0.0
        self.seen: dict[str, Any] = {}
        self.events: list[Any] = []
        self.lent: dict[str, Any] = {}
        self.lent_events: list[Any] = []
        self.baton = 0.0
        self.fold = 0
        self.folded = now
        self.state = ""
        self.said: dict[str, dict[str, int]] = {}
        self.version = now


class Fleet:
    """One namespace, before anybody has joined it."""

    def __init__(self) -> None:
        self.shares = self.sums = 0  # endpoints and sums at the end of the last exchange
        self.tallies: dict[str, Any] = {}
        self.tally_ends: dict[str, float] = {}
        self.tally_due: list[tuple[float, str]] = []  # the same as a heap, with stale ones
        self._begin()

    def _begin(self) -> None:
        self.born = 0.0
        self.at = self.gap = 0.0  # of the last exchange, and of the first after a long silence
        self.clock = self.ahead = 0.0  # the fleet's time, and how far it is before the server's
        self.protocol = 0
        self.epoch = 0
        self.learning = self.lost = 0.0
        self.grants = 0
        self.relief = ""
        self.used: dict[str, int] = {}
        self.busy: dict[str, int] = {}
        self.limits: dict[str, dict[str, int]] = {}
        self.members: dict[str, Member] = {}
        self.expiry = Sorted()
        self.ranks = Sorted()  # by epoch
        self.heads = Sorted()
        self.needs: dict[str, Need] = {}
        self.oldest = Sorted()
        self.endpoints: dict[str, EndpointShare] = {}

    def lose(self, part: str) -> None:
        """The server evicts one key, by its name there: `KEYS` of the script.

        A member's rank follows from its epoch, so here "r" is nothing that can be lost.
        """
        if part == "s":
            kept = {name: getattr(self, name) for name in _OF_KEYS.values()}
            self._begin()
            self.shares = self.sums = 0
            for name, there in kept.items():
                setattr(self, name, there)
        elif part in _OF_KEYS:
            getattr(self, _OF_KEYS[part]).clear()
        elif part == "y":
            self.tally_ends.clear()
            self.tally_due.clear()

    def mend(self) -> None:
        """Where a key is gone and others are left, all is given up but the sums: then it heals.

        Else lanes would be counted of nobody, nobody's limits would bind, or what is reserved of a
        sum would be given back without having been counted.
        """
        if (
            len(self.members) != len(self.expiry)
            or (self.members and not self.born)
            or self.shares > len(self.endpoints)
            or self.sums > len(self.tallies)
        ):
            self._begin()
