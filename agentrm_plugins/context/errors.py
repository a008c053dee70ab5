"""What can go wrong with a context, split by whose fault it is.

::

    AgentRMError
    `-- ContextError
        |-- the caller's fault
        |   |-- BudgetTooSmall(ValueError)      system prompt, tools and newest task do not fit
        |   `-- BadMessage(ValueError)          a message that no provider would take
        `-- the store's fault
            `-- StoreError(RuntimeError)        the archive cannot be read or written
                |-- StoreLocked                 another process holds it for too long
                |-- StoreCorrupt                the file is damaged, or is no archive
                |-- StoreReadOnly               no right to write
                `-- StoreFull                   no room left on the disk
"""

from __future__ import annotations

from typing import Any

from agentrm_plugins.errors import AgentRMError

__all__ = [
    "BadMessage",
    "BudgetTooSmall",
    "ContextError",
    "StoreCorrupt",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
]


class ContextError(AgentRMError):
    """The root of the context lifecycle's errors. Nothing that was archived is lost by one."""


class BudgetTooSmall(ContextError, ValueError):
    """The system prompt, the tools and the newest task alone exceed the budget.

    Args:
        budget_tokens: The budget that was to be met.
        needed_tokens: The least that the request needs.
        parts: What it is made of: tokens by name.
    """

    def __init__(self, budget_tokens: int, needed_tokens: int, parts: dict[str, int]) -> None:
        listed = ", ".join(f"{name} {count}" for name, count in parts.items())
        super().__init__(
            f"budget_tokens={budget_tokens}: at least {needed_tokens} tokens are needed "
            f"({listed}); raise the budget, or shorten the largest part"
        )
        self.budget_tokens = budget_tokens
        self.needed_tokens = needed_tokens
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from its parts, so that it crosses process borders."""
        return type(self), (self.budget_tokens, self.needed_tokens, self.parts)


class BadMessage(ContextError, ValueError):
    """A message without a usable role or content. The text names its place, field and value."""


class StoreError(ContextError, RuntimeError):
    """The archive refused. The messages stay in memory until it takes them."""


class StoreLocked(StoreError):
    """Another process holds the archive: raise `busy_timeout_s`, or give it its own file."""


class StoreCorrupt(StoreError):
    """The archive's file is damaged or is none: move it away and restore a copy of it."""


class StoreReadOnly(StoreError):
    """The archive cannot be written: give the process the right, or another path."""


class StoreFull(StoreError):
    """No room is left for the archive: free some, or give another path."""
