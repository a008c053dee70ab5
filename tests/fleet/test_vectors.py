"""The pure rules and the script on a real server answer alike, whatever members ask."""

from __future__ import annotations

import json
import random

import pytest

from agentrm_plugins.fleet import link
from agentrm_plugins.policy.fleet.allot import allot
from agentrm_plugins.policy.fleet.state import Fleet

ENDPOINTS = ("api/one", "api/two")
LANES = 5


class Both:
    """One namespace twice: in the twin, and on a server."""

    def __init__(self, server, namespace):
        self.twin = Fleet()
        self.client = server.client()
        self.prefix = f"{{arm:{namespace}}}:"
        self.keys = [self.prefix + part for part in link._PARTS]
        self.script = self.client.register_script(link._SCRIPT)

    def ask(self, asked, now):
        mine = allot(self.twin, json.loads(json.dumps(asked)), float(now))
        theirs = json.loads(
            self.script(keys=self.keys, args=[json.dumps(asked), self.prefix + "w:", str(now)])
        )
        woken = mine.pop("wake", [])
        for member in woken:
            assert self.client.delete(f"{self.prefix}w:{member}") == 1, "it was woken there as well"
        assert not self.client.keys(f"{self.prefix}w:*"), "nobody else was woken there"
        assert plain(theirs) == plain(mine)
        self.check()
        return mine

    def lose(self, part):
        """The server evicts one key."""
        self.client.delete(self.prefix + part)
        self.twin.lose(part)

    def check(self):
        """No place and no amount is given twice."""
        for key, used in self.twin.used.items():
            assert used == sum(m.held.get(key, 0) for m in self.twin.members.values()), key
        for name, share in self.twin.endpoints.items():
            for resource, out in share.out.items():
                held = sum(
                    m.hand.get(name, {}).get(resource, 0.0) for m in self.twin.members.values()
                )
                assert out == pytest.approx(held, abs=1e-6)
                if resource in share.told["cap"]:
                    assert share.level[resource] + out <= share.told["cap"][resource] + 1e-6


