"""Where the history that a caller hands over meets the one that is known.

The list usually grows at its end. It may also be shorter (taken back), differ from some point on
(regenerated), differ in a few messages (edited in the middle), have one more in the middle, have
lost its oldest messages, or have been rewritten by another middleware.

The last message decides nothing by itself: who edits a message asks the same again, or says "yes".
What stands in the place of what was known is an edit, and what was known is taken back, unless the
caller only shortens: it keeps little of the beginning and leaves out what follows, or has a few new
messages (a summary) stand for many.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from agentrm_plugins.types.message import Message
from agentrm_plugins.types.plain import DEEPEST, MOST_VALUES, json_text, text_of

__all__ = ["Alignment", "Marks", "align", "beside", "digest_of", "left_out", "mark_of"]


@dataclass(frozen=True, slots=True)
class Alignment:
    """What to do.

    Args:
        keep: Known messages that still hold; those after are a branch that was left.
        new_from: Index of the first handed-over message that is new.
        shift: A message's place less its index in the list, for all that are still shown.
        shown_from: First place that the caller still shows.
        skip: Messages at the head of the list that are known and lie before a gap.
        edited: Places of the messages that say something else now, where the list holds all others
            that it shows as they were.
    """

    keep: int
    new_from: int
    shift: int
    shown_from: int
    skip: int = 0
    edited: tuple[int, ...] = ()


_MOST_EDITED = 3
"""One in so many messages may differ for a list to be an edited one; else it is another list."""
_MOST_HEAD = 4
"""Who shortens a history keeps no more of its beginning, and no more than of its end, unless more
than so many at the end are known with nothing new before them: no chance. Guessed."""
_MOST_SUMMARY, _LEAST_SUMMED = 2, 4
"""A summary is one message or an exchange, and each of its messages stands for so many. Guessed."""
_MOST_PLACES = 64
"""Of the last message, where it is said again and again, so many are looked at. Guessed."""
_PLAIN_LEVELS, _PLAIN_ITEMS = 5, 64
"""Of a message that is copied to be compared: calls and blocks have four levels. Guessed."""
_SCALARS = frozenset({str, int, float, bool, type(None)})
_UNLIKE = object()


def mark_of(source: Mapping[str, Any] | Message) -> int:
    """Fingerprint a message for comparison within this process; cheap, by its content alone."""
    if isinstance(source, Message):
        content = source.content
        inner: Any = content if isinstance(content, str) else json_text(content)
        return hash((source.role, inner, source.name, source.tool_calls, source.tool_call_id))
    try:
        return hash((*source, *source.values()))
    except TypeError:
        pass
    try:
        calls = [(c.get("id"), *c["function"].items()) for c in source["tool_calls"]]
        rest = [item for item in source.items() if item[0] != "tool_calls"]
        return hash((*rest, *calls))
    except (AttributeError, KeyError, TypeError):
        return hash(_frozen(source, [MOST_VALUES], DEEPEST))


class Marks:
    """Fingerprints of a list that is handed over again and again; those of new parts are made.

    A message that says what it said is not read again, whether it is the same object or another
    one: what it said is kept as a copy, since a caller may change a message in its place.
    """

    def __init__(self) -> None:
        self._said: list[Any] = []
        self._made: list[int] = []

    def unchanged(self, sources: list[Mapping[str, Any] | Message], start: int) -> bool:
        """Whether a list says from `start` on all that the last one said, and perhaps more."""
        said = self._said
        return bool(said) and said == sources[start : start + len(said)]

    def more(self, fresh: Sequence[Mapping[str, Any] | Message]) -> list[int]:
        """Give the fingerprints of what has come at the end of a list that is `unchanged`."""
        made = [mark_of(source) for source in fresh]
        self._said += [_copied(source) for source in fresh]
        self._made += made
        return made

    def of(self, sources: Sequence[Mapping[str, Any] | Message]) -> list[int]:
        """Give the fingerprint of each."""
        size = len(self._said)
        if size <= len(sources) and self._said == list(sources[:size]):
            self.more(sources[size:])
            return list(self._made)
        made = [
            mark if (old is source or (type(old) is dict and old == source)) else mark_of(source)
            for old, mark, source in zip(self._said, self._made, sources, strict=False)
        ]
        if made != self._made[: len(made)]:
            same = next(at for at, mark in enumerate(made) if mark != self._made[at])
            del self._said[same:]
        del self._said[len(sources) :]
        self._said += [_copied(source) for source in sources[len(self._said) :]]
        made += [mark_of(source) for source in sources[len(made) :]]
        self._made = made
        return made


def _copied(source: Mapping[str, Any] | Message) -> Any:
    """Copy what a message says; what is not plain enough equals nothing later."""
    if isinstance(source, Message):
        return source if isinstance(source.content, str) else _UNLIKE
    return _copy(source, _PLAIN_LEVELS)


def _copy(item: Any, levels: int) -> Any:
    kind = type(item)
    if kind in _SCALARS:
        return item
    if kind is dict and levels:
        return {key: _copy(part, levels - 1) for key, part in item.items()}
    if kind is list and levels and len(item) <= _PLAIN_ITEMS:
        return [_copy(part, levels - 1) for part in item]
    return _UNLIKE


def _frozen(item: Any, left: list[int], levels: int) -> Any:
    """Turn JSON-like data into something that can be hashed, quickly: this runs on each turn."""
    kind = type(item)
    if kind is str or item is None or kind is int or kind is float or kind is bool:
        return item
    if kind is tuple or kind is list or isinstance(item, Mapping):
        left[0] -= 1
        if not levels or left[0] < 0:
            return text_of(item)
    if kind is tuple or kind is list:
        return tuple([_frozen(part, left, levels - 1) for part in item])
    if isinstance(item, Mapping):
        try:
            values = tuple(item.values())
            hash(values)
        except TypeError:
            pass
        else:
            return (*item, *values)
        return tuple([(key, _frozen(part, left, levels - 1)) for key, part in item.items()])
    return json_text(item)


def digest_of(body: str) -> str:
    """Fingerprint an archived message for comparison across processes."""
    return hashlib.blake2b(body.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def align(
    known: Sequence[Any],
    incoming: Sequence[Any],
    shown_from: int,
    results: Callable[[int], bool] = lambda _: False,
) -> Alignment:
    """Compare marks (or digests) of the known history with those handed over now.

    Args:
        known: Of all known messages, by place.
        incoming: Of the list, by index.
        shown_from: First place that the caller showed last time; its list began there.
        results: Whether a tool's result stands at a place: any number of those may differ.
    """
    base = min(shown_from, len(known))
    size = len(known) - base
    if len(incoming) >= size and list(incoming[:size]) == list(known[base:]):
        return Alignment(len(known), size, base, base)
    same = 0
    while same < min(size, len(incoming)) and incoming[same] == known[base + same]:
        same += 1
    if same == len(incoming):
        return Alignment(base + same, same, base, base)
    edited = _edited(known[base:], incoming, same, lambda at: results(base + at))
    if edited:
        return Alignment(base + same, same, base, base, 0, tuple(base + at for at in edited))
    at, tail = _tail_in(known, incoming, same, results)
    rewound = Alignment(base + same, same, base, base)
    if not tail:  # gone, or only said before as well: "yes", "go on"
        return rewound
    begin, shift = at - tail + 1, len(known) - 1 - at
    gone, fresh = max(0, size - same - tail), max(0, begin - same)
    sure = results(len(known) - 1)  # a call's id is no chance
    long = tail > _MOST_HEAD  # longer than what is said again by chance
    left = same <= min(tail, _MOST_HEAD) or (long and not fresh)
    if same and begin and not (sure or left):
        return rewound
    if not fresh:
        first = shift + begin
        anew = tuple(at for at in range(first, len(known)) if incoming[at - shift] != known[at])
        return Alignment(len(known), at + 1, shift, first, begin, anew)
    if not (sure or (long and not same) or _condensed(gone, fresh, tail)):
        return rewound
    # A summary stands for what was known: all that is shown now counts as new, and what was known
    # stays in the archive.
    return Alignment(len(known), 0, len(known), len(known))


def left_out(where: Alignment, shown_from: int, known: int) -> list[str]:
    """Say what a list leaves out though nothing is taken back; a moving window says nothing.

    Args:
        where: How the list meets the `known` messages.
        shown_from: First place that the caller showed before.
        known: So many messages were known.
    """
    stays = "they stay archived, and recall finds them"
    if 0 < where.skip < where.new_from:
        first, last = shown_from + where.skip, where.shown_from - 1
        return [f"archive: the history leaves out messages {first} to {last}; {stays}"]
    if where.new_from == 0 and where.keep == known > shown_from:
        summed = "is shortened, by a summary perhaps: its messages"
        return [f"archive: the history {summed} {shown_from} to {known - 1} go on; {stays}"]
    return []


def _condensed(gone: int, fresh: int, tail: int) -> bool:
    """Whether a few new messages stand for many that were left out, and not for an edit of them.

    Args:
        gone: So many known messages are left out.
        fresh: So many new ones stand in their place.
        tail: So many known ones follow, to the last.
    """
    few = fresh < gone and (fresh <= _MOST_SUMMARY or fresh < tail)
    return few and (fresh * _LEAST_SUMMED <= gone or gone + fresh < tail)


def _edited(
    known: Sequence[Any], incoming: Sequence[Any], same: int, results: Callable[[int], bool]
) -> list[int]:
    """Give the places where a list that ends alike says something else; none where it is another.

    Args:
        known: What the caller showed last time.
        incoming: What it shows now.
        same: How many messages both begin with.
        results: Whether a tool's result stands there.
    """
    size = len(known)
    if len(incoming) < size or not known:
        return []
    if incoming[size - 1] != known[-1] and not results(size - 1):
        return []
    changed = [at for at in range(same, size) if incoming[at] != known[at]]
    few = _MOST_EDITED * len(changed) <= size
    return changed if few or all(map(results, changed)) else []


def beside(known: Sequence[Any], incoming: Sequence[Any], shown_from: int, most: int) -> Alignment:
    """Let a history go on after all that is known, which stays: nothing of it is taken back.

    Args:
        known: Of all known messages, by place.
        incoming: Of the list, by index.
        shown_from: First place that the caller showed last time.
        most: Of the messages at the head that both have, so many need not be taken in again.
    """
    base = min(shown_from, len(known))
    same = 0
    for one, other in zip(known[base:], incoming, strict=False):
        if one != other:
            break
        same += 1
    skip = max(0, min(same, most))
    return Alignment(len(known), skip, len(known) - skip, len(known), skip)


def _tail_in(
    known: Sequence[Any], incoming: Sequence[Any], same: int, results: Callable[[int], bool]
) -> tuple[int, int]:
    """Find the end of what is known in a list: where it stands, and how much of it.

    The last known message may be said again and again: of the places where it stands the one
    counts before which nothing is new, else the one with most of what was known before it.

    Args:
        known: All of it.
        incoming: The list.
        same: How many messages both begin with: what ends before is no end.
        results: Whether a tool's result stands at a place: the end goes on before one that is
            shown otherwise, since who slides a window clears old results in the same turn.
    """
    if not known:
        return 0, 0
    last = 0  # results at the end that are shown otherwise: the call before them tells where
    while last + 1 < len(known) and results(len(known) - 1 - last):
        last += 1
    places = (
        at for at in range(len(incoming) - 1, same - 1, -1)
        if incoming[at] == known[-1] or (at >= last > 0 and incoming[at - last] == known[-1 - last])
    )  # fmt: skip
    best = (0, 0)
    for at in islice(places, _MOST_PLACES):
        tail = far = 0
        while far <= at and far < len(known):
            if incoming[at - far] == known[-1 - far]:
                tail = far + 1
            elif not results(len(known) - 1 - far):
                break
            far += 1
        if far > at and tail > 1:  # the list begins with results that are shown otherwise
            tail = far
        if at - tail < same:
            return at, tail
        if tail > best[1]:
            best = (at, tail)
    return best
