"""Functions and methods in which other things stand in the place of chat models.

Followed is what a function holds: its closure, defaults, keywords and attributes, the globals of a
user's own module that it names, and what it takes from other modules of the user's. A function that
holds no chat model comes back as it is; the copy of another shares what it shares with others (a
`nonlocal`, a list).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import BuiltinMethodType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

from agentrm_langchain.codes import globals_in, names_in, writes_globals
from agentrm_langchain.standin import is_users_module, stand_in_modules
from agentrm_langchain.touchy import is_a
from agentrm_langchain.unreached import Looker

__all__ = ["DESCRIPTORS", "Functions", "Globals", "is_cached"]

_CACHED = type(functools.cache(len))
_KINDS = (FunctionType, functools.partial, functools.partialmethod, MethodType)
DESCRIPTORS = (
    *(staticmethod, classmethod, property),
    *(functools.cached_property, functools.singledispatchmethod),
)
_DISPATCH = functools.singledispatch(len).__code__  # type: ignore[attr-defined]
_NO_CODE = ("langgraph.graph.state",)
"""Modules whose functions hold nothing of the user's but the graph that they are a part of."""


class Globals(dict[str, Any]):
    """A module's globals with some names standing for something else; all others are live.

    The interpreter asks a subclass by `__getitem__`; what reads it as a plain dict (`eval`) sees
    how the module was.
    """

    def __init__(self, module: dict[str, Any], changes: dict[str, Any]) -> None:
        super().__init__({**module, **changes})
        self._module = module
        self.changes = changes

    def __getitem__(self, name: str) -> Any:
        return self.changes[name] if name in self.changes else self._module[name]


