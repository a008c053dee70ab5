"""What a call takes of each limited resource of an endpoint, what it waits for, what changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.policy.endpoint.output_estimate import OutputEstimator
    from agentrm_plugins.types.calls import Call, Usage

__all__ = ["REFUSED", "Change", "Sent", "Wait", "amounts_of", "need_of", "under_way_of", "used_of"]


_AHEAD_S = 0.05  # guessed: what went so shortly before may come later


class Wait(NamedTuple):
    """How long a call must wait, and for what; 0 is now, infinite until something happens."""

    seconds: float
    cause: str


class Change(NamedTuple):
    """What changed, and why.

    A resource's rate ("cut", "grown", "learnt", "told"), or "closed" ("retry_after"), or "breaker"
    (its new state).
    """

    what: str
    cause: str


class Sent(NamedTuple):
    """A call under way."""

    amounts: Mapping[str, float]
    at_s: float
    foreign: bool = False


class UnderWay(NamedTuple):
    """What calls take of one resource that have not ended.

    Args:
        total: All of them; some may not have come to the server yet.
        later: Those of them that may have come to it after the request that is answered now.
        own: What that one takes at least, output aside, which may be unused.
    """

    total: float = 0.0
    later: float = 0.0
    own: float = 0.0


def amounts_of(input_tokens: float, output_tokens: float, cached: float = 0.0) -> dict[str, float]:
    """What a call takes of each resource. Cached input counts only where both are one limit."""
    return {
        "requests": 1.0,
        "tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens - cached,
        "output_tokens": output_tokens,
    }


REFUSED = amounts_of(0.0, 0.0)  # a refused request counts, its tokens do not


def need_of(call: Call, config: EndpointConfig, outputs: OutputEstimator) -> dict[str, float]:
    """What a call will probably take of each resource."""
    given, most = call.estimate, call.max_output_tokens
    if most is None and given.output_tokens:
        output = given.output_tokens
    else:
        output = outputs.output_tokens(call.agent, most, reserve=config.reserve)
    cached = 0
    if not config.cached_input_counts:
        cached = given.cached_input_tokens or outputs.cached_tokens(call.agent, given.input_tokens)
    return amounts_of(given.input_tokens, output, cached)


def used_of(usage: Usage | None, config: EndpointConfig) -> dict[str, float] | None:
    """What a call has taken of each resource; None if nobody knows."""
    if usage is None:
        return None
    cached = 0 if config.cached_input_counts else usage.cached_input_tokens
    return amounts_of(usage.input_tokens, usage.output_tokens, cached)


def under_way_of(resource: str, calls: Iterable[Sent], until_s: float) -> UnderWay:
    """What is under way of one resource, when a request that went at `until_s` is answered."""
    total = later = 0.0
    own = least = inf
    kept = "input_tokens" if resource == "tokens" else resource
    for sent in calls:
        amount = sent.amounts[resource]
        total += amount
        if sent.at_s > until_s - _AHEAD_S:
            later += amount
        if sent.at_s <= until_s:
            own, least = min(own, sent.amounts[kept]), min(least, amount)
    if own == inf:
        return UnderWay(total, later)
    return UnderWay(total, max(0.0, later - least), 0.0 if resource == "output_tokens" else own)
