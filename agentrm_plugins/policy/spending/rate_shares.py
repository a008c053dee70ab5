"""Shares of an endpoint's rate: how much of it an agent or a tenant may take.

Law: each share is a token bucket beside the endpoint's own, with ``rate = share * limit`` and room
for `burst_s` seconds of it; the limit is what is known of the endpoint now (told, said by the
server, or found out), so a share grows and falls with it. A call takes its amount when it comes and
sleeps until the debt is paid, so calls of one owner go in their order at the share's pace; or it is
refused. What it really used corrects that at its end.

Regimes: as long as the endpoint's limit is not known, nothing is held back: a share of what nobody
knows is no number. A call larger than the bucket goes when that is full, and pays afterwards.

Limits: at most ``burst_s + t`` seconds' worth in any ``t`` seconds. Nobody gets more by a share:
what others leave is not handed to him.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.marks import Lowest, share_of
from agentrm_plugins.policy.spending.budget import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.config.endpoints import ShareConfig
    from agentrm_plugins.policy.spending.spender import Limited, Owner, Reserved, Spender

__all__ = ["RateShares"]

_METERS = {"calls": "requests", "tokens": "tokens"}


class RateShares:
    """All shares of one kernel, each made when somebody whom it fits first calls.

    Args:
        configs: What the user wants.

    `own` is what this core took of each, as the bucket of some number; `lowest` are the marks that
    other processes of a fleet were told.
    """

    def __init__(self, configs: tuple[ShareConfig, ...]) -> None:
        self.configs = configs
        self.lowest = Lowest({})
        self.buckets: dict[tuple[int, str], Bucket] = {}
        self.own: dict[tuple[int, str], tuple[int, float]] = {}
        self._made = 0

    def enter(self, spender: Spender, owners: Iterable[Owner], now_s: float) -> str | None:
        """Take for a call that comes. What refuses it, in words; None if nothing does."""
        endpoint = spender.endpoint
        if not self.configs or endpoint is None:
            return None
        self._forget(now_s)
        taken: list[Reserved] = []
        longest_s = 0.0
        for key in self._keys(endpoint, owners):
            config = self.configs[key[0]]
            limit_per_s = endpoint.limit_per_s(_METERS[config.resource])
            if limit_per_s is None:
                continue
            share, burst_s = self.lowest.share(config)
            bucket = self._bucket(key, share * limit_per_s, burst_s, now_s)
            amount = spender.need[_METERS[config.resource]]
            wait_s = bucket.time_until(min(amount, bucket.capacity), now_s)
            if wait_s > 0 and config.over == "refuse":
                return (
                    f"rate share of {config.resource} of {key[1]}: needs {amount:g}, has "
                    f"{max(0.0, bucket.level(now_s)):g} of {bucket.rate_per_s * 60:g} a minute; "
                    f"room again in {wait_s:.3g} s"
                )
            longest_s = max(longest_s, wait_s)
            taken.append((key, amount))
        for key, amount in taken:
            self.buckets[key].take(amount, now_s)
            self._note(key, amount)
        spender.taken = taken or None
        spender.hold_s = max(spender.hold_s, longest_s)
        return None

    def settle(self, spender: Spender, used: Mapping[Resource, float], now_s: float) -> None:
        """The call is over, or hung: correct what it took by what it `used`, by resource."""
        for key, amount in spender.taken or ():
            bucket = self.buckets.get(key)
            if bucket is not None:
                took = used[Resource(self.configs[key[0]].resource)]
                bucket.settle(amount, took, now_s)
                self._note(key, took - amount)
        spender.taken = None

    def _note(self, key: tuple[int, str], amount: float) -> None:
        number, own = self.own[key]
        self.own[key] = number, own + amount

    def named(self, place: int) -> tuple[object, ...]:
        """What a share is of, so that other processes of a fleet know which one is meant."""
        return share_of(self.configs[place])

    def elsewhere(self, told_of: list[object], amount: float, now_s: float) -> None:
        """Other processes of a fleet took so much of a share: `told_of` is its name and owner."""
        *named, owner = told_of
        for place in range(len(self.configs)):
            bucket = self.buckets.get((place, str(owner)))
            if bucket is not None and list(self.named(place)) == named:
                bucket.take(amount, now_s)

    def _keys(self, endpoint: Limited, owners: Iterable[Owner]) -> list[tuple[int, str]]:
        plain = endpoint.name.partition("#")[0]
        found: dict[tuple[int, str], None] = {}
        for kind, name, shown in owners:
            for place, config in enumerate(self.configs):
                pattern = config.agent if kind == "agent" else config.tenant
                if pattern is None or not fnmatchcase(name, pattern):
                    continue
                if fnmatchcase(plain, config.endpoint) or fnmatchcase(
                    endpoint.name, config.endpoint
                ):
                    found[place, f"{kind} {shown} at {endpoint.name}"] = None
        return list(found)

    def _bucket(
        self, key: tuple[int, str], rate_per_s: float, burst_s: float, now_s: float
    ) -> Bucket:
        capacity = max(1.0, rate_per_s * burst_s)
        bucket = self.buckets.get(key)
        if bucket is None:
            bucket = self.buckets[key] = Bucket(rate_per_s, capacity, now_s=now_s)
            self._made += 1
            self.own[key] = self._made, 0.0
        elif (bucket.rate_per_s, bucket.capacity) != (rate_per_s, capacity):
            bucket.set_rate(rate_per_s, capacity, now_s)
        return bucket

    def _forget(self, now_s: float) -> None:
        """Look at the two not looked at for longest: a full bucket is as good as none."""
        for _ in range(min(2, len(self.buckets))):
            key = next(iter(self.buckets))
            bucket = self.buckets.pop(key)
            if bucket.level(now_s) < bucket.capacity:
                self.buckets[key] = bucket
            else:
                del self.own[key]
