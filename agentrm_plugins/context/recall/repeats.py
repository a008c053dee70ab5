"""What is said again in the same words: it stands in a prompt once. Pure.

A talk repeats turns of phrase, requests, whole paragraphs. Who finds one of them finds all, and a
block of them tells nothing that the prompt does not hold already. The newest copy stays, so that
what holds now stands last; where it was asked when something was, how often, what was before or at
a time, each copy counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from agentrm_plugins.context.plan.lookups import told_text
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.pieces import pieces_of
from agentrm_plugins.context.recall.query import Query

__all__ = ["Repeats"]

_TIMES = frozenset({"date", "time"})


class Repeats:
    """Which sentences stand in the prompt, or in a block so far, and how late the last copy is."""

    def __init__(self, session: Transcript, query: Query, places: Iterable[int] = ()) -> None:
        self._entries = session.entries
        each = query.each or query.history
        self._counts = not each and _TIMES.isdisjoint(query.kinds)
        self._places: Iterable[int] = sorted(places)
        self._last: dict[tuple[str, str], int] = {}

    def told(self, seq: int, text: str) -> bool:
        """Whether all of a message's words are said again, by the same, in a later one."""
        if not self._counts:
            return False
        if self._places:  # not before something was found that may be said again
            self._read()
        last = self._last
        if not last:
            return False
        role, said = self._entries[seq].role, said_in(text)
        for one in said:  # a plain loop: it runs for each passage that a turn has found
            if last.get((role, one), -1) <= seq:
                return False
        return bool(said)

    def add(self, seq: int, text: str) -> None:
        """Take a message that is shown."""
        if self._counts:
            last, role = self._last, self._entries[seq].role
            for one in said_in(text):
                last[role, one] = max(seq, last.get((role, one), -1))

    def _read(self) -> None:
        places, self._places = self._places, ()
        last, entries = self._last, self._entries
        for seq in places:  # oldest first; hardly a call for each: it runs in nearly every turn
            entry = entries[seq]
            message = entry.message
            if message is None:
                continue
            text = message.content
            if message.tool_calls or not isinstance(text, str):
                text = told_text(message)
            role = entry.role
            for one in said_in(text):
                last[role, one] = seq


@lru_cache(maxsize=4_096)
def said_in(text: str) -> frozenset[str]:
    """Give a text's sentences, each in one form; a question is not the statement of its words."""
    ends = " .。!"
    return frozenset([" ".join(p.text.rstrip(ends).casefold().split()) for p in pieces_of(text)])
