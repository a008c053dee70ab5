"""The ledger of notes: what was said, by whom, and what has replaced it.

Law: of two notes about one subject, the later one supersedes the earlier when it announces a
correction (or restates the same sentence) with another value of the same kind, or when it names the
earlier value and says that it no longer holds. Regime: subjects are compared by their words, so
"the port is 80" and "the port is now 81" meet. Limit: a correction that shares no word and no value
with what it corrects is not seen; recall still shows both in their order.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.context.notes.facts import (
    CORRECTS,
    DISTINCT,
    STATES,
    Finding,
    Value,
    values_of,
)
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.text import terms

__all__ = ["Ledger", "Note"]

MAX_NOTES = 4000
"""Notes kept in memory for one session; beyond it those with the lowest score go. They are in the
archive word for word in any case."""

_NEGATED = re.compile(
    r"(?:\b(?:not|no longer|instead of|rather than|from|was|were|formerly|previously|replac\w+|old"
    r"|supersed\w+|in place of|over|than|forget|ignore|disregard|drop(?:ped)?|statt|nicht(?: mehr)?"
    r"|von|au lieu de?|pas|remplac\w+|no|en (?:lugar|vez) de|ya no|não|em vez de|non|invece di"
    r"|вместо"
    r"|не)\b|不是|不再|从|ではなく|から)\W{0,3}(?:\w{1,12}\W{1,2}){0,2}$",
    re.IGNORECASE,
)
_CUE_TERMS = frozenset(
    term
    for word in (
        "correction corrected actually longer instead rather scratch change changed moved switched "
        "replaced update updated revised wrong mistake new now renamed forget disregard ignore "
        "note remember important confirm confirmed decided agreed use used set sorry today "
        "old previous"
    ).split()
    for term in terms(word)
)
_CUE_OVERLAP = 0.6
_UNSOLID = frozenset({"name", "date", "time"})


@dataclass(slots=True)
class Note:
    """One sentence kept from one message."""

    id: int
    seq: int
    role: str
    text: str
    score: float
    corrects: bool
    states: bool
    values: tuple[Value, ...]
    subject: frozenset[str]
    before: dict[str, str]
    superseded_by: int | None = None
    repeats: int | None = None
    struck: tuple[str, ...] = ()
    follows: int | None = None

    @property
    def dead(self) -> bool:
        """Whether nothing that it tells holds any more."""
        return bool(self.struck) and not self.left

    @property
    def left(self) -> list[Value]:
        """Its values that still hold."""
        return [value for value in self.values if value.text not in self.struck]

    @property
    def live(self) -> bool:
        """Whether it still tells something, and is not just said again."""
        return not self.dead and self.repeats is None

    @property
    def shown(self) -> str:
        """Its text without what was corrected."""
        text = self.text
        for value in self.struck:
            text = text.replace(value, "[corrected later]")
        return text


@dataclass(slots=True)
class Ledger:
    """All notes of one session, with their values and subjects indexed."""

    notes: dict[int, Note] = field(default_factory=dict)
    next_id: int = 1
    _by_value: dict[str, list[int]] = field(default_factory=dict)
    _by_term: dict[str, list[int]] = field(default_factory=dict)
    _of: dict[int, list[int]] = field(default_factory=dict)
    _after: dict[int, list[int]] = field(default_factory=dict)
    _stale: dict[int, set[int]] = field(default_factory=dict)

    def add(self, seq: int, role: str, findings: Iterable[Finding]) -> list[Note]:
        """Enter one message's findings; give the notes that they supersede."""
        replaced: list[Note] = []
        for found in findings:
            note = self._make(seq, role, found)
            replaced += self._settle(note)
            self._enter(note)
        if len(self.notes) > MAX_NOTES:
            self._shed()
        return replaced

    def _settle(self, note: Note) -> list[Note]:
        """Compare a note with those on its subject; the closest of them give way to each other."""
        struck: list[Note] = []
        rivals: list[tuple[float, Note, Note, list[Value]]] = []
        for other in self._related(note):
            old, new = (other, note) if other.seq <= note.seq else (note, other)
            named, gone = ([], []) if old.dead else _supersedes(new, old)
            if named:
                self._retire(old, new, named)
                struck.append(old)
            elif gone:
                rivals.append((_alike(new, old), old, new, gone))
            elif note.live and other.live and _restates(new, old):
                new.repeats = old.id
            elif new is note and _may_replace(new, old):
                new.follows = old.id
        closest = max((alike for alike, *_ in rivals), default=-1.0)
        for alike, old, new, gone in rivals:
            if alike >= closest and not (struck and alike < 1.0):
                self._retire(old, new, gone)
                struck.append(old)
        return struck

    def stale_in(self, seq: int, text: str) -> Note | None:
        """Give the note that supersedes something in this text of message `seq`, or None."""
        folded = squeezed(text)
        for identity in sorted(self._stale.get(seq, ())):
            old = self.notes.get(identity)
            new = self.notes.get(old.superseded_by or 0) if old is not None else None
            if old and new and any(squeezed(value) in folded for value in old.struck):
                return new
        return None

    def follows(self, seq: int, text: str) -> list[tuple[int, str]]:
        """Give what came later on the subjects of this text of message `seq`: (place, words)."""
        folded = squeezed(text)
        found: dict[int, str] = {}
        todo = [n for n in self._of.get(seq, ()) if n in self.notes]
        todo = [n for n in todo if squeezed(self.notes[n].text) in folded or self.notes[n].struck]
        while todo:
            identity = todo.pop()
            for after in self._after.get(identity, ()):
                note = self.notes.get(after)
                if note is not None and note.seq not in found:
                    found[note.seq] = note.shown
                    todo.append(after)
        return sorted(found.items())

    def worth(self, note: Note) -> float:
        """Give a note's score, or that of the one that it may replace if that is more."""
        before = self.notes.get(note.follows or 0)
        return note.score if before is None else max(note.score, before.score)

    def latest(self, note: Note) -> Note:
        """Follow the corrections from a note to the one that holds now."""
        while note.superseded_by is not None and note.superseded_by in self.notes:
            note = self.notes[note.superseded_by]
        return note

    def drop_from(self, seq: int) -> None:
        """Forget notes of messages from `seq` on: the conversation was taken back to there."""
        for note in [n for n in self.notes.values() if n.seq >= seq]:
            self._remove(note)
        for note in self.notes.values():
            if note.superseded_by is not None and note.superseded_by not in self.notes:
                note.superseded_by, note.struck = None, ()
                self._stale.get(note.seq, set()).discard(note.id)
            if note.repeats is not None and note.repeats not in self.notes:
                note.repeats = None

    def _make(self, seq: int, role: str, found: Finding) -> Note:
        note = Note(
            self.next_id, seq, role, found.text, round(found.score, 3), found.corrects,
            found.states, found.values, *_subject(found.text, found.values),
        )  # fmt: skip
        self.next_id += 1
        return note

    def _related(self, note: Note) -> list[Note]:
        wanted: dict[int, int] = {}
        for value in note.values:
            for identity in self._by_value.get(value.norm, ())[-64:]:
                wanted[identity] = wanted.get(identity, 0) + 1
        for term in note.subject:
            for identity in self._by_term.get(term, ())[-64:]:
                wanted[identity] = wanted.get(identity, 0) + 1
        return [self.notes[i] for i in sorted(wanted) if i in self.notes]

    def _enter(self, note: Note) -> None:
        self.notes[note.id] = note
        for value in note.values:
            self._by_value.setdefault(value.norm, []).append(note.id)
        for term in note.subject:
            self._by_term.setdefault(term, []).append(note.id)
        if note.superseded_by is not None:
            self._stale.setdefault(note.seq, set()).add(note.id)

    def _retire(self, old: Note, new: Note, gone: list[Value]) -> None:
        old.superseded_by = new.id
        old.struck = tuple(dict.fromkeys((*old.struck, *(value.text for value in gone))))
        told = squeezed(new.text)
        if all(
            value.norm in told or _NEGATED.search(_before(old, value.norm)) for value in old.left
        ):
            # What is left of it stands in the correction too.
            old.struck = tuple(value.text for value in old.values)
        if new.repeats == old.id:
            new.repeats = None
        self._stale.setdefault(old.seq, set()).add(old.id)

    def _remove(self, note: Note) -> None:
        del self.notes[note.id]
        self._stale.get(note.seq, set()).discard(note.id)
        for value in note.values:
            _take(self._by_value, value.norm, note.id)
        for term in note.subject:
            _take(self._by_term, term, note.id)

    def _shed(self) -> None:
        by_worth = sorted(self.notes.values(), key=lambda n: (n.live, n.score, n.id))
        for note in by_worth[: MAX_NOTES // 8]:
            self._remove(note)

    def dump(self) -> list[list[Any]]:
        """Give all notes as plain lists."""
        return [
            [n.id, n.seq, n.role, n.text, n.score, int(n.corrects), int(n.states),
             [[v.kind, v.text, v.start] for v in n.values], n.superseded_by, n.repeats,
             list(n.struck), n.follows]
            for n in self.notes.values()
        ]  # fmt: skip

    @classmethod
    def load(cls, next_id: int, rows: Iterable[list[Any]]) -> Ledger:
        """Rebuild from `dump`."""
        ledger = cls(next_id=next_id)
        for row in rows:
            identity, seq, role, text, score, corrects, states, values, by, repeats, *rest = row
            struck, follows = rest if len(rest) > 1 else (rest[0], None)
            found = tuple(Value(*value) for value in values)
            ledger._enter(
                Note(identity, seq, role, text, score, bool(corrects), bool(states), found,
                     *_subject(text, found), by, repeats, tuple(struck), follows)
            )  # fmt: skip
        return ledger


def squeezed(text: str) -> str:
    """Fold a text as values are folded, so that one can be looked for in the other."""
    return re.sub(r"[\s,'’\"“”«»`「」]+", "", text).casefold()


def _take(index: dict[str, list[int]], key: str, identity: int) -> None:
    kept = [i for i in index.get(key, ()) if i != identity]
    if kept:
        index[key] = kept
    else:
        index.pop(key, None)


def _subject(text: str, values: tuple[Value, ...]) -> tuple[frozenset[str], dict[str, str]]:
    """Give the words that a sentence is about, and for each the word right before it.

    Its values and cues are left out. The word before tells "the second gateway" from "the gateway".
    """
    inside: set[str] = set()
    for value in values:
        if value.kind != "name":
            inside.update(terms(value.text))
    for cue in CORRECTS.finditer(text):
        inside.update(terms(cue.group()))
    about = frozenset(t for t in terms(text) if t not in inside and t not in _CUE_TERMS)
    ordered = terms(text, drop_stopwords=False)
    before = {b: a for a, b in itertools.pairwise(ordered) if a in about and b in about}
    return about, before


def _apart(new: Note, old: Note, shared: frozenset[str]) -> int:
    """Tell whether a shared word is qualified differently.

    2 when `new` speaks of something more special than `old` or of another one, 1 when it only
    leaves a qualifier out, 0 when alike.
    """
    most = 0
    for term in shared:
        one, other = new.before.get(term, ""), old.before.get(term, "")
        one = "" if one in old.subject else one
        other = "" if other in new.subject else other
        if one != other:
            most = max(most, 2 if one else 1)
    return most


def _norms(values: Iterable[Value]) -> set[str]:
    return {value.norm for value in values}


def _primary(note: Note) -> Value | None:
    """Pick the value that a sentence is there to tell: the first one after what it speaks of.

    In "order 31 is KX-7" that is KX-7; in "8443 is the port" there is only one to pick.
    """
    solid = [v for v in note.values if v.kind not in _UNSOLID]
    if not solid:
        return note.values[-1] if note.values else None
    lead = CORRECTS.match(note.text)  # "Correction:" has a colon of its own
    verb = STATES.search(note.text, lead.end() + 1 if lead else 0)
    told = [v for v in solid if verb is not None and v.start >= verb.end()]
    return (told or solid)[0]


def _alike(one: Note, other: Note) -> float:
    shared = one.subject & other.subject
    # One that is qualified like the correction goes before any that is not.
    return len(shared) / max(1, len(one.subject | other.subject)) - _apart(one, other, shared)


def _supersedes(new: Note, old: Note) -> tuple[list[Value], list[Value]]:
    """Give the values of `old` that `new` names as replaced, or else those that it puts others for.

    Both are empty when it replaces nothing.
    """
    if new.seq == old.seq or not new.values or not old.values:
        return [], []
    shared = new.subject & old.subject
    before = _norms(old.values)
    fresh = [v for v in new.values if v.norm not in before]
    if new.corrects and fresh:
        named = _named_old(new, old, fresh, shared)
        if named:
            return named, []
    if _norms(new.values) & _norms(v for v in old.values if v.kind != "name") and (
        not new.corrects or len(shared) < 2  # noqa: PLR2004 - a subject, not one word
    ):
        return [], []
    return [], _replaced_by_kind(new, old, shared)


def _named_old(new: Note, old: Note, fresh: list[Value], shared: frozenset[str]) -> list[Value]:
    """Give the values of `old` that `new` calls no longer true, beside one that replaces them."""
    found = []
    for value in old.left:
        if not any(v.norm == value.norm for v in new.values):
            continue
        distinct = value.kind in DISTINCT or value.kind in {"money", "date"}
        kind_matches = any(v.kind == value.kind for v in fresh)
        if (shared or distinct) and kind_matches and _NEGATED.search(_before(new, value.norm)):
            found.append(value)
    return found


def _before(note: Note, norm: str) -> str:
    for value in values_of(note.text):
        if value.norm == norm:
            return note.text[max(0, value.start - 40) : value.start]
    return ""


def _replaced_by_kind(new: Note, old: Note, shared: frozenset[str]) -> list[Value]:
    """Give the values of `old` in whose place `new` puts others of their kind."""
    one, other = _primary(new), _primary(old)
    if not shared or one is None or other is None or _apart(new, old, shared) > 1:
        return []
    before, now = _norms(old.values), _norms(new.values)
    fresh = {v.kind for v in new.values if v.norm not in before}
    gone = [v for v in old.left if v.norm not in now]
    if CLASS.get(one.kind) == CLASS.get(other.kind):
        gone = [v for v in gone if v is other]
    else:
        named_only = all(v.kind == "name" for v in (*new.values, *old.values))
        gone = [v for v in gone if v.kind in fresh and (named_only or v.kind != "name")]
    qualified = _qualified(new, one), _qualified(old, other)
    if not gone or (all(qualified) and not qualified[0] & qualified[1]):
        return []
    inside = len(shared) / min(len(new.subject), len(old.subject))
    if new.corrects:
        enough = len(shared) >= 2 or min(len(new.subject), len(old.subject)) == 1  # noqa: PLR2004
        return gone if enough and inside >= _CUE_OVERLAP else []
    said = {new.role, old.role}.isdisjoint({"tool", "function"})
    same_kind = one.kind == other.kind and one.norm != other.norm
    states = new.states and old.states and not new.text.endswith("?")
    alike = len(shared) >= 2 and new.subject == old.subject  # noqa: PLR2004 - not one word
    return gone if said and states and same_kind and alike else []


def _may_replace(new: Note, old: Note) -> bool:
    """Whether `new` says of the subject of `old` another value of its kind, without a cue."""
    shared = new.subject & old.subject
    if new.seq <= old.seq or not {new.role, old.role}.isdisjoint({"tool", "function"}):
        return False
    if len(shared) < 2 or len(shared) < _CUE_OVERLAP * min(len(new.subject), len(old.subject)):  # noqa: PLR2004 - a subject, not one word
        return False
    before = _norms(old.values)
    kinds = {CLASS.get(v.kind) for v in new.values if v.norm not in before}
    return _apart(new, old, shared) < 2 and not kinds.isdisjoint(  # noqa: PLR2004 - not another's
        CLASS.get(v.kind) for v in old.left
    )


def _qualified(note: Note, primary: Value) -> set[str]:
    """Give the values that stand before the primary one: what the sentence is about."""
    return {v.norm for v in note.values if v.kind not in _UNSOLID and v.start < primary.start}


def _restates(new: Note, old: Note) -> bool:
    if new.seq < old.seq or new.corrects:
        return False
    if new.text.casefold() == old.text.casefold():
        return True
    solid_new = _norms(v for v in new.values if v.kind != "name")
    solid_old = _norms(v for v in old.values if v.kind != "name")
    if not solid_new or not solid_new <= solid_old:
        return False
    return len(new.subject & old.subject) >= 0.7 * max(1, len(new.subject))
