"""Which of the later passages may be the newer form of an older one, where there is little room.

Law: it speaks of the same subject, so it holds each name and number of the question that the older
one holds ("the invoice of Baker" is none of Miller's), and it has another value of the same kind.
It is sure to be meant where one sentence holds at least half of the question's words that the older
one holds, and qualifies no shared word otherwise; else it may be one, and the older one stands
without it. Cost: what was found is read once in a look-up, its sentences once while they are
remembered; what qualifies a word is looked at for the likeliest alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import NamedTuple

from agentrm_plugins.context.notes.note import squeezed
from agentrm_plugins.context.notes.subject import content, told_apart
from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.notes.values import Value, values_of
from agentrm_plugins.context.notes.worded import fills
from agentrm_plugins.context.recall.paging import LEAST_RIVAL, Found, Rival
from agentrm_plugins.context.recall.pieces import Held, best_of, pieces_of
from agentrm_plugins.context.recall.query import Query

__all__ = ["Rivals"]

_MOST = 2
_CHARS = 240
"""Of a sentence without a stop, what stands around its value. Guessed."""
_WORD = re.compile(r"(\w+)(['\u2019]s\b)?")


class _Telling(NamedTuple):
    """What was found, and what it may tell instead: its words, and its sentences with values."""

    at: int
    key: tuple[int, int]
    found: Found
    terms: frozenset[str]
    said: list[tuple[frozenset[str], str, tuple[Held, ...]]]
    """Of each sentence: the words of the question that it holds, its text, its values."""


_Newer = tuple[int, tuple[int, int], Found, str, Value]


class Rivals:
    """Gives what may replace a passage, of what was found.

    Args:
        query: What was asked.
        found: What was found, or a part of it.
    """

    def __init__(self, query: Query, found: Sequence[Found]) -> None:
        self._query = query
        self._asked = frozenset(query.terms)
        self._squeezed = squeezed(query.text)
        likely = [one for one in found if one.hit.covered >= LEAST_RIVAL]
        self._told = [told for told in map(self._telling, likely) if told.said]

    def _telling(self, found: Found) -> _Telling:
        asked, pieces, key = self._asked, pieces_of(found.text), found.key
        said, words = [], []
        for piece in pieces:
            held = piece.terms
            words.append(held)
            if not asked.isdisjoint(held):
                values = piece.held
                if values or not piece.asks:
                    said.append((asked & held, piece.text, values))
        every = words[0] if len(words) == 1 else frozenset[str]().union(*words)
        return _Telling(key[0], key, found, every, said)

    def of(self, one: Found, named: Collection[int] = ()) -> list[Rival]:
        """Give what came later and may replace a passage, the surest first, at most two.

        Each is cut to the sentence that does.

        Args:
            one: The passage.
            named: Places of messages that are named behind it anyway.
        """
        best = best_of(self._query, one.text)
        if best is None or one.hit.covered < LEAST_RIVAL:
            return []
        asked, question = self._asked, self._squeezed
        kinds = {
            held.kind for held in best.held
            if asked.isdisjoint(held.terms) and held.norm not in question
        }  # fmt: skip
        if not kinds:
            return []
        told = {held.norm for piece in pieces_of(one.text) for held in piece.held}
        figures = [held.value for held in best.held if held.kind in kinds]
        held, at = asked & best.terms, one.key[0]
        names = asked & _naming(best.text)
        newer: list[_Newer] = []
        for other in self._told:
            if other.at > at and other.at not in named and names <= other.terms:
                found = _best_said(other, held, kinds, told, (best.text, figures))
                if found is not None:
                    newer.append(found)
        newer.sort(key=itemgetter(0, 1), reverse=True)
        return _surest(best.text, len(held), newer)


def _best_said(
    other: _Telling,
    held: frozenset[str],
    kinds: Collection[str | None],
    told: Collection[str],
    older: tuple[str, Sequence[Value]],
) -> _Newer | None:
    """Give the sentence that holds most of what is asked and another value of these kinds."""
    best, most = None, 0
    for words, text, values in other.said:  # plain loops: they run for each pair of passages
        holds = len(held & words)
        if holds > most:
            put = None
            for norm, kind, value, _ in values:
                if kind in kinds and norm not in told:
                    put = value
                    break
            else:
                put = fills(text, *older)
            if put is not None:
                best, most = (text, put), holds
    return None if best is None else (most, other.key, other.found, *best)


def _surest(said: str, held: int, newer: Sequence[_Newer]) -> list[Rival]:
    """Give the likeliest, those first that are sure to be meant; `newer` is in order."""
    sure: list[_Newer] = []
    unsure: list[_Newer] = []
    subject = _subject(said)
    for one in newer:
        if 2 * one[0] >= held and not told_apart(subject, _subject(one[3])):
            sure.append(one)
            if len(sure) == _MOST:
                break
        elif len(unsure) < _MOST:
            unsure.append(one)
    chosen = [*sure, *unsure][:_MOST]
    return [Rival(_part(*one[2:]), sure=at < len(sure)) for at, one in enumerate(chosen)]


@lru_cache(maxsize=2_048)
def _naming(said: str) -> frozenset[str]:
    """Give the terms of a sentence that tell its subject from others: names and numbers.

    A capital at its beginning says nothing, unless it is somebody's: "Miller's invoice".
    """
    found: set[str] = set()
    for word in _WORD.finditer(said):
        text, owns = word.groups()
        if text[0].isupper() and (word.start() or owns):
            found.update(terms(text))
        elif not text.isalpha():
            found.update([one for one in terms(text) if any(map(str.isdigit, one))])
    return frozenset(found)


@lru_cache(maxsize=2_048)
def _subject(said: str) -> tuple[str, frozenset[str]]:
    return said, content(said, values_of(said))


def _part(found: Found, said: str, value: Value) -> Found:
    if len(said) > _CHARS:
        start = max(0, min(value.start - _CHARS // 2, len(said) - _CHARS))
        said = said[start : start + _CHARS]
    if said == found.text:
        return found
    return found._replace(text=said, tokens=found.tokens * len(said) // max(1, len(found.text)) + 2)
