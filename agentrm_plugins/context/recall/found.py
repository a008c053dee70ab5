"""What a look-up gives: whole messages or parts of long ones, with what stands beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agentrm_plugins.context.notes.facts import values_of
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.paging import Found
from agentrm_plugins.context.recall.query import Query
from agentrm_plugins.context.recall.rank import Candidate, Hit, weighed

__all__ = ["Unit", "later_of", "units_of"]

WHOLE_CHARS = 900
"""Up to this size a message is shown whole; of a longer one the passages that were found."""
_BESIDE = ((1, 0.5), (2, 0.3), (3, 0.1))
"""Of a message's score, what its neighbours at a distance get: an answer follows its question.
Measured on half of LoCoMo with 1,200 tokens: 60 % of the evidence without, 73 % with these, 73 %
with half as much again."""
_MOST_LATER = 2
_LATER_FOR = 12
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


def units_of(query: Query, hits: Sequence[Hit], index: Index, end: int) -> list[Unit]:
    """Make units of hits: a short message whole; neighbours get a part of a message's score.

    Args:
        query: What was asked.
        hits: Ranked passages.
        index: Tells how long a message is.
        end: Messages from this place on are left out.
    """
    parts: dict[int, list[Hit]] = {}
    for hit in hits:
        parts.setdefault(hit.candidate.seq, []).append(hit)
    best = {seq: max(hit.score for hit in listed) for seq, listed in parts.items()}
    units = []
    gained: dict[int, float] = {}
    for seq, score in best.items():
        for distance, share in _BESIDE:
            for other in (seq - distance, seq + distance):
                gained[other] = gained.get(other, 0.0) + share * score
    for seq in best.keys() | gained.keys():
        if not 0 <= seq < end:
            continue
        pieces = index.of(seq)
        more = gained.get(seq, 0.0)
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
    covered = max((hit.covered for hit in hits), default=1.0)
    made = replace(first, start=0, stop=stop)
    return Unit(first.seq, 0, stop, Hit(made, score, covered))


def later_of(
    query: Query, found: Sequence[Found], shown: Sequence[tuple[int, float, str]]
) -> list[Found]:
    """Order what was read, and name behind it what came later and may replace something in it.

    A message may replace an earlier one when it holds as much of the question and another value of
    a kind that the earlier one has. Where it is looked up too it is shown before that one gets
    room; where it is in view it is quoted.

    Args:
        query: What was asked.
        found: What was found and read.
        shown: Messages in view: (place, share of the question that they cover, text).
    """
    by_hit = {id(one.hit): one for one in found}
    texted = [replace(one.hit, candidate=replace(one.hit.candidate, text=one.text)) for one in found]
    keyed = {(h.candidate.seq, h.candidate.start): by_hit[id(one.hit)] for h, one in
             zip(texted, found, strict=True)}  # fmt: skip
    ordered = []
    for hit in weighed(query, texted):
        one = keyed[hit.candidate.seq, hit.candidate.start]
        ordered.append(replace(one, hit=hit))
    made: list[Found] = []
    done: set[tuple[int, int]] = set()
    for at, one in enumerate(ordered):
        if at >= _LATER_FOR:
            made.append(one)
            continue
        rivals = [
            other for other in ordered[: 3 * _LATER_FOR]
            if other.key[0] > one.key[0] and _may_replace(other.text, other.hit.covered, one)
        ]  # fmt: skip
        rivals.sort(key=lambda other: -other.key[0])
        quoted = [
            (seq, text) for seq, covered, text in shown
            if seq > one.key[0] and _may_replace(text, covered, one)
        ]  # fmt: skip
        made += [other for other in rivals[:_MOST_LATER] if other.key not in done]
        done.update(other.key for other in rivals[:_MOST_LATER])
        named = [*quoted[-_MOST_LATER:], *((other.key[0], "") for other in rivals[:1])]
        made.append(replace(one, later=tuple(named)))
        done.add(one.key)
    return made


def _may_replace(text: str, covered: float, old: Found) -> bool:
    if covered < _AS_COVERED * old.hit.covered:
        return False
    before = values_of(old.text)
    norms = {value.norm for value in before}
    kinds = {CLASS.get(value.kind) for value in before}
    return any(v.norm not in norms and CLASS.get(v.kind) in kinds for v in values_of(text))
