"""What a whole fleet saw of an endpoint, folded into one state by the product's own controllers.

Law: ``state, events -> state``. Whoever holds the baton makes the endpoint from its last state,
lets happen to it what all members reported since, and gives back the state with what everybody is
to know: rates, sizes and levels of the buckets, the limit of calls in flight, the breaker. Nobody
leads: the next fold may be made by another process, and a lost one is made again.

Regimes: calls that went come as sums, and count from the last fold on: a bucket that is full would
lose what flows in meanwhile; after a pause, when there was no fold, they have only just gone.
Refusals, failures and reports come one by one with their times. Of more than `MOST_ENDS` ends the
shares are kept and the number is not. Without a state (lost data) the fold begins with what members
knew.

What members are configured with may differ: "said" is the least of each field, and holds for all.
Where it is another than before, its controllers begin anew, as full as they were.

Limits: what is under way at the moment of a report is known as a number of calls and a mean size.
A window that a refusal's words alone name is not believed, but searched for.
Times are seconds of the server's clock.
"""

from __future__ import annotations

import json
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Any

from agentrm_plugins.policy.endpoint.amounts import Sent
from agentrm_plugins.policy.endpoint.meters import BURST_S
from agentrm_plugins.policy.endpoint.rate_search import Source
from agentrm_plugins.policy.endpoint.reports import report_of
from agentrm_plugins.policy.endpoint.shared_endpoint import CONFIGURED, told_of, usable
from agentrm_plugins.policy.endpoint.snapshot import dump_endpoint, load_endpoint
from agentrm_plugins.types.verdicts import RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.policy.endpoint.endpoint import Endpoint
    from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["fold"]

MOST_ENDS = 200
_IDLE_S, _FRESH_S = 1.5, 0.1  # folds are a second apart while calls go, exchanges a tenth
_KEPT = ("meters", "blame", "retry_after", "breaker", "concurrency", "doubt")
_PROBE = 0
_NOTHING = dict.fromkeys(RESOURCES, 0.0)


def fold(fresh: Endpoint, lent: Mapping[str, Any], now_ms: float) -> dict[str, Any]:
    """Fold what was lent with the baton.

    Args:
        fresh: The endpoint as it is configured, newly made at the time "since".
        lent: What the exchange handed over: "id", "state", "since", "seen", "events",
            "running", "told", "said".
        now_ms: The server's time, milliseconds.

    Returns:
        What the next exchange brings back.
    """
    now_s = now_ms / 1000.0
    said, own = dict(lent["said"] or {}), fresh.config
    if lent["state"]:
        load_endpoint(fresh, json.loads(lent["state"]))
        fresh.config = _as_said(own, lent["told"]["said"] or {})
    first = max(meter.first for meter in fresh.meters.values())
    fresh.reconfigure(_as_said(own, said), first, now_s)
    if not lent["state"]:
        _begin(fresh, lent["told"], now_s)
    _calls(fresh, lent, now_s)
    for event in sorted(lent["events"] or (), key=lambda event: float(event["at"])):
        _happen(fresh, event, now_s)
    fresh.in_flight.clear()
    fresh.advance(now_s)
    fresh.news.clear()
    return _result(fresh, lent["id"], said, now_ms)


def _as_said(own: EndpointConfig, said: Mapping[str, float]) -> EndpointConfig:
    """The configuration with these limits, whatever is said of them here."""
    limits: dict[str, Any] = {field: said.get(field) for field in CONFIGURED}
    if limits["concurrency"] is not None:
        limits["concurrency"] = int(limits["concurrency"])
    if limits["burst_s"] is None:  # a window that several processes begin at once is paced
        limits["burst_s"] = BURST_S
    return replace(own, **limits)


def _begin(fresh: Endpoint, told: Mapping[str, Any], now_s: float) -> None:
    """There is no state: what members knew is where it begins, with empty buckets if they did."""
    for resource, rate in told["allowed"].items():
        meter, source = fresh.meters[resource], Source(told["source"][resource])
        if source is not Source.TOLD:
            meter.controller.show(rate, told["limit"].get(resource), source)
            meter.apply(now_s)
    if "concurrency" in told:
        fresh.concurrency.limit = told["concurrency"]


