"""The meters of one endpoint: one for each resource, with what the user says of its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.amounts import under_way_of
from agentrm_plugins.policy.endpoint.meter import Meter
from agentrm_plugins.policy.endpoint.rate_search import RateController, RateSettings, Source
from agentrm_plugins.policy.endpoint.room import START_PER_S
from agentrm_plugins.types.verdicts import MINUTE_S, RESOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.policy.endpoint.amounts import Sent
    from agentrm_plugins.types.verdicts import LimitReport

__all__ = [
    "BURST_S",
    "give_back",
    "held_for",
    "learn",
    "least_wait_s",
    "meters_of",
    "renewed",
    "too_long",
    "tried",
]

BURST_S = 2.0  # guessed: after a pause, where the user gave no burst of his own
_SAID = frozenset({Source.TOLD, Source.SERVER})
_TOLD = ("rpm", "tpm", "input_tpm", "output_tpm")


def meters_of(config: EndpointConfig, first: float, now_s: float) -> dict[str, Meter]:
    """The meters of an endpoint, by resource.

    Args:
        config: What the user says that it allows.
        first: Requests that go at once while nothing is known: the core's lanes, for whoever asks
            for so many lanes expects to use them.
        now_s: When they begin.
    """
    told = [getattr(config, name) for name in _TOLD]
    meters = {}
    for resource, limit in zip(RESOURCES, told, strict=True):
        controller = RateController(
            RateSettings(),
            told_per_s=None if limit is None else limit / MINUTE_S,
            start_per_s=START_PER_S if resource == "requests" else None,
            now_s=now_s,
        )
        paced = config.burst_s is not None
        meters[resource] = Meter(controller, config.burst_s or BURST_S, first, paced=paced)
        meters[resource].apply(now_s)
    return meters


def renewed(
    meters: Mapping[str, Meter],
    old: EndpointConfig,
    config: EndpointConfig,
    first: float,
    now_s: float,
) -> dict[str, Meter]:
    """New meters for the limits that the user has changed, as full as those before."""
    fresh = {}
    for (resource, meter), name in zip(meters_of(config, first, now_s).items(), _TOLD, strict=True):
        if config.burst_s != old.burst_s or getattr(config, name) != getattr(old, name):
            meter.follow(meters[resource], now_s)
            fresh[resource] = meter
    return fresh


def learn(
    meters: Mapping[str, Meter],
    report: LimitReport,
    in_flight: Iterable[Sent],
    sent_s: float,
    now_s: float,
) -> list[str]:
    """The server said its limits, answering a request of `sent_s`; gives those that are news."""
    if report.requests is report.tokens is report.input_tokens is report.output_tokens is None:
        return []  # as most do
    said, news = report.limits(), []
    under_way = list(in_flight)
    for resource, limit in said.items():
        meter = meters[resource]
        if report.wall_s is not None:
            meter.clock(report.wall_s, now_s)
        if meter.learn(limit, under_way_of(resource, under_way, sent_s), sent_s, now_s):
            news.append(resource)
    return news


def give_back(meters: Mapping[str, Meter], sent: Sent, now_s: float) -> None:
    """A call was refused: it took nothing, only the request itself may have counted."""
    for resource, meter in meters.items():
        amount = sent.amounts[resource]
        if meter.bucket is None:
            continue
        if resource != "requests":
            meter.give_back(amount, sent.at_s, now_s)
        else:
            meter.turned_away(amount, sent.at_s, now_s)


def tried(
    meters: Mapping[str, Meter], resources: Iterable[str], served: bool, now_s: float
) -> None:
    """A call that was larger than these limits is over; if it was served, they are none."""
    for resource in resources:
        if not served:
            continue
        if meters[resource].long.served():
            meters[resource].found(None, now_s)  # the account was wrong; perhaps the limit is not
        else:
            meters[resource].disprove(now_s)


def held_for(meters: Mapping[str, Meter], now_s: float) -> float:
    """Seconds for which no call of usual size may go, probes aside; 0: one may."""
    waits_s = [meter.stands_s(meter.usual, now_s) for meter in meters.values()]
    return max(waits_s, default=0.0)


def least_wait_s(
    meters: Mapping[str, Meter], amounts: Mapping[str, float], now_s: float, *, busy: bool
) -> float:
    """Seconds for which limits that somebody said do not let a call go, whatever happens.

    What was found by asking may be wrong, and what calls under way have reserved may come back.

    Args:
        meters: Of its endpoint.
        amounts: What the call needs of each.
        now_s: The time.
        busy: Whether calls are under way there; of requests nothing comes back.
    """
    least_s = 0.0
    for resource, meter in meters.items():
        source, limit_per_s = meter.controller.known
        if meter.bucket is None or not limit_per_s or source not in _SAID:
            continue
        lacks = min(amounts[resource], meter.bucket.capacity) - meter.bucket.level(now_s)
        if lacks > 0 and (resource == "requests" or not busy):
            known_s = min(lacks / limit_per_s, meter.wait_s(amounts[resource], now_s))
            least_s = max(least_s, known_s)
    return least_s


def too_long(
    meters: Mapping[str, Meter],
    amounts: Mapping[str, float],
    patience_s: float,
    waits_since_s: float,
    now_s: float,
) -> str | None:
    """In words, why a call of that patience is not to wait for such a limit; None if it is."""
    for resource, meter in meters.items():
        left_s = meter.stands_s(amounts[resource], now_s)
        waited_s = max(0.0, now_s - max(meter.long.since_s, waits_since_s))
        if left_s > 0 and waited_s + left_s > patience_s:
            limit = (meter.controller.limit_per_s or 0.0) * meter.window_s
            return (
                f"has no {resource} left for {left_s:.0f} s more, as its server said (limit "
                f"{limit:.0f} in {meter.window_s:.0f} s); patience: {patience_s:g} s"
            )
    return None
