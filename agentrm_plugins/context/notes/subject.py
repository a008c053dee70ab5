"""What a value in a sentence is a value of: the words that it is told with.

Law: the subject of a value is the set of words of its clause, without values, without words that
announce a correction, without articles and forms of "to be", and without a preposition or copula
right before the value. Two values are values of one thing where their subjects are the same set.
Whose, where to and from, which of two: such words are part of it, so that "my locker" and "her
locker" are two things. In scripts without blanks the words are pairs of characters.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

from agentrm_plugins.context.notes.facts import CORRECTS
from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.notes.values import Value

__all__ = ["about", "content", "names_it", "negated", "told_apart"]

_CLAUSE = re.compile(
    r"[.!?。！？]+\s*|[，；、,;]|\s(?:and|und|et|y|e|og|och|и|while|but|aber|mais|pero)\s"
)
_GRAMMAR = frozenset(
    term
    for word in (
        "a an the is are was were be been being am it its this that these those there s so "
        "has have had will would shall it's that's i we you "
        "der die das den dem des ein eine einen einem einer ist sind war waren wird es "
        "le la les l un une est sont était c ce "
        "el los las una es son era lo o os as um uma é são foi il gli uno è sono d n"
    ).split()
    for term in terms(word, drop_stopwords=False)
)
"""Articles and forms of "to be", of the languages that are written with blanks and have them."""
_LEAD = re.compile(
    r"(?:\b(?:is|are|was|were|be|to|at|on|in|by|as|of|for|ist|am|um|auf|est|à|au|es|el|a|é|è|il)"
    r"|是|为|為|は|が|を|に|叫|等于|هو|هي|[:=→])\s*$",
    re.IGNORECASE,
)
_COPULA = re.compile(
    r"\s+(?:is|are|was|were|will be|has|had|ist|sind|war|wird|hat|est|sont|était|es|era|está"
    r"|fue|é|foi|è)\b",
    re.IGNORECASE,
)
_WORD_BEFORE = re.compile(r"[^\W\d_]\s+$")
_TAIL = re.compile(r"^\s*(?:です|だ|になりました|になります|に変わりました|了|。|now\b|today\b)")
_NEGATED = re.compile(
    r"(?:\b(?:not|no longer|instead of|rather than|in place of|supersed\w+|statt|nicht(?: mehr)?"
    r"|au lieu de?|et non|en (?:lugar|vez) de|ya no|não|em vez de|non|invece di|вместо|не)\b"
    r"|不是|不再|ではなく|بدلا من|ليس)\W{0,3}(?:\w{1,12}\W{1,2})?$",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def about(text: str, values: tuple[Value, ...]) -> tuple[frozenset[str] | None, ...]:
    """Give the subject of each value of a sentence, in their order.

    None for a value that tells what the sentence is about instead of being told (the 31 of "order
    31 is KX-7"), for one that is named as past, and where there is no word to go by.
    """
    bare = _bare(text, values)
    gone = set(negated(text, values))
    clauses = _clauses(bare)
    return tuple(_subject((text, bare), values, at, gone, clauses) for at in range(len(values)))


def negated(text: str, values: tuple[Value, ...]) -> list[int]:
    """Give the values, by index, that a sentence calls past: "instead of A", "not A"."""
    found = []
    for at, value in enumerate(values):
        if _NEGATED.search(text, max(0, value.start - 40), value.start):
            found.append(at)
    return found


def names_it(text: str, value: Value) -> bool:
    """Whether a value says which thing a sentence speaks of: the 5 of "story number 5 was long"."""
    if _COPULA.match(text, value.start + len(value.text)) is None:
        return False
    before = max(0, value.start - 12), value.start
    return _WORD_BEFORE.search(text, *before) is not None and _LEAD.search(text, *before) is None


def _subject(
    texts: tuple[str, str],
    values: tuple[Value, ...],
    at: int,
    gone: set[int],
    clauses: list[tuple[int, int]],
) -> frozenset[str] | None:
    (text, bare), value = texts, values[at]
    if at in gone:
        return None
    begin, end = next((c for c in clauses if c[0] <= value.start <= c[1]), (0, len(bare)))
    if len(_words(bare[begin:end])) < 2:  # noqa: PLR2004 - one word is no subject
        begin, end = 0, len(bare)
    beside = [
        other for n, other in enumerate(values)
        if n != at and n not in gone and begin <= other.start < end
    ]  # fmt: skip
    if value.kind == "name":
        if beside:
            return None
        words = _words(bare[begin:end]) - set(terms(value.text, drop_stopwords=False))
    else:
        solid = [other for other in beside if other.kind != "name"]
        later = any(
            v.start > value.start and v.kind != "name" and n not in gone
            for n, v in enumerate(values)
        )
        told = not later or _LEAD.search(text, max(0, value.start - 12), value.start)
        if not told or any(other.start > value.start for other in solid):
            return None
        words = _words(bare[begin:end]) | {f"={other.norm}" for other in solid}
    for n in gone:
        words -= set(terms(values[n].text, drop_stopwords=False))
    if len(words) > 1 or (words and not _words(bare[:begin] + bare[end:])):
        return words
    return None


@lru_cache(maxsize=8192)
def content(text: str, values: tuple[Value, ...]) -> frozenset[str]:
    """Give the words of a sentence that tell what it is about at all: no values, no small words."""
    inside = {term for value in values if value.kind != "name" for term in terms(value.text)}
    for cue in CORRECTS.finditer(text):
        inside.update(terms(cue.group()))
    return frozenset(term for term in terms(text) if term not in inside)


@lru_cache(maxsize=8192)
def _before(text: str, said: frozenset[str]) -> dict[str, str]:
    """Give for each word the one right before it: "second" of the gateway in "second gateway"."""
    ordered = terms(text, drop_stopwords=False)
    return {b: a for a, b in itertools.pairwise(ordered) if a in said and b in said}


def told_apart(one: tuple[str, frozenset[str]], other: tuple[str, frozenset[str]]) -> bool:
    """Whether two sentences, each with its content, qualify a word that they share differently."""
    before, after = _before(*one), _before(*other)
    for term in one[1] & other[1]:
        a, b = before.get(term, ""), after.get(term, "")
        if a and a != b and a not in other[1] and (not b or b not in one[1]):
            return True
    return False


def _bare(text: str, values: tuple[Value, ...]) -> str:
    """Blank what is no part of a subject; all stands where it stood."""
    kept = list(text)
    for value in values:
        if value.kind == "name":
            continue
        stop = value.start + len(value.text)
        head = _LEAD.search(text, max(0, value.start - 12), value.start)
        begin = head.start() if head else value.start
        tail = _TAIL.match(text[stop : stop + 12])
        stop += tail.end() if tail else 0
        kept[begin:stop] = " " * (stop - begin)
    for cue in CORRECTS.finditer(text):
        kept[cue.start() : cue.end()] = " " * (cue.end() - cue.start())
    return "".join(kept)


def _clauses(bare: str) -> list[tuple[int, int]]:
    found, at = [], 0
    for match in _CLAUSE.finditer(bare):
        found.append((at, match.start()))
        at = match.end()
    found.append((at, len(bare)))
    return found


def _words(text: str) -> frozenset[str]:
    return frozenset(t for t in terms(text, drop_stopwords=False) if t not in _GRAMMAR)
