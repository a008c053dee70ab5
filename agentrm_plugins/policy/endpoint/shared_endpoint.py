"""An endpoint whose limits a fleet shares: it spends what it is given, and tells all it sees.

Law: a call may go when all that it needs is in hand. What is in hand was debited from the fleet's
buckets before; nothing refills here. Rates, closures, the breaker and the limit of calls in flight
are found by one controller over the totals of all processes (`policy.endpoint.fold`); here stands
what that has told. Times, outputs and second attempts are learnt by each process for itself.

Regimes: without the fleet (`alone`) the buckets refill by a part of the last known rates, and what
is seen is kept for later. A refusal voids what is in hand, for it says that the bucket is empty.

Limits: reports and refusals wait in a list of `EVENTS` until they are told; the oldest go.
"""

from __future__ import annotations

from collections import Counter, deque
from math import inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.policy.bucket import Bucket
from agentrm_plugins.policy.endpoint.amounts import Change, Sent, Wait
from agentrm_plugins.policy.endpoint.blame import Closure
from agentrm_plugins.policy.endpoint.breaker import BreakerState
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.policy.endpoint.reports import plain_report
from agentrm_plugins.types.verdicts import LimitReport

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.types.fleet import EndpointSupply

__all__ = ["CONFIGURED", "SharedEndpoint", "said_of", "told_of", "usable"]

CONFIGURED = ("rpm", "tpm", "input_tpm", "output_tpm", "concurrency", "burst_s")
"""Fields of the configuration in which the processes of a fleet may differ; the least counts."""

EVENTS = 200
_SILENT = LimitReport()
_GO = Wait(0.0, "")
_BOTTOMLESS = 1e15
_ROUNDING = 1e-6
_FULL = 0.9  # guessed: a fifth of a second of a bucket that holds two
_FEW = 10.0
_AGAIN_S = 1.0  # a breaker that is open for so much longer has opened again meanwhile


def told_of(endpoint: Endpoint, now_s: float) -> dict[str, Any]:
    """What a fleet is to know of an endpoint, as plain values. Times are milliseconds from now."""
    meters = {name: meter for name, meter in endpoint.meters.items() if meter.bucket is not None}
    told: dict[str, Any] = {
        "rate": {name: m.bucket.rate_per_s for name, m in meters.items() if m.bucket},
        "cap": {name: usable(m.bucket.capacity) for name, m in meters.items() if m.bucket},
        "most": {name: m.most for name, m in meters.items() if m.most < inf},
        "limit": {
            name: m.controller.limit_per_s
            for name, m in meters.items()
            if m.controller.limit_per_s is not None
        },
        "source": {name: m.controller.source.value for name, m in meters.items()},
        "allowed": {
            name: m.controller.rate_per_s
            for name, m in meters.items()
            if m.controller.rate_per_s < inf
        },
        "breaker": [endpoint.breaker.state.value, 0, 0],
        "said": said_of(endpoint.config),
    }
    if endpoint.concurrency.limit < inf:
        told["concurrency"] = int(endpoint.concurrency.limit)
    if endpoint.breaker.state is not BreakerState.CLOSED:
        told["breaker"][1] = endpoint.breaker.time_until(now_s) * 1000
        told["breaker"][2] = endpoint.breaker.cool_down_s * 1000
        if endpoint.breaker.full_s is not None:
            told["breaker"].append((endpoint.breaker.full_s - now_s) * 1000)
    return told


def said_of(config: EndpointConfig) -> dict[str, float]:
    """What the user says of an endpoint's limits."""
    said = {field: getattr(config, field) for field in CONFIGURED}
    return {field: value for field, value in said.items() if value is not None}


def usable(capacity: float) -> float:
    """How much of a full bucket a fleet uses at once.

    While the first calls are on their way the server is still full and takes nothing in: what comes
    in here meanwhile must not be more than it holds.
    """
    return capacity if capacity < _FEW else _FULL * capacity


