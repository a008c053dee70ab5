"""One look-up: what is asked, where it stands, how much room there is, and what was ranked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.found import Told, Unit
from agentrm_plugins.context.recall.query import Query, query_of
from agentrm_plugins.types.message import plain_text

__all__ = ["Ask", "Looked", "asking_in"]

MOSTLY = 0.6
"""A message that asks in less than this share of it asks beside other things. Guessed."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One look-up.

    Args:
        query: What is asked.
        text: The same word for word.
        room_tokens: For the block.
        anchor: The user message before which it will stand; below 0 for an answer to the model.
        skip: Messages in view.
        short_tokens: The block's share, where the room is more; else 0.
    """

    query: Query
    text: str
    room_tokens: int
    anchor: int = -1
    skip: frozenset[int] = frozenset()
    short_tokens: int = 0

    @property
    def free(self) -> bool:
        """Whether it is asked by the model, of the whole archive."""
        return self.anchor < 0

    @property
    def asks(self) -> bool:
        """Whether most of the message is a question."""
        return self.query.asks >= MOSTLY

    def end(self, state: Transcript) -> int:
        """Give the first place that is not looked at."""
        return len(state.entries) if self.free else self.anchor


class Looked(NamedTuple):
    """What a look-up has ranked: units, the best score, what is in view, weights, coverage."""

    best: list[Unit]
    top: float
    shown: list[Told]
    weights: dict[str, float]
    covered: float


def asking_in(state: Transcript) -> int:
    """Give the place of the newest user message where it is a question; below 0 where it is none.

    A model that searches says what it was asked: the question itself is always in view, and
    holds each word of it, so that it would stand above all answers.
    """
    for entry in reversed(state.entries):
        if entry.role == "user":
            message = entry.message
            asks = message is not None and query_of(plain_text(message)).asks >= MOSTLY
            return entry.seq if asks else -1
    return -1
