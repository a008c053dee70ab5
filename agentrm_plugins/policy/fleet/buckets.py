"""Endpoints in one exchange: buckets that refill, what is kept for others, whose turn the fold is.

Law: what is in a bucket and what members have in hand together never exceed its size; what is given
is debited before it is used. A refusal (429) empties the buckets and closes the endpoint at once
for all; how far a rate is cut, grown or learnt is for the fold: the product's own controllers, run
over the fleet's totals by whoever holds the baton.

Regimes: after a long silence of the whole namespace buckets begin at nothing, for members lived on
their shares meanwhile, or the clock jumped. A breaker that is not closed lets one probe go.
"""

from __future__ import annotations

from math import floor, inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.policy.fleet.said import changed, differ, exchanged, least
from agentrm_plugins.policy.fleet.state import EndpointShare

if TYPE_CHECKING:
    from agentrm_plugins.policy.fleet.state import Fleet, Member

__all__ = ["Buckets"]

_BATON = 2000.0
_FOLD_EVERY = 1000.0
_MOST_EVENTS = 100
_LONG = 60_000.0  # told when nothing is known to come back
_RESERVE = 0.25  # of a bucket, which no chunk ahead may take
_ROUNDING = 1e-6
_SPREAD = 4.0  # members that a server can answer in a millisecond


