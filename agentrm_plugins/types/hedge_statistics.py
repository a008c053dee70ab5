"""How late calls and their second attempts fared, for people and monitors."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HedgeStatistics"]


@dataclass(frozen=True, slots=True)
class HedgeStatistics:
    """Late calls and their further attempts (hedges), counted since the core was made.

    Attributes:
        late: Calls that were silent for longer than healthy ones are; they went on.
        sent: Further attempts that were sent beside them.
        first_won: Calls with a further attempt that their first attempt answered.
        hedge_won: Calls that a further attempt answered.
        gave_way: Attempts that were ended to make room for the next one of the call.
        lost_tokens: Tokens charged for attempts that lost or gave way; they are part of all sums.
    """

    late: int = 0
    sent: int = 0
    first_won: int = 0
    hedge_won: int = 0
    gave_way: int = 0
    lost_tokens: int = 0
