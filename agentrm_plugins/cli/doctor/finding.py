"""One finding of the doctor: what was looked at, how it is, and what to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["NOTE", "OK", "PROBLEM", "Finding"]

OK, NOTE, PROBLEM = "ok", "note", "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's.

    Attributes:
        check: What was looked at, in a word: "python", "model", "store".
        status: "ok", "note" (could be better) or "problem" (is wrong).
        text: How it is.
        fix: What to do; "" where nothing is to be done.
    """

    check: str
    status: str
    text: str
    fix: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)