class Buckets:
    """The endpoints of one exchange.

    Args:
        fleet: The namespace.
        asked: What the member sends.
        now: The server's time in milliseconds.
    """

    def __init__(self, fleet: Fleet, asked: dict[str, Any], now: float) -> None:
        self._fleet = fleet
        self._asked = asked
        self._now = now
        self._seen: dict[str, EndpointShare] = {}
        self._hand: dict[str, dict[str, float]] = {}
        self._add: dict[str, dict[str, float]] = {}
        self._kept: dict[str, dict[str, float]] = {}
        self._probes: dict[str, int] = {}
        self._short: list[str] = []

    def share(self, name: str) -> EndpointShare | None:
        """An endpoint as it is now."""
        share = self._seen.get(name) or self._fleet.endpoints.get(name)
        if share is None:
            mine = self._asked["eps"].get(name)
            if mine is None:
                return None
            share = EndpointShare(mine["told"], self._now, full=self._now >= self._fleet.lost)
            self._fleet.endpoints[name] = share
        if name not in self._seen:
            self._seen[name] = share
            self._refill(share)
        return share

    def places(self, name: str) -> float:
        """How many calls may be in flight there."""
        share = self.share(name)
        return inf if share is None else float(share.told.get("concurrency", inf))

    def _refill(self, share: EndpointShare) -> None:
        now, begun = self._now, max(share.at, self._fleet.gap)
        lived_apart = share.at < self._fleet.gap
        for name, rate in share.told["rate"].items():
            level = share.level.get(name, 0.0)
            if lived_apart:
                level = min(level, 0.0)
            level += rate * max(0.0, now - begun) / 1000
            size = share.told["cap"][name] - share.out.get(name, 0.0)
            coming = share.refill.get(name)
            if coming is not None and coming[0] <= now:
                level = max(level, coming[1] - share.out.get(name, 0.0))
                del share.refill[name]
            share.level[name] = min(level, size)
        share.at = max(share.at, now)

    # -- what members report ----------------------------------------------------------------------

    def settle(self, member: Member) -> bool:
        """Take back amounts, note what was sent and seen. True: something came back."""
        freed = False
        mine = self._asked["eps"]
        for name in [name for name in member.hand if name not in mine]:
            self.write_off(name, member.hand.pop(name))
        for name in sorted(mine):
            share = self.share(name)
            assert share is not None  # noqa: S101 - the member names it, so it is made
            report = mine[name]
            self.say(member, name, report["said"])
            folded = self._asked["folds"].get(name)
            if folded is not None:
                self._folded(share, folded)
            if member.number:
                freed = self._back(share, member, name, report) or freed
                self._hand[name] = dict(report["hand"])
            else:  # Who has just joined has nothing in hand, whatever it says.
                member.hand[name], self._hand[name] = {}, {}
            _merge(share.seen, report["seen"])
            share.events = [*share.events, *report["events"]][-_MOST_EVENTS:]
            for event in report["events"]:
                if event["kind"] == "limit":
                    self._refused(share, event)
        return freed

    def _back(
        self, share: EndpointShare, member: Member, name: str, report: dict[str, Any]
    ) -> bool:
        freed = False
        before, hand, give = member.hand.get(name, {}), report["hand"], report["give"]
        for resource in {*before, *hand, *give}:
            change = hand.get(resource, 0.0) - before.get(resource, 0.0)
            share.out[resource] = share.out.get(resource, 0.0) + change
            back = give.get(resource, 0.0)
            if resource in share.level:
                size = share.told["cap"][resource] - share.out[resource]
                share.level[resource] = min(share.level[resource] + back, size)
                freed = freed or back > 0
        member.hand[name] = dict(hand)
        return freed

    def say(self, member: Member, name: str, own: dict[str, float]) -> None:
        """A member was configured so: what it said before counts no longer."""
        share, before = self.share(name), member.said.get(name, {})
        if share is not None and own != before:
            share.said = exchanged(share.said, before, own)
            member.said[name] = own

    def write_off(self, name: str, hand: dict[str, float]) -> None:
        """Amounts that a member had and cannot tell of: they count as sent."""
        share = self.share(name)
        if share is None:
            return
        sent = share.seen.setdefault("sent", {})
        for resource, amount in hand.items():
            share.out[resource] = share.out.get(resource, 0.0) - amount
            if amount > 0:
                sent[resource] = sent.get(resource, 0.0) + amount
            elif resource in share.level:  # a debt is the fleet's
                share.level[resource] += amount

    def _refused(self, share: EndpointShare, event: dict[str, Any]) -> None:
        """A 429: one congestion event, for all, at once."""
        if event["sent"] <= share.cut:
            return
        share.cut = self._now
        for resource in share.level:
            share.level[resource] = min(share.level[resource], 0.0)
        again = event.get("again", 0.0)
        if again > 0 and self._now + again > share.closed:
            share.closed = self._now + again
        share.version += 1

    def _folded(self, share: EndpointShare, folded: dict[str, Any]) -> None:
        """The holder of the baton brings back what it made of the events."""
        if folded["id"] != share.fold or not share.baton:
            return
        share.baton, share.folded = 0.0, self._now
        share.lent, share.lent_events = {}, []
        share.state = folded["state"]
        if folded["told"] != share.told or folded["closed"] > share.closed:
            share.version += 1
        share.told = folded["told"]
        share.closed = max(share.closed, folded["closed"])
        share.probe = 0.0
        share.refill = dict(folded["refill"])
        sent, back = share.seen.get("sent", {}), share.seen.get("back", {})
        since = max(0.0, self._now - folded["at"]) / 1000
        level = {}
        for resource, there in folded["level"].items():
            out = share.out.get(resource, 0.0)
            now = there + share.told["rate"][resource] * since - sent.get(resource, 0.0)
            size = share.told["cap"][resource] - out
            level[resource] = min(now + back.get(resource, 0.0) - out, size)
        share.level = level

    # -- what is granted --------------------------------------------------------------------------

    def wait(self, name: str, amounts: dict[str, float]) -> float:
        """Milliseconds until a call of the member may go; 0 is now."""
        share = self.share(name)
        self._short = []
        if share is None:
            return _LONG
        shut = self._shut(share, name)
        if shut > 0:
            self._short = ["closed"]
            return shut
        longest = 0.0
        hand, kept = self._hand.get(name, {}), self._kept.get(name, {})
        for resource, cap in share.told["cap"].items():
            lack = min(amounts.get(resource, 0.0), cap) - hand.get(resource, 0.0)
            missing = lack + kept.get(resource, 0.0) - share.level[resource]
            if lack > _ROUNDING and missing > _ROUNDING:
                self._short.append(resource)
                longest = max(longest, self._time(share, resource, missing))
        return longest

    def hold_up(self, name: str, *what: str) -> None:
        """A call of the member waits for what `wait` found short, or for this."""
        share = self.share(name)
        if share is not None:
            held = share.seen.setdefault("held", {})
            for cause in what or self._short:
                held[cause] = held.get(cause, 0) + 1

    def _shut(self, share: EndpointShare, name: str) -> float:
        """For how long it is closed, or its breaker open; a probe is one for the fleet."""
        if share.closed > self._now:
            return share.closed - self._now
        state, until = share.told["breaker"][:2]
        if state == "closed":
            return 0.0
        if name in self._probes:
            return _LONG
        return float(max(0.0, until - self._now, share.probe - self._now))

    def _time(self, share: EndpointShare, resource: str, missing: float) -> float:
        rate = share.told["rate"][resource]
        wait = missing / rate * 1000 if rate > 0 else _LONG
        coming = share.refill.get(resource)
        if coming is not None:
            wait = min(wait, max(1.0, coming[0] - self._now))
        return max(wait, len(self._fleet.members) / _SPREAD)

    def lack(self, name: str, amounts: dict[str, float]) -> dict[str, float]:
        """What a call of the member lacks."""
        share, hand = self.share(name), self._hand.get(name, {})
        if share is None:
            return {}
        lacks = {}
        for resource, cap in share.told["cap"].items():
            lack = min(amounts.get(resource, 0.0), cap) - max(0.0, hand.get(resource, 0.0))
            if lack > _ROUNDING:
                lacks[resource] = lack
        return lacks

    def keep(self, name: str, amounts: dict[str, float]) -> bool:
        """Keep amounts for a better head; whether its endpoint would let it go."""
        share = self.share(name)
        if share is None or self._shut(share, name) > 0:
            return False
        able = self.is_open(name, amounts)
        kept = self._kept.setdefault(name, {})
        for resource, amount in amounts.items():
            kept[resource] = kept.get(resource, 0.0) + amount
        return able

    def takes_s(self, name: str, times: float) -> float:
        """Seconds in which so many times what is kept for better heads flows in."""
        share, kept = self.share(name), self._kept.get(name, {})
        if share is None:
            return 0.0
        rates = share.told["rate"]
        return max((times * kept.get(r, 0.0) / rates[r] for r in rates if rates[r] > 0), default=0)

    def is_open(self, name: str, amounts: dict[str, float]) -> bool:
        """Whether amounts are there, after what is kept."""
        share = self.share(name)
        if share is None or self._shut(share, name) > 0:
            return False
        kept = self._kept.get(name, {})
        return all(
            share.level.get(resource, inf) - kept.get(resource, 0.0) >= amount - _ROUNDING
            for resource, amount in amounts.items()
        )

    def give(self, name: str, amounts: dict[str, float]) -> None:
        """A call of the member goes: debit what it lacks."""
        share, hand = self.share(name), self._hand.setdefault(name, {})
        assert share is not None  # noqa: S101 - `wait` has looked
        for resource, cap in share.told["cap"].items():
            need = min(amounts.get(resource, 0.0), cap)
            lack = max(0.0, need - hand.get(resource, 0.0))
            if lack > 0:
                self._debit(share, name, resource, lack)
            hand[resource] = hand.get(resource, 0.0) + lack - need
        if share.told["breaker"][0] != "closed":
            self._probes[name] = 1
            share.probe = self._now + share.told["breaker"][2]

    def _debit(self, share: EndpointShare, name: str, resource: str, amount: float) -> None:
        share.level[resource] -= amount
        share.out[resource] = share.out.get(resource, 0.0) + amount
        add = self._add.setdefault(name, {})
        add[resource] = add.get(resource, 0.0) + amount

    def ahead(self, members: int, waits: dict[str, int]) -> None:
        """A chunk ahead of what lately went, from what nobody waits for."""
        for name in sorted(self._asked["eps"]):
            wanted = self._asked["eps"][name]["ahead"]
            share = self.share(name)
            if not wanted or name in waits or share is None or self._shut(share, name) > 0:
                continue
            if share.told["breaker"][0] != "closed":
                continue
            hand = self._hand.get(name, {})
            for resource, cap in share.told["cap"].items():
                lack = wanted.get(resource, 0.0) - max(0.0, hand.get(resource, 0.0))
                chunk = min(lack, (share.level[resource] - _RESERVE * cap) / members)
                if chunk > 0:
                    self._debit(share, name, resource, chunk)

    # -- what the member is told ------------------------------------------------------------------

    def told(self, member: Member) -> dict[str, Any]:
        """What changed at the member's endpoints."""
        answers = {}
        for name in sorted(self._asked["eps"]):
            share = self.share(name)
            assert share is not None  # noqa: S101 - it was made in `settle`
            hand = member.hand.setdefault(name, {})
            add = self._add.get(name, {})
            for resource, amount in add.items():
                hand[resource] = hand.get(resource, 0.0) + amount
            answer: dict[str, Any] = {"add": add, "version": share.version}
            if self._asked["eps"][name]["version"] != share.version:
                answer["told"] = share.told
            if share.closed > self._now:
                answer["closed"] = share.closed - self._now
            if name in self._probes:
                answer["probe"] = 1
            differing = differ(share.said, member.said.get(name, {}))
            if differing:
                answer["said"] = differing
            fold = self._baton(share, name)
            if fold:
                answer["fold"] = fold
            answers[name] = answer
        return answers

    def seen(self) -> dict[str, Any]:
        """The member's endpoints for people: what is left, what members have in hand."""
        found = {}
        for name in sorted(self._asked["eps"]):
            share = self.share(name)
            assert share is not None  # noqa: S101 - it was made in `settle`
            found[name] = {
                "level": {resource: _shown(n) for resource, n in share.level.items()},
                "out": {resource: _shown(n) for resource, n in share.out.items()},
                "used": self._fleet.used.get(f"c:{name}", 0),
                "closed": max(0.0, share.closed - self._now),
                "told": share.told,
            }
        return found

    def _baton(self, share: EndpointShare, name: str) -> dict[str, Any]:
        """Hand the member what is to be folded, if there is something and nobody has it."""
        due = share.seen.get("n", 0) > 0 and self._now - share.folded >= _FOLD_EVERY
        late = share.baton and share.baton <= self._now
        other = changed(share.said, share.told["said"])
        if share.baton > self._now or not (share.events or due or late or other):
            return {}
        _merge(share.seen, share.lent)
        share.lent, share.seen = share.seen, {}
        share.lent_events, share.events = (
            [*share.lent_events, *share.events][-_MOST_EVENTS:],
            [],
        )
        share.fold += 1
        share.baton = self._now + _BATON
        return {
            "id": share.fold,
            "state": share.state,
            "since": share.folded,
            "seen": share.lent,
            "events": share.lent_events,
            "running": self._fleet.used.get(f"c:{name}", 0),
            "told": share.told,
            "said": least(share.said),
            "members": len(self._fleet.members),
        }


def _shown(amount: float) -> float:
    """Without what sums of fractions leave over."""
    return floor(amount * 1e6 + 0.5) / 1e6


def _merge(into: dict[str, Any], more: dict[str, Any]) -> None:
    """Add what another report counts."""
    for key, value in more.items():
        if isinstance(value, dict):
            _merge(into.setdefault(key, {}), value)
        else:
            into[key] = into.get(key, 0) + value
