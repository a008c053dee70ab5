"""What a look-up looks for beyond the words of the question: a time, and what the first pass found.

Laws. *Time:* a message that was said when the question asks about is worth `SAID_THEN` more, and
one that shares no word with it is found by that alone where few enough were. *Second pass*
(pseudo-relevance feedback, Rocchio 1971; RM3, Abdul-Jaleel 2004): the rarest words that the best
passages say and the question does not are searched with as well, at a part of its weight: "who
employs my sister's husband?" finds "my sister married Tomas", and with Tomas his employer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter

from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.query import Query
from agentrm_plugins.context.recall.rank import (
    Candidate,
    Corpus,
    Hit,
    fused,
    idf,
    in_order,
    weights_of,
)
from agentrm_plugins.context.recall.times import Times
from agentrm_plugins.context.recall.when import Stretch

__all__ = [
    "again",
    "all_weights",
    "asked_without",
    "by_itself",
    "dated",
    "found_little",
    "most_covered",
    "rarest_of",
]

SAID_THEN = 0.6
FOUND_BY_TIME = 0.4
"""Of the best score, what a message gets that was said at the time asked about. Guessed: more than
what is left out beside the best, less than what holds half of the words."""
_MOST_BY_TIME = 64
LITTLE = 0.75
"""Of the question's weight: where the best passage holds less, the first pass found little."""
_SEEDS, _MOST_BRIDGES = 3, 5
_COMMON = 0.03
"""A bridge stands in at most this share of the passages, or in six. Guessed: a name or a thing."""
_FEW, _BOTH_ENDS = 6, 2
_RARE = 20
"""A word in fewer passages picks something out: in a short talk no share tells. Guessed."""
SECOND = 0.5
"""Of the best score, what the best passage of the second pass gets."""


def asked_without(query: Query, said: Iterable[str]) -> tuple[str, ...]:
    """Give a question's words without those that only said when."""
    gone = frozenset(said)
    return tuple(term for term in query.terms if term not in gone)


def dated(hits: Sequence[Hit], said: Times, end: int, stretch: Stretch, index: Index) -> list[Hit]:
    """Raise what was said at the time asked about, and find what shares no word with the question.

    Args:
        hits: By words, best first.
        said: When the messages were said.
        end: The first place of which nothing may be shown.
        stretch: The time asked about.
        index: Gives the passages of a message.
    """
    near = said.between(*stretch.around)
    shares = {seq: stretch.share(at_s) for at_s, seq in near if seq < end}
    if not shares or len(shares) == said.before(end):
        return list(hits)  # all were, or none: that tells nothing
    raised = [
        hit._replace(score=hit.score * (1 + SAID_THEN * shares.get(hit.candidate.seq, 0.0)))
        for hit in hits
    ]
    best = max((hit.score for hit in raised), default=1.0)
    known = {hit.candidate.seq for hit in raised}
    inside = [seq for seq, share in shares.items() if share == 1.0 and seq not in known]
    raised += [
        Hit(piece, FOUND_BY_TIME * best, 0.0)
        for seq in sorted(inside)[-_MOST_BY_TIME:]
        for piece in index.of(seq)[:1]
    ]
    in_order(raised)
    return raised


def by_itself(query: Query, hits: Sequence[Hit], index: Index, limit: int, end: int) -> list[Hit]:
    """Let the words of the question itself find as much as those that it leans on."""
    if not query.leans:
        return list(hits)
    own = [term for term in query.terms if term not in query.leans]
    found, _ = index.search(own, limit)
    return _added(hits, [one for one in found if one.seq < end], 1.0)


def again(query: Query, hits: Sequence[Hit], index: Index, limit: int, end: int) -> list[Hit]:
    """Search once more with what the best hits say beside the question's words."""
    bridges = _bridges(query, hits, index)
    if not bridges:
        return list(hits)
    found, _ = index.search([*query.terms, *bridges], limit)
    found = [one for one in found if one.seq < end and not bridges.isdisjoint(one.terms)]
    seeds = {hit.candidate.seq for hit in hits[:_SEEDS]}
    return _added(hits, [one for one in found if one.seq not in seeds], SECOND)


def _added(hits: Sequence[Hit], found: Sequence[Candidate], worth: float) -> list[Hit]:
    """Fuse hits with what another search has found, best first."""
    if not found:
        return list(hits)
    near = {(one.seq, one.start): worth * one.score / found[0].score for one in found}
    made = {(one.seq, one.start): Hit(one, 0.0, 0.0) for one in found}
    return fused(hits, near, made)


def _bridges(query: Query, hits: Sequence[Hit], index: Index) -> frozenset[str]:
    said: dict[str, None] = {}
    for hit in hits[:_SEEDS]:
        said.update(dict.fromkeys(hit.candidate.terms))
    fresh = [term for term in said if term not in query.terms and not term.isdigit()]
    corpus: Corpus = index.corpus(fresh)
    most = max(_FEW, int(_COMMON * corpus.passages))
    rare = [term for term in fresh if _BOTH_ENDS <= corpus.containing[term] <= most]
    weights = weights_of(rare, corpus)
    return frozenset(sorted(rare, key=lambda term: (-weights[term], term))[:_MOST_BRIDGES])


def all_weights(query: Query, corpus: Corpus) -> dict[str, float]:
    """Weigh the words of a question, those that nobody said yet as well: they are asked for too."""
    return {term: idf(corpus, term) for term in query.terms}


def found_little(found: Sequence[Candidate], weights: Mapping[str, float], corpus: Corpus) -> bool:
    """Whether the best passage holds less than `LITTLE` of all that is asked for."""
    known = sum(weight for term, weight in weights.items() if corpus.containing.get(term))
    return most_covered(found) * known < LITTLE * sum(weights.values())


def most_covered(found: Sequence[Candidate]) -> float:
    """Give the largest share of the question that a passage holds."""
    return max(map(attrgetter("covered"), found), default=0.0)


def rarest_of(query: Query, corpus: Corpus) -> float:
    """Give the share of all passages that hold the rarest of a question's words that was said.

    0 where so few hold it that they are picked out, however short the talk is.
    """
    held = [corpus.containing.get(term, 0) for term in query.terms]
    rarest = min([n for n in held if n], default=0)
    return 0.0 if rarest < _RARE else rarest / max(1, corpus.passages)
