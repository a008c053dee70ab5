"""What a look-up gives: whole messages or parts of long ones, with what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from agentrm_plugins.context.notes.facts import values_of
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.paging import Found
from agentrm_plugins.context.recall.query import ENDS_ASKING, Query
from agentrm_plugins.context.recall.rank import Candidate, Hit, weighed

__all__ = ["Told", "Unit", "later_of", "units_of"]

Follows = Callable[[int, str, bool], Iterable[tuple[int, str]]]

WHOLE_CHARS = 900
"""Up to this size a message is shown whole; of a longer one the passages that were found."""
_BESIDE = ((1, 0.5), (2, 0.3), (3, 0.1))
"""Of a message's score, what its neighbours at a distance get: an answer follows its question.
Measured on half of LoCoMo with 1,200 tokens: 60 % of the evidence without, 73 % with these, 73 %
with half as much again."""
_MOST_LATER = 2
_TELLS = 0.5
"""A message that holds less than this share of the question tells no value that is asked for."""
_AS_COVERED = 0.8
"""A later message that holds this share of what an earlier one holds of the question may replace
it. Guessed."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is shown in one piece: (a part of) a message, with its score."""

    seq: int
    start: int
    stop: int
    hit: Hit


def units_of(hits: Sequence[Hit], index: Index, carries: Callable[[int], bool]) -> list[Unit]:
    """Make units of hits: a short message whole; neighbours get a part of a message's score.

    Args:
        hits: Ranked passages.
        index: Tells how long a message is.
        carries: Whether a message at a place takes part in that: it is there, out of view, and said
            by somebody (a tool's output is no answer to what stands before it).
    """
    parts: dict[int, list[Hit]] = {}
    for hit in hits:
        parts.setdefault(hit.candidate.seq, []).append(hit)
    best = {seq: max(hit.score for hit in listed) for seq, listed in parts.items()}
    gained: dict[int, float] = {}
    for seq, score in best.items():
        if carries(seq):
            for distance, share in _BESIDE:
                for other in (seq - distance, seq + distance):
                    gained[other] = gained.get(other, 0.0) + share * score
    units = []
    for seq in best.keys() | {seq for seq in gained if carries(seq)}:
        pieces = index.of(seq)
        more = gained.get(seq, 0.0) if carries(seq) else 0.0
        listed = parts.get(seq, ())
        if pieces and pieces[-1].stop <= WHOLE_CHARS:
            units.append(_whole(pieces, listed, more))
        else:
            units += [
                Unit(seq, hit.candidate.start, hit.candidate.stop,
                     replace(hit, score=hit.score + more))
                for hit in listed
            ]  # fmt: skip
    units.sort(key=lambda unit: (-unit.hit.score, -unit.seq, unit.start))
    return units


def _whole(pieces: Sequence[Candidate], hits: Sequence[Hit], more: float) -> Unit:
    first, stop = pieces[0], pieces[-1].stop
    score = max((hit.score for hit in hits), default=0.0) + more
    covered = max((hit.covered for hit in hits), default=0.0)
    made = replace(first, start=0, stop=stop)
    return Unit(first.seq, 0, stop, Hit(made, score, covered))


@dataclass(frozen=True, slots=True)
class Told:
    """What a message tells of a question: its place, the share covered, the sentence."""

    seq: int
    covered: float
    said: str

    @classmethod
    def of(cls, query: Query, seq: int, covered: float, text: str) -> Told:
        """Pick the sentence that shares most with the question."""
        asked = set(query.terms)
        pieces = [piece for _, piece in sentences(text[:4_000])]
        said = max(pieces, key=lambda piece: len(asked.intersection(terms(piece))), default="")
        return cls(seq, covered, said)


def later_of(
    query: Query, found: Sequence[Found], told: Sequence[Told], follows: Follows
) -> list[Found]:
    """Order what was read, and name behind it what came later and may replace something in it.

    A message may replace an earlier one when a note of it does, or when it holds as much of the
    question, and another value of a kind that the earlier one has for it. It is quoted, so that the
    earlier value never stands there alone.

    Args:
        query: What was asked.
        found: What was found and read.
        told: What messages tell of the question, in view and out of it.
        follows: Gives (place, words) of the notes that replace those of a message, for certain
            only or also those that may.
    """
    texted = [replace(one, hit=one.hit.reading(one.text)) for one in found]
    keyed = {one.key: one for one in texted}
    ordered = [
        replace(keyed[hit.candidate.seq, hit.candidate.start], hit=hit)
        for hit in weighed(query, [one.hit for one in texted])
    ]
    return [replace(one, later=_later(query, one, told, follows)) for one in ordered]


def _later(
    query: Query, one: Found, told: Sequence[Told], follows: Follows
) -> tuple[tuple[int, str], ...]:
    named = dict(follows(one.key[0], one.text, one.hit.covered < _TELLS / 2))
    if one.hit.covered >= _TELLS:
        own = Told.of(query, one.key[0], one.hit.covered, one.text)
        values = values_of(own.said)
        norms = {value.norm for value in values}
        kinds = {CLASS.get(value.kind) for value in values}
        for other in told:
            if other.seq <= own.seq or other.covered < _AS_COVERED * own.covered:
                continue
            if other.said.endswith(ENDS_ASKING):
                continue
            if any(
                v.norm not in norms and CLASS.get(v.kind) in kinds for v in values_of(other.said)
            ):
                named.setdefault(other.seq, other.said)
    newest = sorted(named.items(), reverse=True)[:_MOST_LATER]
    return tuple(reversed(newest))
