"""A copy of an object in which other things stand in the place of its chat models.

Followed are the fields of runnables and tools, what functions hold (closures, defaults, partials,
the globals of a user's own module, and what they take from other modules of the user's),
collections, and the parts of graphs and middlewares. What
holds no chat model comes back as the very object that it was; nothing is changed in place. So state
that functions share (a `nonlocal`, a list) stays shared.

A user's own object (a node that is an object, the owner of a method) is not copied: a stand-in
shares its attributes; one that is frozen is copied, for it has no state to share. Objects of other
libraries, and those without a `__dict__`, are told instead, as is what a cached function makes.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections import deque
from collections.abc import Callable
from types import (
    CellType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
    SimpleNamespace,
)
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from agentrm_langchain.codes import globals_in, names_in, writes_globals
from agentrm_langchain.standin import (
    attributes_of,
    is_users_module,
    is_users_own,
    slots_of,
    stand_in_modules,
    standing_in,
)

__all__ = ["Rewriter"]

_NOTHING = object()
_CACHED = type(functools.cache(len))
_DEPTH = 40
"""Steps from the whole to a part. Guessed: agents of today are some 15 deep."""
_ITEMS = 10_000
"""A larger collection is data. Guessed."""
_OBJECTS = 1_000
"""Objects of a user's that are looked into; more than that are data. Guessed."""
_LIBRARIES = ("langchain", "langgraph", "langsmith", "openai", "anthropic", "pydantic", "agentrm_")
_OURS = ("langchain.agents.middleware.types", "AgentMiddleware")
_TASK = ("langgraph.func", "_TaskFunction")
_CLASS_LEVEL = (Runnable, dict, list, tuple, deque)
_HOLDERS = (dict, list, tuple, set, deque, MappingProxyType)


def _is_of(node: object, kind: tuple[str, str]) -> bool:
    """Whether it is of a class that may not be imported yet, and then it is not."""
    found = getattr(sys.modules.get(kind[0]), kind[1], None)
    return found is not None and isinstance(node, found)


class Globals(dict[str, Any]):
    """A module's globals with some names standing for something else; all others are live.

    The interpreter asks a subclass by `__getitem__`; what reads it as a plain dict (`eval`) sees
    how the module was.
    """

    def __init__(self, module: dict[str, Any], changes: dict[str, Any]) -> None:
        super().__init__({**module, **changes})
        self._module = module
        self._changes = changes

    def __getitem__(self, name: str) -> Any:
        return self._changes[name] if name in self._changes else self._module[name]


