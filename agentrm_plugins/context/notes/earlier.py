"""Which earlier notes a new one may be a newer form of: compared with few, whatever the number.

Laws. What was *said* follows what shares its words and has a value of the same kind, in digits or
in words (where it asks, or tells in words, a rare word is enough); or goes on otherwise where the
earlier one has its value; or names an earlier value and puts another one; or announces a correction
and names no subject at all, and then it may be of what was said just before. What a *tool* gave
follows the same line of an earlier result with another value in one place, where the line tells of
what (a row's key), or both results name one thing, or no other result had such a line. Regime:
bounded by the constants, in a session of any length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from itertools import islice
from typing import Any

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.lineage import likeness
from agentrm_plugins.context.notes.note import TOOLS, Note, may_follow
from agentrm_plugins.context.notes.subject import about, content
from agentrm_plugins.context.notes.text import terms
from agentrm_plugins.context.notes.worded import FIGURES, tells_in_words

__all__ = ["Earlier", "Key", "keys_of", "told_keys"]

_RAREST, _NEWEST = 8, 12
"""A note is compared over its 8 rarest words; by a value or a subject, with the 12 newest notes
that have it. Guessed; they bound a note's work."""
_LOOKED_AT, _COMPARED, _OF_ONE = 128, 48, 2
"""Sentences, but for their values, that hold a word; of all of them those that share most words;
and the newest notes of each: a thousand that differ in their number stand for one. Guessed."""
_MOST, _MOST_ANNOUNCED = 4, 16
"""Earlier forms that a note has, the most like it; more where it announces a correction, for it may
be of any of them. Guessed."""
_PICKS_OUT, _TWO = 2, 2
"""A word or a value that so few have picks them out."""
_MOST_UNSAID, _MOST_BEFORE = 2, 2
"""Words of a correction that names no subject, and notes of which it may be. Guessed."""
_LINE_CHARS, _PLACES = 160, 6
"""Of a tool's line that is compared with others, and values in it. Guessed."""

Key = tuple[str, str, frozenset[str] | None]
"""Who said of what a value of which kind."""
_Said = tuple[frozenset[str], frozenset[str]]
"""The words of a sentence without its values, and their classes."""


