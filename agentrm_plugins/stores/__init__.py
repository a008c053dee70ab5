"""The cold tier's stores: every message word for word, found again by its words."""

from __future__ import annotations

from agentrm_plugins.stores.base import ColdStore, Row, SessionKey
from agentrm_plugins.stores.memory import MemoryStore
from agentrm_plugins.stores.sqlite import SqliteStore

__all__ = ["ColdStore", "MemoryStore", "Row", "SessionKey", "SqliteStore"]