class Rewriter:
    """One pass over one object.

    Args:
        replace: Gives what stands in the place of a chat model (or the model itself), and is told
            where it was found. None for what is no model.
        tell: Told of each place that holds a chat model and could not be rewritten.
    """

    def __init__(
        self, replace: Callable[[Any, str], Any], tell: Callable[[str, object], None]
    ) -> None:
        self._replace = replace
        self._tell = tell
        self._done: dict[int, Any] = {}
        self._modules: dict[tuple[int, frozenset[str]], ModuleType] = {}
        self._own = 0  # objects of the user's that were looked into
        self._kept: list[Any] = []  # so that no other object gets the id of one in `_done`

    def visit(self, node: Any, path: str, depth: int = 0) -> Any:
        """The object, or a copy of it where it holds a chat model."""
        if isinstance(node, str | int | float | bytes | type(None) | type):
            return node
        key = id(node)
        if key in self._done:
            return self._done[key]
        self._done[key] = node  # in a circle it stands for itself
        self._kept.append(node)
        if depth < _DEPTH:
            self._done[key] = new = self._rewritten(node, path, depth + 1)
            return new
        return node

    def _rewritten(self, node: Any, path: str, depth: int) -> Any:
        replaced = self._replace(node, path)
        if replaced is not None:
            return replaced
        if isinstance(node, FunctionType | functools.partial | MethodType) or _is_cached(node):
            return self._callable(node, path, depth)
        if isinstance(node, _HOLDERS) and len(node) <= _ITEMS:
            return self._collection(node, path, depth)
        if type(node) is SimpleNamespace:
            parts = self.visit(vars(node), path, depth)
            return node if parts is vars(node) else SimpleNamespace(**parts)
        if isinstance(node, Runnable) and isinstance(node, BaseModel):
            return self._model(node, path, depth)
        frozen = _is_frozen(node) and is_users_module(type(node).__module__, _LIBRARIES)
        if isinstance(node, Runnable) or frozen or _is_of(node, _OURS) or _is_of(node, _TASK):
            return self._object(node, path, depth)
        if is_users_own(node, _LIBRARIES) and self._own < _OBJECTS:
            self._own += 1
            return self._users_own(node, path, depth)
        self._look(node, path)
        return node

    # -- objects of the frameworks ----------------------------------------------------------

    def _model(self, node: Any, path: str, depth: int) -> Any:
        parts = {name: getattr(node, name) for name in type(node).model_fields}
        private = getattr(node, "__pydantic_private__", None) or {}
        changes = self._changes(parts, path, depth)
        hidden = self._changes(private, path, depth)
        if not changes and not hidden:
            return node
        made = node.model_copy(update=changes)
        if hidden:
            object.__setattr__(made, "__pydantic_private__", {**private, **hidden})
        return made

    def _object(self, node: Any, path: str, depth: int) -> Any:
        parts = _parts_of(node)
        own = {name: value for name, value in parts.items() if _bound_to(value) is node}
        changes = self._changes({k: v for k, v in parts.items() if k not in own}, path, depth)
        if not changes:
            return node
        made = copy.copy(node)
        changes.update({name: _bound_anew(value, made) for name, value in own.items()})
        for name, value in changes.items():
            object.__setattr__(made, name, value)
        return made

    def _users_own(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, BaseModel):
            return self._model(node, path, depth)
        changes: dict[str, Any] = {}
        parts = attributes_of(node, _CLASS_LEVEL, _LIBRARIES)
        made = standing_in(node, changes, parts)
        if made is None:
            self._look(node, path)
            return node
        models = {name: part for name, part in parts.items() if isinstance(part, BaseChatModel)}
        changes.update(self._changes(models, path, depth))
        if changes:  # in a circle it is the stand-in: a graph of its own methods, held by itself
            self._done[id(node)] = made
        changes.update(self._changes(parts, path, depth))
        return made if changes else node

    def _changes(self, parts: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        changes = {}
        for name, old in parts.items():
            new = self.visit(old, f"{path}.{name}", depth)
            if new is not old:
                changes[name] = new
        return changes

    # -- functions --------------------------------------------------------------------------

    def _callable(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, FunctionType):
            return self._function(node, path, depth)
        if isinstance(node, functools.partial):
            return self._partial(node, path, depth)
        if isinstance(node, MethodType):
            return self._method(node, path, depth)
        function = self.visit(node.__wrapped__, path, depth)
        anew = functools.lru_cache(**node.cache_parameters())
        return node if function is node.__wrapped__ else anew(function)

    def _function(self, fn: FunctionType, path: str, depth: int) -> Any:
        path = f"{path}:{fn.__name__}"
        cells = tuple(
            self._cell(cell, f"{path}.{name}", depth)
            for name, cell in zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=True)
        )
        defaults = self.visit(fn.__defaults__, path, depth)
        keywords = self.visit(fn.__kwdefaults__, path, depth)
        wrapped = self.visit(getattr(fn, "__wrapped__", None), path, depth)
        names = self._globals(fn, path, depth)
        changed = any(new is not old for new, old in zip(cells, fn.__closure__ or (), strict=True))
        changed |= defaults is not fn.__defaults__ or keywords is not fn.__kwdefaults__
        if not changed and not names:
            return fn
        scope = Globals(fn.__globals__, names) if names else fn.__globals__
        made = FunctionType(fn.__code__, scope, fn.__name__, defaults, cells or None)
        made.__kwdefaults__ = keywords
        functools.update_wrapper(made, fn)
        made.__dict__.pop("__wrapped__", None)
        if wrapped is not None:
            made.__dict__["__wrapped__"] = wrapped
        return made

    def _cell(self, cell: CellType, path: str, depth: int) -> CellType:
        try:
            content = cell.cell_contents
        except ValueError:  # not filled yet
            return cell
        new = self.visit(content, path, depth)
        return cell if new is content else CellType(new)

    def _globals(self, fn: FunctionType, path: str, depth: int) -> dict[str, Any]:
        """What the globals that a user's function names are to stand for."""
        module = str(fn.__globals__.get("__name__", ""))
        if not is_users_module(module, _LIBRARIES):
            return {}
        found: dict[str, Any] = {}
        names = frozenset(names_in(fn.__code__))
        for name in sorted(globals_in(fn.__code__)):
            value = fn.__globals__.get(name)
            if isinstance(value, type):
                self._class(value, f"{path}.{name}")
            elif isinstance(value, ModuleType):
                if (new := self._module(value, names, f"{path}.{name}", depth)) is not value:
                    found[name] = new
            elif _may_hold(value):
                new = self.visit(value, f"{path}.{name}", depth)
                if new is not value:
                    found[name] = new
        if found and writes_globals(fn.__code__):
            for name in found:
                self._tell(f"{path}.{name}", fn.__globals__[name])
            return {}
        return found

    def _module(self, module: ModuleType, names: frozenset[str], path: str, depth: int) -> Any:
        """A user's module as a function sees it that takes something of these names from it."""
        if not is_users_module(module.__name__, _LIBRARIES):
            return module
        key = id(module), names
        if key not in self._modules:

            def changes(parts: dict[str, Any], where: str) -> dict[str, Any]:
                held = {name: part for name, part in parts.items() if _may_hold(part)}
                return self._changes(held, where, depth)

            found = stand_in_modules(module, names, path, changes, _LIBRARIES)
            self._modules.update({(one, names): new for one, new in found.items()})
        return self._modules[key]

    def _class(self, kind: type, path: str) -> None:
        """Tell of a model that the function makes itself, and of those that are a class's own."""
        if issubclass(kind, BaseChatModel):
            self._tell(f"{path}()", kind)
        elif is_users_module(kind.__module__, _LIBRARIES):
            for name, value in list(vars(kind).items()):
                if isinstance(value, BaseChatModel):
                    self._tell(f"{path}.{name}", value)

    def _partial(self, node: functools.partial[Any], path: str, depth: int) -> Any:
        func = self.visit(node.func, path, depth)
        args = self.visit(node.args, path, depth)
        keywords = self.visit(node.keywords, path, depth)
        if func is node.func and args is node.args and keywords is node.keywords:
            return node
        made = functools.partial(func, *args, **keywords)
        made.__dict__.update(node.__dict__)
        return made

    def _method(self, node: MethodType, path: str, depth: int) -> Any:
        if isinstance(node.__self__, type):
            self._class(node.__self__, path)
        owner = self.visit(node.__self__, path, depth)
        func = self.visit(node.__func__, path, depth)
        if owner is node.__self__ and func is node.__func__:
            return node
        return MethodType(func, owner)

    # -- collections, and what is left alone ------------------------------------------------

    def _collection(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, dict):
            new = {k: self.visit(v, f"{path}[{k!r:.40}]", depth) for k, v in node.items()}
            if all(new[k] is node[k] for k in node):
                return node
            if type(node) is dict:
                return new
            made = copy.copy(node)  # an ordered one, a default one
            made.update(new)
            return made
        if isinstance(node, MappingProxyType):
            mapping = dict(node)
            changed = self.visit(mapping, path, depth)
            return node if changed is mapping else MappingProxyType(changed)
        make = getattr(type(node), "_make", None)  # a named tuple's
        if type(node) not in {list, tuple, set, deque} and make is None:
            return node
        old = list(node)
        items = [self.visit(item, f"{path}[{at}]", depth) for at, item in enumerate(old)]
        if all(one is other for one, other in zip(items, old, strict=True)):
            return node
        if isinstance(node, deque):
            return deque(items, node.maxlen)
        return make(items) if make is not None else type(node)(items)

    def _look(self, node: object, path: str) -> None:
        """Tell of chat models among the attributes of an object that is not ours to copy."""
        for name, value in _parts_of(node).items():
            if isinstance(value, BaseChatModel):
                self._tell(f"{path}.{name}", value)


