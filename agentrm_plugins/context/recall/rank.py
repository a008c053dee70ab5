"""What a new message asks about, found again: ranking without I/O.

Law: BM25 (Robertson and Zaragoza, 2009; k1 1.2, b 0.75 as in Lucene and SQLite's FTS5) over
passages of one session, plus what stands near: words of the question close together in a passage,
and a part of the score of the messages right before and after, since an answer follows its
question; times boosts for what a question asks of its answer: the speaker, the day, a value of the
kind asked for. A ranking by meaning is added where there is one. Nothing is left out for what it
says: the order alone is decided here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import attrgetter
from typing import NamedTuple

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.recall.query import Query

__all__ = ["Candidate", "Corpus", "Hit", "answers", "bm25", "fused", "idf", "in_order", "ranked",
           "weights_of"]  # fmt: skip

K1, B = 1.2, 0.75
MEANING = 1.0
"""What the nearest passage by meaning gets, in shares of the best score by words."""
_NEAR_TERMS = 4
_CLOSELY = 80
"""Best passages by BM25 of which the places of words are looked at. Guessed."""
_START, _SEQ, _SCORE = map(attrgetter, ("candidate.start", "candidate.seq", "score"))
_NEAR_GAIN = 0.25
"""Of the weight of two words of the question that stand within `_NEAR_TERMS` of each other."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the ranking needs to know of all passages of a session."""

    passages: int
    mean_terms: float
    containing: Mapping[str, int]


class Candidate(NamedTuple):
    """One passage that shares a term with the question.

    Args:
        seq: Its message's place.
        start: Where in the message's text it begins.
        stop: Where it ends.
        role: Who said it.
        terms: Its terms in order.
        text: Its text, where it was read.
        score: By BM25, where it was computed; 0 otherwise.
        covered: Share of the question's weight that it holds, 0 to 1.
    """

    seq: int
    start: int
    stop: int
    role: str
    terms: tuple[str, ...]
    text: str = ""
    score: float = 0.0
    covered: float = 0.0

    def spanning(self, start: int, stop: int) -> Candidate:
        """Give the same from and to other offsets."""
        return Candidate(
            self.seq, start, stop, self.role, self.terms, self.text, self.score, self.covered
        )

    def scored(self, score: float, covered: float) -> Candidate:
        """Give the same with its score."""
        return Candidate(
            self.seq, self.start, self.stop, self.role, self.terms, self.text, score, covered
        )


class Hit(NamedTuple):
    """A candidate with its score; `covered` is the share of the question's weight that it has."""

    candidate: Candidate
    score: float
    covered: float


def idf(corpus: Corpus, term: str) -> float:
    """Weigh a term by its rarity in the session; never below a small positive number."""
    n = corpus.containing.get(term, 0)
    return max(0.05, math.log(1 + (corpus.passages - n + 0.5) / (n + 0.5)))


def weights_of(query_terms: Sequence[str], corpus: Corpus) -> dict[str, float]:
    """Weigh the terms that occur in the session at all."""
    return {term: idf(corpus, term) for term in query_terms if corpus.containing.get(term)}


def bm25(
    weights: Mapping[str, float], candidate: Candidate, mean_terms: float
) -> tuple[float, float]:
    """Score one passage; give the score and the share of the question's weight that it covers."""
    counts: dict[str, int] = {}
    for term in candidate.terms:
        if term in weights:
            counts[term] = counts.get(term, 0) + 1
    base = K1 * (1 - B + B * len(candidate.terms) / max(1.0, mean_terms))
    score = sum(weights[t] * n * (K1 + 1) / (n + base) for t, n in counts.items())
    whole = sum(weights.values())
    return score, sum(weights[term] for term in counts) / whole if whole else 0.0


def near(weights: Mapping[str, float], terms: Sequence[str]) -> float:
    """Weigh how close together the words of a question stand in a passage."""
    gain = 0.0
    last, at_last = "", -_NEAR_TERMS - 1
    asked = map(weights.__contains__, terms)  # few of them are, and only those are looked at
    for at, term in compress(enumerate(terms), asked):
        weight = weights[term]
        if term != last and at - at_last <= _NEAR_TERMS:
            gain += min(weight, weights[last])
        last, at_last = term, at
    return _NEAR_GAIN * gain


def ranked(query: Query, candidates: Sequence[Candidate], corpus: Corpus) -> list[Hit]:
    """Rank passages for a question, best first; ties go to the newer."""
    hits = []
    weights = weights_of(query.terms, corpus)
    for at, candidate in enumerate(candidates):
        score, covered = candidate.score, candidate.covered
        if not score:
            score, covered = bm25(weights, candidate, corpus.mean_terms)
        if score <= 0:
            continue
        if at < _CLOSELY:
            score += near(weights, candidate.terms)
        boost = 1.0 + 0.6 * covered
        if query.role is not None:
            boost *= 1.25 if candidate.role == query.role else 0.9
        hits.append(Hit(candidate, score * boost, covered))
    in_order(hits)
    return hits


def in_order(hits: list[Hit]) -> None:
    """Sort hits: the best first, of equals the newer, of one message the first."""
    hits.sort(key=_START)
    hits.sort(key=_SEQ, reverse=True)
    hits.sort(key=_SCORE, reverse=True)


def answers(query: Query, text: str) -> float:
    """Weigh a text by what the question asks of its answer.

    What holds a value that the question does not is boosted, above all one of the kind asked for.
    """
    new = {value.kind for value in values_of(text) if value.text.casefold() not in query.text}
    boost = 1.0
    if new:
        boost *= 1.15
    if query.kinds and new & query.kinds:
        boost *= 1.25
    if ends_asking(text):
        boost *= 0.6
    return boost


def fused(
    hits: Sequence[Hit], near: Mapping[tuple[int, int], float], made: Mapping[tuple[int, int], Hit]
) -> list[Hit]:
    """Fuse a ranking by words with one by meaning: each gives up to the best score by words.

    Args:
        hits: By words.
        near: How near passages are to the question, 0 to 1 over those that are looked at.
        made: Hits for those that words did not find, with any score.
    """
    best = max((hit.score for hit in hits), default=1.0)
    found = {(hit.candidate.seq, hit.candidate.start): hit for hit in hits}
    for key, share in near.items():
        hit = found.get(key)
        if hit is not None:
            found[key] = hit._replace(score=hit.score + MEANING * share * best)
        elif key in made:
            found[key] = made[key]._replace(score=MEANING * share * best, covered=0.0)
    order = list(found.values())
    in_order(order)
    return order
