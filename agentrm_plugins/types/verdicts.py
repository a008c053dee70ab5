"""What became of a call at the provider, and what the provider said of its limits: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

__all__ = [
    "CURABLE",
    "MINUTE_S",
    "RESOURCES",
    "Kind",
    "LimitReport",
    "ServerLimit",
    "Verdict",
    "usual_window_s",
]

RESOURCES = ("requests", "tokens", "input_tokens", "output_tokens")
MINUTE_S = 60.0
_USUAL_WINDOWS_S = (1.0, MINUTE_S, 3600.0, 86400.0)
_NEAR = 0.15
_ROUNDING_UNITS, _ROUNDING_S = 2.0, 0.05


def usual_window_s(window_s: float) -> float:
    """The usual window (1 s, 1 min, 1 h, 1 day) within 15 % of a measured one, or that itself."""
    for usual_s in _USUAL_WINDOWS_S:
        if abs(window_s - usual_s) <= _NEAR * usual_s:
            return usual_s
    return window_s


class Kind(StrEnum):
    """The five fates of a call that did not end well."""

    LIMIT = "limit"
    OVERLOADED = "overloaded"
    TRANSIENT = "transient"
    PERMANENT = "permanent"
    NEUTRAL = "neutral"


CURABLE = frozenset({Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT})
"""What may be over when the call is sent again."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to think of an error.

    Args:
        kind: Its fate.
        status: The HTTP status, or None where there was no answer.
        code: The provider's own word for it, "" if it had none.
        why: What no waiting cures: "billing" (an account without money), "too_long" (a prompt
            longer than the model's window). "unreadable": an answer that is none (a proxy's page,
            half a body, nothing), which is asked for a few times more. "unconnected": nobody was
            asked, for no connection was made. "" for none of these.
    """

    kind: Kind
    status: int | None = None
    code: str = ""
    why: str = ""

    @property
    def retryable(self) -> bool:
        """Whether sending it again may help."""
        return self.kind in CURABLE

    @property
    def failed(self) -> bool | None:
        """For the breaker: True if the endpoint failed, False if it answered, None if unknown."""
        if self.kind in {Kind.OVERLOADED, Kind.TRANSIENT}:
            return True
        return None if self.status is None else False


@dataclass(frozen=True, slots=True)
class ServerLimit:
    """One limit as the server reports it. None: not said.

    Args:
        limit: Units per window.
        remaining: Units left.
        reset_s: Seconds until the limit is whole again.
        firm: Whether it comes with good answers too. What only refusals say is not heard when the
            limit rises.
        per_s: Seconds of its window, where the server names it.
        step_s: Seconds to which the reset is rounded; None: as the figure itself shows.
        ends_s: Seconds until its window is over, where a refusal shows that it is counted in one.
    """

    limit: float | None = None
    remaining: float | None = None
    reset_s: float | None = None
    firm: bool = True
    per_s: float | None = None
    step_s: float | None = None
    ends_s: float | None = None

    def window_s(self, default_s: float = MINUTE_S) -> float:
        """Seconds in which the whole limit flows in."""
        if self.per_s is not None:
            return self.per_s
        if not self.limit or self.remaining is None or not self.reset_s:
            return default_s
        gone = self.limit - self.remaining
        # Less than two units, or less than 50 ms, is mostly rounding.
        if gone < _ROUNDING_UNITS or self.reset_s < _ROUNDING_S:
            return default_s
        return usual_window_s(self.limit * self.reset_s / gone)


@dataclass(frozen=True, slots=True)
class LimitReport:
    """What one response said about limits; empty if nothing.

    Args:
        retry_after_s: Seconds that the server asks to stay away.
        requests: The limit of requests.
        tokens: The limit of tokens, input and output together.
        input_tokens: The limit of input tokens alone.
        output_tokens: The limit of output tokens alone.
        resource: Which of them refused, if the error says so.
        worded: The limit of requests that a refusal names by nothing but its words.
        should_retry: The server's own opinion (``x-should-retry``).
        wall_s: Unix time when it came, for windows that follow the clock.
    """

    retry_after_s: float | None = None
    requests: ServerLimit | None = None
    tokens: ServerLimit | None = None
    input_tokens: ServerLimit | None = None
    output_tokens: ServerLimit | None = None
    resource: str | None = None
    worded: ServerLimit | None = None
    should_retry: bool | None = None
    wall_s: float | None = field(default=None, compare=False)

    def limits(self) -> dict[str, ServerLimit]:
        """The limits that were named, by resource."""
        if self.requests is self.tokens is self.input_tokens is self.output_tokens is None:
            return {}  # as most answers that name a wait alone
        return {name: told for name in RESOURCES if (told := getattr(self, name)) is not None}
