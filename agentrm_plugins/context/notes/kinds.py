"""Kinds of values that may stand for each other."""

from __future__ import annotations

__all__ = ["CLASS"]

CLASS = {
    "ident": "exact", "uuid": "exact", "code": "exact", "path": "exact", "number": "exact",
    "ip": "exact", "money": "exact", "quoted": "exact", "url": "url", "email": "email",
    "date": "date", "time": "date", "name": "name",
}  # fmt: skip
"""Kinds that may stand for each other: an id may look like a number once and like a path later."""
