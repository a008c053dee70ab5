"""The parts of one exchange: what comes back, who goes before, what is granted, who is woken."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.policy.fleet.said import spread
from agentrm_plugins.policy.fleet.state import Need
from agentrm_plugins.policy.fleet.tallies import tally

if TYPE_CHECKING:
    from agentrm_plugins.policy.fleet.buckets import Buckets
    from agentrm_plugins.policy.fleet.state import Fleet, Member

__all__ = ["HEADS", "MOST_PEERS", "Exchange"]

HEADS = 16  # heads of others that are looked at: a script must stay short
_WOKEN = 4
MOST_PEERS = 50
_KINDS = 4  # heads of one member, one of each kind of lane
_BEHIND, _MOST_BEHIND = 0.5, 1000.0  # guessed: by half of the way each time, a second at most
_OWED = 1e16  # a head of a group below its guarantee goes before all others


class Exchange:
    """One exchange, step by step.

    Args:
        fleet: The namespace.
        asked: What the member sends.
        now: The server's time in milliseconds.
        buckets: The endpoints.
    """

    def __init__(self, fleet: Fleet, asked: dict[str, Any], now: float, buckets: Buckets) -> None:
        self._fleet = fleet
        self._asked = asked
        self._now = now
        self._name: str = asked["m"]
        self.answer: dict[str, Any] = {}
        self.member: Member
        self._buckets = buckets
        self._taken: dict[str, int] = {}  # places kept for better heads
        self._better: list[tuple[float, Need]] = []
        self._wait = inf
        self._rest: dict[str, tuple[float, Need]] = {}
        self._freed = False
        self._full = False
        self._granted = 0

    def run(self, member: Member) -> dict[str, Any]:
        """All steps for a member that is known by now; its answer."""
        self.member = member
        self.settle()
        self.reserve()
        self.grant()
        self.ahead()
        self.remember()
        self.wake()
        return self.answer

    def limit(self, key: str) -> float:
        """How many of these places there are: the least of what members say."""
        if key.startswith("c:"):
            return self._buckets.places(key[2:])
        values = self._fleet.limits.get(key)
        return min(map(float, values)) if values else inf

    def free(self, key: str) -> float:
        """How many of these places nobody holds."""
        return self.limit(key) - self._fleet.used.get(key, 0)

    # -- what comes back --------------------------------------------------------------------------

    def settle(self) -> None:
        """Take back what the member keeps no longer, and note what it uses."""
        fleet, member, asked = self._fleet, self.member, self._asked
        use, keep = asked["use"], asked["keep"]
        for key in {*member.held, *use, *keep}:
            before = member.held.get(key, 0)
            held = max(min(before, keep.get(key, 0)), use.get(key, 0))
            if "lost" in self.answer:
                held = min(before, held)
            self._hold(key, held - before)
        for group in {*member.busy, *asked["busy"]}:
            change = asked["busy"].get(group, 0) - member.busy.get(group, 0)
            fleet.busy[group] = fleet.busy.get(group, 0) + change
        member.busy = dict(asked["busy"])
        if self._buckets.settle(member):
            self._freed = True

    def _hold(self, key: str, change: int) -> None:
        fleet, member = self._fleet, self.member
        if change < 0:
            self._freed = True
        held = member.held.get(key, 0) + change
        used = fleet.used.get(key, 0) + change
        _put(member.held, key, held)
        _put(fleet.used, key, used)

    # -- who goes before --------------------------------------------------------------------------

    def reserve(self) -> None:
        """Look at the heads of others, the best first."""
        fleet = self._fleet
        if fleet.relief and fleet.relief != self._name:
            need = fleet.needs.get(f"{fleet.relief}|o")
            if need is not None:
                self._better.append((-1.0, need))
        for score, head in fleet.heads.line[: HEADS + _KINDS]:
            need = fleet.needs.get(head)  # None: that key was lost
            if need is not None and need.member != self._name and len(self._better) < HEADS:
                self._better.append((score - self._owed(need.places), need))
        self._better.sort(key=lambda found: found[0])
        self._others()

    def _owed(self, places: list[str]) -> float:
        """Whether the group of a call has less than it was guaranteed."""
        for key in places:
            least = self._asked["guaranteed"].get(key, 0)
            if least and self._fleet.used.get(key, 0) < least:
                return _OWED
        return 0.0

    def _others(self) -> None:
        """Tell the member what others wait for."""
        places, endpoints = 0, {}
        for _, need in self._better:
            if any(self.free(key) < 1 for key in need.places):
                places = 1
            if need.endpoint is not None:
                endpoints[need.endpoint] = 1
        self.answer["others"] = places
        self.answer["waits"] = endpoints
        self.answer["waiting"] = len(self._better)

    def _keep_for(self, need: Need) -> None:
        """A better head keeps what it needs, if its endpoint would let it go."""
        able = True
        if need.endpoint is not None:
            able = self._buckets.keep(need.endpoint, need.amounts)
        if able:
            for key in need.places:
                self._taken[key] = self._taken.get(key, 0) + 1

    # -- what is granted --------------------------------------------------------------------------

    def grant(self) -> None:
        """Grant asks in order, each after what better heads need."""
        fleet, member = self._fleet, self.member
        relieved = fleet.relief == self._name
        asks = []
        for place, ask in enumerate(self._asked["asks"]):
            if not ask.get("o"):
                asks.append((ask["s"] - self._owed(ask["k"]), place, ask))
            elif relieved:
                asks.append((-2 * _OWED, place, ask))
        asks.sort(key=lambda found: found[:2])
        use = self._asked["use"]
        have = {key: held - use.get(key, 0) for key, held in member.held.items()}
        before = 0
        for score, _, ask in asks:
            while before < len(self._better) and self._better[before][0] < score:
                self._keep_for(self._better[before][1])
                before += 1
            if self._try(ask, have):
                self._granted += 1
                if ask.get("o"):
                    fleet.relief = ""
                    self.answer["relief"] = 1
            elif not ask.get("o"):
                self._note(ask, have)
        for _, need in self._better[before:]:
            self._keep_for(need)
        fleet.grants += self._granted

    def _try(self, ask: dict[str, Any], have: dict[str, int]) -> bool:
        """Grant an ask if all that it lacks is there."""
        lacks = [key for key in ask["k"] if have.get(key, 0) < 1]
        if self._now < self._fleet.learning:
            self._wait = min(self._wait, self._fleet.learning - self._now)
            return False
        endpoint = ask.get("ep")
        if endpoint is not None:
            wait = self._buckets.wait(endpoint, ask["a"])
            if wait > 0:
                self._buckets.hold_up(endpoint)
                self._wait = min(self._wait, wait)
                return False
        for key in lacks:
            if self.free(key) - self._taken.get(key, 0) < 1:
                if key.startswith("c:"):
                    self._buckets.hold_up(key[2:], "concurrency")
                self._full = True
                return False
        for key in ask["k"]:
            if key in lacks:
                self._hold(key, 1)
            else:
                have[key] -= 1
        if endpoint is not None:
            self._buckets.give(endpoint, ask["a"])
        return True

    def _note(self, ask: dict[str, Any], have: dict[str, int]) -> None:
        """A refused ask is the head of its kind, if it is the first of it."""
        endpoint = ask.get("ep")
        kind = f"{self._name}|{endpoint or ''}|{','.join(ask['k'])}"
        if kind in self._rest or len(self._rest) >= _KINDS:
            return
        amounts = {} if endpoint is None else self._buckets.lack(endpoint, ask["a"])
        lacks = [key for key in ask["k"] if have.get(key, 0) < 1]
        self._rest[kind] = (ask["s"], Need(self._name, lacks, endpoint, amounts))

    def ahead(self) -> None:
        """While nobody else waits: a chunk ahead, at most the member's part of what is free."""
        if self._now < self._fleet.learning or self._full or self.answer["others"]:
            return
        members = max(1, len(self._fleet.members))
        for group, wanted in sorted(self._asked["ahead"].items()):
            most = min(wanted, (self.free("l")) // members, (self.free(group)) // members)
            if most > 0 and not self._rest:
                self._hold("l", int(most))
                self._hold(group, int(most))
        self._buckets.ahead(members, self.answer["waits"])

    # -- what is kept -----------------------------------------------------------------------------

    def remember(self) -> None:
        """Note the member's heads, see to relief, and answer."""
        fleet, member, asked, answer = self._fleet, self.member, self._asked, self.answer
        for head in member.heads:
            fleet.heads.pop(head, None)
            fleet.needs.pop(head, None)
        member.heads = list(self._rest)
        for head, (score, need) in self._rest.items():
            fleet.heads[head], fleet.needs[head] = score, need
        self._stand_back()
        self._relieve()
        answer["e"], answer["n"], answer["now"] = member.epoch, asked["n"], self._now
        answer["born"] = fleet.born
        answer["held"] = dict(member.held)
        answer["members"] = len(fleet.members)
        answer["rank"] = fleet.ranks.before(self._name)
        if self._wait < inf:
            answer["wait"] = self._wait
        if self._full:
            answer["full"] = 1
            answer["busy"] = {
                group: fleet.busy.get(group, 0) - member.busy.get(group, 0) for group in fleet.busy
            }
        differ = {key: spread(fleet.limits[key]) for key in member.limits}
        if any(differ.values()):
            answer["limits"] = {key: both for key, both in differ.items() if both}
        answer["eps"] = self._buckets.told(member)
        if asked.get("tally"):
            answer["tally"] = tally(fleet, member, asked, self._now)
        member.ttl = asked["ttl"]
        if asked.get("look"):
            answer["peers"] = self._peers()
            answer["pool"] = {
                key: [fleet.used.get(key, 0), self.limit(key)] for key in member.limits
            }
            answer["shares"] = self._buckets.seen()

    def _stand_back(self) -> None:
        """Whoever stands behind more heads than were looked at comes again later."""
        if self._wait == inf or not self._better:
            return
        behind, heads = inf, self._fleet.heads
        for head, (_, need) in self._rest.items():
            before = heads.before(head)
            ahead_s = 0.0
            if need.endpoint is not None and before > HEADS:
                ahead_s = self._buckets.takes_s(need.endpoint, before / len(self._better))
            behind = min(behind, _BEHIND * ahead_s * 1000)
        if behind < inf:
            self._wait = max(self._wait, min(behind, _MOST_BEHIND))

    def _peers(self) -> list[list[Any]]:
        """Who holds what, for people: those first who are given up first."""
        fleet = self._fleet
        due = fleet.expiry.line[:MOST_PEERS]
        found: list[list[Any]] = []
        for at, name in due:
            peer = fleet.members.get(name)
            if peer is not None:
                lanes = peer.held.get("l", 0)
                left = max(0.0, at - self._now)
                found.append([name, lanes, len(peer.heads), left, dict(peer.held), peer.ttl])
        return found

    def _relieve(self) -> None:
        """Every so many grants, whoever has waited longest goes first."""
        fleet, name, oldest = self._fleet, self._name, f"{self._name}|o"
        ask = next((ask for ask in self._asked["asks"] if ask.get("o")), None)
        fleet.oldest.pop(name, None)
        fleet.needs.pop(oldest, None)
        if ask is not None and self._rest:
            fleet.oldest[name] = ask["s"]
            lacks = [
                k for k in ask["k"] if self.member.held.get(k, 0) <= self._asked["use"].get(k, 0)
            ]
            endpoint = ask.get("ep")
            amounts = {} if endpoint is None else self._buckets.lack(endpoint, ask["a"])
            fleet.needs[oldest] = Need(name, lacks, endpoint, amounts)
        elif fleet.relief == name:
            fleet.relief = ""
        if fleet.grants >= self._asked["boost"] and not fleet.relief and len(fleet.oldest) > 1:
            fleet.relief = fleet.oldest.line[0][1]
            fleet.grants = 0

    def wake(self) -> None:
        """Something came back: wake the heads of others that may go now."""
        woken: list[str] = []
        if self._freed and self._now >= self._fleet.learning:
            taken: dict[str, int] = {}
            for _, need in self._better:
                if len(woken) >= _WOKEN:
                    break
                if need.member in woken:
                    continue
                if any(self.free(key) - taken.get(key, 0) < 1 for key in need.places):
                    continue
                if need.endpoint is None or self._buckets.is_open(need.endpoint, {}):
                    woken.append(need.member)
                    for key in need.places:
                        taken[key] = taken.get(key, 0) + 1
        if woken:
            self.answer["wake"] = woken


def _put(places: dict[str, int], key: str, number: int) -> None:
    if number:
        places[key] = number
    else:
        places.pop(key, None)
