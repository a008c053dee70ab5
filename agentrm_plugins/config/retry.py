"""How often a failed call goes again, as plain numbers: what a file or a variable can say of it."""

from __future__ import annotations

from dataclasses import dataclass

from agentrm_plugins.types.arguments import suggesting_fields
from agentrm_plugins.types.checks import check_seconds, keep, keep_whole

__all__ = ["RetryConfig"]


@suggesting_fields
@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Bounds within the default retry policy. For other rules give a `RetryPolicy` in code.

    Args:
        attempts: The most attempts of one call, whatever it meets; 1: none goes again. The default
            is the policy's, guessed: 16, and fewer where a fallback can do better (8 where the
            provider fails or cannot be connected to, 5 where it has no room, 4 of answers that
            cannot be read).
        total_s: No attempt begins later than so many seconds after the first. The default is the
            OpenAI SDK's own request timeout.
        max_wait_s: The longest pause between two attempts, where no server says when. The default
            is the cap of the OpenAI SDK.
    """

    attempts: int | None = None
    total_s: float = 600.0
    max_wait_s: float = 8.0

    def __post_init__(self) -> None:
        """Check each field."""
        keep_whole(self, "attempts", 1, 100, none=True)
        keep(self, check_seconds, "total_s", none=False)
        keep(self, check_seconds, "max_wait_s", none=False)
