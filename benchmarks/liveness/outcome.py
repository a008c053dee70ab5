"""What came of one run, and the table."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["HEAD", "Outcome", "row"]

HEAD = (
    "situation",
    "way",
    "wall s",
    "x clairvoyant",
    "failed",
    "requests a call, mean (max)",
    "quick p95 s",
    "excess tokens %",
    "charged - billed",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run.

    Args:
        wall_s: Seconds from the first call to the end of the last.
        failed: Calls that ended with an error.
        sent: Requests of each call.
        took_s: Seconds of each call from the caller's question to his answer.
        tokens: Tokens that the server billed.
        needed: Tokens of one answer to each call.
        charged: Tokens that the core charged; None where nobody counts.
    """

    wall_s: float
    failed: int
    sent: tuple[int, ...]
    took_s: tuple[float, ...]
    tokens: int
    needed: int
    charged: int | None = None

    def quick_s(self, numbers: Iterable[int]) -> float:
        """The 95th percentile of these calls' times."""
        took = sorted(self.took_s[number] for number in numbers)
        return took[int(0.95 * len(took))] if took else 0.0


def row(title: str, way: str, outcome: Outcome, oracle_s: float, quick: Iterable[int]) -> list[str]:
    """One line of the table."""
    mean = sum(outcome.sent) / max(1, len(outcome.sent))
    excess = 100 * (outcome.tokens / outcome.needed - 1)
    charged = "" if outcome.charged is None else f"{outcome.charged - outcome.tokens:+d}"
    return [
        title,
        way,
        f"{outcome.wall_s:.1f}",
        f"{outcome.wall_s / oracle_s:.2f}" if oracle_s else "",
        str(outcome.failed),
        f"{mean:.2f} ({max(outcome.sent)})",
        f"{outcome.quick_s(quick):.1f}",
        f"{excess:.1f}",
        charged,
    ]
