"""A provider says that the prompt is longer than its window: compact harder, go again once.

It happens where our count is an estimate, where the window is smaller than the budget says, or
where something between us and the provider adds to the prompt.
"""

from __future__ import annotations

import re

__all__ = ["is_overflow", "share_that_fits"]

_CLASS, _CODE = "ContextOverflowError", "context_length_exceeded"
_NUMBER = re.compile(r"\b\d[\d,]{2,}\b")
_MARGIN = 0.95
"""Of what the provider's numbers allow, for what it adds to the prompt by itself. Guessed."""


def is_overflow(error: BaseException) -> bool:
    """Whether a provider refused a prompt for its length."""
    # By name: older versions of langchain-core have no such class.
    named = any(kind.__name__ == _CLASS for kind in type(error).__mro__)
    return named or getattr(error, "code", None) == _CODE


def share_that_fits(error: BaseException) -> float | None:
    """Read from the provider's words which share of the prompt would fit; None if they do not say.

    OpenAI and others: "maximum context length is 8192 tokens ... resulted in 9000 tokens";
    Anthropic: "prompt is too long: 210000 tokens > 200000 maximum".
    """
    numbers = [int(found.replace(",", "")) for found in _NUMBER.findall(str(error))]
    two = [number for number in numbers if number != 400][:2]  # noqa: PLR2004 - the HTTP status
    if len(two) < 2 or two[0] == two[1]:  # noqa: PLR2004 - the window and what was asked for
        return None
    return min(two) / max(two) * _MARGIN
