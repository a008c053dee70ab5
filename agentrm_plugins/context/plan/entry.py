"""What a transcript is made of: messages, compacted stretches, stand-ins, recalled passages."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

from agentrm_plugins.types.message import Message, ToolCall

__all__ = ["Entry", "Episode", "Recalled", "Replacement", "time_of"]


@dataclass(slots=True)
class Entry:
    """One message: itself while it is needed, and what is known of it for good.

    `body` is its text for the archive, until it is there. `looked_up`: it is what the tool `recall`
    gave, so that it is archived, and neither found nor noted once more. `otherwise`: the caller
    shows less of it than what the tool gave, so that what it said is not in view.
    """

    seq: int
    role: str
    tokens: int
    digest: str
    mark: int
    at_s: float
    message: Message | None
    calls: tuple[str, ...] = ()
    answers: str | None = None
    empty: bool = False
    noted: bool = False
    indexed: bool = False
    looked_up: bool = False
    otherwise: bool = False
    body: str | None = None


@dataclass(slots=True)
class Episode:
    """A compacted stretch: its notes, a model's narrative, lines on messages without notes."""

    first: int
    last: int
    notes: list[int]
    narrative: str = ""
    told: list[tuple[int, str]] = field(default_factory=list)
    text: str = ""
    tokens: int = 0


@dataclass(slots=True)
class Replacement:
    """What is sent in place of a tool result's content, or of a call's message."""

    kind: str
    text: str
    tokens: int
    calls: tuple[ToolCall, ...] = ()


@dataclass(slots=True)
class Recalled:
    """Passages paged in before the user message at `anchor`.

    Args:
        anchor: Its place.
        text: As it is sent.
        tokens: Its count, frame included.
        places: Of the messages that are shown.
        short: The best of it within its share, for when the room that it had beyond is needed; ""
            where it has none beyond.
        short_tokens: Its count.
    """

    anchor: int
    text: str
    tokens: int
    places: list[int]
    short: str = ""
    short_tokens: int = 0

    def shortened(self) -> Recalled:
        """Give the same within its share."""
        if not self.short:
            return self
        return Recalled(self.anchor, self.short, self.short_tokens, self.places)


def time_of(message: Message, now_s: float) -> float:
    """Give when a message was said, by itself or by the clock.

    A time that is no finite number counts as none: it has no place in any order, and a database
    keeps none that is not a number.
    """
    for key in ("timestamp", "created_at", "time"):
        value = message.metadata.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                told_s = float(value)
            except OverflowError:  # an integer beyond all floats
                continue
            if isfinite(told_s):
                return told_s
    return now_s
