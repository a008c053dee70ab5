"""One note: a sentence that was kept from a message, and what has become of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import repeat

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.subject import content, told_apart
from agentrm_plugins.context.notes.values import Value
from agentrm_plugins.context.notes.worded import FIGURES, fills, tells_in_words

__all__ = [
    "TOOLS",
    "Note",
    "has_whole",
    "have_in_common",
    "may_follow",
    "named_in",
    "puts_another",
    "squeezed",
]

TOOLS = frozenset({"tool", "function"})
_BLANKS = r"[\s,'’\"“”«»`「」]"
_BLANK = re.compile(f"{_BLANKS}+")
_OVERLAP = 0.6
"""Of the words of the shorter of two sentences, that make them speak of one thing. Guessed."""
_PART = 4
"""Of the words of a sentence in which a rare word picks an earlier one out, but for its figure, one
in so many at least. Guessed: else it only comes up in passing."""


def squeezed(text: str) -> str:
    """Fold a text as values are folded, so that one can be looked for in the other."""
    return _BLANK.sub("", text).casefold()


def has_whole(text: str, values: Iterable[str]) -> bool:
    """Whether a text has one of these values (`squeezed`), and whole: a 5 is not in 5432."""
    told, folded = text.casefold(), squeezed(text)
    return any(_is_whole_in(told, value) for value in values if value and value in folded)


def _is_whole_in(told: str, value: str) -> bool:
    pattern = re.compile(f"{_BLANKS}*".join(map(re.escape, value)))
    found = pattern.search(told)
    while found is not None:
        at, stop = found.span()
        before, after = told[max(0, at - 2) : at], told[stop : stop + 2]
        if not (_runs_on(value[0], before[::-1]) or _runs_on(value[-1], after)):
            return True
        found = pattern.search(told, at + 1)
    return False


def _runs_on(edge: str, beside: str) -> bool:
    """Whether a number or a word goes on with the two characters beside its edge.

    Scripts without capital letters have no spaces between words, or write them otherwise.
    """
    if edge.isdigit():
        return beside[:1].isdigit() or (beside[:1] == "." and beside[1:].isdigit())
    return _is_cased(edge) and _is_cased(beside[:1])


def _is_cased(char: str) -> bool:
    return char.isalpha() and char.upper() != char.lower()


@dataclass(slots=True)
class Note:
    """One sentence kept from one message.

    Args:
        id: Its number in the session.
        seq: Its message's place.
        role: Who said it.
        text: Its words.
        score: What it is worth.
        corrects: Whether it announces a correction.
        states: Whether it states something.
        values: Its exact strings.
        superseded_by: The note whose values stand in place of `struck`.
        repeats: The earlier note that says the same.
        struck: Its values that no longer hold.
        follows: Earlier notes of which it may be a newer form: not sure enough to strike them.
    """

    id: int
    seq: int
    role: str
    text: str
    score: float
    corrects: bool
    states: bool
    values: tuple[Value, ...]
    superseded_by: int | None = None
    repeats: int | None = None
    struck: tuple[str, ...] = ()
    follows: tuple[int, ...] = ()
    _shown: tuple[tuple[str, ...], str] | None = field(default=None, compare=False, repr=False)

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
        return self.repeats is None and not self.dead

    @property
    def shown(self) -> str:
        """Its text without what was corrected; written again when more of it was."""
        if not self.struck:
            return self.text
        if self._shown is None or self._shown[0] is not self.struck:
            self._shown = self.struck, self._written()
        return self._shown[1]

    def _written(self) -> str:
        text = self.text
        spans = [(v.start, v.start + len(v.text)) for v in self.left]
        gone: set[tuple[int, int]] = set()
        for value in self.struck:
            at = text.find(value)
            while value and at >= 0:
                stop = at + len(value)
                # The 80 in a port 8080 that holds is none of it.
                if not any(begin <= at and stop <= end for begin, end in spans):
                    gone.add((at, stop))
                at = text.find(value, stop)
        told, done = [], 0
        for at, stop in sorted(gone):
            if at >= done:
                told += [text[done:at], "[corrected later]"]
            done = max(done, stop)
        return "".join((*told, text[done:]))


def named_in(note: Note, asked: str) -> bool:
    """Whether a request names all the values that a note has, one at least, as whole words."""
    if not asked or not note.values:
        return False
    named = [value.text.casefold() for value in note.values]
    return all(map(_is_word_in, repeat(asked), named))


def _is_word_in(text: str, word: str) -> bool:
    at = text.find(word)
    while at >= 0:
        stop = at + len(word)
        if not (_is_letter(text[at - 1 : at]) or _is_letter(text[stop : stop + 1])):
            return True
        at = text.find(word, at + 1)
    return False


def _is_letter(char: str) -> bool:
    return char.isalnum() or char == "_"


def puts_another(new: Note, old: Note) -> bool:
    """Whether a later note puts another exact value or date, or announces a correction.

    One that has only another name, "Sunday" or any German noun, more often just speaks of the same.
    """
    if new.corrects or old.superseded_by == new.id:
        return True
    said = {value.norm for value in old.values}
    kinds = {CLASS.get(value.kind) for value in old.values} - {"name"}
    if not kinds:
        return True
    return any(v.norm not in said and CLASS.get(v.kind) in kinds for v in new.values)


def have_in_common(new: Note, old: Note) -> bool:
    """Whether two notes share a word of what they are about, or a value."""
    if not content(new.text, new.values).isdisjoint(content(old.text, old.values)):
        return True
    return not {value.norm for value in new.values}.isdisjoint(v.norm for v in old.values)


def may_follow(
    note: Note, old: Note, said: frozenset[str], named: bool, rare: frozenset[str] = frozenset()
) -> bool:
    """Whether a note may be a newer form of an earlier one.

    Args:
        note: The newer one.
        old: The earlier one.
        said: The newer one's content.
        named: Whether it names a value of the earlier one and seems to put another for it.
        rare: Words of the newer one that hardly another note has.
    """
    if old.seq >= note.seq or old.role in TOOLS:
        return False
    before = {v.norm for v in old.values}
    kinds = {CLASS.get(v.kind) for v in note.values if v.norm not in before}
    worded = tells_in_words(note.text, note.values)
    if worded:
        kinds |= FIGURES
    left = old.left
    if kinds.isdisjoint(CLASS.get(v.kind) for v in left):
        return fills(note.text, old.text, left) is not None
    if named:
        return True
    other = content(old.text, old.values)
    both = len(said & other)
    least = min(len(said), len(other))
    mostly = _PART * both >= len(said) - 1
    if mostly and (worded or ends_asking(note.text)) and not rare.isdisjoint(other):
        return True
    near = both == least > 0 or (both > 1 and both >= _OVERLAP * least)
    return near and not told_apart((note.text, said), (old.text, other))
