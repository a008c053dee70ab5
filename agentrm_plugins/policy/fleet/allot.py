"""One exchange of one member, on the server: the twin of ``fleet/sync.lua``, rule by rule.

Law: a place (a lane in all, a lane of a group, a place at an endpoint) is given only while fewer
than its limit are held by all members, an amount only if it is in the bucket, and both are debited
before they are used. An ask is granted if all that it lacks is there after what better heads of
other members need: so the order across processes is exact for each process's first call of a kind,
and a big call is not overtaken for ever. A head of a group below its guarantee goes before others,
and every `relief` grants whoever has waited longest goes first.

Regimes: while nobody else waits, a member gets places and amounts ahead, at most its part of what
is free. A head reserves lanes only if its endpoint would let it go. After a loss of all data there
are only claims for a while, and buckets begin at nothing.

Limits: of the heads of other members the first `HEADS` are looked at. What a member sent and could
not report when it was lost counts as sent: its amounts are written off.
"""

from __future__ import annotations

from typing import Any

from agentrm_plugins.policy.fleet.buckets import Buckets
from agentrm_plugins.policy.fleet.exchange import Exchange
from agentrm_plugins.policy.fleet.said import say
from agentrm_plugins.policy.fleet.state import Fleet, Member
from agentrm_plugins.policy.fleet.tallies import forget, write_off

__all__ = ["PROTOCOL", "allot", "drop"]

PROTOCOL = 5  # another one for each change of what is asked, answered or lent with a baton
GAP = 2000.0  # guessed: heartbeats are at most a second apart
LEARN = 0.4  # guessed: leases for which there are only claims; heartbeats are far shorter
LOST = 60_000.0  # the usual window: what was sent before a loss of data is forgotten by then
DROPPED = 20  # expired members that one exchange clears away, so that none takes long


def allot(fleet: Fleet, asked: dict[str, Any], now: float) -> dict[str, Any]:
    """Answer one exchange.

    Args:
        fleet: The namespace; it is changed.
        asked: What the member sends: `policy.fleet.member` makes it.
        now: The server's time in milliseconds.

    Returns:
        What the member is told; "wake" names members that are to be woken.
    """
    fleet.mend()
    try:
        return _answered(fleet, asked, _steady(fleet, now))
    finally:
        fleet.shares, fleet.sums = len(fleet.endpoints), len(fleet.tallies)


def _answered(fleet: Fleet, asked: dict[str, Any], now: float) -> dict[str, Any]:
    _note_silence(fleet, asked, now)
    buckets = Buckets(fleet, asked, now)
    for member in _expired(fleet, now):
        drop(fleet, member, buckets, now)
    forget(fleet, now)
    name: str = asked["m"]
    if asked.get("leave"):
        drop(fleet, name, buckets, now)
        if not fleet.members:
            fleet.at = 0.0  # the silence that follows is none
        return {"ok": 1}
    if fleet.protocol and fleet.protocol != asked["v"]:
        return {"protocol": fleet.protocol}
    known = fleet.members.get(name)
    if known is not None and known.epoch == asked["e"]:
        if known.number == asked["n"]:
            return known.answer
        if known.number > asked["n"]:
            return {"stale": 1}
    _begin(fleet, asked, now)
    exchange = Exchange(fleet, asked, now, buckets)
    if known is None or known.epoch != asked["e"]:
        if known is not None:
            drop(fleet, name, buckets, now)
        known = _join(fleet, asked, exchange)
    answer = exchange.run(known)
    known.number, known.answer = asked["n"], {k: v for k, v in answer.items() if k != "wake"}
    fleet.expiry[name] = now + asked["ttl"]
    return answer


def _steady(fleet: Fleet, now: float) -> float:
    """The fleet's time never goes back: where the server's clock does, it goes on from there."""
    fleet.ahead += max(0.0, fleet.clock - (now + fleet.ahead))
    fleet.clock = max(fleet.clock, now + fleet.ahead)
    return fleet.clock


def _note_silence(fleet: Fleet, asked: dict[str, Any], now: float) -> None:
    """Nobody was heard of for long: members lived on their shares, and come back one by one."""
    silence = now - fleet.at if fleet.at else 0.0
    if silence > GAP:
        fleet.gap = now
    if silence > 0.5 * asked["ttl"] > 0:
        fleet.learning = now + LEARN * asked["ttl"]
    fleet.at = max(fleet.at, now)


def _expired(fleet: Fleet, now: float) -> list[str]:
    return [name for at, name in fleet.expiry.line[:DROPPED] if at <= now]


def _begin(fleet: Fleet, asked: dict[str, Any], now: float) -> None:
    """The first exchange of a namespace, or the first after its data was lost."""
    learn = LEARN * asked["ttl"]
    if not fleet.born:
        fleet.born, fleet.protocol = now, asked["v"]
        if asked["e"]:
            fleet.learning, fleet.lost = now + learn, now + LOST
    elif asked["e"] and asked["born"] != fleet.born and now - fleet.born < learn:
        fleet.learning = max(fleet.learning, fleet.born + learn)
        fleet.lost = fleet.born + LOST


def _join(fleet: Fleet, asked: dict[str, Any], exchange: Exchange) -> Member:
    """A member that is not known, or was given up: it keeps its running calls as far as free."""
    fleet.epoch += 1
    member = fleet.members[asked["m"]] = Member(fleet.epoch)
    fleet.ranks[asked["m"]] = fleet.epoch
    for key, limit in asked["limits"].items():
        say(fleet.limits.setdefault(key, {}), limit, 1)
        member.limits[key] = limit
    lost = {}
    for key, use in asked["use"].items():
        claim = int(min(use, max(0.0, exchange.free(key))))
        member.held[key] = claim
        fleet.used[key] = fleet.used.get(key, 0) + claim
        if claim < use:
            lost[key] = use - claim
    exchange.answer["fresh"] = 1
    exchange.answer["lost"] = lost
    return member


def drop(fleet: Fleet, name: str, buckets: Buckets, now: float) -> None:
    """A member is gone: its places are free, its amounts and reservations are written off."""
    member = fleet.members.pop(name, None)
    fleet.expiry.pop(name, None)
    fleet.ranks.pop(name, None)
    fleet.oldest.pop(name, None)
    fleet.needs.pop(f"{name}|o", None)
    if fleet.relief == name:
        fleet.relief = ""
    if member is None:
        return
    _leave(fleet, member)
    write_off(fleet, member, now)
    for head in member.heads:
        fleet.heads.pop(head, None)
        fleet.needs.pop(head, None)
    for endpoint, hand in member.hand.items():
        buckets.write_off(endpoint, hand)
    for endpoint in member.said:
        buckets.say(member, endpoint, {})


def _leave(fleet: Fleet, member: Member) -> None:
    """Its places are free; what it said of the limits counts no longer."""
    for key, held in member.held.items():
        fleet.used[key] -= held
        if not fleet.used[key]:
            del fleet.used[key]
    for group, busy in member.busy.items():
        fleet.busy[group] -= busy
    for key, limit in member.limits.items():
        say(fleet.limits[key], limit, -1)
        if not fleet.limits[key]:
            del fleet.limits[key]
