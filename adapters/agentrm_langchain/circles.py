"""Things that lead back to themselves: a function that calls itself, objects that know each other.

In a circle a walk meets what it is still at work on, and does not know yet whether that will be
another. So it walks again: what became another is now met as what it became, and takes over at the
end what it has become this time.
"""

from __future__ import annotations

from collections import defaultdict, deque
from types import FunctionType
from typing import Any

from pydantic import BaseModel

from agentrm_langchain.functions import Globals, is_cached
from agentrm_langchain.unreached import parts_of

__all__ = ["moved"]

_PYDANTIC = ("__pydantic_private__", "__pydantic_extra__")


def moved(early: Any, new: Any, node: Any) -> Any:
    """The object that was met in circles with all that the new one is; the new one if that fails.

    Args:
        early: What stood for something in an earlier walk, and was met as that in this one.
        new: What stands for it by this walk.
        node: What both stand for.
    """
    try:
        return _moved(early, new, node)
    except Exception:  # noqa: BLE001 - a class that lets nobody set anything, a list's own `clear`
        return new


def _moved(early: Any, new: Any, node: Any) -> Any:
    if type(early) is not type(new) and not _same_shape(early, new):
        return new
    if is_cached(new):
        inner = early.__wrapped__, new.__wrapped__, node.__wrapped__
        if inner[0] is not inner[1] and _moved(*inner) is not inner[0]:
            return new
        early.__dict__.update({**new.__dict__, "__wrapped__": inner[0]})
        return early
    if isinstance(new, FunctionType):
        return early if _moved_function(early, new, node) else new
    if isinstance(new, dict | list | deque):
        _refill(early, new)
    elif isinstance(getattr(new, "__dict__", None), dict):
        names = _PYDANTIC if isinstance(new, BaseModel) else ()
        slots = parts_of(new).keys() - new.__dict__.keys()
        for name in ("__class__", "__dict__", *names, *slots):
            object.__setattr__(early, name, getattr(new, name, None))
    else:
        return new
    return early


def _refill(early: Any, new: Any) -> None:
    early.clear()
    if isinstance(new, dict):
        early.update(new)
    else:
        early.extend(new)
    if isinstance(new, defaultdict):
        early.default_factory = new.default_factory
    if hasattr(new, "__dict__"):
        vars(early).update(vars(new))


def _same_shape(early: Any, new: Any) -> bool:
    """Whether both are stand-ins for an object of one class."""
    return type(early).__mro__[1:] == type(new).__mro__[1:] and hasattr(new, "__dict__")


def _moved_function(early: FunctionType, new: FunctionType, node: FunctionType) -> bool:
    cells = list(zip(*(fn.__closure__ or () for fn in (node, early, new)), strict=True))
    if any((one is old) != (other is old) for old, one, other in cells):
        return False  # another cell is another now, and a function's cells cannot be exchanged
    known, scope = early.__globals__, new.__globals__
    if isinstance(known, Globals) != isinstance(scope, Globals):
        return False
    if isinstance(known, Globals) and isinstance(scope, Globals):
        known.changes.update(scope.changes)
        known.update(scope.changes)
    for old, one, other in cells:
        if one is not old:
            one.cell_contents = other.cell_contents
    early.__defaults__, early.__kwdefaults__ = new.__defaults__, new.__kwdefaults__
    early.__dict__.update(new.__dict__)
    return True
