"""What a look-up gives: whole messages or parts of long ones, with what stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import repeat
from operator import add, attrgetter, itemgetter, mul
from typing import NamedTuple

from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.note import squeezed
from agentrm_plugins.context.notes.values import Value
from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.paging import LEAST_RIVAL, Found, Rival
from agentrm_plugins.context.recall.pieces import best_of, pieces_of, said_of, told_in
from agentrm_plugins.context.recall.query import Query
from agentrm_plugins.context.recall.rank import Candidate, Hit, answers
from agentrm_plugins.context.recall.rivals import Rivals

__all__ = ["LEAST_RIVAL", "LEAST_TELLING", "Later", "Told", "Unit", "units_of", "weighed"]

Follows = Callable[[int, str, bool, str], Iterable[tuple[int, str]]]
Carrying = Callable[[Iterable[int]], set[int]]

WHOLE_CHARS = 900
"""Up to this size a message is shown whole; of a longer one the passages that were found."""
_BESIDE = (0.1, 0.3, 0.5, 0.0, 0.5, 0.3, 0.1)
"""Of a message's score, what the three before it and the three behind it get: an answer follows its
question.
Measured on half of LoCoMo with 1,200 tokens: 60 % of the evidence without, 73 % with these, 73 %
with half as much again."""
_SPREADING = 80
_MOST_LATER = 2
"""By the notes; and one more, at least, of what was found. Guessed."""
_LATER_CHARS = 240
_PARTS = 6
"""Passages of one long message, at most. Guessed: a tool's output is not the whole answer."""
_TELLS = 0.5
"""A message that holds less than this share of the question tells no value that is asked for."""
_AS_COVERED = 0.8
"""A later message that holds this share of what an earlier one holds of the question may replace
it. Guessed."""
_ASKS = 0.6
"""A message that asks in at least this share of it is a question."""
LEAST_TELLING = _AS_COVERED * _TELLS
_AS_NEW = 0.5
"""Of what the older one holds of the question: a message in view that is named as its newer form.
Guessed."""
_WEIGHED = 32


class Unit(NamedTuple):
    """What is shown in one piece: (a part of) a message, with its score."""

    seq: int
    start: int
    stop: int
    hit: Hit


def units_of(
    hits: Sequence[Hit],
    index: Index,
    carrying: Carrying,
    skip: frozenset[int],
    limit: int,
) -> tuple[list[Unit], float]:
    """Make units of hits, best first: a short message whole; neighbours get a part of a score.

    Args:
        hits: Ranked passages.
        index: Tells how long a message is.
        carrying: Gives those of some places that take part in that: a message is there, out of
            view, said by somebody (a tool's output is no answer to what stands before it).
        skip: Messages in view: they count for the best score, and make no unit.
        limit: How many.

    Returns:
        The units, and the best score of all.
    """
    parts: dict[int, list[Hit]] = {}
    for hit in hits:
        parts.setdefault(hit.candidate.seq, []).append(hit)
    scores = {seq: max([hit.score for hit in listed]) for seq, listed in parts.items()}
    total = _spread(scores, carrying, 4 * limit)
    units: list[Unit] = []
    top = max(total.values(), default=0.0)
    hidden = sorted(total.keys() - skip, reverse=True)  # the newer first where scores are equal
    hidden.sort(key=total.__getitem__, reverse=True)
    for seq in hidden[:limit]:
        pieces = index.of(seq)
        listed = parts.get(seq, [])
        if pieces and pieces[-1].stop <= WHOLE_CHARS:
            covered = max([hit.covered for hit in listed], default=0.0)
            made = pieces[0].spanning(0, pieces[-1].stop)
            units.append(Unit(seq, 0, made.stop, Hit(made, total[seq], covered)))
        else:
            more = total[seq] - scores.get(seq, 0.0)
            units += [
                Unit(seq, hit.candidate.start, hit.candidate.stop,
                     Hit(hit.candidate, hit.score + more, hit.covered))
                for hit in listed[:_PARTS]
            ]  # fmt: skip
    units.sort(key=lambda unit: (-unit.hit.score, -unit.seq, unit.start))
    return units, top