def _parts_of(node: object) -> dict[str, Any]:
    """The attributes of an object, those in slots as well."""
    parts = _asked(node, "__dict__", {})
    found = dict(parts) if isinstance(parts, dict) else {}
    for name in slots_of(type(node)):
        value = _asked(node, name, _NOTHING)
        if value is not _NOTHING:
            found[name] = value
    return found


def _asked(node: object, name: str, default: Any) -> Any:
    """An attribute of a foreign object, which may raise anything when it is asked."""
    try:
        return getattr(node, name, default)
    except Exception:  # noqa: BLE001 - a proxy outside of its request, settings that are not made
        return default


def _is_cached(node: object) -> bool:
    return isinstance(node, _CACHED) and isinstance(node.__wrapped__, FunctionType)


def _is_frozen(node: object) -> bool:
    params = getattr(type(node), "__dataclass_params__", None)
    return bool(getattr(params, "frozen", False))


def _may_hold(value: object) -> bool:
    """Whether a global of a user's module is one that is looked into."""
    kinds = (Runnable, dict, list, tuple, deque, MappingProxyType, SimpleNamespace)
    return (
        isinstance(value, kinds)
        or _is_cached(value)
        or _is_frozen(value)
        or is_users_own(value, _LIBRARIES)
    )


def _bound_to(value: Any) -> Any:
    """Whose method it is, also within a partial (as LangGraph makes of a sync function)."""
    if isinstance(value, functools.partial):
        for part in (value.func, *value.args):
            if isinstance(part, MethodType):
                return part.__self__
    return value.__self__ if isinstance(value, MethodType) else None


def _bound_anew(value: Any, owner: Any) -> Any:
    if isinstance(value, functools.partial):
        parts = [
            MethodType(part.__func__, owner) if isinstance(part, MethodType) else part
            for part in (value.func, *value.args)
        ]
        made = functools.partial(cast("Any", parts[0]), *parts[1:], **value.keywords)
        made.__dict__.update(value.__dict__)
        return made
    return MethodType(value.__func__, owner)
