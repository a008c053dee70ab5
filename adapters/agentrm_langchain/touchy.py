"""What is asked of objects that may raise anything when they are asked.

A walk through somebody's objects meets dead weak proxies, settings that are not made yet, and
classes whose `__class__`, `__repr__` or `__getattr__` raise. None of that is a reason to fail.
"""

from __future__ import annotations

from typing import Any

__all__ = ["asked", "is_a", "is_kind", "key_text"]


def asked(node: object, name: str, default: Any) -> Any:
    """An attribute of a foreign object; the default where it has none or raises."""
    try:
        return getattr(node, name, default)
    except Exception:  # noqa: BLE001 - a proxy outside of its request, settings that are not made
        return default


def is_a(node: object, kinds: Any) -> bool:
    """Whether it is an instance of one of these; not where it cannot say so."""
    try:
        return isinstance(node, kinds)
    except Exception:  # noqa: BLE001 - a dead weak proxy, somebody's `__class__`
        return False


def is_kind(kind: type, base: type) -> bool:
    """Whether it is a class of these; not where its metaclass cannot say so."""
    try:
        return issubclass(kind, base)
    except Exception:  # noqa: BLE001 - somebody's `__subclasscheck__`
        return False


def key_text(key: object) -> str:
    """A mapping's key as a path shows it."""
    try:
        return f"[{key!r:.40}]"
    except Exception:  # noqa: BLE001 - somebody's `__repr__`
        return f"[{type(key).__name__}]"