def _calls(fresh: Endpoint, lent: Mapping[str, Any], now_s: float) -> None:
    """Calls that went and ended since the last fold, as sums."""
    seen = lent["seen"] or {}
    calls, since_s = int(seen.get("n", 0)), lent["since"] / 1000.0
    if now_s - since_s > _IDLE_S:
        since_s = now_s - _FRESH_S
    _bound(fresh, since_s)
    sent, back, held = seen.get("sent") or {}, seen.get("back") or {}, seen.get("held") or {}
    times = max(1, min(calls, MOST_ENDS))
    mean = {name: sent.get(name, 0.0) / max(1, calls) for name in RESOURCES}
    for resource, meter in fresh.meters.items():
        total = sent.get(resource, 0.0)
        if total:
            for _ in range(times):
                meter.sent(total / times, since_s)
        if back.get(resource):
            returned = back[resource]
            meter.ended(max(0.0, returned), max(0.0, -returned), now_s)
        if held.get(resource):
            meter.controller.held_back()
        elif held.get("closed"):
            meter.controller.stopped()
    if held.get("concurrency"):
        fresh.concurrency.held_back()
    _ends(fresh, int(seen.get("ok", 0)), int(seen.get("bad", 0)), now_s)
    fresh.in_flight.clear()
    for number in range(int(lent["running"])):
        fresh.in_flight[-1 - number] = Sent(mean, now_s)


def _bound(fresh: Endpoint, at_s: float) -> None:
    """No more was there then than a fleet may use at once."""
    for meter in fresh.meters.values():
        if meter.bucket is not None:
            there, most = meter.bucket.level(at_s), usable(meter.bucket.capacity)
            meter.bucket.shift(min(0.0, most - there), at_s)


def _ends(fresh: Endpoint, well: int, failed: int, now_s: float) -> None:
    """Calls that ended well, and that failed; `Endpoint.ended` counts each."""
    scale = min(1.0, MOST_ENDS / max(1, well + failed))
    ends = [False] * round(well * scale) + [True] * round(failed * scale)
    for number, bad in enumerate(ends, 1):
        fresh.in_flight[number] = Sent(_NOTHING, now_s)
        fresh.ended(number, None, now_s, failed=bad)


def _happen(fresh: Endpoint, event: Mapping[str, Any], now_s: float) -> None:
    """A refusal, a failure, a report, a probe."""
    at_s = min(now_s, event["at"] / 1000.0)
    kind = event["kind"]
    if kind == "probe":
        fresh.breaker.sent(_PROBE, at_s)
        return
    if kind == "probed":
        fresh.breaker.ended(_PROBE, failed=event.get("failed"), now_s=at_s)
        return
    report, sent_s = report_of(event["report"]), event["sent"] / 1000.0
    if report.worded is not None:  # what refutes these words is not kept for the next fold
        report = replace(report, worded=None, resource=_blamed(report.worded))
    if kind == "report":
        fresh.reported(report, at_s, sent_s)
        return
    number = max(fresh.in_flight, default=0) + 1
    fresh.in_flight.pop(next(iter(fresh.in_flight), None), None)  # type: ignore[arg-type]
    fresh.in_flight[number] = Sent(event["amounts"], sent_s)
    if kind == "limit":
        fresh.refused(number, report, at_s)
    else:
        fresh.overloaded(number, report, at_s)


def _blamed(worded: ServerLimit) -> str | None:
    """Words that name a window in full may be of something else; a rate of requests is one."""
    return None if worded.per_s is not None else "requests"


def _result(fresh: Endpoint, number: int, said: dict[str, float], now_ms: float) -> dict[str, Any]:
    now_s = now_ms / 1000.0
    # As members say it, without what was taken for granted: or each fold would ask for the next.
    told = {**told_of(fresh, now_s), "said": said}
    if told["breaker"][0] != "closed":
        state, until, cool, *full = told["breaker"]
        told["breaker"] = [state, until + now_ms, cool, *(at + now_ms for at in full)]
    level, refill = {}, {}
    for resource, meter in fresh.meters.items():
        bucket = meter.bucket
        if bucket is not None:
            level[resource] = bucket.level(now_s)
            coming = bucket.coming
            if coming is not None and coming[0] < inf:
                refill[resource] = [coming[0] * 1000.0, coming[1]]
    state = {key: value for key, value in dump_endpoint(fresh).items() if key in _KEPT}
    return {
        "id": number,
        "at": now_ms,
        "state": json.dumps(state, separators=(",", ":")),
        "told": told,
        "level": level,
        "refill": refill,
        "closed": max(0.0, fresh.retry_after.closed_until_s * 1000.0),
    }
