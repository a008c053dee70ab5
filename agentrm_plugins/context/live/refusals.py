"""A store that refuses is an operator's matter: said in the log once, and once when it is over."""

from __future__ import annotations

import logging
import weakref
from typing import Any

from agentrm_plugins.errors import SessionBusy, StoreFenced
from agentrm_plugins.hosts.journal import JOURNAL

__all__ = ["note_refusal", "note_success"]

_REFUSING: weakref.WeakSet[Any] = weakref.WeakSet()
_NAME = "agentrm.context"


def note_refusal(store: Any, error: Exception) -> None:
    """A store did not take or give what it should; another owner's session is no refusal."""
    if isinstance(error, SessionBusy | StoreFenced):
        return
    try:
        if store in _REFUSING:
            return
        _REFUSING.add(store)
    except TypeError:  # one of a user's that cannot be a key
        return
    text = "the store %s refuses: %s; what it does not take stays in memory and is tried again"
    _tell(logging.WARNING, text, "store_refused", store, error)


def note_success(store: Any) -> None:
    """A store took what it was given."""
    if not _REFUSING:
        return
    try:
        _REFUSING.remove(store)
    except (KeyError, TypeError):
        return
    _tell(logging.INFO, "the store %s takes again", "store_works", store)


def _tell(level: int, text: str, event: str, store: Any, *values: object) -> None:
    kind = type(store).__name__
    shown = [kind, *map(str, values)]
    JOURNAL.tell(_NAME, level, text, *shown, extra={"agentrm_event": event, "agentrm_store": kind})