class SharedEndpoint(Endpoint):
    """See above; the arguments are those of `Endpoint`.

    `told` is what the fleet knows, `seen` and `events` what it is to be told. `places` are those
    that this process has at the endpoint; infinite where calls in flight are not limited.
    """

    __slots__ = (
        "alone",
        "events",
        "number",
        "places",
        "probe",
        "probing",
        "returned",
        "seen",
        "told",
        "version",
    )

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.heard = True  # by some other process, maybe
        self.told = told_of(self, self.idle_since_s)
        self.version = 0.0
        self.alone = False
        self.places: float = 0 if "concurrency" in self.told else inf
        self.probe = False
        self.probing: int | None = None
        self.returned: Counter[str] = Counter()
        self.seen: dict[str, Any] = {
            "sent": Counter(),
            "back": Counter(),
            "n": 0,
            "ok": 0,
            "bad": 0,
        }
        self.number = 0
        self.events: deque[tuple[int, dict[str, Any]]] = deque(maxlen=EVENTS)
        for meter in self.meters.values():
            meter.bucket = None
            meter.pace()
        for resource in self.told["cap"]:
            self.meters[resource].bucket = Bucket(0.0, _BOTTOMLESS, level=0.0)

    # -- what the fleet says ----------------------------------------------------------------------

    def supply(self, given: EndpointSupply, now_s: float, *, void: bool) -> None:
        """Take what is given; `void`: what was in hand is worth nothing any more."""
        if given.told is not None:
            self._learn(given.told, given.version, now_s)
        self.alone = given.share is not None
        if given.places is not None and "concurrency" in self.told:
            self.places = given.places  # else calls in flight are not limited: no places bind
        for resource in self.told["cap"]:
            bucket = self.meters[resource].bucket
            assert bucket is not None  # noqa: S101 - each limited resource has one
            if void:
                bucket.take(bucket.level(now_s), now_s)
            if given.share is not None:
                rate = self.told["rate"][resource] * given.share
                bucket.set_rate(rate, max(1.0, self.told["cap"][resource] * given.share), now_s)
            elif bucket.rate_per_s:
                bucket.set_rate(0.0, _BOTTOMLESS, now_s)
            bucket.shift(given.add.get(resource, 0.0), now_s)
        self.probe = given.probe
        if given.closed_s > 0:
            self._shut(given.closed_s, now_s)

    def recall(self, amounts: Mapping[str, float], now_s: float) -> None:
        """Give back what is in hand, up to these amounts; debts are handed over as well."""
        for resource, amount in amounts.items():
            bucket = self.meters[resource].bucket
            if bucket is not None and not self.alone:
                there = bucket.level(now_s)
                back = there if there < 0 else min(amount, there)
                bucket.take(back, now_s)
                self.returned[resource] += back  # type: ignore[assignment]

    def void(self, now_s: float) -> None:
        """What is in hand was not renewed: it is worth nothing."""
        for resource in self.told["cap"]:
            bucket = self.meters[resource].bucket
            if bucket is not None and not self.alone:
                bucket.take(bucket.level(now_s), now_s)

    def hand(self, now_s: float) -> dict[str, float]:
        """What is in hand of each resource."""
        found = {}
        for resource in self.told["cap"]:
            bucket = self.meters[resource].bucket
            if bucket is not None:
                found[resource] = bucket.level(now_s)
        return found

    def _learn(self, told: Mapping[str, Any], version: float, now_s: float) -> None:
        before = self.told
        self.told, self.version = dict(told), version
        for resource, meter in self.meters.items():
            known = resource in told["cap"]
            if known and meter.bucket is None:
                meter.bucket = Bucket(0.0, _BOTTOMLESS, level=0.0, now_s=now_s)
            elif not known:
                meter.bucket = None
            meter.most = told["most"].get(resource, inf)
            limit = told["limit"].get(resource)
            source = Source(told["source"].get(resource, "unknown"))
            meter.controller.show(told["allowed"].get(resource, inf), limit, source)
            if told["allowed"].get(resource) != before["allowed"].get(resource):
                fell = told["allowed"].get(resource, inf) < before["allowed"].get(resource, inf)
                self.news.append(Change(resource, "cut" if fell else "grown"))
        self.concurrency.limit = told.get("concurrency", inf)
        if "concurrency" not in told:
            self.places = inf
        elif self.places == inf:
            self.places = len(self.in_flight)
        state, until, cool, *full = told["breaker"]
        was, left_s = self.breaker.state, self.breaker.time_until(now_s)
        full_s = now_s + full[0] / 1000 if full else None
        self.breaker.show(BreakerState(state), now_s, until / 1000, cool / 1000, full_s)
        if self.breaker.state is not was or until / 1000 > left_s + _AGAIN_S:
            self.news.append(Change("breaker", state))

    def _shut(self, seconds: float, now_s: float) -> None:
        if now_s + seconds > self.retry_after.closed_until_s + 1e-3:
            self._close(Closure(seconds), now_s)
            self.retry_after.drips = 0

    # -- whether a call may go --------------------------------------------------------------------

    def wait(self, amounts: Mapping[str, float], now_s: float) -> Wait:
        """How long a call of `amounts` must wait now, and for what."""
        if self.breaker.state is not BreakerState.CLOSED and not self.probe:
            return Wait(inf, "breaker")
        if self.retry_after.ever and now_s < self.retry_after.closed_until_s:
            return Wait(self.retry_after.closed_until_s - now_s, "closed")
        if len(self.in_flight) >= self.places:
            return Wait(inf, "concurrency")
        longest = _GO
        for resource, cap in self.told["cap"].items():
            bucket = self.meters[resource].bucket
            if bucket is None:
                continue
            need = min(amounts[resource], bucket.capacity if self.alone else cap)
            if need - bucket.level(now_s) > _ROUNDING:
                wait_s = bucket.time_until(need, now_s) if self.alone else inf
                if wait_s > longest.seconds:
                    longest = Wait(wait_s, resource)
        return longest

    def too_large(self, amounts: Mapping[str, float], now_s: float = -inf) -> str | None:
        """The resource of which a call takes more than there ever is; None if it fits."""
        del now_s
        for resource, most in self.told["most"].items():
            if amounts[resource] > most:
                return str(resource)
        return None

    def next_s(self) -> float:
        """Nothing changes here by time alone."""
        return inf

    def advance(self, now_s: float) -> None:
        """Rates grow for the whole fleet at once."""

    def held_up(self, amounts: Mapping[str, float], wait: Wait, now_s: float) -> None:
        """A call waits for what `wait` says."""
        del amounts, now_s
        del wait  # Whether amounts are short only the fleet knows: its script counts.

    # -- what calls do ----------------------------------------------------------------------------

    def sent(
        self,
        number: int,
        amounts: Mapping[str, float],
        now_s: float,
        *,
        at_s: float | None = None,
        foreign: bool = False,
    ) -> None:
        """A call goes."""
        for resource in self.meters:
            self.seen["sent"][resource] += amounts[resource]
            bucket = self.meters[resource].bucket
            if bucket is not None:
                bucket.take(amounts[resource], now_s)
                self.meters[resource].used.add(amounts[resource], now_s)
        self.seen["n"] += 1
        self.in_flight[number] = Sent(amounts, now_s if at_s is None else min(at_s, now_s), foreign)
        if foreign:
            return
        self.sent_calls += 1
        if self.probe:
            self.probe, self.probing = False, number
            self._note("probe", now_s)

    def ended(
        self,
        number: int,
        used: Mapping[str, float] | None,
        now_s: float,
        *,
        failed: bool | None = False,
        hung: bool = False,
    ) -> None:
        """A call ended; `used` is what it really took, None if nobody knows."""
        sent = self.in_flight.pop(number, None)
        if sent is None:
            return
        if used is not None:
            self._refund(sent, used, now_s)
        if failed is False:
            self._answered_s = now_s
            if self.retry_after.ever:
                self.retry_after.accepted(sent.at_s)
        if sent.foreign or (hung and self._answered_s > sent.at_s):
            failed = None
        if self.probing == number:
            self.probing = None
            self._note("probed", now_s, failed=failed)
        elif failed is not None:
            self.seen["bad" if failed else "ok"] += 1

    def _refund(self, sent: Sent, used: Mapping[str, float], now_s: float) -> None:
        """What was not used is in hand again; what was used beyond is a debt."""
        for resource, meter in self.meters.items():
            back = sent.amounts[resource] - used[resource]
            if back:
                self.seen["back"][resource] += back
                if meter.bucket is not None:
                    meter.bucket.shift(back, now_s)

    def refused(self, number: int, report: LimitReport, now_s: float) -> list[str]:
        """The server refused a call for its limits (429): the fleet is told what it said."""
        sent = self._gone(number, now_s, failed=False)
        if sent is None:
            return []
        self._note(
            *("limit", now_s),
            sent=sent.at_s,
            amounts=dict(sent.amounts),
            report=plain_report(report),
            again_s=report.retry_after_s,
        )
        for resource in self.told["cap"]:
            bucket = self.meters[resource].bucket
            if bucket is not None:
                bucket.drain(now_s)
        if report.retry_after_s:
            self._shut(report.retry_after_s, now_s)
        return []

    def overloaded(self, number: int, report: LimitReport, now_s: float) -> bool:
        """The server had no room (503, 529)."""
        sent = self._gone(number, now_s, failed=True)
        if sent is None:
            return False
        self._note(
            *("full", now_s),
            sent=sent.at_s,
            amounts=dict(sent.amounts),
            report=plain_report(report),
            accepted=len(self.in_flight),
        )
        for resource, meter in self.meters.items():
            if meter.bucket is not None and resource != "requests":
                meter.bucket.shift(sent.amounts[resource], now_s)
        if report.retry_after_s:
            self._shut(report.retry_after_s, now_s)
        return False

    def reported(self, report: LimitReport, now_s: float, sent_s: float | None = None) -> None:
        """The server named its limits: the fleet is told."""
        if not self.config.learn or not report.limits():
            return
        went_s = now_s if sent_s is None else min(sent_s, now_s)
        newest = self.events[-1][1] if self.events else None
        if newest is not None and newest["kind"] == "report":
            self.events.pop()  # the newest word counts
        self._note("report", now_s, sent=went_s, report=plain_report(report))

    def _gone(self, number: int, now_s: float, *, failed: bool) -> Sent | None:
        if self.probing == number:
            self.probing = None
            self._note("probed", now_s, failed=failed)
        return self.in_flight.pop(number, None)

    def _note(self, kind: str, now_s: float, **facts: Any) -> None:
        self.number += 1
        self.events.append((self.number, {"kind": kind, "at": now_s, **facts}))
