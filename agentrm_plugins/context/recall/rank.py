"""What a new message asks about, found again: ranking without I/O.

Law: BM25 (Robertson and Zaragoza, 2009; k1 1.2, b 0.75 as in Lucene and SQLite's FTS5) over
passages of one session, times boosts for what a question asks of its answer: words covered, a value
of the kind asked for, the speaker asked for. An optional semantic ranking is fused with it by
reciprocal rank (Cormack et al., 2009; k 60).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentrm_plugins.context.notes.facts import values_of
from agentrm_plugins.context.notes.text import STOPWORDS, terms

__all__ = [
    "Candidate",
    "Corpus",
    "Hit",
    "Query",
    "bm25",
    "fused",
    "idf",
    "query_of",
    "ranked",
    "weights_of",
]

K1, B = 1.2, 0.75
RRF_K = 60
_MOST_TERMS = 16


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the ranking needs to know of all passages of a session."""

    passages: int
    mean_terms: float
    containing: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One passage that shares a term with the question."""

    seq: int
    start: int
    stop: int
    role: str
    terms: tuple[str, ...]
    text: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A candidate with its score; `covered` is the share of the question's weight that it has."""

    candidate: Candidate
    score: float
    covered: float


@dataclass(frozen=True, slots=True)
class Query:
    """A message read as a question."""

    terms: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    role: str | None = None
    history: bool = False
    asks: bool = False
    text: str = ""


_ROLE_ASKED = (
    ("user", (r"\b(?:did|do|have|had) i\b|\bi (?:said|told|asked|mentioned|gave|wrote)\b|\bmy own\b"
             r"|\b(?:habe ich|ai-je|he dicho|dije)\b|我说")),
    ("assistant", (r"\b(?:did|have|had) you\b|\byou (?:said|told|suggested|proposed|recommended)\b"
                  r"|\byour (?:answer|suggestion|recommendation|proposal)\b|你说|hast du")),
    ("tool", (r"\b(?:tool|command|script|log|output|search|query|api|test run)\b.{0,30}"
             r"\b(?:return|report|print|show|say|said|output|find|found|give|gave)")),
)  # fmt: skip
_KIND_ASKED = (
    ({"date", "time"}, (r"\b(?:when|what (?:date|day|time)|deadline|due|wann|quand|cu[áa]ndo)\b"
                       r"|什么时候|几点|いつ|何時|когда|日期")),
    ({"money", "number"}, (r"\b(?:how (?:much|many|long|big|often)|price|cost|budget|amount|port"
                          r"|limit|wie ?viele?|combien|cu[áa]nto)\b|多少|几个|いくら|сколько")),
    ({"name"}, r"\b(?:who|whom|whose|name|named|called|wer|wem|qui|qui[ée]n)\b|谁|誰|кто"),
    ({"url"}, r"\b(?:url|link|address|endpoint|site|website|where)\b|网址"),
    ({"email"}, r"\b(?:e-?mail|mail|contact|address)\b|邮箱"),
    ({"path"}, r"\b(?:path|file|folder|directory|where|datei|fichier|archivo|pfad)\b|文件|路径"),
    ({"ident", "uuid", "code"}, (r"\b(?:id|identifier|code|number|ticket|key|token|version|branch"
                                r"|commit|hash|ref(?:erence)?|nummer|num[ée]ro|n[úu]mero)\b|编号|番号")),
)  # fmt: skip
_ROLE_ASKED_RE = [(role, re.compile(pattern, re.IGNORECASE)) for role, pattern in _ROLE_ASKED]
_KIND_ASKED_RE = [(kinds, re.compile(pattern, re.IGNORECASE)) for kinds, pattern in _KIND_ASKED]
_HISTORY = re.compile(
    r"\b(?:original(?:ly)?|initial(?:ly)?|at first|previous(?:ly)?|before (?:that|the change|it)"
    r"|used to|old(?:er)? (?:value|one|version)|formerly|history|urspr[üu]nglich|fr[üu]her|avant"
    r"|auparavant|antes|anterior)\b|原来|之前|以前",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"[?？]|\b(?:what|which|who|whom|whose|when|where|why|how|remind|recall|remember|look up|find"
    r"|tell me|give me|list|repeat|quote|according to|earlier|we (?:said|agreed|decided|discussed)"
    r"|wer|was|wann|wo|welche[rsn]?|wie|quel(?:le)?s?|qui|quand|o[ùu]|combien|qu[ée]|qui[ée]n"
    r"|cu[áa]l|cu[áa]ndo|d[óo]nde|cu[áa]nto)\b|什么|哪|谁|多少|何|誰|いつ|どこ|кто|что|когда|где|какой",
    re.IGNORECASE,
)
_ASKED_PIECE = re.compile(r"(?<=[.!?。！？\n])\s*")


def query_of(text: str) -> Query:
    """Read a message as a question. In a long one, the sentences that ask count, then the rest."""
    if len(text) > 600:  # noqa: PLR2004 - a pasted text is no question
        asking = [piece for piece in _ASKED_PIECE.split(text) if _ASKS.search(piece)]
        text = " ".join([*asking[-6:], text[:200], text[-200:]])[:1600]
    found = [term for term in terms(text) if term not in STOPWORDS and term.isalnum()]
    kept = tuple(dict.fromkeys(found))[:_MOST_TERMS]
    kinds: set[str] = set()
    for asked, pattern in _KIND_ASKED_RE:
        if pattern.search(text):
            kinds |= asked
    role = next((role for role, pattern in _ROLE_ASKED_RE if pattern.search(text)), None)
    asks = _ASKS.search(text) is not None
    return Query(
        kept, frozenset(kinds), role, _HISTORY.search(text) is not None, asks, text.casefold()
    )


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


def ranked(query: Query, candidates: Sequence[Candidate], corpus: Corpus) -> list[Hit]:
    """Rank passages for a question, best first; ties go to the newer."""
    hits = []
    weights = weights_of(query.terms, corpus)
    for candidate in candidates:
        score, covered = bm25(weights, candidate, corpus.mean_terms)
        if score <= 0:
            continue
        boost = 1.0 + 0.6 * covered
        if query.role is not None:
            boost *= 1.25 if candidate.role == query.role else 0.9
        if candidate.text:
            boost *= _answers(query, candidate)
        hits.append(Hit(candidate, score * boost, covered))
    hits.sort(key=lambda hit: (-hit.score, -hit.candidate.seq, hit.candidate.start))
    return hits


def _answers(query: Query, candidate: Candidate) -> float:
    """Boost what holds a value that the question does not, above all of the kind asked for."""
    found = values_of(candidate.text)
    new = {value.kind for value in found if value.text.casefold() not in query.text}
    boost = 1.0
    if new:
        boost *= 1.15
    if query.kinds and new & query.kinds:
        boost *= 1.25
    if candidate.text.rstrip().endswith(("?", "？")):
        boost *= 0.6
    return boost


def fused(*rankings: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Fuse rankings of (seq, start) by reciprocal rank."""
    scores: dict[tuple[int, int], float] = {}
    for ranking in rankings:
        for place, key in enumerate(ranking, start=1):
            scores[key] = scores.get(key, 0.0) + 1.0 / (RRF_K + place)
    return sorted(scores, key=lambda key: (-scores[key], -key[0], key[1]))
