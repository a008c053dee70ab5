"""What a call takes of each limited resource of an endpoint, what it waits for, what changes.

What it will put out, and how much of its input is cached, is guessed before it has run.

Law: the guess is the `share`-quantile of the last outputs of this agent at this endpoint, or
of the endpoint if the agent has fewer than `least`; never above ``max_tokens``, which is also the
prior (`default` where the call names none). The cached share of the input is the smallest of the
last ones of this agent, so that what is reserved suffices.

Regimes: ``reserve="max"`` is for providers that count ``max_tokens`` against the limit themselves
(OpenAI does): reserving less than the server does is refused by it. ``reserve="usage"`` is for
those that count what came out (Anthropic's output limit), where reserving the maximum wastes most
of the limit.

Limits: a memory of 64 calls per agent and endpoint, and 1,024 agents; the one unheard of longest
goes.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from math import ceil, inf
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.config.endpoints import EndpointConfig
    from agentrm_plugins.types.calls import Call, Usage

__all__ = [
    "REFUSED",
    "Change",
    "OutputEstimator",
    "Sent",
    "Wait",
    "amounts_of",
    "need_of",
    "under_way_of",
    "used_of",
]

_MEMORY_CALLS = 64
_MEMORY_AGENTS = 1024
_LEAST = 5
_WHOLE_ENDPOINT = ""
_T = TypeVar("_T", int, float)


class OutputEstimator:
    """The outputs of one endpoint.

    Args:
        share: The quantile that is reserved; 0 to 1. Settling corrects what was too little.
        default: Tokens reserved where nothing is known and the call names no maximum.
    """

    __slots__ = ("_cached", "_default", "_outputs", "_share")

    def __init__(self, *, share: float = 0.75, default: int = 1024) -> None:
        self._share = share
        self._default = default
        self._outputs: OrderedDict[str, deque[int]] = OrderedDict()
        self._cached: OrderedDict[str, deque[float]] = OrderedDict()

    def output_tokens(self, agent: str, max_tokens: int | None, *, reserve: str = "usage") -> int:
        """Tokens to reserve for the output of a call of `agent`."""
        if reserve == "max" and max_tokens is not None:
            return max_tokens
        recent = self._outputs.get(agent, ())
        if len(recent) < _LEAST:
            recent = self._outputs.get(_WHOLE_ENDPOINT, ())
        if len(recent) < _LEAST:
            return self._default if max_tokens is None else max_tokens
        ordered = sorted(recent)
        usual = ordered[max(0, ceil(self._share * len(ordered)) - 1)]
        return usual if max_tokens is None else min(usual, max_tokens)

    def cached_tokens(self, agent: str, input_tokens: int) -> int:
        """Tokens of the input that will surely be read from the provider's cache."""
        recent = self._cached.get(agent) if self._cached else None
        return int(min(recent) * input_tokens) if recent and len(recent) >= _LEAST else 0

    def used(
        self, agent: str, input_tokens: int, output_tokens: int, cached_input_tokens: int
    ) -> None:
        """A call of `agent` ended well and used this many tokens."""
        _remember(self._outputs, agent, output_tokens)
        _remember(self._outputs, _WHOLE_ENDPOINT, output_tokens)
        if input_tokens and (cached_input_tokens or agent in self._cached):
            _remember(self._cached, agent, cached_input_tokens / input_tokens, calls=_LEAST)


def _remember(
    memory: OrderedDict[str, deque[_T]], agent: str, value: _T, calls: int = _MEMORY_CALLS
) -> None:
    recent = memory.get(agent)
    if recent is None:
        recent = memory[agent] = deque(maxlen=calls)
        if len(memory) > _MEMORY_AGENTS:
            memory.popitem(last=False)
    memory.move_to_end(agent)
    recent.append(value)


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
    read, output = given.input_tokens, given.output_tokens
    if most is not None or not output:
        output = outputs.output_tokens(call.agent, most, reserve=config.reserve)
    cached = given.cached_input_tokens
    if config.cached_input_counts:
        cached = 0
    elif not cached:
        cached = outputs.cached_tokens(call.agent, read)
    return {  # as `amounts_of`
        "requests": 1.0,
        "tokens": read + output,
        "input_tokens": read - cached,
        "output_tokens": output,
    }


def used_of(usage: Usage | None, config: EndpointConfig) -> dict[str, float] | None:
    """What a call has taken of each resource; None if nobody knows."""
    if usage is None:
        return None
    read, made = usage.input_tokens, usage.output_tokens
    cached = 0 if config.cached_input_counts else usage.cached_input_tokens
    return {  # as `amounts_of`
        "requests": 1.0,
        "tokens": read + made,
        "input_tokens": read - cached,
        "output_tokens": made,
    }


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
