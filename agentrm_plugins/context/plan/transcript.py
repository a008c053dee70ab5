"""One session's state: its messages' places and counts, its notes and episodes. Pure.

Places ("seq") count the session's messages from 0, leading system messages aside: those are sent as
the caller has them. `first_hot` is the first place that is still sent as it is; what lies before
is compacted. The newest user message is sent in any case.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.notes.facts import Finding
from agentrm_plugins.context.notes.note import TOOLS
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.plan.align import Alignment, Marks, align, beside, left_out, mark_of
from agentrm_plugins.context.plan.asks import only_approves
from agentrm_plugins.context.plan.bodies import Source, check_list, identity_in, role_of
from agentrm_plugins.context.plan.cleared import cleared
from agentrm_plugins.context.plan.entry import Entry, Episode, Recalled, Replacement
from agentrm_plugins.context.plan.groups import Grouping, grouped
from agentrm_plugins.context.plan.intake import entry_of, read
from agentrm_plugins.context.plan.lookups import looked_up
from agentrm_plugins.context.plan.reading import findings_of
from agentrm_plugins.counting.tokens import Counts, TokenCounter
from agentrm_plugins.types.message import SYSTEM_ROLES, Message, plain_text

__all__ = ["Transcript"]

SHORT_CHARS = 4_000
"""Up to this size a message that is no tool's was said, not pasted: its lines are no log's."""


@dataclass(slots=True)
class Transcript:
    """All that is known of one conversation."""

    config: ContextConfig
    counter: TokenCounter
    counts: Counts = field(default_factory=Counts)
    tools_tokens: int = 0
    entries: list[Entry] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)
    episodes: list[Episode] = field(default_factory=list)
    replaced: dict[int, Replacement] = field(default_factory=dict)
    recalls: list[Recalled] = field(default_factory=list)
    first_hot: int = 0
    shown_from: int = 0
    shift: int = 0
    pinned: int | None = None
    asked: int = -1
    owed: int = 0  # by recalled blocks, and what was sent since that was reckoned: see `recalls`
    sent: int = 0
    compactions: int = 0
    generation: int = 0
    shapes: Counter[str] = field(default_factory=Counter)
    repairs: list[str] = field(default_factory=list)
    system: list[Message] = field(default_factory=list)
    system_sources: list[Source] = field(default_factory=list)
    system_tokens: int = 0
    system_marks: list[int] = field(default_factory=list)
    head_marks: list[int] = field(default_factory=list)
    ceiling: int | None = None
    line_tokens: int | None = None
    thawed: int | None = None
    rewound: int | None = None  # the place to which the last list took the talk back
    left: int = 0  # so many of the messages behind it are not in that list again
    foreign: int = 0
    takes_turns: bool = False
    handed_over: bool = False
    _marks: Marks = field(default_factory=Marks)
    _known: list[int] = field(default_factory=list)
    _level: int | None = None  # system messages at the last list's head, if it ended as the talk
    _settled: int = 0
    _grouping: tuple[int, int, Entry | None, Grouping] | None = None

    @property
    def most(self) -> int:
        """The most tokens of one request: as configured, or less where a provider took less."""
        most = self.config.budget_tokens
        return most if self.ceiling is None else min(most, self.ceiling)

    @property
    def budget(self) -> int:
        """The same in tokens as they are counted here, before the counter's correction."""
        return int(self.most / self.counter.correction)

    def charged(self, tokens: int) -> int:
        """What a provider is expected to count for so many tokens counted here."""
        return math.ceil(round(tokens * self.counter.correction, 6))

    @property
    def task(self) -> int | None:
        """Place of the newest user message."""
        for entry in reversed(self.entries):
            if entry.role == "user" and not only_approves(entry.message):
                return entry.seq
        return None

    @property
    def hot(self) -> list[Entry]:
        """What is sent as it is."""
        return self.entries[self.first_hot :]

    @property
    def grouping(self) -> Grouping:
        """The groups of what is sent as it is; made once for as long as that stays the same."""
        size = len(self.entries)
        last = self.entries[-1] if self.entries else None
        if self._grouping is not None:
            first, until, newest, made = self._grouping
            if first == self.first_hot and until == size and newest is last:
                return made
            if first == self.first_hot and 0 < until < size and newest is self.entries[until - 1]:
                for entry in self.entries[until:]:
                    made.add(entry)
                self._grouping = (first, size, last, made)
                return made
        made = grouped(self.hot)
        self._grouping = (self.first_hot, size, last, made)
        return made

    def take(self, messages: Sequence[Source], now_s: float) -> list[Entry]:
        """Take in the caller's whole history; give the entries that are new, not yet noted.

        Only new messages cost work beyond a comparison. Where it raises, nothing has changed.
        """
        fresh = self._grown(messages, now_s)
        if fresh is None:
            fresh = self._aligned(messages, now_s)
        for entry in fresh:
            self.enter(entry)
        return fresh

    def _grown(self, messages: Sequence[Source], now_s: float) -> list[Entry] | None:
        """Give what stands behind the last list, where this one begins with all of that.

        None where it does not, or where that list was not the talk as it is known, to its end.
        """
        head = self._level
        if head is None or self.foreign or not isinstance(messages, list):
            return None
        if not self._marks.unchanged(messages, head):
            return None
        start = len(self.entries) - self.shift
        check_list(messages, start)
        check_list(messages[:head])
        if self._take_system(messages) != head:
            return None
        self._level = None  # until all of this list is taken in
        marks = self._marks.more(messages[start:])
        fresh = [
            self._entry(at + self.shift, messages[at], mark, now_s, at)
            for at, mark in enumerate(marks, start)
        ]
        self.rewound, self._level = None, head
        return fresh

    def _aligned(self, messages: Sequence[Source], now_s: float) -> list[Entry]:
        """Find where a list meets what is known; give the entries that are new."""
        self._level = None
        check_list(messages)
        start = leading = self._take_system(messages)
        marks = self._marks.of(messages[start:])
        if self.thawed is not None:
            self._recognise(messages[start:], marks)
        head = self.head_marks
        if head and marks[: len(head)] == head:
            start += len(head)
            marks = marks[len(head) :]
        else:
            self.head_marks = []
        listed = messages[start:]
        known = self._known_marks()
        where = align(known, marks, self.shown_from, lambda at: self.entries[at].role in TOOLS)
        base, shift = self.shown_from, where.shift
        others = [
            at for at in where.edited
            if not cleared(self.entries[at], listed[at - shift], at, self.counter)
        ]  # fmt: skip
        if where.edited and not others:
            where = self._shown_anew(where, listed, marks)
        while others and others.pop() == where.keep - 1:  # the newest result is another one
            where = replace(where, keep=where.keep - 1, new_from=where.new_from - 1)
        edited = self.handed_over and self.foreign <= 2 * where.keep  # that owner had finished
        if where.keep < self.foreign and not edited:
            where = self._beside(where, known, marks, listed)
        else:
            self.repairs += left_out(where, base, len(known))
        self.foreign = 0
        fresh = [
            self._entry(where.keep + at - where.new_from, listed[at], marks[at], now_s, start + at)
            for at in range(where.new_from, len(listed))
        ]
        self.rewound = where.keep if where.keep < len(self.entries) else None
        if self.rewound is not None:
            said = {entry.mark for entry in fresh}
            self.left = sum(entry.mark not in said for entry in self.entries[where.keep :])
            self._rewind(where, listed)
        self.shift = where.shift - start
        self.head_marks += marks[: where.skip]
        self.shown_from = where.shown_from
        if where.shown_from > self.first_hot:
            self._hide(where.shown_from)
        if len(self.entries) + len(fresh) - self.shift == len(messages):
            self._level = leading
        return fresh

    def _known_marks(self) -> list[int]:
        """Give the marks of all messages; only new ones are looked at."""
        self._known += [entry.mark for entry in self.entries[len(self._known) :]]
        return self._known

    def enter(self, entry: Entry) -> None:
        """Add a message that is taken in or read back; here it is decided what it is."""
        entry.looked_up = looked_up(entry, self.entries)
        self.entries.append(entry)

    def _beside(
        self, where: Alignment, known: list[int], marks: list[int], listed: Sequence[Source]
    ) -> Alignment:
        """Go on after what another owner archived; hot messages and the task are taken in again."""
        self.repairs.append(
            f"archive: {self.foreign - where.keep} messages that another process archived, from "
            f"message {where.keep} on, are not in this history; they stay, and recall finds them"
        )
        tasks = [at for at, source in enumerate(listed) if role_of(source) == "user"]
        most = min(self.first_hot - self.shown_from, tasks[-1] if tasks else 0)
        return beside(known, marks, self.shown_from, most)

    def _shown_anew(
        self, where: Alignment, listed: Sequence[Source], marks: list[int]
    ) -> Alignment:
        """Let the caller show tool results otherwise; what the tools gave stays as it is known.

        Another middleware has cleared or shortened them: nothing else was said.
        """
        size = len(self.entries)
        for place in where.edited:
            entry, at = self.entries[place], place - where.shift
            entry.mark = self._known[place] = marks[at]
            entry.otherwise = identity_in(listed[at], at) != entry.digest
            if self.replaced.pop(place, None) is not None or place >= self.first_hot:
                entry.tokens = self.counter.message(self._read(listed[at], at))
        self.generation += 1
        return replace(where, keep=size, new_from=size - where.shift)

    def _recognise(self, listed: Sequence[Source], marks: list[int]) -> None:
        """After a thaw, learn this process's marks of known messages from their digests."""
        by_digest = {identity_in(source, at): marks[at] for at, source in enumerate(listed)}
        for entry in self.entries:
            # An unknown one gets a mark that no message has.
            entry.mark = by_digest.get(entry.digest, -1 - entry.seq)
            if entry.digest in by_digest and entry.message is not None and entry.role in TOOLS:
                # It may have been shown cleared when it was counted.
                entry.tokens = max(entry.tokens, self.counter.message(entry.message))
        self.head_marks = [entry.mark for entry in self.entries[: self.thawed]]
        self.thawed, self._known = None, []

    def _take_system(self, messages: Sequence[Source]) -> int:
        start = 0
        for source in messages:
            role = role_of(source)
            if not isinstance(role, str) or role not in SYSTEM_ROLES:
                break
            start += 1
        sources = list(messages[:start])
        marks = [mark_of(source) for source in sources]
        if marks != self.system_marks or len(self.system) != start:
            self.system = [self._read(source, at) for at, source in enumerate(sources)]
            self.system_tokens = sum(map(self.counter.message, self.system))
            self.system_marks = marks
        self.system_sources = sources
        return start

    def _read(self, source: Source, place: int) -> Message:
        return read(source, place, self.config.unknown_blocks, self.repairs)

    def _entry(self, seq: int, source: Source, mark: int, now_s: float, place: int) -> Entry:
        message = self._read(source, place)
        return entry_of(message, seq, mark, self.counter.message(message), now_s)

    def _rewind(self, where: Alignment, listed: Sequence[Source]) -> None:
        """Go back to `where.keep` messages; compacted ones before it are shown again if needed."""
        keep = where.keep
        del self.entries[keep:]
        del self._known[keep:]
        self._settled = 0
        self.notes.drop_from(keep)
        self.generation += 1
        while self.episodes and self.episodes[-1].last >= keep:
            self.first_hot = min(self.first_hot, self.episodes.pop().first)
        self.first_hot = min(self.first_hot, keep)
        for entry in self.entries[self.first_hot :]:
            at = entry.seq - where.shift
            if entry.message is None and 0 <= at < len(listed):
                entry.message = self._read(listed[at], at)
                entry.tokens = self.counter.message(entry.message)
        self.replaced = {seq: r for seq, r in self.replaced.items() if seq < keep}
        gone = sum(recalled.tokens for recalled in self.recalls if recalled.anchor >= keep)
        self.owed = max(0, self.owed - gone)  # who asks again has the room that it had
        self.recalls = [r for r in self.recalls if r.anchor < keep]
        self.pinned = None if self.pinned is not None and self.pinned >= keep else self.pinned
        self.asked = min(self.asked, keep - 1)

    def _hide(self, shown_from: int) -> None:
        """Count as compacted what the caller no longer shows."""
        last = min(shown_from, len(self.entries)) - 1
        if last >= self.first_hot:
            hidden = self.entries[self.first_hot : last + 1]
            self.episodes.append(Episode(self.first_hot, last, self._newer_forms(hidden)))
        self.first_hot = shown_from
        self.generation += 1

    def _newer_forms(self, entries: Sequence[Entry]) -> list[int]:
        """Give the notes of these messages that may replace what the episodes show."""
        shown = {identity for episode in self.episodes for identity in episode.notes}
        for entry in entries if shown else ():
            if not entry.noted:
                self.note(entry, self.findings(entry))
        listed = [note for entry in entries for note in self.notes.at(entry.seq)]
        return [n.id for n in listed if n.live and not shown.isdisjoint(n.follows)]

    def findings(self, entry: Entry) -> list[Finding]:
        """Read one message for notes. Pure but for the memory of line shapes in bulky ones."""
        message = entry.message
        if message is None or entry.looked_up:
            return []
        bulky = entry.role in {"tool", "function"} or len(plain_text(message)) > SHORT_CHARS
        return findings_of(message, self.shapes if bulky else None)

    def pending(self) -> Iterator[Entry]:
        """Give the messages that are still to be read for notes, or to be made findable."""
        for entry in self.unsettled():
            if not (entry.noted and entry.indexed) and entry.message is not None:
                yield entry

    def unsettled(self) -> list[Entry]:
        """Give the messages from the first on that is still to be noted or to be made findable."""
        at = self._settled
        for entry in self.entries[at:]:
            if not (entry.noted and entry.indexed) and entry.message is not None:
                break
            at += 1
        self._settled = at
        return self.entries[at:]

    def note(self, entry: Entry, findings: list[Finding]) -> None:
        """Enter a message's notes, and strike what they correct from the episodes."""
        if entry.noted:
            return
        entry.noted = True
        gone = {note.id for note in self.notes.add(entry.seq, entry.role, findings)}
        if gone and not self.sends(entry.seq):
            # Where the correction itself stands in the prompt, after the notes, they wait for the
            # next compaction: writing them again would break the prefix for one line.
            places = {self.notes.by_id[identity].seq for identity in gone}
            for episode in self.episodes:
                told = not places.isdisjoint(seq for seq, _ in episode.told)
                if episode.narrative or told or gone & set(episode.notes):
                    episode.text = ""

    def sends(self, seq: int) -> bool:
        """Whether a message is sent word for word: none that the caller has cleared."""
        shown = seq not in self.replaced and not self.entries[seq].otherwise
        return shown and (seq >= self.first_hot or seq == self.pinned)
