"""What attempts of one call were charged by estimate, until its answer says what it really was.

Law: all attempts of a call send the same request, so each has cost the input that any answer to it
names. One that ends without an answer (cut off, broken, past a limit, outrun) is charged its input
by estimate; the answer pays the difference for all of them at once. Who is heard of after it is
charged what it has named.

Limits: an answer that says nothing of its usage corrects nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Usage

__all__ = ["Accrual"]


class Accrual:
    """The input that attempts of one call, which share this, were charged by estimate.

    `attempts` were charged `input_tokens` in all; `read` is what an answer said that each has cost,
    or None.
    """

    __slots__ = ("attempts", "input_tokens", "read")

    def __init__(self) -> None:
        self.attempts = 0
        self.input_tokens = 0
        self.read: int | None = None

    def cut(self, cost: Usage, *, asked: bool) -> Usage:
        """An attempt has ended without an answer: what it is charged.

        Args:
            cost: What it has cost by estimate.
            asked: Whether the provider has had its request.
        """
        if self.read is not None:
            return replace(cost, input_tokens=self.read) if asked else cost
        self.attempts += asked
        self.input_tokens += cost.input_tokens
        return cost

    def answered(self, input_tokens: int) -> int:
        """An answer names what each has read: what is missing for them all, or too much (< 0)."""
        missing = self.attempts * input_tokens - self.input_tokens
        self.attempts = self.input_tokens = 0
        self.read = input_tokens
        return missing
