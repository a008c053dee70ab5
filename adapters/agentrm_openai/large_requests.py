"""What a large request asks, without reading all of it: ten megabytes hold an event loop up."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["LARGE", "at_the_ends"]

LARGE = 64_000  # bytes; guessed: less is read within a millisecond
_MOST_PLACES = 8
_BLANKS = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def at_the_ends(body: bytes, name: str) -> Any:
    """What stands under a key of the whole near the begin or the end of a large body, else None.

    SDKs put the messages first or last, and what is small together.
    """
    found = _begin(body[:LARGE].decode("utf-8", "ignore"), name)
    return _end(body, name) if found is None else found


def _begin(head: str, name: str) -> Any:
    """Read key by key, up to the first value that does not end in this piece."""
    mark, at = _mark(head, 0)
    while mark in {"{", ","}:
        try:
            key, at = _DECODER.raw_decode(head, at)
            colon, at = _mark(head, at)
            if colon != ":":
                return None
            value, at = _DECODER.raw_decode(head, at)
        except (ValueError, RecursionError):
            return None
        mark, at = _mark(head, at)
        if key == name and mark:
            return value
    return None


def _mark(head: str, at: int) -> tuple[str, int]:
    """Give the sign behind blanks, and the place behind that and its blanks; "" at the end."""
    at = _blanks(head, at)
    return head[at : at + 1], _blanks(head, at + 1)


def _blanks(head: str, at: int) -> int:
    found = _BLANKS.match(head, at)
    return at if found is None else found.end()


def _end(body: bytes, name: str) -> Any:
    """What follows a key of the whole, and only of the whole, is the rest of an object."""
    at, key = len(body), b'"%s"' % name.encode()
    for _ in range(_MOST_PLACES):
        at = body.rfind(key, len(body) - LARGE, at)
        if at < 0:
            break
        try:
            return json.loads(b"{" + body[at:])[name]
        except (ValueError, RecursionError, KeyError):
            continue
    return None
