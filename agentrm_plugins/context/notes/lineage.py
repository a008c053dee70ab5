"""What came later on the subject of a note: followed to its end, the likeliest and the newest.

Law: behind each note stand those that may be a newer form of it. Its heir is the one that announces
a correction, or says the same sentence, before those that only share words; of these the most like
it; of equals the newest. What holds now is the heir's own heir, and so on to the end. So any number
of sentences that only sound alike pushes no correction out. Cost: a note is compared with the heirs
of those before it when it comes, behind the turn (after a wake when they are first asked for); the
ways are remembered, and shortened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from agentrm_plugins.context.notes.note import (
    Note,
    have_in_common,
    named_in,
    puts_another,
    squeezed,
)
from agentrm_plugins.context.notes.subject import content

__all__ = ["Lineage", "likeness"]

_MOST_ENDS = 4
"""Announced corrections of a note, the newest, that are followed to their ends besides its heir:
"the host is a and the port is b" may have one of each. Guessed."""
_LEAST_NAMED = 2
"""What only speaks of the same, or is the newest and not the likeliest, is named up to so many."""


@dataclass(slots=True)
class Lineage:
    """Notes by those that came before them.

    Args:
        by_id: All notes of the session, shared with their owner.
    """

    by_id: Mapping[int, Note]
    _after: dict[int, list[int]] = field(default_factory=dict)
    _beside: dict[int, list[int]] = field(default_factory=dict)
    _announced: dict[int, list[int]] = field(default_factory=dict)
    _heirs: dict[int, tuple[int, bool, int]] = field(default_factory=dict)
    _far: dict[int, int] = field(default_factory=dict)
    _last: dict[int, int] = field(default_factory=dict)
    _loaded: list[Note] = field(default_factory=list)

    def loaded(self, notes: Sequence[Note]) -> None:
        """Take the notes of a session that was woken: they are linked when it is asked for."""
        self._loaded = list(notes)

    def link(self) -> None:
        """Set the loaded notes behind each other, in the order in which they were said."""
        if not self._loaded:
            return
        loaded, self._loaded = self._loaded, []
        every, self.by_id = self.by_id, (known := {})
        replaced: dict[int, list[Note]] = {}
        for note in loaded:
            known[note.id] = note
            for old in replaced.pop(note.id, ()):
                self.strike(old, note)
            if note.superseded_by is not None and note.superseded_by not in known:
                replaced.setdefault(note.superseded_by, []).append(note)
            self.enter(note)
        self.by_id = every

    def enter(self, note: Note) -> None:
        """Set a note behind those that it may follow; apart where it only speaks of the same."""
        for before in note.follows:
            old = self.by_id.get(before)
            if old is not None:
                likely = puts_another(note, old) and have_in_common(note, old)
                behind = self._after if likely else self._beside
                behind.setdefault(before, []).append(note.id)
                if note.corrects and likely:
                    self._announced.setdefault(before, []).append(note.id)
        newer = self.by_id.get(note.superseded_by or 0)
        if newer is not None:
            self.strike(note, newer)

    def supersede(self, old: Note, new: Note) -> None:
        """Let a note stand in place of a part of an earlier one."""
        if old.superseded_by is not None:
            self._last.clear()  # ways over it led elsewhere
        old.superseded_by = new.id
        self.strike(old, new)

    def strike(self, old: Note, new: Note) -> None:
        """Set behind a note the one that replaces something in it."""
        if old.id in self.by_id:
            self._after.setdefault(old.id, []).append(new.id)
            if new.corrects:
                self._announced.setdefault(old.id, []).append(new.id)

    def compare(self, note: Note, struck: Sequence[Note]) -> None:
        """Compare a new note with the heirs of what it follows or strikes, before anybody asks."""
        for old in filter(None, map(self.by_id.get, note.follows)):
            self._heir(old)
        for old in struck:
            self._heir(old)

    def leave(self, note: Note) -> None:
        """Let go of a note."""
        for index in (self._after, self._beside, self._announced):
            index.pop(note.id, None)
        self._heirs.pop(note.id, None)
        self._far.pop(note.id, None)

    def mend(self) -> None:
        """Forget the ways and the heirs, and those that are gone: some may be corrected no more."""
        self._heirs.clear()
        self.shed()

    def shed(self) -> None:
        """Forget the ways, and those that are gone; an heir that is left stays one."""
        for before, (best, sure, done) in list(self._heirs.items()):
            if best in self.by_id:
                left = map(self.by_id.__contains__, self._after[before][:done])
                self._heirs[before] = best, sure, sum(left)
            else:
                del self._heirs[before]
        for index in (self._after, self._beside, self._announced):
            for before, behind in list(index.items()):
                kept = [identity for identity in behind if identity in self.by_id]
                if kept:
                    index[before] = kept
                else:
                    del index[before]
        self._far.clear()
        self._last.clear()

    # -- asking -------------------------------------------------------------------------------

    def latest(self, note: Note) -> Note:
        """Follow the corrections from a note to the one that holds now; shortened as `holds_now`.

        A way holds until a note on it is corrected by another one (see `supersede`).
        """
        if note.superseded_by is None:
            return note
        passed, last = [], self._last
        while note.superseded_by is not None and note.superseded_by in self.by_id:
            passed.append(note.id)
            note = self.by_id[last.get(note.id, note.superseded_by)]
        last.update(dict.fromkeys(passed, note.id))
        return note

    def _heir(self, note: Note) -> tuple[int, bool]:
        """Give by its number the note that likeliest stands in place of this one; whether surely.

        It does where it announces a correction, or says the same sentence. 0 without one.
        """
        after = self._after.get(note.id)
        if not after:
            return 0, False
        best, sure, done = self._heirs.get(note.id, (0, False, 0))
        if done < len(after):
            held = [self.by_id[i] for i in {best, *after[done:]} if i in self.by_id]
            before = best
            rank, best = max([(likeness(new, note), new.id) for new in held], default=((), 0))
            sure = bool(rank and rank[0])
            if best != before and note.id in self._far:
                self._far.clear()  # ways over it led elsewhere
            self._heirs[note.id] = best, sure, len(after)
        return best, sure

    def holds_now(self, note: Note) -> Note:
        """Follow the sure heirs to the end; the way is remembered, shortened."""
        passed, at = [], note.id
        by_id, after, heirs, far = self.by_id, self._after, self._heirs, self._far
        while True:
            following = far.get(at, 0)
            if following not in by_id:
                behind = after.get(at)
                if not behind:
                    break
                following, sure, done = heirs.get(at, (0, False, 0))
                if done < len(behind):
                    following, sure = self._heir(by_id[at])
                if not sure or following not in by_id:
                    break
            passed.append(at)
            at = following
        far.update(dict.fromkeys(passed, at))
        return by_id[at] if passed else note

    def with_heirs(self, note: Note) -> list[Note]:
        """Give a note with its sure heir, and what holds now in that one's place."""
        self.link()
        best, sure = self._heir(note)
        heir = self.by_id.get(best) if sure else None
        if heir is None:
            return [note]
        ends = dict.fromkeys((self.latest(heir).id, self.latest(self.holds_now(heir)).id))
        return [note, *(self.by_id[i] for i in ends if i != note.id and self.by_id[i].live)]

    def later(self, notes: Sequence[Note], text: str, certain: bool, asked: str) -> dict[int, str]:
        """Give what came later on the subjects of a text: words by place.

        Args:
            notes: Of the text's message.
            text: A part of it, or all.
            certain: Only what replaces something in it or announces that it does.
            asked: A request, case folded: what has no value but those that it names answers
                nothing, so only an announced correction takes its place.
        """
        self.link()
        sure: dict[int, dict[int, str]] = {}
        beside: dict[int, tuple[bool, str]] = {}
        after, beside_of = self._after, self._beside
        told = [
            note for note in notes
            if note.struck or note.repeats or note.id in after or note.id in beside_of
        ]  # fmt: skip
        folded = squeezed(text) if told else ""
        for note in told:
            if note.struck or note.text in text or squeezed(note.text) in folded:
                self._name(note, certain, named_in(note, asked), sure, beside)
        # What only speaks of the same must not take the place of what puts another value.
        free = max(0, _LEAST_NAMED - len(sure))
        rest = [(*said, place) for place, said in beside.items() if place not in sure]
        rest.sort(key=lambda one: (one[0], one[2]), reverse=True)
        # One message may hold the newer forms of several notes.
        told_by = {at: " ".join(map(said.__getitem__, sorted(said))) for at, said in sure.items()}
        told_by |= {place: words for _, words, place in rest[:free]}
        return dict(sorted(told_by.items()))

    def _name(
        self,
        note: Note,
        certain: bool,
        named: bool,
        sure: dict[int, dict[int, str]],
        beside: dict[int, tuple[bool, str]],
    ) -> None:
        """Name what came later than one note; beside it, whether that puts another value."""
        first = self.by_id.get(note.repeats or 0)
        for old in (note,) if first is None else (note, first):
            only_announced = certain or (named and not old.struck)
            for newer in self._ends(old, only_announced=only_announced):
                if newer.seq > note.seq:
                    told = newer.shown if newer.struck else newer.text
                    sure.setdefault(newer.seq, {})[newer.id] = told
            if only_announced:
                continue
            after, only = self._after.get(old.id, ())[-1:], self._beside.get(old.id, ())[-1:]
            for identity in (*only, self._heir(old)[0], *after):
                one = self.by_id.get(identity)
                if one is not None and one.seq > note.seq:
                    beside[one.seq] = identity not in only, one.shown

    def _ends(self, old: Note, *, only_announced: bool) -> list[Note]:
        """Give what replaced a note, its sure heir, and what holds now in that one's place."""
        best, sure = self._heir(old)
        heir = self.by_id.get(best) if sure else None
        ends = [] if heir is None else [self.latest(heir), self.latest(self.holds_now(heir))]
        for identity in self._announced.get(old.id, ())[-_MOST_ENDS:]:
            one = self.by_id.get(identity)
            if one is not None and one is not heir:
                if one.id in self._after:  # few are: no call for each
                    one = self.holds_now(one)
                ends.append(one if one.superseded_by is None else self.latest(one))
        kept = [newer for newer in ends if newer.corrects or not only_announced]
        return [self.latest(old), *kept]


def likeness(new: Note, old: Note) -> tuple[bool, float, tuple[int, int]]:
    """Weigh how likely a note stands in another one's place."""
    one, other = content(new.text, new.values), content(old.text, old.values)
    both = len(one & other)
    alike = both / max(1, len(one) + len(other) - both)
    announced = new.corrects or old.superseded_by == new.id or one == other
    return announced, round(alike, 3), (new.seq, new.id)
