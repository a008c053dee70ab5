"""One note: a sentence that was kept from a message, and what has become of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentrm_plugins.context.notes.values import Value

__all__ = ["TOOLS", "Note", "squeezed"]

TOOLS = frozenset({"tool", "function"})
_BLANK = re.compile(r"[\s,'’\"“”«»`「」]+")


def squeezed(text: str) -> str:
    """Fold a text as values are folded, so that one can be looked for in the other."""
    return _BLANK.sub("", text).casefold()


@dataclass(slots=True)
class Note:
    """One sentence kept from one message.

    Args:
        id: Its number in the session.
        seq: Its message's place.
        role: Who said it.
        text: Its words.
        score: What it is worth.
        corrects: Whether it announces a correction.
        states: Whether it states something.
        values: Its exact strings.
        superseded_by: The note whose values stand in place of `struck`.
        repeats: The earlier note that says the same.
        struck: Its values that no longer hold.
        follows: Earlier notes of which it may be a newer form: not sure enough to strike them.
    """

    id: int
    seq: int
    role: str
    text: str
    score: float
    corrects: bool
    states: bool
    values: tuple[Value, ...]
    superseded_by: int | None = None
    repeats: int | None = None
    struck: tuple[str, ...] = ()
    follows: tuple[int, ...] = ()

    @property
    def dead(self) -> bool:
        """Whether nothing that it tells holds any more."""
        return bool(self.struck) and not self.left

    @property
    def left(self) -> list[Value]:
        """Its values that still hold."""
        return [value for value in self.values if value.text not in self.struck]

    @property
    def live(self) -> bool:
        """Whether it still tells something, and is not just said again."""
        return not self.dead and self.repeats is None

    @property
    def shown(self) -> str:
        """Its text without what was corrected."""
        text = self.text
        for value in self.struck:
            text = text.replace(value, "[corrected later]")
        return text
