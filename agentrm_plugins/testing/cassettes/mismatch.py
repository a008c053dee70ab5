"""What differs between a request and the recordings, told in a few lines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import SequenceMatcher, unified_diff
from typing import Any
from agentrm_plugins.types.plain import parsed

__all__ = ["difference", "explain"]

_MOST_DIFFERENCES, _MOST_LINES, _MOST_CHARS = 4, 12, 160


def explain(asked: Any, recorded: list[Any], played: list[bool], path: str) -> str:
    """Say why no recording fits.

    Args:
        asked: The request, scrubbed: an object with `method`, `path`, `query` and `body`.
        recorded: The recorded requests, in order.
        played: Of each, whether it was played already.
        path: The cassette's file, for the message.
    """
    head = f"{path}: no recording fits the request {asked.method} {asked.path}"
    left = [number for number, done in enumerate(played) if not done]
    again = "Record it again if the change is meant."
    if not left:
        return f"{head}\nAll {len(recorded)} recordings were played already. {again}"
    nearest = max(left, key=lambda number: (_likeness(asked, recorded[number]), -number))
    found = list(difference(recorded[nearest], asked))
    lines = [f"{head}\nThe nearest is recording {nearest + 1} of {len(recorded)}; what differs:"]
    lines += found[:_MOST_DIFFERENCES]
    if len(found) > _MOST_DIFFERENCES:
        lines.append(f"... and {len(found) - _MOST_DIFFERENCES} more")
    return "\n".join([*lines, f"(- as recorded, + as asked now) {again}"])


def difference(recorded: Any, asked: Any) -> Iterator[str]:
    """What differs between two requests, one entry for each place."""
    for name in ("method", "path", "query"):
        old, new = getattr(recorded, name), getattr(asked, name)
        if old != new:
            yield f"{name}:\n- {_short(old)}\n+ {_short(new)}"
    yield from _differences(_data(recorded), _data(asked), "")


def _data(request: Any) -> Any:
    body = request.body
    try:
        return parsed(body) if body else None
    except ValueError:
        return body if isinstance(body, str) else bytes(body).decode("utf-8", "replace")


def _likeness(asked: Any, recorded: Any) -> float:
    if asked.path != recorded.path:
        return -1.0
    old, new = (json.dumps(_data(one), sort_keys=True)[-4000:] for one in (recorded, asked))
    return SequenceMatcher(None, old, new, autojunk=False).quick_ratio()


def _differences(old: Any, new: Any, where: str) -> Iterator[str]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            at = f"{where}.{key}" if where else str(key)
            if key not in old:
                yield f"{at}: not in the recording\n+ {_short(new[key])}"
            elif key not in new:
                yield f"{at}: no longer sent\n- {_short(old[key])}"
            else:
                yield from _differences(old[key], new[key], at)
        return
    if isinstance(old, list) and isinstance(new, list):
        for number in range(min(len(old), len(new))):
            yield from _differences(old[number], new[number], f"{where}[{number}]")
        for number in range(len(new), len(old)):
            yield f"{where}[{number}]: no longer sent\n- {_short(old[number])}"
        for number in range(len(old), len(new)):
            yield f"{where}[{number}]: not in the recording\n+ {_short(new[number])}"
        return
    yield f"{where or 'body'}:\n{_lines(old, new)}"


def _lines(old: Any, new: Any) -> str:
    if not isinstance(old, str) or not isinstance(new, str):
        return f"- {_short(old)}\n+ {_short(new)}"
    if "\n" not in old and "\n" not in new:
        return f"- {_around(old, new)}\n+ {_around(new, old)}"
    told = list(unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1))[2:]
    return "\n".join(line[:_MOST_CHARS] for line in told[:_MOST_LINES])


def _around(text: str, other: str) -> str:
    """The part of a line around the first difference."""
    same = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), None)
    start = max(0, (min(len(text), len(other)) if same is None else same) - _MOST_CHARS // 3)
    shown = text[start : start + _MOST_CHARS]
    return ("..." if start else "") + shown + ("..." if start + _MOST_CHARS < len(text) else "")


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST_CHARS else text[:_MOST_CHARS] + "..."
