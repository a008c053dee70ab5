"""Encodings built before the first call, and never on an event loop.

To build one takes half a second of CPU. Where an event loop runs, a thread of its own builds it,
and what is counted there meanwhile is estimated; elsewhere it is built at once.
"""

from __future__ import annotations

import threading
from asyncio import _get_running_loop

from agentrm_plugins.counting.ranks import EncodingDataError, load_encoding

__all__ = ["is_ready", "warm_up"]

_LOCK = threading.Lock()
_ready: set[str] = set()
_begun: set[str] = set()


def is_ready(encoding: str) -> bool:
    """Whether it can be used here and now; elsewhere than on an event loop it always can."""
    if encoding in _ready:
        return True
    warm_up(encoding)
    return encoding in _ready


def warm_up(encoding: str) -> None:
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
    with _LOCK:  # whoever comes second waits for the first instead of building it again
        try:
            load_encoding(encoding)
        except EncodingDataError:
            return  # whoever counts gets the error, or an estimate
        finally:
            _ready.add(encoding)
