"""Chat models that nothing can stand in for: found and told, never changed.

They are looked for in what is left as it is: classes of the user's, objects of other libraries,
slots, sets, iterators, context variables, weak references, a graph's schemas and store; and in the
code of functions that make a model while they run.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import (
    BuiltinMethodType,
    CodeType,
    FrameType,
    FunctionType,
    MethodType,
    ModuleType,
)
from typing import Any

from langchain_core.language_models import BaseChatModel

from agentrm_langchain.codes import globals_in, imports_in, names_in, texts_in
from agentrm_langchain.standin import is_users_module, slots_of
from agentrm_langchain.touchy import asked, is_a, is_kind, key_text
from agentrm_plugins import AgentRM

__all__ = ["Looker", "parts_of"]

_NOTHING = object()
_DEEP = 10
"""Steps from what is left alone to a model. Guessed: a class, its fields, one, its factory."""
_MOST = 5_000
"""Objects that one walk looks at. Guessed; more than that is data."""
_VALUES = (str, bytes, int, float, complex)
_STOP = (
    *_VALUES,
    *(type(None), ModuleType, FrameType, CodeType, AgentRM),
    *(logging.Logger, logging.Handler, threading.Thread, asyncio.AbstractEventLoop),
    *(asyncio.Future, BaseException),
)
_WORDS = {"__annotations__", "__annotate__", "__annotate_func__"}
_NAMED_IN_TEXTS = frozenset({"globals", "eval", "exec"})
_WORD = re.compile(r"[A-Za-z_]\w*")
_MAKER = re.compile(r"init_chat_model|(Azure)?Chat(?!Prompt|Message|Result|Generation)[A-Z]\w*")


class Looker:
    """Looks into what a walk leaves as it is.

    Args:
        tell: Told of each place where there is a chat model.
        libraries: Beginnings of the names of modules that are nobody's own.
    """

    def __init__(self, tell: Callable[[str, object], None], libraries: tuple[str, ...]) -> None:
        self._tell = tell
        self._libraries = libraries
        self._told: set[str] = set()
        self._seen: dict[int, Any] = {}  # kept, so that no other object gets the id of one

    def tell(self, path: str, model: object) -> None:
        """Tell of one place, once."""
        if path not in self._told:
            self._told.add(path)
            self._tell(path, model)

    def tell_of(self, node: object, path: str) -> None:
        """Tell of a chat model, or of those in another object."""
        if is_a(node, BaseChatModel):
            self.tell(path, node)
        else:
            self.look(node, path)

    def look(self, node: object, path: str) -> None:
        """Tell of the chat models in an object, which is not one itself."""
        if _stops(node):
            return
        todo = deque((part, f"{path}{name}", 1) for name, part in self._seen_in(node))
        while todo and len(self._seen) < _MOST:
            one, where, depth = todo.popleft()
            if is_a(one, BaseChatModel):
                self.tell(where, one)
            elif id(one) not in self._seen and not _stops(one) and depth < _DEEP:
                self._seen[id(one)] = one
                todo += [(part, f"{where}{name}", depth + 1) for name, part in self._seen_in(one)]

    def look_at_class(self, kind: type, path: str) -> None:
        """Tell of a model that a function can make, and of those that are a class's own."""
        if is_kind(kind, BaseChatModel):
            self.tell(f"{path}()", kind)
        elif id(kind) not in self._seen:
            self._seen[id(kind)] = kind
            self.look(kind, path)

    def look_at_code(self, fn: FunctionType, path: str) -> None:
        """Tell of models that a function makes, or takes, of what it imports while it runs."""
        for module, name in imports_in(fn.__code__, str(fn.__globals__.get("__package__") or "")):
            made: Any = getattr(sys.modules.get(module), name, None) if name else None
            if is_a(made, type) and is_kind(made, BaseChatModel):
                self.tell(f"{path}.{name}()", made)
            elif module.startswith("langchain") and _MAKER.fullmatch(name):
                self.tell(f"{path}.{name}()", BaseChatModel)  # it is not imported yet
            else:
                self._look_at_import(module, name, fn, path)
        cells = zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)
        held = {name: next(iter(gc.get_referents(cell)), None) for name, cell in cells}
        for name in globals_in(fn.__code__) | held.keys():
            value: Any = held.get(name, fn.__globals__.get(name))
            if is_a(value, FunctionType) and value.__name__ == "init_chat_model":
                self.tell(f"{path}.{name}()", BaseChatModel)

        if not _NAMED_IN_TEXTS.isdisjoint(globals_in(fn.__code__)):
            words = {word for text in texts_in(fn.__code__) for word in _WORD.findall(text)}
            for name in words & fn.__globals__.keys():
                if not is_a(fn.__globals__[name], type | ModuleType):
                    self.tell_of(fn.__globals__[name], f"{path}.{name}")

    def _look_at_import(self, module: str, name: str, fn: FunctionType, path: str) -> None:
        """What a function takes from a module of the user's that it imports while it runs."""
        found = sys.modules.get(f"{module}.{name}" if name else module) or sys.modules.get(module)
        if found is None or not is_users_module(found.__name__, self._libraries):
            return
        parts = vars(found)
        for taken in [name] if name in parts else names_in(fn.__code__) & parts.keys():
            if not is_a(parts[taken], ModuleType):
                self.tell_of(parts[taken], f"{path}.{found.__name__}.{taken}")

    def leave_out(self, node: object) -> None:
        """Say nothing of what an object holds: something stands in for it where it is used."""
        self._seen[id(node)] = node

    def _seen_in(self, node: Any) -> list[tuple[str, Any]]:
        """Its parts; what the garbage collector knows of where the object does not tell them."""
        try:
            return list(self._parts(node))
        except Exception:  # noqa: BLE001 - somebody's `__iter__`, a dead weak proxy
            return [("", one) for one in _held_by(node)]

    def _parts(self, node: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(node, Mapping):
            yield from _items(node)
            yield from ((f".{name}", part) for name, part in parts_of(node).items())
            if isinstance(node, defaultdict):
                yield ".default_factory", node.default_factory
        elif isinstance(node, list | tuple | set | frozenset | deque):
            yield from ((f"[{at}]", part) for at, part in enumerate(list(node)))
            yield from ((f".{name}", part) for name, part in parts_of(node).items())
        elif isinstance(node, FunctionType):
            yield from self._of_function(node)
        elif isinstance(node, type):
            if is_users_module(node.__module__, self._libraries):
                own = [one for one in vars(node).items() if one[0] not in _WORDS]
                yield from ((f".{name}", part) for name, part in own)
                yield "", type(node)  # `type` itself holds nothing
        elif isinstance(node, MethodType | BuiltinMethodType):
            yield "", getattr(node, "__func__", None)
            yield "", node.__self__
        elif isinstance(node, weakref.ref):
            yield "()", node()
        elif isinstance(node, ContextVar):
            with suppress(LookupError):
                yield ".get()", node.get()
        else:
            yield from _of_object(node)

    def _of_function(self, fn: FunctionType) -> Iterator[tuple[str, Any]]:
        path = f":{fn.__name__}"
        for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True):
            yield from ((f"{path}.{name}", part) for part in gc.get_referents(cell))
        yield path, fn.__defaults__
        yield path, fn.__kwdefaults__
        yield path, fn.__dict__
        if is_users_module(str(fn.__module__), self._libraries):
            for name in globals_in(fn.__code__):
                yield f"{path}.{name}", fn.__globals__.get(name)


