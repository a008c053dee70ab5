"""An endpoint's pulse: how long its healthy calls are silent, and from when one counts as hung.

The configured timeouts are the prior: they hold until the endpoint has been seen to answer some ten
times, and are the most that is ever allowed. From there the timeout moves, in the logarithm, to
twice the 99th percentile of what the endpoint itself does (`policy.latency`). Calls that do not
stream are compared with those that may put out about as much (by powers of two), once there are
enough of these, for a long answer is no hang and a short one should not wait as long.

Reaped calls are no samples, else one hung call would excuse the next. Yet an endpoint that became
slow for all its calls must not be reaped for ever: each reap in a row without an answer between,
from the third on, doubles what is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.latency import LatencySketch, TimeoutRule
from agentrm_plugins.policy.leases import Terms

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call

__all__ = ["AdaptiveTimeouts"]

# Guessed: a lognormal latency with a spread (sigma) of 1 has one call in a thousand above twice its
# 99th percentile; that one goes again.
_RULE = TimeoutRule(factor=2.0, least=10, settled=30)
_LOOK_EVERY = 8  # samples; a quantile costs a look at each bin
_PATIENCE = 2  # reaps in a row that change nothing
_RESPONSE = "response"


class AdaptiveTimeouts:
    """Times of silence of one endpoint's calls."""

    __slots__ = ("_allowed", "_looked", "_reaps", "_taken", "sketches")

    def __init__(self) -> None:
        self.sketches: dict[str, LatencySketch] = {}
        self._reaps = 0
        self._looked: dict[str, int] = {}
        self._taken: dict[str, int] = {}
        self._allowed: dict[str, float] = {}

    def answered(self) -> None:
        """A call made progress or ended well."""
        self._reaps = 0

    def reaped(self) -> None:
        """A call was silent for too long."""
        self._reaps += 1

    def terms(self, call: Call, prior: Terms) -> Terms:
        """The timeouts of a call to this endpoint; what the call itself declares stands."""
        first_s, silence_s = prior.first_s, prior.silence_s
        if call.first_token_timeout_s is None:
            name = "first" if call.streaming else _sized(call)
            if name not in self.sketches or self.sketches[name].count < _RULE.settled:
                name = "first" if call.streaming else _RESPONSE
            first_s = self._allow(name, first_s)
        if call.silence_timeout_s is None:
            silence_s = self._allow("gap", silence_s)
        return prior._replace(first_s=first_s, silence_s=silence_s)

    def allowed(self, name: str) -> float | None:
        """Seconds of silence allowed to healthy calls as it was last looked at, or None."""
        return self._allowed.get(name)

    def add(self, name: str, seconds: float, call: Call) -> bool:
        """A healthy time was seen. True if enough have been since the last look to look again."""
        news = self._add(name, seconds)
        sized = _sized(call)
        if name != _RESPONSE or sized == _RESPONSE:
            return news
        return self._add(sized, seconds) or news

    def _add(self, name: str, seconds: float) -> bool:
        sketch = self.sketches.get(name)
        if sketch is None:
            sketch = self.sketches[name] = LatencySketch()
        sketch.add(seconds)
        if sketch.count < self._looked.get(name, 0) + _LOOK_EVERY:
            return False
        self._looked[name] = sketch.count
        return True

    def _allow(self, name: str, prior_s: float) -> float:
        sketch = self.sketches.get(name)
        if sketch is None:
            return prior_s
        looked = self._looked.get(name, 0)
        if self._taken.get(name) != looked:
            self._taken[name] = looked
            self._allowed[name] = _RULE.timeout_s(sketch, prior_s)
        patience = 2.0 ** min(max(0, self._reaps - _PATIENCE), 30)
        return min(prior_s, self._allowed.get(name, prior_s) * patience)


def _sized(call: Call) -> str:
    """The class of calls that may put out about as much."""
    most = call.max_output_tokens or call.estimate.output_tokens
    return f"{_RESPONSE}:{most.bit_length()}" if most else _RESPONSE