def _spread(scores: dict[int, float], carrying: Carrying, limit: int) -> dict[int, float]:
    """Give messages their own score and a part of their neighbours'."""
    gained: dict[int, float] = {}
    known = gained.get
    spreading = min(_SPREADING, limit)
    best = sorted(scores.items(), key=itemgetter(1), reverse=True)[:spreading]
    giving = carrying([seq for seq, _ in best])
    for seq, score in best:
        if seq in giving:
            near = range(seq - 3, seq + 4)
            more = map(mul, _BESIDE, repeat(score))
            gained.update(zip(near, map(add, map(known, near, repeat(0.0)), more), strict=True))
    total = dict(scores)
    for seq in carrying(gained):
        total[seq] = scores.get(seq, 0.0) + gained[seq]
    return total


def weighed(query: Query, found: Sequence[Found]) -> list[Found]:
    """Order what was read by what the question asks of its answer."""
    made = []
    for at, one in enumerate(found):
        if one.text:
            score = one.hit.score * (answers(query, one.text) if at < _WEIGHED else 1.0)
            hit = Hit(one.hit.candidate, score, one.hit.covered)
            made.append(Found(hit, one.text, one.tokens, one.key))
    made.sort(key=_in_order)
    return made


def _in_order(one: Found) -> tuple[float, int, int]:
    (candidate, score, _) = one.hit
    return -score, -candidate.seq, candidate.start


class Told(NamedTuple):
    """What a message tells of a question: its place, the share covered, its text."""

    seq: int
    covered: float
    text: str


_Said = tuple[str, tuple[Value, ...], frozenset[str | None]]
"""A sentence, its values, and their classes."""