class Functions:
    """What is done with functions, for a walk through an object.

    Args:
        visit: Gives what stands in the place of a part, of which it is told the path and the depth.
        looker: Tells of what cannot be changed.
        may_hold: Whether a global of the user's is one that is looked into.
        libraries: Beginnings of the names of modules that are nobody's own.
    """

    def __init__(
        self,
        visit: Callable[[Any, str, int], Any],
        looker: Looker,
        may_hold: Callable[[object], bool],
        libraries: tuple[str, ...],
    ) -> None:
        self._visit = visit
        self._looker = looker
        self._may_hold = may_hold
        self._libraries = libraries
        self._modules: dict[tuple[int, frozenset[str]], ModuleType] = {}

    def begin(self) -> None:
        """Another walk begins, in which things may stand for others."""
        self._modules.clear()

    def takes(self, node: object) -> bool:
        """Whether it is something that is dealt with here."""
        return isinstance(node, (*_KINDS, *DESCRIPTORS)) or is_cached(node) or _is_bound(node)

    def rewritten(self, node: Any, path: str, depth: int) -> Any:
        """The function, or a copy of it."""
        if isinstance(node, FunctionType):
            if getattr(node, "__code__", None) is _DISPATCH:
                return self._dispatching(node, path, depth)
            return self._function(node, path, depth)
        if isinstance(node, functools.partial | functools.partialmethod):
            return self._partial(node, path, depth)
        if isinstance(node, MethodType):
            return self._method(node, path, depth)
        if isinstance(node, BuiltinMethodType):
            owner = self._visit(node.__self__, path, depth)
            return node if owner is node.__self__ else getattr(owner, node.__name__)
        if isinstance(node, DESCRIPTORS):
            return self._descriptor(node, path, depth)
        return self._cached(node, path, depth)

    def _function(self, fn: FunctionType, path: str, depth: int) -> Any:
        if fn.__module__ in _NO_CODE:
            return fn
        path = f"{path}:{fn.__name__}"
        cells = tuple(
            self._cell(cell, f"{path}.{name}", depth)
            for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)
        )
        defaults = self._visit(fn.__defaults__, path, depth)
        keywords = self._visit(fn.__kwdefaults__, path, depth)
        said = {name: self._visit(v, f"{path}.{name}", depth) for name, v in vars(fn).items()}
        names = self._globals(fn, path, depth)
        changed = any(new is not old for new, old in zip(cells, fn.__closure__ or (), strict=True))
        changed |= defaults is not fn.__defaults__ or keywords is not fn.__kwdefaults__
        changed |= any(said[name] is not old for name, old in vars(fn).items())
        if not changed and not names:
            return fn
        scope = Globals(fn.__globals__, names) if names else fn.__globals__
        made = FunctionType(fn.__code__, scope, fn.__name__, defaults, cells or None)
        made.__kwdefaults__ = keywords
        functools.update_wrapper(made, fn, updated=())
        made.__dict__.clear()
        made.__dict__.update(said)
        return made

    def _cell(self, cell: CellType, path: str, depth: int) -> CellType:
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        if is_a(content, type):
            self._looker.look_at_class(content, path)
            return cell
        new = self._visit(content, path, depth)
        return cell if new is content else CellType(new)

    def _dispatching(self, fn: Any, path: str, depth: int) -> Any:
        """A `singledispatch` function: its cache must not be shared with the copy's."""
        old = dict(fn.registry)
        new = {k: self._visit(one, f"{path}[{k.__name__}]", depth) for k, one in old.items()}
        if all(new[kind] is old[kind] for kind in old):
            return fn
        made = functools.singledispatch(new.pop(object))
        for kind, one in new.items():
            made.register(kind, one)
        return made

    def _globals(self, fn: FunctionType, path: str, depth: int) -> dict[str, Any]:
        """What the globals that a user's function names are to stand for."""
        module = str(fn.__globals__.get("__name__", ""))
        if not is_users_module(module, self._libraries):
            return {}
        found: dict[str, Any] = {}
        names = frozenset(names_in(fn.__code__))
        self._looker.look_at_code(fn, path)
        for name in sorted(globals_in(fn.__code__)):
            value: Any = fn.__globals__.get(name)
            if is_a(value, type):
                self._looker.look_at_class(value, f"{path}.{name}")
            elif is_a(value, ModuleType):
                if (new := self._module(value, names, f"{path}.{name}", depth)) is not value:
                    found[name] = new
            elif self._may_hold(value):
                new = self._visit(value, f"{path}.{name}", depth)
                if new is not value:
                    found[name] = new
        if found and writes_globals(fn.__code__):
            for name in found:
                self._looker.tell(f"{path}.{name}", fn.__globals__[name])
            return {}
        return found

    def _module(self, module: ModuleType, names: frozenset[str], path: str, depth: int) -> Any:
        """A user's module as a function sees it that takes something of these names from it."""
        if not is_users_module(module.__name__, self._libraries):
            return module
        key = id(module), names
        if key not in self._modules:

            def changes(parts: dict[str, Any], where: str) -> dict[str, Any]:
                for name, part in parts.items():
                    if is_a(part, type):
                        self._looker.look_at_class(part, f"{where}.{name}")
                held = {name: part for name, part in parts.items() if self._may_hold(part)}
                new = {n: self._visit(part, f"{where}.{n}", depth) for n, part in held.items()}
                return {name: new[name] for name in held if new[name] is not held[name]}

            found = stand_in_modules(module, names, path, changes, self._libraries)
            self._modules.update({(one, names): new for one, new in found.items()})
        return self._modules[key]

    def _partial(self, node: Any, path: str, depth: int) -> Any:
        if is_a(node.func, type):
            self._looker.look_at_class(node.func, path)
        func = self._visit(node.func, path, depth)
        args = self._visit(node.args, path, depth)
        keywords = self._visit(node.keywords, path, depth)
        if func is node.func and args is node.args and keywords is node.keywords:
            return node
        made = type(node)(func, *args, **keywords)
        if isinstance(node, functools.partial):
            made.__dict__.update(node.__dict__)
        return made

    def _method(self, node: MethodType, path: str, depth: int) -> Any:
        if isinstance(node.__self__, type):
            self._looker.look_at_class(node.__self__, path)
        owner = self._visit(node.__self__, path, depth)
        func = self._visit(node.__func__, path, depth)
        if owner is node.__self__ and func is node.__func__:
            return node
        return MethodType(func, owner)

    def _cached(self, node: Any, path: str, depth: int) -> Any:
        function = self._visit(node.__wrapped__, path, depth)
        own = {n: part for n, part in vars(node).items() if n != "__wrapped__"}
        said = {n: self._visit(part, f"{path}.{n}", depth) for n, part in own.items()}
        if function is node.__wrapped__ and all(said[n] is part for n, part in own.items()):
            return node
        made = functools.lru_cache(**node.cache_parameters())(function)
        made.__dict__.update(said)
        return made

    def _descriptor(self, node: Any, path: str, depth: int) -> Any:
        """A property, a static or a class method of a user's class."""
        if isinstance(node, property):
            old = node.fget, node.fset, node.fdel
            get, put, drop = (self._visit(one, path, depth) for one in old)
            same = get is old[0] and put is old[1] and drop is old[2]
            return node if same else property(get, put, drop, node.__doc__)
        if isinstance(node, functools.cached_property):
            func = self._visit(node.func, path, depth)
            if func is node.func:
                return node
            made = functools.cached_property(func)
            made.attrname = node.attrname
            return made
        if isinstance(node, functools.singledispatchmethod):
            dispatcher = self._visit(node.dispatcher, path, depth)
            if dispatcher is node.dispatcher:
                return node
            again = functools.singledispatchmethod(node.func)
            again.dispatcher = dispatcher
            return again
        func = self._visit(node.__func__, path, depth)
        return node if func is node.__func__ else type(node)(func)


def is_cached(node: object) -> bool:
    """Whether it is a function of Python's own cache."""
    return isinstance(node, _CACHED) and isinstance(node.__wrapped__, FunctionType)


def _is_bound(node: object) -> bool:
    """Whether it is a method of a collection, such as ``models.get``."""
    return isinstance(node, BuiltinMethodType) and isinstance(node.__self__, dict | list)