@dataclass(slots=True)
class Earlier:
    """What notes are compared by.

    Args:
        by_id: All notes of the session, shared with their owner.
        of: Their numbers by the place of their message, shared too.
    """

    by_id: dict[int, Note]
    of: Mapping[int, Sequence[int]]
    _by_key: dict[Key, list[int]] = field(default_factory=dict)
    _by_value: dict[str, list[int]] = field(default_factory=dict)
    _by_term: dict[str, dict[_Said, None]] = field(default_factory=dict)
    _by_said: dict[_Said, list[int]] = field(default_factory=dict)
    _by_line: dict[str, list[int]] = field(default_factory=dict)

    def enter(self, note: Note) -> None:
        """Index what later notes are compared by."""
        for value in note.values:
            self._by_value.setdefault(value.norm, []).append(note.id)
        if note.role in TOOLS or any(self._is_tools(before) for before in note.follows):
            for _, line in _lines(note):
                self._by_line.setdefault(line, []).append(note.id)
        if note.role in TOOLS:
            return
        for key in told_keys(note):
            self._by_key.setdefault(key, []).append(note.id)
        one = _said(note)
        self._by_said.setdefault(one, []).append(note.id)
        for term in one[0]:
            self._by_term.setdefault(term, {})[one] = None

    def leave(self, note: Note) -> None:
        """Take a note out."""
        for value in note.values:
            _take(self._by_value, value.norm, note.id)
        for _, line in _lines(note):
            _take(self._by_line, line, note.id)
        if note.role in TOOLS:
            return
        for key in told_keys(note):
            _take(self._by_key, key, note.id)
        one = _said(note)
        _take(self._by_said, one, note.id)
        for term in one[0] if one not in self._by_said else ():
            self._by_term.get(term, {}).pop(one, None)

    def under(self, key: Key) -> list[Note]:
        """Give the newest notes of a subject."""
        return [self.by_id[identity] for identity in self._by_key.get(key, ())[-_NEWEST:]]

    def having(self, norm: str) -> list[Note]:
        """Give the newest notes of a value."""
        return [self.by_id[identity] for identity in self._by_value.get(norm, ())[-_NEWEST:]]

    def followed(self, note: Note) -> list[int]:
        """Give the earlier notes of which this one may be a newer form, the nearest last."""
        lines = self._same_line(note)
        return lines if lines or note.role in TOOLS else self._followed_by_words(note)

    # -- what was said ------------------------------------------------------------------------

    def _followed_by_words(self, note: Note) -> list[int]:
        asks, worded = ends_asking(note.text), tells_in_words(note.text, note.values)
        if asks and not note.values and not worded:
            return []
        said, kinds = one = _said(note)
        # Of those that were said before. By the word as well: a set has another order elsewhere.
        known = (term for term in said if self._by_term.get(term))
        ordered = sorted(known, key=lambda term: (len(self._by_term[term]), term))[:_RAREST]
        shared: Counter[_Said] = Counter()
        for term in ordered:
            shared.update(islice(reversed(self._by_term[term].keys()), _LOOKED_AT))
        told = kinds | FIGURES
        alike = nlargest(
            _COMPARED, (other for other in shared if other[1] & told), key=shared.__getitem__
        )
        named = self._named_by(note, asks=asks)
        near = {i for o in (one, *alike) for i in self._by_said.get(o, ())[-_OF_ONE:]} | named
        rare = frozenset(term for term in ordered if len(self._by_term[term]) <= _PICKS_OUT)
        found = [i for i in near if may_follow(note, self.by_id[i], said, i in named, rare)]
        if not found:
            return self._just_before(note, said)
        most = _MOST_ANNOUNCED if note.corrects else _MOST
        return nlargest(most, found, key=lambda i: likeness(note, self.by_id[i]))[::-1]

    def _named_by(self, note: Note, *, asks: bool) -> set[int]:
        """Give the notes of which this one names a value, and seems to put another for it.

        It announces a correction or asks for another; or it has just one other value of that kind,
        and hardly a note has the one: "I quit Hexaplan and started at Dromedar".
        """
        found: set[int] = set()
        kinds = Counter(value.kind for value in note.values)
        for value in note.values:
            having = self._by_value.get(value.norm, ())
            picked = kinds[value.kind] == _TWO and len(having) <= _PICKS_OUT
            if note.corrects or asks or picked:
                found.update(having[-_NEWEST:])
        return found

    def _just_before(self, note: Note, said: frozenset[str]) -> list[int]:
        """Give what a correction that names no subject may be of: "She moved to Ljubljana".

        The newest notes with a value of its kind; they share no word, so nothing of this is sure. A
        figure and next to nothing else is none but that: "Make it 19:15."
        """
        names = {term for v in note.values if v.kind == "name" for term in terms(v.text)}
        unsaid = len(said - names)
        kinds = {CLASS.get(value.kind) for value in note.values}
        if tells_in_words(note.text, note.values):
            kinds |= FIGURES
        if not note.corrects:
            kinds = set() if note.states or unsaid >= _TWO else kinds & FIGURES
        if not kinds or unsaid > _MOST_UNSAID:
            return []
        found = []
        for old in islice(reversed(self.by_id.values()), _LOOKED_AT):
            left = {CLASS.get(value.kind) for value in old.left}
            if old.seq < note.seq and old.role == note.role and not kinds.isdisjoint(left):
                found.append(old.id)
                if len(found) == _MOST_BEFORE:
                    break
        return found[::-1]

    # -- what a tool gave ---------------------------------------------------------------------

    def _is_tools(self, identity: int) -> bool:
        note = self.by_id.get(identity)
        return note is not None and note.role in TOOLS

    def _same_line(self, note: Note) -> list[int]:
        """Give the newest note of an earlier result with the same line but for one value."""
        for norm, line in _lines(note):
            # What is written is told under a name of the call's: "new: limit=91" of "limit=77".
            before = self._by_line.get(line) or self._by_line.get(line.partition(": ")[2]) or []
            for identity in reversed(before[-_NEWEST:]):
                old = self.by_id[identity]
                if old.seq >= note.seq or any(value.norm == norm for value in old.values):
                    continue
                if len(note.values) > 1 or len(before) == 1 or self._share_a_thing(note, old):
                    return [identity]
        return []

    def _share_a_thing(self, note: Note, old: Note) -> bool:
        """Whether two messages, or the calls right before them, name one value."""
        return not self._named_at(note.seq).isdisjoint(self._named_at(old.seq))

    def _named_at(self, seq: int) -> set[str]:
        given, asked = self.of.get(seq, ()), self.of.get(seq - 1, ())
        asking = [identity for identity in asked if not self._is_tools(identity)]
        notes = map(self.by_id.get, (*given, *asking))
        return {value.norm for note in notes if note is not None for value in note.values}


def _said(note: Note) -> _Said:
    """Give what a note is compared by: its words without its values, and their classes."""
    kinds = frozenset(CLASS.get(value.kind, value.kind) for value in note.values)
    return content(note.text, note.values), kinds


def _lines(note: Note) -> Iterator[tuple[str, str]]:
    """Give a line without each of its values: (value, line)."""
    text = note.text
    if len(text) <= _LINE_CHARS:
        for value in note.values[-_PLACES:]:
            stop = value.start + len(value.text)
            line = f"{text[: value.start]}\0{text[stop:]}".casefold()
            if any(map(str.isalnum, line)):
                yield value.norm, line


def keys_of(note: Note) -> list[Key]:
    """Give for each value who said of what a value of which kind."""
    subjects = about(note.text, note.values)
    return [
        (note.role, CLASS.get(value.kind, value.kind), subject)
        for value, subject in zip(note.values, subjects, strict=True)
    ]


def told_keys(note: Note) -> list[Key]:
    """Give the same of values that are told of something, each once."""
    return list(dict.fromkeys(key for key in keys_of(note) if key[2] is not None))


def _take(index: dict[Any, list[int]], key: Any, identity: int) -> None:
    kept = [i for i in index.get(key, ()) if i != identity]
    if kept:
        index[key] = kept
    else:
        index.pop(key, None)
