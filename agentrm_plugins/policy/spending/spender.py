"""Who spends, as budgets and shares of a rate see a call; the kernel's tickets are such."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.config.endpoints import Price
    from agentrm_plugins.types.calls import Call

__all__ = ["Elsewhere", "Limited", "Owner", "Reserved", "Spender"]

Reserved = tuple[tuple[int, str], float]  # the key of a budget's ledger, and an amount
Owner = tuple[str, str, str]  # "agent" or "tenant", the name that patterns fit, the name for people


class Elsewhere(Protocol):
    """What other processes of a fleet have spent more of a ledger, and have reserved now."""

    @property
    def number(self) -> int:
        """Which ledger of that name is meant: they are numbered as they are made."""

    @property
    def more(self) -> float:
        """What they have spent since they were heard of."""

    @property
    def reserved(self) -> float:
        """What they have reserved."""

    @property
    def heard(self) -> int:
        """The last reservation of this process that they have heard of."""


class Limited(Protocol):
    """An endpoint: what it is called, what its model costs, and what is known of its limits."""

    @property
    def name(self) -> str:
        """Host, model and the key's fingerprint in one word."""

    @property
    def price(self) -> Price | None:
        """What its model costs, if the user said so."""

    def limit_per_s(self, resource: str) -> float | None:
        """Units per second, or None where that is not known."""


class Spender(Protocol):
    """A call of some number, and what is held and charged for it.

    `reserved` is what budgets hold for it, `charged` what they were charged when it was reaped,
    `taken` what it took of shares of a rate; before `hold_s` it is not to go. `mark` is the number
    of its reservation; while it is `unheard` of by a fleet at some ledgers, it is not to go either.
    """

    number: int
    call: Call
    need: Mapping[str, float]
    beats: int
    beaten_tokens: int
    hold_s: float
    reserved: list[Reserved] | None
    charged: list[Reserved] | None
    taken: list[Reserved] | None
    mark: int
    unheard: set[tuple[int, str]] | None

    @property
    def endpoint(self) -> Limited | None:
        """Where it goes, if that is known."""
