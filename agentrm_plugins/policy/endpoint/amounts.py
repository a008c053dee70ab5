"""What a call takes of each limited resource of an endpoint, and what it still waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["REFUSED", "Sent", "Wait", "amounts_of"]


class Wait(NamedTuple):
    """How long a call must wait, and for what; 0 is now, infinite until something happens."""

    seconds: float
    cause: str


class Sent(NamedTuple):
    """A call under way."""

    amounts: Mapping[str, float]
    at_s: float
    foreign: bool = False


def amounts_of(input_tokens: float, output_tokens: float, cached: float = 0.0) -> dict[str, float]:
    """What a call takes of each resource. Cached input counts only where both are one limit."""
    return {
        "requests": 1.0,
        "tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens - cached,
        "output_tokens": output_tokens,
    }


REFUSED = amounts_of(0.0, 0.0)  # a refused request counts, its tokens do not
