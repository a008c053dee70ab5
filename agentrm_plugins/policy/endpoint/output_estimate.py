"""How many tokens a call will put out, and how much of its input is cached, before it has run.

Law: the estimate is the `share`-quantile of the last outputs of this agent at this endpoint, or
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
from math import ceil
from typing import TypeVar

__all__ = ["OutputEstimator"]

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
        index = max(0, ceil(self._share * len(ordered)) - 1)
        usual = ordered[index]
        return usual if max_tokens is None else min(usual, max_tokens)

    def cached_tokens(self, agent: str, input_tokens: int) -> int:
        """Tokens of the input that will surely be read from the provider's cache."""
        recent = self._cached.get(agent, ())
        return int(min(recent) * input_tokens) if len(recent) >= _LEAST else 0

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
