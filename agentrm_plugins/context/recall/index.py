"""A session's passages in memory, found by their terms: what makes a wide look-up cheap.

Law: BM25 (Robertson and Zaragoza, 2009; k1 1.2, b 0.75 as in Lucene and SQLite's FTS5), summed term
by term over the passages that hold the term. Cost: one step for each of those, so a look-up in a
thousand passages takes a fraction of a millisecond. Terms and places only: no texts are kept. About
4 MB for 3,000 messages of 40 words.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import compress, islice, repeat
from operator import add

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import K1, B, Candidate, Corpus, weights_of

__all__ = ["MOST_STEPS", "Index"]

MOST_STEPS = 20_000
"""Places of terms that one look-up visits. About 3 ms; a session of 1,500 messages has fewer for
a question of twelve words that each stand in all of them."""
_MANY = 256
"""Places of a term from which on it is worth to ask whether it can still find anything (MaxScore,
Turtle and Flood 1995): the best that it and the commoner ones give is held against what is found.
Guessed."""
_OFTEN = 1 << 20
"""A posting is a passage's size times this, and how often it holds the term: which is less."""


class Index:
    """Passages of one session. Not thread-safe: its owner has a lock."""

    def __init__(self) -> None:
        self._docs: dict[int, Candidate] = {}
        self._of: dict[int, list[int]] = {}
        self._postings: dict[str, dict[int, int]] = {}
        self._known: dict[int, int] = {}
        self._next = 0
        self._said: dict[int, frozenset[str]] = {}
        self._terms = 0
        self._out: frozenset[int] = frozenset()

    def __len__(self) -> int:
        """How many passages there are."""
        return len(self._docs)

    def __contains__(self, seq: int) -> bool:
        """Whether the message at this place was added."""
        return seq in self._of

    def add(self, seq: int, role: str, pieces: Iterable[Passage], *, more: bool = False) -> None:
        """Add a message's passages; one that is there already is left alone, unless with `more`."""
        if seq in self._of and not more:
            return
        self._said.pop(seq, None)
        made = self._of.setdefault(seq, [])
        for piece in pieces:
            at, self._next = self._next, self._next + 1
            made.append(at)
            self._docs[at] = Candidate(seq, piece.start, piece.stop, role, piece.terms)
            self._terms += len(piece.terms)
            once = self._same(len(piece.terms) * _OFTEN + 1)
            for term in piece.terms:
                held = self._postings.get(term)
                if held is None:
                    self._postings[term] = {at: once}
                else:
                    held[at] = once if at not in held else self._same(held[at] + 1)

    def _same(self, posting: int) -> int:
        """Give one object for all that are equal: numbers of this size are not shared otherwise."""
        return self._known.setdefault(posting, posting)

    def cut(self, seq: int) -> None:
        """Take out the messages from `seq` on."""
        for gone in [place for place in self._of if place >= seq]:
            self._said.pop(gone, None)
            for at in self._of.pop(gone):
                doc = self._docs.pop(at)
                self._terms -= len(doc.terms)
                for term in set(doc.terms):
                    held = self._postings[term]
                    del held[at]
                    if not held:
                        del self._postings[term]

    @contextmanager
    def leaving_out(self, seq: int) -> Iterator[None]:
        """Search as if the message at this place were not there: the one that asks."""
        self._out = frozenset(self._of.get(seq, ()))
        try:
            yield
        finally:
            self._out = frozenset()

    def _containing(self, term: str) -> int:
        held = self._postings.get(term, {})
        return len(held) - sum([at in held for at in self._out])

    def corpus(self, terms: Iterable[str]) -> Corpus:
        """Give what the ranking needs to know of all passages, for these terms."""
        count = len(self._docs)
        containing = {term: self._containing(term) for term in terms}
        return Corpus(count, self._terms / count if count else 0.0, containing)

    def search(
        self, terms: Sequence[str], limit: int, steps: int = MOST_STEPS
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages that hold any of the terms, with their scores, best first.

        Args:
            terms: Of the question.
            limit: How many passages.
            steps: Places of terms that are looked at, the rarest terms first; of one that has more
                by itself the newest. The others decide between what the rarer ones found.
        """
        corpus = self.corpus(dict.fromkeys(terms))
        return self._best(weights_of(tuple(corpus.containing), corpus), limit, steps), corpus

    def _best(self, weights: dict[str, float], limit: int, steps: int) -> list[Candidate]:
        scores, order = self._found(weights, limit, steps)
        for term in order:  # by which nobody was looked for
            self._add(scores, term, weights[term], scores.keys() & self._postings[term].keys())
        top = _best_of(scores, limit)
        whole = sum(weights.values()) or 1.0
        covered = dict.fromkeys(top, 0.0)
        for term, weight in weights.items():
            _add_to(covered, covered.keys() & self._postings[term].keys(), weight)
        return [self._docs[at].scored(scores[at], covered[at] / whole) for at in top]

    def _found(
        self, weights: dict[str, float], limit: int, steps: int
    ) -> tuple[dict[int, float], list[str]]:
        """Give passages with what the rarer terms make of them, and the commoner terms."""
        scores: dict[int, float] = {}
        order = sorted(weights, key=lambda term: len(self._postings[term]))
        while order:
            held = self._postings[order[0]]
            least = _least_of(scores, limit + len(self._out)) if len(held) > _MANY else 0.0
            rest = (K1 + 1) * sum([weights[term] for term in order])
            if least > rest:  # what has no rarer term cannot come among the best
                near = map((least - rest).__le__, scores.values())
                scores = dict(compress(scores.items(), near))
                break
            if len(held) > steps and scores:
                break
            newest = held if len(held) <= steps else islice(reversed(held), steps)
            self._add(scores, order[0], weights[order[0]], newest)
            steps -= len(held)
            del order[0]
        for at in self._out:
            scores.pop(at, None)
        if order and len(self._postings[order[0]]) > steps:
            scores = {at: scores[at] for at in _best_of(scores, 2 * limit)}
        return scores, order

    def _add(
        self, scores: dict[int, float], term: str, weight: float, places: Iterable[int]
    ) -> None:
        """Add what a term makes of passages that hold it.

        Postings are alike, so few are reckoned; no step of Python's own for each passage.
        """
        held, most = self._postings[term], weight * (K1 + 1)
        base, slope = K1 * (1 - B), K1 * B * len(self._docs) / max(1, self._terms)
        listed = list(places)
        posted = list(map(held.__getitem__, listed))
        gains = {}
        for one in set(posted):
            size, often = divmod(one, _OFTEN)
            gains[one] = most * often / (often + base + slope * size)
        gained = map(gains.__getitem__, posted)
        known = map(scores.get, listed, repeat(0.0))
        scores.update(zip(listed, map(add, known, gained), strict=True))

    def terms_of(self, seq: int) -> frozenset[str]:
        """Give the terms of one message; none where it was not added."""
        said = self._said.get(seq)
        if said is None:
            said = frozenset(term for at in self._of.get(seq, ()) for term in self._docs[at].terms)
            if seq in self._of:
                self._said[seq] = said
        return said

    def missing(self, seqs: Iterable[int]) -> list[int]:
        """Give those of these places whose messages were not added."""
        of = self._of
        return [seq for seq in seqs if seq not in of]

    def covering(self, weights: Mapping[str, float], seqs: Iterable[int]) -> dict[int, float]:
        """Give for each of these messages the weight of those terms that it holds, if any."""
        of = self._of
        places = {at: seq for seq in seqs for at in of.get(seq, ())}
        holding: dict[int, float] = {}
        for term, weight in weights.items():
            held = self._postings.get(term)
            if held:
                _add_to(holding, set(map(places.__getitem__, places.keys() & held.keys())), weight)
        return holding

    def all(self) -> Iterable[Candidate]:
        """Give all passages."""
        return self._docs.values()

    def of(self, seq: int) -> list[Candidate]:
        """Give one message's passages."""
        return [self._docs[at] for at in self._of.get(seq, ())]


def _add_to(sums: dict[int, float], places: set[int], weight: float) -> None:
    """Add a weight at each of some places, without a step of Python's own for each."""
    listed = list(places)
    sums.update(
        zip(listed, map(add, map(sums.get, listed, repeat(0.0)), repeat(weight)), strict=False)
    )


def _best_of(scores: dict[int, float], limit: int) -> list[int]:
    """Give the best places, the newer first where scores are equal."""
    places = list(scores)
    if len(scores) > limit:
        least = _least_of(scores, limit)
        places = list(compress(scores, map(least.__le__, scores.values())))
    places.sort(reverse=True)
    places.sort(key=scores.__getitem__, reverse=True)
    return places[:limit]


def _least_of(scores: dict[int, float], limit: int) -> float:
    """Give the least of the best scores; 0 where there are fewer."""
    if len(scores) < limit:
        return 0.0
    return sorted(scores.values(), reverse=True)[limit - 1]
