"""What came of one run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Args:
        wall_s: Seconds from the first call to the end of the last.
        failed: Calls that ended with an error.
        sent: Requests of each call.
        hung: Of these, requests that were never answered.
        took_s: Seconds of each call from the caller's question to his answer.
        tokens: Tokens that the server billed.
        needed: Tokens of one answer to each call.
        charged: Tokens that the core charged; None where nobody counts.
        unseen: Requests that were cut off before the server had read them: charged, not billed.
        hedges: What the core says of late calls.
    """

    wall_s: float
    failed: int
    sent: tuple[int, ...]
    hung: tuple[int, ...]
    took_s: tuple[float, ...]
    tokens: int
    needed: int
    charged: int | None = None
    unseen: int = 0
    hedges: dict[str, int] = field(default_factory=dict)

    def p95_s(self, numbers: Iterable[int]) -> float:
        """The 95th percentile of these calls' times."""
        took = sorted(self.took_s[number] for number in numbers)
        return took[int(0.95 * len(took))] if took else 0.0

    def figures(self, oracle_s: float, usual: Iterable[int]) -> dict[str, Any]:
        """The run as plain figures.

        Args:
            oracle_s: What the clairvoyant takes; 0 where there is none.
            usual: The calls that are not slow.
        """
        healthy = [sent - hung for sent, hung in zip(self.sent, self.hung, strict=True)]
        return {
            "wall_s": round(self.wall_s, 2),
            "x_clairvoyant": round(self.wall_s / oracle_s, 3) if oracle_s else None,
            "failed": self.failed,
            "requests_mean": round(sum(healthy) / max(1, len(healthy)), 3),
            "requests_max": max(healthy),
            "p95_s": round(self.p95_s(usual), 2),
            "excess_percent": round(100 * (self.tokens / self.needed - 1), 2),
            "charged_less_billed": None if self.charged is None else self.charged - self.tokens,
            "unseen": self.unseen,
            "hedges": self.hedges,
        }
