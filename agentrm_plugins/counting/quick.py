"""Counting what is about to be sent, cheaply enough to do it before every call.

A conversation comes again with every turn, so counts are remembered, by the hash of the text: the
texts themselves are never kept. Two texts of the same 64-bit hash would share a count; that is
rarer than a wrong bit in memory, and harms an estimate only.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from agentrm_plugins.counting.encodings import counter_for, encoding_name

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["quick_counter"]

_CHARS_PER_TOKEN = 4  # OpenAI's rule of thumb for English
_REMEMBERED = 65_536
_SHORT_CHARS, _LONG_CHARS, _SAMPLE_CHARS = 32, 200_000, 20_000


def quick_counter(model: str) -> Callable[[str], int]:
    """What counts a text's tokens: by the model's encoding, or else four characters a token."""
    return _for(model) if model else _quarter


@lru_cache(maxsize=256)
def _for(model: str) -> Callable[[str], int]:
    encoding = encoding_name(model)
    return _quarter if encoding is None else _remembering(encoding, model)


def _quarter(text: str) -> int:
    return (len(text) + _CHARS_PER_TOKEN - 1) // _CHARS_PER_TOKEN


_COUNTERS: dict[str, Callable[[str], int]] = {}


def _remembering(encoding: str, model: str) -> Callable[[str], int]:
    count = _COUNTERS.get(encoding)
    if count is None:
        count = _COUNTERS.setdefault(encoding, _remembered(counter_for(model).text))
    return count


def _remembered(exact: Callable[[str], int]) -> Callable[[str], int]:
    known: dict[int, int] = {}

    def count(text: str) -> int:
        if len(text) <= _SHORT_CHARS:
            return exact(text)
        key = hash(text)
        tokens = known.get(key)
        if tokens is None:
            if len(known) >= _REMEMBERED:
                known.clear()
            tokens = known[key] = _sampled(text, exact)
        return tokens

    return count


def _sampled(text: str, exact: Callable[[str], int]) -> int:
    """A very long text is judged by three parts of it: it must not hold up an event loop."""
    size = len(text)
    if size <= _LONG_CHARS:
        return exact(text)
    starts = (0, (size - _SAMPLE_CHARS) // 2, size - _SAMPLE_CHARS)
    tokens = sum(exact(text[at : at + _SAMPLE_CHARS]) for at in starts)
    return tokens * size // (len(starts) * _SAMPLE_CHARS)
