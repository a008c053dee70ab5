"""What a large request asks, without reading all of it: ten megabytes hold an event loop up."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["LARGE", "at_the_ends"]

LARGE = 64_000  # bytes; guessed: less is read within a millisecond
_MOST_PLACES = 8
_MARK = re.compile(r"[ \t\r\n]*([{},:]?)[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def at_the_ends(body: bytes, name: str) -> Any:
    """What stands under a key of the whole near the begin or the end of a large body, else None.

    SDKs put the messages first or last, and what is small together.
    """
    found = _begin(body[:LARGE].decode("utf-8", "ignore"), name)
    return _end(body, name) if found is None else found


def _begin(head: str, name: str) -> Any:
    """Read key by key, up to the first value that does not end in this piece."""
    mark = _MARK.match(head)
    while mark is not None and mark[1] in {"{", ","}:
        try:
            key, at = _DECODER.raw_decode(head, mark.end())
            colon = _MARK.match(head, at)
            if colon is None or colon[1] != ":":
                return None
            value, at = _DECODER.raw_decode(head, colon.end())
        except (ValueError, RecursionError):
            return None
        mark = _MARK.match(head, at)
        if key == name and mark is not None and mark[1]:
            return value
    return None


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
