"""A wait that stands in a field of a refusal's body, as the header that it might have been.

Law: the first field of such a name counts, outermost first, whatever it is wrapped in:
``retry_after``, ``retryAfterMs``, Google's ``RetryInfo.retryDelay``, ``resets_in_seconds``. A name
that ends in milliseconds is read as such. A header counts more, and is looked at before.

Limits: `MOST_NODES` objects of a body are looked at, and only where a wait may be named at all.

Sources: google.rpc.RetryInfo; OpenRouter's, FastAPI's and Django REST framework's bodies.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["HINT", "waits_of"]

MOST_NODES = 64
HINT = re.compile(rb"retry|wait|reset|cooldown|available", re.IGNORECASE)
"""What a body must hold, for it to be read for a wait at all."""
_NAME = re.compile(
    r"(?:retry|wait|resets?|cooldown|available)[-_ ]?(?:after|delay|time|in|at|for|until)?"
    r"[-_ ]?(?:in[-_ ]?)?(ms|millis|milliseconds|s|secs?|seconds)?",
    re.IGNORECASE,
)
_BARE = frozenset({"retry", "reset", "resets", "available"})  # these alone say whether, not when
_PLAIN = re.compile(r"[\w .:+-]{1,40}")


def waits_of(bodies: Iterable[Any]) -> dict[str, str]:
    """The header that says what these bodies do; empty if they say nothing."""
    left, seen = deque(bodies), 0
    while left and seen < MOST_NODES:
        node, seen = left.popleft(), seen + 1
        if isinstance(node, list | tuple):
            left.extend(node[:MOST_NODES])
            continue
        if not isinstance(node, Mapping):
            continue
        for name, value in node.items():
            if isinstance(value, Mapping | list | tuple):
                left.append(value)
            match = _NAME.fullmatch(name) if isinstance(name, str) else None
            if match is None or name.lower() in _BARE:
                continue
            text = _text(value)
            if text:
                unit = (match.group(1) or "").lower()
                return {"retry-after-ms" if unit.startswith("m") else "retry-after": text}
    return {}


def _text(value: Any) -> str:
    """A number, a duration or a moment as a header would say it; "" for anything else."""
    if isinstance(value, Mapping):  # protobuf's Duration
        value = value.get("seconds")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return ""
    text = str(value).strip()
    return text if any(map(str.isdigit, text)) and _PLAIN.fullmatch(text) else ""
