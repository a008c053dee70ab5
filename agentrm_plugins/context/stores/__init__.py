"""The cold tier's stores: every message word for word, found again by its words."""

from __future__ import annotations

from agentrm_plugins.context.stores.base import ColdStore, OwningStore, Row, SessionKey
from agentrm_plugins.context.stores.memory import MemoryStore
from agentrm_plugins.context.stores.sqlite import SqliteStore

__all__ = ["ColdStore", "MemoryStore", "OwningStore", "Row", "SessionKey", "SqliteStore"]
