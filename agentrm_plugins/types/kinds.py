"""The word for each kind of event: in a recording, on the monitor's socket, on the command line.

A kind's word is its name, as Python writes the names of functions: `Effect` is the one list of
them.
"""

from __future__ import annotations

import re
from typing import get_args

from agentrm_plugins.types.effects import Effect

__all__ = ["KINDS", "kind_of"]

_WORDS: dict[type, str] = {
    kind: re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Effect)
}
KINDS: dict[str, type] = {word: kind for kind, word in _WORDS.items()}
"""Each kind of event by its word, such as "granted" or "breaker_changed"."""


def kind_of(effect: Effect) -> str:
    """The word for what happened, such as "granted".

    >>> from agentrm_plugins.types.effects import Boosted
    >>> kind_of(Boosted(1.0, 0, "", "dispatches"))
    'boosted'
    """
    return _WORDS[effect.__class__]
