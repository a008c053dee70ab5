"""Texts that come in pieces: what is a secret only when they are put together is hidden in them.

A stream cuts a text wherever it likes ("sk-pr", "oj-4f"), so no piece of a key looks like one. The
pieces of one text are those that stand under the same names, with the same numbers beside them
(a choice's, an item's, a block's).
Limits: what is said again in another form, cut into numbers say, is not put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from os.path import commonprefix
from typing import Any

__all__ = ["hide_across", "is_token"]

_SAID = frozenset(
    {"content", "text", "reasoning", "reasoning_content", "refusal", "arguments", "partial_json",
     "thinking", "transcript", "summary", "delta", "token", "output", "input", "args"}
)  # fmt: skip
_NUMBERS = ("index", "output_index", "content_index", "summary_index", "item_id")
_OTHERS = frozenset({"top_logprobs"})  # what was not said
_PLACES = frozenset({"delta", "choices", "candidates", "message"})
"""Below these a model's words stream; a text elsewhere may be whole in each of several events."""
Place = tuple[Any, ...]
Piece = tuple[Any, Any]
"""A mapping or a list, and where in it the text stands."""


def hide_across(values: list[Any], clean: Callable[[str], str]) -> frozenset[tuple[int, str]]:
    """Hide in place what `clean` finds in the texts that the pieces of these values make.

    Args:
        values: The events of a stream, or the items of a list, in their order.
        clean: Gives a text without its secrets.

    Returns:
        The pieces that need no other look: by the identity of what holds them, and their name. What
        a cut makes of one alone ("the ta", "sk-list") may look like a secret that is none.
    """
    texts: dict[Place, list[Piece]] = {}
    for value in values:
        for place, piece in _pieces(value, ()):
            texts.setdefault(place, []).append(piece)
    done: set[tuple[int, str]] = set()
    for place, pieces in texts.items():
        if len(pieces) > 1:
            _hide(pieces, clean)
            if not _PLACES.isdisjoint(name for name in place if isinstance(name, str)):
                done.update((id(holder), name) for holder, name in pieces)
    return frozenset(done)


def is_token(item: Any) -> bool:
    """Whether this is a token with its probability."""
    return isinstance(item, Mapping) and "logprob" in item and isinstance(item.get("token"), str)


def _pieces(value: Any, place: Place) -> Iterator[tuple[Place, Piece]]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            numbered = is_token(item) or (isinstance(item, dict) and "index" in item)
            yield from _pieces(item, place if numbered else (*place, number))
        return
    if not isinstance(value, dict):
        return
    here = (*place, *((name, str(value[name])) for name in _NUMBERS if name in value))
    for name, item in value.items():
        if isinstance(item, str) and name in _SAID:
            yield (*here, name), (value, name)
        elif name not in _OTHERS:
            yield from _pieces(item, (*here, name))


def _hide(pieces: list[Piece], clean: Callable[[str], str]) -> None:
    """What changes stands in the piece where the change begins, and those behind it are empty."""
    said = [holder[name] for holder, name in pieces]
    whole = "".join(said)
    cleaned = clean(whole)
    if cleaned == whole:
        return
    same, begun = len(commonprefix([whole, cleaned])), 0
    left = cleaned[same:]
    for (holder, name), text in zip(pieces, said, strict=True):
        kept = text[: max(0, same - begun)]
        begun += len(text)
        if begun > same or holder is pieces[-1][0]:
            kept, left = kept + left, ""
        holder[name] = kept
        if name == "token":  # the same text once more, in numbers
            holder |= {"bytes": None, "top_logprobs": []}
