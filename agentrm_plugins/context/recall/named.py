"""The ids that a request names: they pick the records that it is about.

Law: a record of another id under the same word ("reservation QD4APS" where XATGMQ is named) is no
later form of the record of this one. Both tell several values besides: of "the host is db-7" the
host is all that is told, and "the host is db-9" is its newer form. An id is told by its look:
digits, capitals, an address.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache

from agentrm_plugins.context.notes.text import STOPWORDS
from agentrm_plugins.context.notes.values import DISTINCT, values_of
from agentrm_plugins.context.recall.paging import Found

__all__ = ["Named", "ids_in"]

_LEAST_DIGITS, _LEAST_CAPITALS = 4, 4
"""Of a number and of a word in capitals, to be an id: neither a count nor an abbreviation. Guessed.
"""
_WORD = re.compile(r"\w+")
_BETWEEN = frozenset("\"'`:=#([")
_READ_CHARS, _LABEL_CHARS = 4_000, 60
_CAPITALS = re.compile(rf"(?<!\w)[A-Z]{{{_LEAST_CAPITALS},}}(?!\w)")
_PART = re.compile(r"[^\W\d_]{3,}")
_LABEL_TOKENS = 30
"""Of a line's number, speaker and the turn that a tool's output belongs to, at most."""
_LATER_TOKENS = 8
_LEAST_OTHERS = 2
Label = frozenset[str]


class Named:
    """What a request names, and which texts speak of it or of another.

    Args:
        text: The request.
        whole: Gives the whole text of a message, by its place.
    """

    def __init__(self, text: str, whole: Callable[[int], str]) -> None:
        self._whole = whole
        self._ids = {one for one, _ in ids_in(text)}
        self._labels = {label for _, label in ids_in(text) if label}

    def held(self, text: str) -> bool:
        """Whether a text holds one of them."""
        return any(one in self._ids for one, _ in ids_in(text))

    def anothers(self, older: str, seq: int, words: str) -> bool:
        """Whether what came later is a record of another id, the older text being one of this.

        Args:
            older: The older text.
            seq: Place of the later message.
            words: What would be told of it.
        """
        if not self._ids or self.held(words) or not self._records(older):
            return False
        mine = self._labels | {label for one, label in ids_in(older) if one in self._ids}
        told = self._whole(seq) or words
        return not self.held(told) and self._records(told, mine)

    def _records(self, text: str, labels: Collection[Label] = ()) -> bool:
        """Whether a text tells several values beside one of the ids, or of those labels."""
        keys = [
            one for one, label in ids_in(text)
            if (any(_same(label, other) for other in labels) if labels else one in self._ids)
        ]  # fmt: skip
        if not keys:
            return False
        others = {v.norm for v in values_of(text[:_READ_CHARS]) if _form(v.text) not in keys}
        return len(others) >= _LEAST_OTHERS

    def first(self, found: Sequence[Found]) -> list[Found]:
        """Put those first that hold one, each part in the order that it had."""
        if not self._ids:
            return list(found)
        return sorted(found, key=lambda one: not self.held(one.text))

    def room(
        self,
        found: Sequence[Found],
        later: Callable[[Found], Sequence[tuple[int, str]]],
        frame: int,
        room: int,
        most: int,
    ) -> int:
        """Give a block's room, in tokens: what it names is shown whole, else the best passage is.

        Where a record was named, what else was found gets half of the room.

        Args:
            found: What may be shown, in order.
            later: Gives what is named behind a passage.
            frame: What a block takes before anything stands in it.
            room: What the block has.
            most: How far it may grow.
        """
        if room >= most or not found:
            return room
        used = frame
        for at, one in enumerate(found):
            if (at or self._ids) and not self.held(one.text):
                break
            told = sum(_LATER_TOKENS + len(text) // 3 for _, text in later(one))
            size = one.tokens + _LABEL_TOKENS + told
            if at and used + size > most:
                break
            used += size
        around = room // 2 if self._ids and used > frame else room
        return max(around, min(used, most))


@lru_cache(maxsize=4_096)
def ids_in(text: str) -> tuple[tuple[str, Label], ...]:
    """Give a text's ids in one form, each with the words that stand right before it."""
    text = text[:_READ_CHARS]
    places = [
        (value.start, value.text) for value in values_of(text) if _is_id(value.kind, value.text)
    ]
    if not text.isupper():
        places += [(match.start(), match.group()) for match in _CAPITALS.finditer(text)]
    return tuple((_form(one), _label_before(text, start)) for start, one in places)


def _is_id(kind: str, text: str) -> bool:
    digits = sum(map(str.isdigit, text))
    if kind == "number":
        return digits >= _LEAST_DIGITS
    if kind == "quoted":  # in JSON everything is quoted: a field's name is none
        return " " not in text and (digits > 0 or text[1:-1].isupper())
    return kind in DISTINCT and (digits > 0 or kind != "ident")


def _form(text: str) -> str:
    return text.strip("#\"'`“”«»").casefold()


def _label_before(text: str, start: int) -> Label:
    before = text[max(0, start - _LABEL_CHARS) : start]
    words: list[str] = []
    for word in reversed([*_WORD.finditer(before)][-2:]):
        if not all(sign in _BETWEEN or sign.isspace() for sign in before[word.end() :]):
            break
        before = before[: word.start()]
        words.append(word.group())
    parts = _PART.findall(" ".join(words).replace("_", " ").casefold())
    return frozenset([part for part in parts if part not in STOPWORDS])


def _same(one: Label, other: Label) -> bool:
    return bool(one) and bool(other) and (one <= other or other <= one)
