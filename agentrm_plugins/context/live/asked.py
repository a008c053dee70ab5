"""One look-up: what is asked, where it stands, how much room there is, and what was ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from agentrm_plugins.context.notes.values import DISTINCT, values_of
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.found import Told, Unit
from agentrm_plugins.context.recall.named import ids_in
from agentrm_plugins.context.recall.paging import Found
from agentrm_plugins.context.recall.query import Query, query_of
from agentrm_plugins.types.message import plain_text

__all__ = ["Ask", "Looked", "asking_in", "beside", "narrowed"]

MOSTLY = 0.6
"""A message that asks in less than this share of it asks beside other things. Guessed."""
_LEAST_ASKED, _ASKED_BESIDE = 0.4, 0.22
"""A message that asks only beside other things gets so much less of the room for recall. What is
said beside a question moves the talk on; each block costs cached prefix. Guessed."""
_NAMED = 0.45
"""Of the room for recall, for a message that asks nothing and names an id. Measured on booking
agents: all of the argument values on both sets, and two points more of the prefix than with all of
it."""
_SHORT_CHARS = 400
_LEAST_ROOM = 120
"""Tokens: a block has room for the best few passages, whatever is said beside the question."""
_HOLDS_ALL = 0.9
"""Of a question's weight: a passage that has it has all that is asked by words. Guessed."""
_COMMON = 0.05
"""Share of the passages, from which on a word tells them apart no more. Guessed."""


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
        whole_tokens: How far the room of a message that asks nothing may grow, so that the best
            passage, and what holds an id that it names, is shown whole.
    """

    query: Query
    text: str
    room_tokens: int
    anchor: int = -1
    skip: frozenset[int] = frozenset()
    short_tokens: int = 0
    whole_tokens: int = 0

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
    """What a look-up has ranked.

    Args:
        best: Units, best first.
        top: The best score of all, in view or not.
        shown: What is in view.
        weights: Of the question's words.
        covered: The largest share of them that a passage holds.
        rarest: Share of the passages that hold the rarest of its words that was ever said; 0 where
            they are few.
    """

    best: list[Unit]
    top: float
    shown: list[Told]
    weights: dict[str, float]
    covered: float
    rarest: float


def beside(ask: Ask, share: int) -> Ask:
    """Give a message that asks nothing, or beside other things, its part of the room.

    "Cancel the booking of order KX-7": what is known of it is needed, asked for or not, and whole.

    Args:
        ask: With all the room that is allowed now.
        share: What recall may take at all, in tokens, whatever is owed for what was asked before.
    """
    whole = share if ids_in(ask.text) else ask.room_tokens
    part = max(_LEAST_ASKED, ask.query.asks) * _ASKED_BESIDE
    if len(ask.text) <= _SHORT_CHARS:
        part = _NAMED if any(one.kind in DISTINCT for one in values_of(ask.text)) else part
    room = max(min(_LEAST_ROOM, ask.room_tokens), int(ask.room_tokens * part))
    return replace(ask, room_tokens=room, whole_tokens=whole)


def narrowed(ask: Ask, looked: Looked, fit: Sequence[Found]) -> Ask:
    """Give a question that picks nothing out the room of one that is asked beside other things.

    "Go on with the next page, what does it say?": each of its words is common in the talk, and more
    passages hold all of them than its share has room for. Any block is a sample of what the talk is
    full of: the best few tell as much, and the prompt stands still.

    Args:
        ask: What is asked.
        looked: What was ranked.
        fit: What may be shown.
    """
    share = ask.short_tokens or ask.room_tokens
    if ask.free or not ask.asks or looked.rarest < _COMMON:
        return ask
    if sum(one.tokens for one in fit if one.hit.covered >= _HOLDS_ALL) <= share:
        return ask
    room = max(min(_LEAST_ROOM, share), int(share * _ASKED_BESIDE))
    return replace(ask, room_tokens=room, short_tokens=0)


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
