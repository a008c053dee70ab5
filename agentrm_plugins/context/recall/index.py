"""A session's passages in memory, found by their terms: what makes a wide look-up cheap.

Law: BM25 (Robertson and Zaragoza, 2009; k1 1.2, b 0.75 as in Lucene and SQLite's FTS5), summed term
by term over the passages that hold the term. Cost: one step for each of those, so a look-up in a
thousand passages takes a fraction of a millisecond. Terms and places only: no texts are kept. About
4 MB for 3,000 messages of 40 words.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.recall.rank import K1, B, Candidate, Corpus, weights_of

__all__ = ["Index"]


class Index:
    """Passages of one session. Not thread-safe: its owner has a lock."""

    def __init__(self) -> None:
        self._docs: dict[int, Candidate] = {}
        self._of: dict[int, list[int]] = {}
        self._postings: dict[str, dict[int, int]] = {}
        self._sizes: list[int] = []
        self._terms = 0

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
        made = self._of.setdefault(seq, [])
        for piece in pieces:
            at = len(self._sizes)
            self._sizes.append(len(piece.terms))
            made.append(at)
            self._docs[at] = Candidate(seq, piece.start, piece.stop, role, piece.terms)
            self._terms += len(piece.terms)
            for term in piece.terms:
                held = self._postings.get(term)
                if held is None:
                    self._postings[term] = {at: 1}
                else:
                    held[at] = held.get(at, 0) + 1

    def cut(self, seq: int) -> None:
        """Take out the messages from `seq` on."""
        for gone in [place for place in self._of if place >= seq]:
            for at in self._of.pop(gone):
                doc = self._docs.pop(at)
                self._terms -= len(doc.terms)
                for term in set(doc.terms):
                    held = self._postings[term]
                    del held[at]
                    if not held:
                        del self._postings[term]

    def corpus(self, terms: Iterable[str]) -> Corpus:
        """Give what the ranking needs to know of all passages, for these terms."""
        count = len(self._docs)
        containing = {term: len(self._postings.get(term, ())) for term in terms}
        return Corpus(count, self._terms / count if count else 0.0, containing)

    def search(
        self, terms: Sequence[str], limit: int, skip: frozenset[int] = frozenset()
    ) -> tuple[list[Candidate], Corpus]:
        """Find the best passages that hold any of the terms, with their scores, best first."""
        corpus = self.corpus(dict.fromkeys(terms))
        return self.best(weights_of(tuple(corpus.containing), corpus), limit, skip), corpus

    def best(
        self, weights: dict[str, float], limit: int, skip: frozenset[int] = frozenset()
    ) -> list[Candidate]:
        """Find the best passages for weighted terms, best first; ties go to the newer."""
        docs, sizes = self._docs, self._sizes
        base, slope = K1 * (1 - B), K1 * B * len(docs) / max(1, self._terms)
        scores: dict[int, float] = {}
        known = scores.get
        for term, weight in weights.items():
            most = weight * (K1 + 1)
            for at, often in self._postings.get(term, {}).items():
                scores[at] = known(at, 0.0) + most * often / (often + base + slope * sizes[at])
        if skip:
            scores = {at: score for at, score in scores.items() if docs[at].seq not in skip}
        whole = sum(weights.values()) or 1.0
        top = heapq.nlargest(limit, zip(scores.values(), scores, strict=True))
        found = []
        for score, at in top:
            held = weights.keys() & docs[at].terms
            found.append(docs[at].scored(score, sum(weights[term] for term in held) / whole))
        return found

    def all(self) -> Iterable[Candidate]:
        """Give all passages."""
        return self._docs.values()

    def of(self, seq: int) -> list[Candidate]:
        """Give one message's passages."""
        return [self._docs[at] for at in self._of.get(seq, ())]
