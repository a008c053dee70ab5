"""A session's notes: what was said, by whom, and what has replaced it.

Law: a note replaces a value of an earlier one when both were said in the same role, by no tool;
when it announces a correction (or says the very same sentence, and not of another thing); and when
it has another value of the same kind with the same subject, no word more and none missing (see
`subject`). Everything less sure is kept in both forms, in order: the later note `follows` the
earlier, and where there is room for one of them only, it is not the earlier that stays. Regime:
each note is compared with the few that share a value or its rarest words, so a note costs the same
in a long session as in a short one. Limit: a correction that shares no word and no value with what
it corrects is not seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.earlier import Earlier, Key, keys_of, told_keys
from agentrm_plugins.context.notes.facts import Finding
from agentrm_plugins.context.notes.lineage import Lineage
from agentrm_plugins.context.notes.note import TOOLS, Note, has_whole, have_in_common, squeezed
from agentrm_plugins.context.notes.subject import content, names_it, negated
from agentrm_plugins.context.notes.values import Value

__all__ = ["Note", "Notes"]

MAX_NOTES = 4000
"""Notes kept in memory for one session; beyond it those with the lowest score go. They are in the
archive word for word in any case."""
_MOST_PASSED = 16


@dataclass(slots=True)
class Notes:
    """All notes of one session, with their values and subjects indexed."""

    by_id: dict[int, Note] = field(default_factory=dict)
    next_id: int = 1
    _of: dict[int, list[int]] = field(default_factory=dict)
    _before: dict[int, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    _waiting: list[Note] = field(default_factory=list)
    _lineage: Lineage = field(init=False)
    _earlier: Earlier = field(init=False)

    def __post_init__(self) -> None:
        """Let the lineage and what notes are compared by know of all notes."""
        self._lineage = Lineage(self.by_id)
        self._earlier = Earlier(self.by_id, self._of)

    # -- entering -----------------------------------------------------------------------------

    def add(self, seq: int, role: str, findings: Iterable[Finding]) -> list[Note]:
        """Enter one message's findings; give the notes that they supersede."""
        self._catch_up()
        replaced: list[Note] = []
        for found in findings:
            note = Note(
                self.next_id, seq, role, found.text, round(found.score, 3), found.corrects,
                found.states, found.values,
            )  # fmt: skip
            struck = self._settle(note)
            if found.faint and not note.follows:
                continue
            self.next_id += 1
            replaced += struck
            self._enter(note)
            self._lineage.compare(note, struck)
        if len(self.by_id) > MAX_NOTES:
            self._shed()
        return replaced

    def _settle(self, note: Note) -> list[Note]:
        """Compare a note with those on its subject."""
        if note.role in TOOLS:
            self._mark_repeated(note)
            if not note.repeats:
                note.follows = tuple(self._earlier.followed(note))
            return []
        struck: list[Note] = []
        for key in told_keys(note):
            for other in self._earlier.under(key):
                old, new = (note, other) if other.seq > note.seq else (other, note)
                # An earlier note that comes late, from a long message, is corrected as well.
                if old.seq != new.seq and self._replaces(new, old, key):
                    struck.append(old)
        self._mark_repeated(note)
        gone = list({one.id: one for one in struck}.values())
        if not note.repeats:
            # What a dead note followed, its heir follows now.
            passed = (
                before for one in gone if one.dead and one is not note for before in one.follows
            )
            followed = dict.fromkeys((*self._earlier.followed(note), *passed))
            note.follows = tuple(followed)[:_MOST_PASSED]
        return gone

    def _replaces(self, new: Note, old: Note, key: Key) -> bool:
        """Strike the values of `old` under this key that `new` puts another one for."""
        if not new.corrects and not (new.states and old.states and _states_alone(new, old)):
            return False
        past = set(negated(new.text, new.values))
        now = {v.norm for n, v in enumerate(new.values) if n not in past}
        gone = [
            v for v, k in zip(old.values, keys_of(old), strict=True)
            if k == key and v.norm not in now and v.text not in old.struck
        ]  # fmt: skip
        fresh = [
            v for v, k in zip(new.values, keys_of(new), strict=True)
            if k == key and all(v.norm != other.norm for other in old.values)
        ]  # fmt: skip
        if not gone or not fresh or len(gone) > len(fresh):
            return False
        self._lineage.supersede(old, new)
        old.struck = tuple(dict.fromkeys((*old.struck, *(v.text for v in gone))))
        told = squeezed(new.text)
        if all(value.norm in told for value in old.left):
            # What is left of it stands in the correction too.
            old.struck = tuple(value.text for value in old.values)
        if new.repeats == old.id:
            new.repeats = None
        return True

    def _mark_repeated(self, note: Note) -> None:
        """Tell whether an earlier note says the same: all its values and words."""
        solid = {v.norm for v in note.values if v.kind != "name"}
        lead = next((v.norm for v in note.values if v.kind != "name"), None)
        if lead is None or note.corrects:
            return
        said = content(note.text, note.values)
        for old in self._earlier.having(lead):
            if old.seq > note.seq or not old.live or (old.role in TOOLS) != (note.role in TOOLS):
                continue
            if solid <= {v.norm for v in old.values} and said <= content(old.text, old.values):
                note.repeats = old.id
                return

    def _enter(self, note: Note) -> None:
        self.by_id[note.id] = note
        self._of.setdefault(note.seq, []).append(note.id)
        self._lineage.enter(note)
        self._earlier.enter(note)

    # -- asking -------------------------------------------------------------------------------

    def at(self, seq: int) -> list[Note]:
        """Give the notes of one message."""
        return [self.by_id[i] for i in self._of.get(seq, ()) if i in self.by_id]

    def best(self, seq: int) -> float:
        """Give the score of a message's best note; 0 without one."""
        return max((note.score for note in self.at(seq)), default=0.0)

    def stale_in(self, seq: int, text: str) -> Note | None:
        """Give the note that supersedes something in this text of message `seq`, or None."""
        for old in self.at(seq):
            new = self.by_id.get(old.superseded_by or 0)
            if new is not None and has_whole(text, map(squeezed, old.struck)):
                return new
        return None

    def later(self, seq: int, text: str, certain: bool, asked: str = "") -> list[tuple[int, str]]:
        """Give what came later on the subjects of this text of message `seq`: (place, words).

        The newest are looked for first, and not all of them where there are many.

        Args:
            seq: The message's place.
            text: Its text, or a part of it.
            certain: Only what replaces something in it or announces that it does.
            asked: A request, case folded: what has no value but those that it names answers
                nothing, so only an announced correction takes its place.
        """
        return list(self._lineage.later(self.at(seq), text, certain, asked).items())

    def replaced_by(self, note: Note) -> tuple[int, ...]:
        """Give the earlier notes that are not to be shown without this one.

        Not those with which it has nothing in common, and only may be of them.
        """
        known = self._before.get(note.id)
        if known is None or known[0] is not note.follows:
            held = filter(None, map(self.by_id.get, note.follows))
            same = tuple([old.id for old in held if have_in_common(note, old)])
            known = self._before[note.id] = note.follows, same
        return known[1]

    def worth(self, note: Note) -> float:
        """Give a note's score, or that of one that it may replace if that is more."""
        before = (self.by_id.get(identity) for identity in self.replaced_by(note))
        return max([note.score, *(old.score for old in before if old is not None)])

    def latest(self, note: Note) -> Note:
        """Follow the corrections from a note to the one that holds now."""
        return self._lineage.latest(note)

    def with_heirs(self, note: Note) -> list[Note]:
        """Give a note with those that surely stand in its place: it is not shown without them."""
        return self._lineage.with_heirs(note)

    # -- leaving ------------------------------------------------------------------------------

    def drop_from(self, seq: int) -> None:
        """Forget notes of messages from `seq` on: the conversation was taken back to there."""
        self._catch_up()
        gone = [note for note in self.by_id.values() if note.seq >= seq]
        for note in gone:
            self._remove(note)
        if gone:
            self._mend({note.id for note in gone})

    def _mend(self, gone: set[int]) -> None:
        self._lineage.mend()
        for note in self.by_id.values():
            if note.superseded_by in gone:
                note.superseded_by, note.struck = None, ()
                self._strike_again(note)
            if note.repeats is not None and note.repeats not in self.by_id:
                note.repeats = None

    def _strike_again(self, old: Note) -> None:
        """Strike what is corrected by notes that are still there; one may be of each value."""
        for key in told_keys(old) if old.role not in TOOLS else ():
            for new in self._earlier.under(key):
                if new.seq > old.seq:
                    self._replaces(new, old, key)

    def _remove(self, note: Note) -> None:
        del self.by_id[note.id]
        self._before.pop(note.id, None)
        _take(self._of, note.seq, note.id)
        self._lineage.leave(note)
        self._earlier.leave(note)

    def _shed(self) -> None:
        by_worth = sorted(self.by_id.values(), key=lambda n: (n.live, self.worth(n), n.id))
        shed = by_worth[: MAX_NOTES // 8]
        gone = {note.id for note in shed}
        ends: dict[int, Note] = {}
        for note in sorted(self.by_id.values(), key=lambda n: (-n.seq, -n.id)):
            end = ends[note.id] = ends.get(note.superseded_by or 0, note)
            if note.superseded_by in gone and end.id not in gone:
                # What corrected it was corrected in its turn, and goes: the end of that stays.
                note.superseded_by = end.id
                self._lineage.strike(note, end)
        for note in shed:
            self._remove(note)
        self._lineage.shed()

    # -- bytes --------------------------------------------------------------------------------

    def dump(self) -> list[list[Any]]:
        """Give all notes as plain lists."""
        return [
            [n.id, n.seq, n.role, n.text, n.score, int(n.corrects), int(n.states),
             [[v.kind, v.text, v.start] for v in n.values], n.superseded_by, n.repeats,
             list(n.struck), list(n.follows)]
            for n in self.by_id.values()
        ]  # fmt: skip

    @classmethod
    def load(cls, next_id: int, rows: Iterable[list[Any]]) -> Notes:
        """Rebuild from `dump`. What notes are compared by is made when one is added."""
        notes = cls(next_id=next_id)
        for row in rows:
            identity, seq, role, text, score, corrects, states, values, *rest = row
            by, repeats, struck, follows = rest
            note = Note(
                identity, seq, role, text, score, bool(corrects), bool(states),
                tuple([Value(*value) for value in values]), by, repeats, tuple(struck),
                tuple(follows),
            )  # fmt: skip
            notes.by_id[identity] = note
            notes._of.setdefault(seq, []).append(identity)
            notes._waiting.append(note)
        notes._lineage.loaded(notes._waiting)
        return notes

    def _catch_up(self) -> None:
        """Index what was loaded: the first message after a wake pays for it, not the wake."""
        self._lineage.link()
        waiting, self._waiting = self._waiting, []
        for note in waiting:
            self._earlier.enter(note)


def _states_alone(new: Note, old: Note) -> bool:
    """Whether both are the same sentence with one value each, but for that value.

    Not where it is another thing of which the same is told: "turn 5 is done", "turn 6 is done".
    """
    if len(new.values) != 1 or len(old.values) != 1 or ends_asking(new.text):
        return False
    return not names_it(new.text, new.values[0])


def _take(index: dict[Any, list[int]], key: Any, identity: int) -> None:
    kept = [i for i in index.get(key, ()) if i != identity]
    if kept:
        index[key] = kept
    else:
        index.pop(key, None)