class Later:
    """Names behind a passage what came later and may replace something in it.

    A message may replace an earlier one when a note of it does, or when it holds as much of the
    question, and another value of a kind that the earlier one has for it. It is quoted, so that the
    earlier value never stands there alone.

    Args:
        query: What was asked.
        told: What messages tell of the question, in view and out of it.
        follows: Gives (place, words) of the notes that replace those of a message, for certain only
            or also those that may, by what is asked.
        end: Place of the message that asks: it stands right behind what is shown, and needs no
            naming.
        view: The same of messages in view alone, which stand before what is shown: one may be the
            newer form with fewer of the question's words.
        anothers: Tells of an older text and what came later, by its place and words, that this
            speaks of something else.
    """

    def __init__(
        self,
        query: Query,
        told: Sequence[Told],
        follows: Follows,
        end: int,
        view: Sequence[Told] = (),
        anothers: Callable[[str, int, str], bool] = lambda *_: False,
    ) -> None:
        self._query = query
        self._anothers = anothers
        self._follows = follows
        self._end = end
        telling = [one for one in told if one.covered >= LEAST_TELLING and one.seq < end]
        self._told = sorted(telling, reverse=True)
        self._view = sorted(view, key=attrgetter("covered", "seq"), reverse=True)
        self._said: list[_Said | None] = [None] * len(self._told)
        self._named: dict[tuple[int, int], list[tuple[int, str]]] = {}
        self._values: dict[str, list[tuple[str, Value]]] = {}
        self._rivals: Rivals | None = None
        self._beside: Rivals | None = None
        self._newer: dict[tuple[int, int], list[Rival]] = {}

    def _told_at(self, at: int) -> _Said:
        """Give the sentence that tells most of what is asked, and its values.

        Made when it is looked at: of hundreds of messages that tell something few are.
        """
        said = said_of(self._query, self._told[at].text)
        values = told_in(said)
        found = self._said[at] = (said, values, frozenset(CLASS.get(v.kind) for v in values))
        return found

    def __call__(self, one: Found) -> list[tuple[int, str]]:
        """Give what came later than this passage: (place, words), at most a few, the newest."""
        key = one.key
        named = self._named.get(key)
        if named is None:
            named = self._named[key] = self._later_than(one)
        return named

    def _later_than(self, one: Found) -> list[tuple[int, str]]:
        seq, covered = one.key[0], one.hit.covered
        # "Is the port still 8443?" names a value to have it checked: nothing is left out of that.
        asked = "" if self._query.asks >= _ASKS else self._query.text
        follows = self._follows(seq, one.text, covered < _TELLS / 2, asked)
        another = partial(self._anothers, one.text)
        named = dict(new for new in follows if new[0] < self._end and not another(*new))
        if covered >= _TELLS:
            best = best_of(self._query, one.text)
            values = best.held if best is not None else ()
            norms = {held.norm for held in values}
            # What a command names itself is asked for by nobody: "cancel order KX-7".
            said = squeezed(asked)
            kinds = {
                CLASS.get(held.value.kind) for held in values
                if not asked or (held.norm not in said and _tells(held.value))
            }  # fmt: skip
            least, most = _AS_COVERED * covered, _MOST_LATER
            for at, (place, holds, _) in enumerate(self._told):  # the newest first
                if place <= seq or len(named) > most:
                    break
                if holds < least:
                    continue
                words, others, classes = self._said[at] or self._told_at(at)
                if kinds.isdisjoint(classes):
                    continue
                other = [v for v in others if v.norm not in norms and CLASS.get(v.kind) in kinds]
                if other and not another(place, words):
                    named.setdefault(place, _around(words, other[0]))
            named = self._in_view(one, kinds, norms) | named
        return sorted(named.items())

    def _in_view(self, one: Found, kinds: set[str | None], norms: set[str]) -> dict[int, str]:
        """Give the likeliest rival in view, which stands before all that is shown: words by place.

        The older one would be read last, however near the newer one stands.
        """
        least = max(LEAST_RIVAL, _AS_NEW * one.hit.covered)
        for place, covered, text in self._view:
            if place > one.key[0] and covered >= least:
                for said, value in self._values_in(text):
                    if value.norm in norms or CLASS.get(value.kind) not in kinds:
                        continue
                    if not self._anothers(one.text, place, said):
                        return {place: _around(said, value)}
        if self._beside is None:  # a name alone may be all that the newer form has in common
            self._beside = Rivals(self._query, [_shown(told) for told in self._view])
        sure = [rival.found for rival in self._beside.of(one) if rival.sure]
        sure = [new for new in sure if not self._anothers(one.text, new.key[0], new.text)]
        return {sure[0].key[0]: sure[0].text} if sure else {}

    def rivals(
        self, one: Found, told: Sequence[Found], free: Collection[tuple[int, int]]
    ) -> list[Rival]:
        """Give what is not named behind a passage and may still be its newer form.

        It holds less of the question, another value of the same kind, and came later: "Nadia lives
        in Ghent", "Nadia has moved to Bruges".

        Args:
            one: A passage.
            told: What was found; the same in each call.
            free: Where what comes by itself stands: of that only what is sure to be newer.
        """
        if self._rivals is None:
            self._rivals = Rivals(self._query, told)
        key = one.key
        newer = self._newer.get(key)
        if newer is None:
            named = [place for place, _ in self(one)]
            rivals = self._rivals.of(one, named)
            newer = [
                rival for rival in rivals
                if (rival.sure or rival.found.key not in free)
                and not self._anothers(one.text, rival.found.key[0], rival.found.text)
            ]  # fmt: skip
            self._newer[key] = newer
        return newer

    def _values_in(self, text: str) -> list[tuple[str, Value]]:
        """Give sentences that hold a word of the question, each with each value."""
        found = self._values.get(text)
        if found is None:  # each is held against each passage before it: read once
            asked = frozenset(self._query.terms)
            said = [one.text for one in pieces_of(text) if not asked.isdisjoint(one.terms)]
            found = self._values[text] = [(one, value) for one in said for value in told_in(one)]
        return found


def _shown(told: Told) -> Found:
    seq, covered, text = told
    made = Candidate(seq, 0, len(text), "", (), text)
    return Found(Hit(made, covered, covered), text, 0, (seq, 0))


def _around(said: str, value: Value) -> str:
    """Cut a long sentence to what stands around a value."""
    start = max(0, min(value.start - _LATER_CHARS // 2, len(said) - _LATER_CHARS))
    return said[start : start + _LATER_CHARS]


def _tells(value: Value) -> bool:
    """Whether a value is no mere name of a field, such as user_id."""
    return value.kind not in {"ident", "quoted", "code"} or any(map(str.isdigit, value.text))
