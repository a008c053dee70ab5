"""What a large request asks, without reading all of it: ten megabytes hold an event loop up."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["LARGE", "model_behind"]

LARGE = 64_000  # bytes; guessed: less is read within a millisecond


def model_behind(body: bytes) -> Any:
    """What stands as the model near the end of a large body, where SDKs put it; None: not there.

    What follows a key of the whole, and only of the whole, is the rest of an object.
    """
    at = len(body)
    for _ in range(8):
        at = body.rfind(b'"model"', len(body) - LARGE, at)
        if at < 0:
            break
        try:
            return json.loads(b"{" + body[at:])["model"]
        except (ValueError, RecursionError, KeyError):
            continue
    return None
