"""How the late calls of one endpoint fared: counted there, added up when somebody asks."""

from __future__ import annotations

__all__ = ["HedgeTally"]


class HedgeTally:
    """Counts since it was made, as `HedgeStatistics` explains them."""

    __slots__ = ("first_won", "gave_way", "hedge_won", "late", "lost_tokens", "sent")

    def __init__(self) -> None:
        self.late = 0
        self.sent = 0
        self.first_won = 0
        self.hedge_won = 0
        self.gave_way = 0
        self.lost_tokens = 0

    def join(self, other: HedgeTally) -> None:
        """Add what another one has counted."""
        self.late += other.late
        self.sent += other.sent
        self.first_won += other.first_won
        self.hedge_won += other.hedge_won
        self.gave_way += other.gave_way
        self.lost_tokens += other.lost_tokens