def _stops(node: object) -> bool:
    """Whether it is data, or leads anywhere; a value with attributes is looked into."""
    return is_a(node, _STOP) and not (is_a(node, _VALUES) and asked(node, "__dict__", None))


def parts_of(node: object) -> dict[str, Any]:
    """The attributes of an object, those in slots as well."""
    parts = asked(node, "__dict__", {})
    found = dict(parts) if isinstance(parts, dict) else {}
    for name in slots_of(type(node)):
        value = asked(node, name, _NOTHING)
        if value is not _NOTHING:
            found[name] = value
    return found


def _of_object(node: object) -> Iterator[tuple[str, Any]]:
    parts = parts_of(node)
    yield from ((f".{name}", part) for name, part in parts.items())
    if not parts and type(node).__flags__ & _GC:  # an iterator, a descriptor, a generator
        yield from (("", one) for one in _held_by(node))


def _held_by(node: object) -> list[Any]:
    return [one for one in gc.get_referents(node) if not is_a(one, type)]


_GC = 1 << 14  # Py_TPFLAGS_HAVE_GC


def _items(node: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    try:
        return [(key_text(key), part) for key, part in node.items()]
    except Exception:  # noqa: BLE001 - somebody's mapping, which asks a server
        return [("", one) for one in _held_by(node)]
