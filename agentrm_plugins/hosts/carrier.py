"""Who carries a call's request to its provider, as the lease sees it."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Carrier"]


class Carrier(Protocol):
    """A request of which the call waits for the answer."""

    @property
    def can_wake(self) -> bool:
        """Whether a thread that reads the answer can be woken from that."""

    def hurry(self) -> bool:
        """Have its server say now what it has to say, an answer or an end; whether that is done."""
