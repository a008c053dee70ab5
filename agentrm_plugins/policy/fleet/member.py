"""One process of a fleet: what it asks for, what it gives back, when, and what it may use.

Law: what was given may be used until the lease is over: ``sent + 0.9 lease``, by a clock that goes
on while the machine sleeps. After that nothing new goes until an exchange succeeds; whoever was
given up meanwhile begins anew, keeps lanes for its running calls as far as they are free, and loses
the others. An exchange whose answer was lost is sent again under its number, and answered again.

Regimes: *joined*: exchanges on need (somebody new waits, something is free that others wait for, a
told time has come) and at heartbeats. *alone*, when the lease is over and the server is silent: by
the outage rule this process uses its part of the limits ("share"), nothing ("wait"), or refuses.

Limits: of what waits the first 32 calls are told. Times of the server are known to half a round
trip.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf
from typing import TYPE_CHECKING, Any, NamedTuple

from agentrm_plugins.policy.fleet.allot import PROTOCOL
from agentrm_plugins.policy.fleet.outage import Outage
from agentrm_plugins.policy.fleet.report import Reporter
from agentrm_plugins.policy.fleet.said import Said
from agentrm_plugins.policy.fleet.tallies import Tallies
from agentrm_plugins.types.fleet import EndpointSupply, Recall, Supply

if TYPE_CHECKING:
    from agentrm_plugins.policy.fleet.terms import Terms
    from agentrm_plugins.types.fleet import Demand

__all__ = ["FleetMember"]

_LEVEL, _LAST_LEVEL = 1e14, 80
_VALID = 0.9
_SLICE_S = 0.05  # guessed: a lane is used again here for so long while others wait
_LINGER_S = 0.05  # guessed: idle lanes are kept for so long
_AHEAD_S = 0.2  # guessed: amounts for so many seconds of the recent rate are kept in hand
_GAP_S, _GAP_ALONE_S = 0.01, 0.002
_MANY = 40.0  # members from which on each exchanges less often
_BUSY_S, _IDLE_S = 0.1, 1.0
# Of all busy members together, which a server bears easily. Half of it, for a thousand members: a
# quarter fewer exchanges, and a person's p95 a quarter longer (simulated).
_BEATS_PER_S = 2000.0
_SMOOTH = 0.3
_LOOKS_S = 10.0  # guessed: who looks at a fleet looks again before that


class Standing(NamedTuple):
    """How a member stands: its state, its last exchange, its lease's end, and the outage's rule."""

    state: str
    exchanged_s: float
    valid_until_s: float
    outage: Outage


class FleetMember:
    """The state of one process.

    Args:
        terms: What was configured.
        now_s: When it begins, on its own clock.

    Attributes:
        state: "new", "joined", "lapsed" (no lease, no outage yet) or "alone".
        members: How many there are, as far as is known.
    """

    def __init__(self, terms: Terms, now_s: float) -> None:
        self.terms = terms
        self.state = "new"
        self.members = max(1, terms.expected)
        self.rank = 0
        self.epoch = 0
        self.born = 0.0
        self.offset_s = 0.0
        self.valid_until_s = -inf
        self.told_s: float | None = None
        self.others = False
        self.waits: Mapping[str, int] = {}
        self.held: dict[str, int] = {}
        self.said = Said(terms.limits)
        self.exchanges = self.fenced = self.outages = 0
        self.exchanged_s = now_s
        self.peers: list[list[Any]] = []
        self.pool: dict[str, tuple[int, float]] = {}
        self.shares: dict[str, Any] = {}
        self._looked_s = self._saw_s = -inf
        self.folds: dict[str, Any] = {}
        self.to_fold: dict[str, Any] = {}
        self._number = 0
        self._kept: dict[str, int] = {}
        self._reporter = Reporter()
        self.tallies = Tallies(terms.name)
        self._outage = Outage(terms)
        self._rates: dict[str, float] = {}
        self._granted: dict[str, int] = {}
        self._rated_s = now_s
        self._idle_s: float | None = None
        self._lanes_s = now_s
        self._waiting = self._active = False

    # -- what is asked ----------------------------------------------------------------------------

    def plan(self, demand: Demand, now_s: float) -> Recall | None:
        """What is idle here and goes back with the next exchange."""
        self._measure(demand, now_s)
        if self.state == "alone":  # it is this process's own part, and nobody takes it back
            return None
        places = self._idle_places(demand, now_s)
        amounts: dict[str, dict[str, float]] = {}
        for name, found in demand.endpoints.items():
            wanted = self._wanted(demand, name)
            for resource, there in found.hand.items():
                spare = there - wanted.get(resource, 0.0)
                if there < 0 or spare > 0:
                    amounts.setdefault(name, {})[resource] = max(0.0, spare)
        return Recall(places, amounts) if places or amounts else None

    def request(self, demand: Demand, now_s: float) -> dict[str, Any]:
        """The next exchange."""
        self._number += 1
        self._waiting = bool(demand.asks)
        asked = {ask.endpoint for ask in demand.asks}
        self._kept = {key: max(have, demand.use[key]) for key, have in demand.have.items()}
        endpoints = {
            name: {
                **self._reporter.report(name, found, self._at, now_s),
                "ahead": {} if name in self.waits else self._ahead(demand, name),
            }
            for name, found in demand.endpoints.items()
            if self._reporter.matters(name, found, now_s) or name in self.folds or name in asked
        }
        hands = any(any(found.hand.values()) for found in demand.endpoints.values())
        self.said.tells({name: found.said for name, found in demand.endpoints.items()})
        self._active = bool(demand.use["l"] or demand.asks or hands)
        asks = self._asks(demand)
        return {
            "v": PROTOCOL,
            "m": self.terms.name,
            "e": self.epoch,
            "born": self.born,
            "n": self._number,
            "ttl": self.terms.lease_s * 1000,
            "boost": self.terms.boost,
            "limits": dict(self.terms.limits),
            "guaranteed": dict(self.terms.guaranteed),
            "use": {key: use for key, use in demand.use.items() if use},
            "keep": {key: kept for key, kept in self._kept.items() if kept},
            "busy": {key: busy for key, busy in demand.busy.items() if busy},
            "asks": asks,
            "ahead": {} if self.others or asks else self._ahead_lanes(),
            "eps": endpoints,
            "tally": self.tallies.request(demand.tallies, now_s),
            **({"look": 1} if self._looks(now_s) else {}),
            "folds": {name: back for name, back in self.folds.items() if name in endpoints},
        }

    def looked_at(self, now_s: float) -> None:
        """Somebody reads of the fleet: for a while its peers are asked for.

        In a large fleet less often, so that the server is asked forty times a second at most.
        """
        self._looked_s = now_s

    def _looks(self, now_s: float) -> bool:
        again_s = _IDLE_S * max(1.0, self.members / _MANY)
        return now_s - self._looked_s <= _LOOKS_S and now_s - self._saw_s >= again_s

    def leaving(self) -> dict[str, Any]:
        """The last exchange: everything goes back."""
        return {"v": PROTOCOL, "m": self.terms.name, "e": self.epoch, "n": 0, "leave": 1, "ttl": 0}

    def _at(self, at_s: float) -> float:
        return (at_s + self.offset_s) * 1000.0

    def _asks(self, demand: Demand) -> list[dict[str, Any]]:
        least, asks = -inf, []
        for ask in demand.asks:
            score = min(ask.level, _LAST_LEVEL) * _LEVEL + max(0.0, self._at(ask.since_s))
            if not ask.oldest:  # In their own order, and none before one that goes before it here.
                score = least = max(least, score)
            else:
                score = self._at(ask.since_s)
            plain: dict[str, Any] = {"s": score, "k": list(ask.places)}
            if ask.endpoint is not None:
                told = demand.endpoints[ask.endpoint].told["cap"]
                plain["ep"] = ask.endpoint
                plain["a"] = {name: ask.amounts[name] for name in told}
            if ask.oldest:
                plain["o"] = 1
            asks.append(plain)
        return asks

    # -- what is kept and given back --------------------------------------------------------------

    def _measure(self, demand: Demand, now_s: float) -> None:
        """How many calls were granted lately, by group and by endpoint."""
        passed_s = max(1e-3, now_s - self._rated_s)
        self._rated_s = now_s
        counts = dict(demand.granted)
        for name, found in demand.endpoints.items():
            counts[f"e:{name}"] = found.seen["n"]
        for key, count in counts.items():
            rate = (count - self._granted.get(key, 0)) / passed_s
            before = self._rates.get(key, 0.0)
            weight = min(1.0, _SMOOTH + passed_s)
            self._rates[key] = before + weight * (rate - before)
        self._granted = counts

    def _idle_places(self, demand: Demand, now_s: float) -> dict[str, int]:
        idle = {
            key: have - demand.use[key]
            for key, have in demand.have.items()
            if have > demand.use[key]
        }
        if not idle or (self.others and now_s - self._lanes_s <= _SLICE_S):
            return {}
        if self.others:
            return idle
        needed = {key: sum(key in ask.places for ask in demand.asks) for key in idle}
        ahead = self._ahead_lanes()
        ahead["l"] = sum(ahead.values())
        spare = {key: number - max(needed[key], ahead.get(key, 0)) for key, number in idle.items()}
        spare = {key: number for key, number in spare.items() if number > 0}
        if not spare:
            self._idle_s = None
            return {}
        self._idle_s = now_s if self._idle_s is None else self._idle_s
        return spare if now_s - self._idle_s >= _LINGER_S else {}

    def _ahead_lanes(self) -> dict[str, int]:
        return {
            key: ceil(rate * _LINGER_S)
            for key, rate in self._rates.items()
            if key.startswith("g:") and rate > 1.0
        }

    def _ahead(self, demand: Demand, name: str) -> dict[str, float]:
        calls = self._rates.get(f"e:{name}", 0.0) * _AHEAD_S
        found = demand.endpoints[name]
        sent, number = found.seen["sent"], found.seen["n"]
        if calls < 1.0 or not number:
            return {}
        return {r: calls * sent.get(r, 0.0) / number for r in found.told["cap"]}

    def _wanted(self, demand: Demand, name: str) -> dict[str, float]:
        wanted = {} if name in self.waits else dict(self._ahead(demand, name))
        for ask in demand.asks:
            if ask.endpoint == name and not ask.oldest:
                for resource, amount in ask.amounts.items():
                    wanted[resource] = wanted.get(resource, 0.0) + amount
        return wanted

    # -- what is answered -------------------------------------------------------------------------

    def answered(
        self, answer: Mapping[str, Any], sent_s: float, back_s: float, *, again: bool = False
    ) -> Supply:
        """What may be used now.

        Args:
            answer: What the server said.
            sent_s: When the exchange was sent first.
            back_s: When it came back.
            again: Whether it was sent more than once: then it says nothing of the server's time.
        """
        fresh = bool(answer.get("fresh"))
        self.exchanges += 1
        self.exchanged_s = back_s
        if not again:
            self.offset_s = answer["now"] / 1000.0 - (sent_s + back_s) / 2
        self.valid_until_s = sent_s + _VALID * self.terms.lease_s
        self.epoch, self.born = int(answer["e"]), answer["born"]
        self.members, self.rank = int(answer["members"]), int(answer["rank"])
        others, self.others = self.others, bool(answer["others"])
        self.waits = answer["waits"] or {}
        if "peers" in answer:
            self._seen(answer, back_s)
        held = {key: int(number) for key, number in dict(answer["held"] or {}).items()}
        self.held = held
        self.said.answered(answer)
        wait = answer.get("wait")
        self.told_s = None if wait is None else back_s + wait / 1000.0
        self._heard(fresh=fresh)
        change = {key: held.get(key, 0) - self._kept.get(key, 0) for key in {*held, *self._kept}}
        if not others or change.get("l", 0) > 0:
            self._lanes_s = back_s
        lost = {key: int(n) for key, n in dict(answer.get("lost") or {}).items()}
        self.fenced += lost.get("l", 0)
        return Supply(
            change={} if fresh else {key: n for key, n in change.items() if n},
            set=held if fresh else None,
            endpoints=self._endpoints(answer, fresh=fresh, held=held),
            lost=lost,
            void=fresh,
            lease_s=self.valid_until_s,
            slice_s=self._lanes_s + _SLICE_S if self.others else inf,
            busy=dict(answer["busy"] or {}) if answer.get("full") else None,
            relief=bool(answer.get("relief")),
            members=self.members,
            tallies=self.tallies.answered(dict(answer.get("tally") or {}), back_s),
            marks=self.said.marks,
        )

    def _heard(self, *, fresh: bool) -> None:
        """The server has answered: what was told is told, or is to be told again."""
        if self.state == "alone":
            self._outage = Outage(self.terms)
        self.state = "joined"
        self._reporter.acknowledged()
        self.folds.clear()
        if fresh:
            self.tallies.anew()

    def _seen(self, answer: Mapping[str, Any], back_s: float) -> None:
        """For people: who holds what, and what endpoints allow."""
        self.peers, self._saw_s = list(answer["peers"] or ()), back_s
        self.pool = dict(answer["pool"] or {})
        self.shares = {**self.shares, **dict(answer["shares"] or {})}

    def _endpoints(
        self, answer: Mapping[str, Any], *, fresh: bool, held: Mapping[str, int]
    ) -> dict[str, EndpointSupply]:
        given = {}
        for name, told in dict(answer["eps"] or {}).items():
            known = told.get("told")
            if known is not None:
                breaker = known["breaker"]
                left, full = max(0.0, breaker[1] - answer["now"]), breaker[3:]
                ago = [at - answer["now"] for at in full]
                known = {**known, "breaker": [breaker[0], left, breaker[2], *ago]}
            if told.get("fold"):
                self.to_fold[name] = told["fold"]
            given[name] = EndpointSupply(
                add=dict(told["add"] or {}),
                told=known,
                version=told["version"],
                closed_s=told.get("closed", 0.0) / 1000.0,
                probe=bool(told.get("probe")),
                places=held.get(f"c:{name}", 0) if fresh else None,
            )
        return given

    # -- outages and time -------------------------------------------------------------------------

    def failed(self, demand: Demand, now_s: float) -> Supply | None:
        """An exchange failed. What may be used now, if that changes."""
        if now_s <= self.valid_until_s:
            return None
        if self.state != "alone":
            self.outages += 1
            self.state = "alone"
            self.epoch = -1 if self.epoch else 0  # Whoever comes back begins anew.
            self._reporter.forget()
            self.others, self.waits, self.told_s = False, {}, None
        part = self.members, self.rank
        return self._outage.supply(demand, part, self.held if self.born else None, now_s)

    def standing(self) -> Standing:
        """How this process stands with the fleet, to go back to (`distrust`)."""
        return Standing(self.state, self.exchanged_s, self.valid_until_s, self._outage)

    def distrust(self, before: Standing) -> None:
        """An answer could not be used: it renews no lease and ends no outage; all begins anew."""
        self.state, self.exchanged_s, self.valid_until_s, self._outage = before
        self.renew()

    def renew(self) -> None:
        """The lease is over: what was asked before is asked anew."""
        if self.epoch:
            self.epoch = -1

    def next_s(self, now_s: float) -> float:
        """When to exchange at the latest, if nothing happens before."""
        beat_s = _IDLE_S
        if self._active or self.others:
            beat_s = max(_BUSY_S, self.members / _BEATS_PER_S)
        at_s = self.exchanged_s + min(beat_s, self.terms.lease_s / 4)
        if self.told_s is not None and self._waiting:
            at_s = min(at_s, self.told_s)
        if self.folds or self.valid_until_s <= now_s:
            at_s = now_s
        return max(at_s, self.exchanged_s + self.gap_s)

    @property
    def gap_s(self) -> float:
        """Seconds between two exchanges at least."""
        if not (self.others or self.waits):
            return _GAP_ALONE_S
        return _GAP_S * max(1.0, self.members / _MANY)