def plain(value):
    """As the script's JSON has it: empty tables are {}, numbers have 14 digits."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value] or {}
    if isinstance(value, float | int):
        return float(f"{value:.10g}")
    return value


def told(rate=10.0, cap=100.0, **more):
    limit = {"tokens": rate}
    return {
        "rate": {"tokens": rate, "requests": rate / 10},
        "cap": {"tokens": cap, "requests": cap / 10},
        "most": {},
        "limit": limit,
        "source": {"tokens": "told"},
        "allowed": limit,
        "breaker": ["closed", 0, 0],
        "said": {"tpm": rate * 60},
        **more,
    }


class Pretender:
    """A member that asks for anything, and keeps its own books as a real one does."""

    def __init__(self, name, chance):
        self.name, self.chance = name, chance
        self.epoch = self.number = 0
        self.born = 0.0
        self.use, self.held, self.hand = {}, {}, {}
        self.fold = {}
        self.spent, self.sum = {}, {}

    def request(self, now):
        chance = self.chance
        self.number += 1
        use = {}
        for group in ("g:a", "g:b"):
            most = min(self.held.get(group, 0), self.held.get("l", 0) - sum(use.values()))
            if most > 0:
                use[group] = chance.randint(0, most)
        total = sum(use.values())
        use = {key: number for key, number in {"l": total, **use}.items() if number}
        keep = {k: chance.randint(use.get(k, 0), n) for k, n in self.held.items() if n}
        endpoints = {}
        for name in ENDPOINTS:
            if self.hand.get(name) or chance.random() < 0.7:
                endpoints[name] = self.endpoint(name, now)
        asks = [self.ask(endpoints, now) for _ in range(chance.randint(0, 4))]
        asks.sort(key=lambda ask: ask["s"])
        if asks and chance.random() < 0.8:
            asks.insert(0, {**asks[-1], "o": 1, "s": now - chance.randint(0, 5000)})
        return {
            "v": 1,
            "m": self.name,
            "e": self.epoch,
            "born": self.born,
            "n": self.number,
            "ttl": 3000,
            "boost": 5,
            "limits": {"l": LANES + (self.name == "m3"), "g:a": 4, "g:b": 3},
            "guaranteed": {"g:b": 1},
            "use": use,
            "keep": {key: number for key, number in keep.items() if number},
            "busy": {key: number for key, number in use.items() if key != "l"},
            "asks": asks,
            "ahead": {} if asks else {"g:a": chance.randint(0, 2)},
            "eps": endpoints,
            **chance.choice(({}, {"look": 1})),
            "tally": self.sums(),
            "folds": {name: self.fold.pop(name) for name in list(self.fold) if name in endpoints},
        }

    def sums(self):
        chance, rows = self.chance, {}
        for key, window in (("one", 0), ("two", 6000), ("three", 60_000)):
            if chance.random() < 0.4:
                own = self.spent[key] = self.spent.get(key, 0.0) + chance.choice((0, 1, 2.5, -0.3))
                told = self.sum.get(key, (0.0, 0.0, 0.0))
                teller = f"{self.name}#1"
                rows[key] = [teller, own, own - 1, told[0], told[1], chance.choice((0, 3)), window]
        return rows

    def endpoint(self, name, now):
        chance = self.chance
        hand, give, sent = dict(self.hand.get(name, {})), {}, {}
        for resource, amount in list(hand.items()):
            spent = round(amount * chance.choice((0, 0, 0.5, 1, 1.2)), 3)
            hand[resource] -= spent
            sent[resource] = spent
            if chance.random() < 0.5 and hand[resource]:
                give[resource] = hand.pop(resource)
        self.hand[name] = hand
        seen = {"sent": sent, "n": len(sent), "ok": chance.randint(0, 2)} if sent else {}
        events = []
        if chance.random() < 0.05:
            events = [{"kind": "limit", "at": now, "sent": now - 20, "again": 300}]
        return {
            "version": chance.choice((0, now)),
            "hand": hand,
            "give": give,
            "seen": seen,
            "events": events,
            "told": told(concurrency=3) if name == "api/two" else told(),
            "ahead": {"tokens": 20.0} if chance.random() < 0.3 else {},
            "said": self.says(),
        }

    def says(self):
        chance = self.chance
        said = {"tpm": chance.choice((600, 600, 600, 100 / 3)), "burst_s": 2.0}
        return chance.choice((said, said, said, {"concurrency": 3}, {}))

    def ask(self, endpoints, now):
        chance = self.chance
        group = chance.choice(("g:a", "g:a", "g:b"))
        places = chance.choice((["l", group], ["l", group], [group], []))
        ask = {"s": chance.randint(0, 2) * 1e14 + now - chance.randint(0, 3000), "k": [*places]}
        if endpoints and chance.random() < 0.7:
            name = chance.choice(sorted(endpoints))
            ask["ep"], ask["a"] = name, {"tokens": chance.choice((1, 15, 60, 400)), "requests": 1}
            if name == "api/two":
                ask["k"].append(f"c:{name}")
        return ask

    def told(self, answer):
        if "e" not in answer:
            return
        if answer.get("fresh"):
            self.hand = {}
        self.epoch, self.born, self.held = answer["e"], answer["born"], dict(answer["held"])
        self.sum.update(answer.get("tally") or {})
        for name, given in dict(answer["eps"]).items():
            hand = self.hand.setdefault(name, {})
            for resource, amount in dict(given["add"]).items():
                hand[resource] = hand.get(resource, 0.0) + amount
            if "fold" in given:
                self.fold[name] = self.folded(given["fold"], answer["now"])

    def folded(self, lent, now):
        chance = self.chance
        state = chance.choice(("closed", "closed", "open"))
        new = told(chance.choice((5.0, 10.0)), chance.choice((50.0, 100.0)))
        new["said"] = lent["said"]
        return {
            "id": lent["id"],
            "at": now,
            "state": "{}",
            "told": {**new, "breaker": [state, now + 200, 400]},
            "level": {"tokens": 30.0, "requests": 2.0},
            "refill": chance.choice(({}, {"tokens": [now + 300, 40.0]})),
            "closed": chance.choice((0, 0, now + 100)),
        }


@pytest.mark.parametrize("seed", range(16))
def test_twin_and_script_answer_alike(server, namespace, seed):
    """Joins, claims, lapses, asks, folds, refusals, relief and wake-ups, in any order."""
    chance = random.Random(seed)
    both, now = Both(server, namespace), 1_790_000_000_000
    members = [Pretender(f"m{number}", chance) for number in range(4)]
    last = None
    for _ in range(120):
        now += chance.choice((1, 5, 50, 300, 300, 1200, 4000 if seed % 3 == 0 else 100))
        if seed % 4 == 1 and chance.random() < 0.05:
            now -= chance.choice((3, 900, 70_000))
        member = chance.choice(members)
        if last is not None and chance.random() < 0.05:
            assert both.ask(last[1], now) is not None  # sent again: answered again
            continue
        if seed % 4 == 3 and chance.random() < 0.06:
            both.lose(chance.choice(link._PARTS))
            last = None
        if chance.random() < 0.02:
            both.ask({"v": 1, "m": member.name, "e": 1, "n": 0, "leave": 1, "ttl": 0}, now)
            continue
        if chance.random() < 0.03:
            member.epoch = -1
        asked = member.request(now)
        answer = both.ask(asked, now)
        member.told(answer)
        last = member, asked


@pytest.mark.parametrize("part", link._PARTS)
def test_a_lost_key_is_lost_in_the_twin_as_well(server, namespace, part):
    """Each by itself, while members hold, wait, reserve and spend."""
    chance = random.Random(part)
    both, now = Both(server, namespace), 1_790_000_000_000
    members = [Pretender(f"m{number}", chance) for number in range(3)]
    for step in range(60):
        now += chance.choice((1, 20, 300))
        member = chance.choice(members)
        member.told(both.ask(member.request(now), now))
        if step % 20 == 19:
            both.lose(part)


def plainly(name, number, epoch=0, tokens=0.0):
    """An exchange of a member that has used up what it was given, and asks for so many tokens."""
    ask = {"s": 0, "k": [], "ep": "api/one", "a": {"tokens": tokens, "requests": 0}}
    report = {
        "version": 0, "hand": {}, "give": {}, "seen": {}, "events": [], "told": told(), "ahead": {},
        "said": {},
    }  # fmt: skip
    return {
        "v": 1, "m": name, "e": epoch, "born": 1.79e12, "n": number, "ttl": 3000, "boost": 9,
        "limits": {"l": LANES}, "guaranteed": {}, "use": {}, "keep": {}, "busy": {}, "ahead": {},
        "asks": [ask] if tokens else [], "eps": {"api/one": report}, "folds": {},
    }  # fmt: skip


def test_a_clock_that_goes_back_stops_nobody(server, namespace):
    """Buckets fill and leases end from where the clock was, not an hour later."""
    both, now = Both(server, namespace), 1_790_000_000_000
    both.ask(plainly("other", 1), now)
    epoch = both.ask(plainly("one", 1, tokens=100.0), now)["e"]
    back = now - 3_600_000
    first = both.ask(plainly("one", 2, epoch, tokens=15.0), back)
    assert (first["now"], first["wait"], first["members"]) == (now, 1500, 2)
    assert both.ask(plainly("one", 3, epoch, tokens=15.0), back + 1000)["wait"] == 500
    later = both.ask(plainly("one", 4, epoch, tokens=15.0), back + 1600)
    assert later["eps"]["api/one"]["add"]["tokens"] == 15
    assert both.ask(plainly("one", 5, epoch), back + 3050)["members"] == 1


def test_ranks_that_are_lost_are_made_anew(server, namespace):
    """At the next exchange, whose ever it is; nobody has to join again."""
    both, now = Both(server, namespace), 1_790_000_000_000
    epochs = [both.ask(plainly(f"m{at}", 1), now)["e"] for at in range(3)]
    assert both.client.delete(f"{both.prefix}r")
    for number in (2, 3):
        for at in (1, 2, 0):
            assert both.ask(plainly(f"m{at}", number, epochs[at]), now)["rank"] == at
            assert both.client.pttl(f"{both.prefix}r") > 0
    both.ask({"v": 1, "m": "m0", "e": epochs[0], "n": 4, "leave": 1, "ttl": 0}, now)
    assert both.ask(plainly("m2", 4, epochs[2]), now)["rank"] == 1


def test_who_stands_far_behind_comes_later(server, namespace):
    """The first in line are told their turn; who has many before them, half of the way to it."""
    both, now = Both(server, namespace), 1_790_000_000_000
    both.ask(plainly("first", 1, tokens=100.0), now)
    waits = []
    for number in range(60):
        asked = plainly(f"m{number:02d}", 1, tokens=0.2)
        asked["asks"][0]["s"] = number
        waits.append(both.ask(asked, now)["wait"])
    assert waits[0] == pytest.approx(20)  # the bucket is empty, and takes in 10 a second
    assert waits[10] == pytest.approx(220)
    assert waits[30] == pytest.approx(340)  # sixteen before it, as far as was looked
    assert waits[59] == pytest.approx(590)
