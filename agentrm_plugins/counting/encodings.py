"""The right token counter for a model: exact where the encoding ships, estimated elsewhere.

A conversation comes again with every turn, so what is counted before each call is remembered, for
the whole process and by the hash of the text: the texts themselves are never kept. Two texts of
the same 64-bit hash would share a count; that is rarer than a wrong bit in memory, and harms an
estimate only.

Encodings are built before the first call, and never on an event loop: to build one takes half a
second of CPU. Where an event loop runs, a thread of its own builds it, and what is counted there
meanwhile is estimated; elsewhere it is built at once.
"""

from __future__ import annotations

import os
import threading
from asyncio import _get_running_loop
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING

from tiktoken.model import MODEL_PREFIX_TO_ENCODING, MODEL_TO_ENCODING

from agentrm_plugins.counting.ranks import SHIPPED, EncodingDataError, load_encoding
from agentrm_plugins.counting.tokens import TokenCounter, estimate_text

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["counter_for", "encoding_name", "prepare", "request_counter"]

_ready: set[str] = set()
_begun: set[str] = set()


def _is_ready(encoding: str) -> bool:
    """Whether it can be used here and now; elsewhere than on an event loop it always can."""
    if encoding in _ready:
        return True
    _warm_up(encoding)
    return encoding in _ready


def _warm_up(encoding: str) -> None:
    """Build it: here, or in a thread where this one runs an event loop."""
    if encoding in _ready:
        return
    if _get_running_loop() is None:
        _build(encoding)
    elif encoding not in _begun:
        _begun.add(encoding)
        name = f"agentrm-encoding-{encoding}"
        threading.Thread(target=_build, args=(encoding,), name=name, daemon=True).start()


def _build(encoding: str) -> None:
    try:
        load_encoding(encoding)  # whoever comes second waits for the first
    except EncodingDataError:
        return  # whoever counts gets the error, or an estimate
    finally:
        _ready.add(encoding)


if hasattr(os, "register_at_fork"):  # the thread that builds one is not in the child
    os.register_at_fork(after_in_child=_begun.clear)


_LATER_PREFIXES = (("gpt-4.1", "o200k_base"), ("gpt-4o", "o200k_base"), ("gpt-5", "o200k_base"),
                   ("o4", "o200k_base"), ("gpt-oss", "o200k_harmony"))  # fmt: skip
"""Models that the lowest supported tiktoken does not list."""

_REMEMBERED = 65_536
_PIECE_CHARS = 100_000
"""Longer texts are counted in pieces of this size: the encoder's regular expressions overflow the
stack on a million blanks (seen with tiktoken 0.14). Each cut adds at most a token or two."""
_LONG_CHARS, _SAMPLES = 400_000, 16
"""A longer text is judged by samples of this many characters in all. Measured on two cores: 400,000
characters take 0.07 s of English, 0.4 s of Chinese."""
_AT_ONCE_CHARS = 40_000
"""The same where it is counted before a call, which is mostly on an event loop: it must not hold up
that. 40,000 characters take 7 ms of English, 40 ms of Chinese; an estimate of them takes 20 ms."""


@lru_cache(maxsize=1024)
def encoding_name(model: str) -> str | None:
    """Name the shipped encoding of a model; None when it has none. Never loads or downloads."""
    name = model.rpartition("/")[2] if model.startswith(("openai/", "azure/")) else model
    found = MODEL_TO_ENCODING.get(name)
    if found is None:
        pairs = sorted(MODEL_PREFIX_TO_ENCODING.items(), key=lambda pair: -len(pair[0]))
        for prefix, encoding in (*pairs, *_LATER_PREFIXES):
            if name.startswith(prefix):
                found = encoding
                break
    return found if found in SHIPPED else None


def counter_for(model: str) -> TokenCounter:
    """Make a counter. The encoding is loaded at the first count, once per process.

    A model that tiktoken does not know is counted by o200k_base times a factor, and where the rank
    file cannot be read by `estimate_text`; `counter.exact` tells.
    """
    name = encoding_name(model)
    return TokenCounter(model, partial(_counted, name or "o200k_base"), exact=name is not None)


@lru_cache(maxsize=256)
def request_counter(model: str) -> TokenCounter:
    """The process's own counter for a model, for what is reserved before each call.

    The same counts as `counter_for`, but remembered; it is never corrected.
    """
    name = encoding_name(model)
    count, known = _remembering(name or "o200k_base")
    return TokenCounter(model, count, exact=name is not None, remembered=known)


def prepare(model: str) -> None:
    """Have the model's encoding built: now, or in a thread where this one runs an event loop."""
    _warm_up(encoding_name(model) or "o200k_base")


@cache
def _remembering(encoding: str) -> tuple[Callable[[str], int], dict[int, int]]:
    """Counts texts by an encoding, and where that remembers them."""
    known: dict[int, int] = {}
    exact = partial(_encoded, encoding)

    def count(text: str) -> int:
        key = hash(text)
        tokens = known.get(key)
        if tokens is None:
            if not _is_ready(encoding):
                return _sampled(estimate_text, text, _AT_ONCE_CHARS)
            if len(known) >= _REMEMBERED:
                known.clear()
            short = len(text) <= _AT_ONCE_CHARS
            tokens = exact(text) if short else _sampled(exact, text, _AT_ONCE_CHARS)
            known[key] = tokens
        return tokens

    return count, known


def _counted(encoding: str, text: str) -> int:
    size = len(text)
    if size <= _PIECE_CHARS:
        return _encoded(encoding, text)
    if size <= _LONG_CHARS:
        pieces = [text[at : at + _PIECE_CHARS] for at in range(0, size, _PIECE_CHARS)]
        return sum(_encoded(encoding, piece) + 1 for piece in pieces)
    return _sampled(partial(_encoded, encoding), text, _LONG_CHARS)


def _sampled(count: Callable[[str], int], text: str, most: int) -> int:
    """Count a text; a longer one by samples of so many characters in all."""
    size, length = len(text), most // _SAMPLES
    if size <= most:
        return count(text)
    starts = [(size - length) * number // (_SAMPLES - 1) for number in range(_SAMPLES)]
    tokens = sum(count(text[at : at + length]) + 1 for at in starts)
    return tokens * size // most + 1


def _encoded(encoding: str, text: str) -> int:
    try:
        return len(load_encoding(encoding).encode_ordinary(text))
    except EncodingDataError:
        return estimate_text(text)
    except BaseException as error:
        # The encoder panics when its regular expressions overflow the stack.
        if type(error).__name__ != "PanicException":
            raise
        return estimate_text(text)
