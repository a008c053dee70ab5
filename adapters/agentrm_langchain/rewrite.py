"""A copy of an object in which other things stand in the place of its chat models.

Followed are the fields of runnables and tools, functions (see `agentrm_langchain.functions`),
collections, and the parts of graphs and middlewares. What holds no chat model comes back as the
very object that it was; nothing is changed in place. So state that functions share (a `nonlocal`, a
list) stays shared.

A user's own object (a node that is an object, the owner of a method) is not copied: a stand-in
shares its attributes; one that is frozen is copied, for it has no state to share. Objects of other
libraries, and those without a `__dict__`, are told instead, as is what a cached function makes
(see `agentrm_langchain.unreached`).
"""

from __future__ import annotations

import copy
import functools
import logging
import sys
from collections import ChainMap, UserDict, UserList, defaultdict, deque
from collections.abc import Callable
from types import FunctionType, MappingProxyType, MethodType, ModuleType, SimpleNamespace
from typing import Any, cast

from langchain_core.runnables import Runnable
from pydantic import BaseModel

from agentrm_langchain.circles import moved
from agentrm_langchain.functions import DESCRIPTORS, Functions
from agentrm_langchain.standin import (
    attributes_of,
    descriptors_of,
    hidden_methods,
    is_users_module,
    is_users_own,
    methods_of,
    on_its_class,
    sharing,
    standing_in,
)
from agentrm_langchain.touchy import is_a, key_text
from agentrm_langchain.unreached import Looker, parts_of
from agentrm_plugins import AgentRMError

__all__ = ["Rewriter"]

_LOG = logging.getLogger("agentrm.langchain")

_DEPTH = 60
"""Steps from the whole to a part. Guessed: agents of today are some 15 deep."""
_ITEMS = 10_000
"""A larger collection is data. Guessed."""
_OBJECTS = 1_000
"""Objects of a user's that are looked into; more than that are data. Guessed."""
_WALKS = 8
"""Walks for what is in circles. Guessed: most take two, circles in circles three."""
_LIBRARIES = ("langchain", "langgraph", "langsmith", "openai", "anthropic", "pydantic", "agentrm_")
_PARTS = (
    ("langchain.agents.middleware.types", "AgentMiddleware"),
    ("langgraph.func", "_TaskFunction"),
    ("langgraph.types", "CachePolicy"),
    ("langgraph.channels.base", "BaseChannel"),
    ("langgraph.pregel._read", "PregelNode"),
    ("langgraph.graph.state", "StateNodeSpec"),
    ("langgraph.graph.state", "_NodeDefaults"),
)
"""Classes of the frameworks that are no runnables, and whose objects are copied."""
_MADE_OF_IT = frozenset({"node", "flat_writers", "input_cache_key"})  # of a node of a graph
_CLASS_LEVEL = (Runnable, dict, list, tuple, deque)
_WITHIN = {UserDict: "data", UserList: "data", ChainMap: "maps"}
_HOLDERS = (dict, list, tuple, set, frozenset, deque, MappingProxyType, *_WITHIN)
_STATE = ("__dict__", "__pydantic_private__", "__pydantic_fields_set__", "__pydantic_extra__")
_IMMUTABLE = (
    tuple,
    MethodType,
    functools.partial,
    *DESCRIPTORS,
)  # no circle without something else in it


def _is_part(node: object) -> bool:
    """Whether it is of a class that may not be imported yet, and then it is not."""
    kinds = (getattr(sys.modules.get(module), name, None) for module, name in _PARTS)
    return any(kind is not None and isinstance(node, kind) for kind in kinds)


class Rewriter:
    """Walks through one object.

    Args:
        replace: Gives what stands in the place of a chat model (or the model itself), and is told
            where it was found. None for what is no model. For the same model it gives the same.
        tell: Told of each place that holds a chat model and could not be rewritten.
    """

    def __init__(
        self, replace: Callable[[Any, str], Any], tell: Callable[[str, object], None]
    ) -> None:
        self._replace = replace
        self.looker = Looker(tell, _LIBRARIES)
        self._functions = Functions(self.visit, self.looker, _may_hold, _LIBRARIES)
        self._done: dict[int, Any] = {}
        self._early: dict[int, Any] = {}  # what stood for it after the walk before
        self._open: set[int] = set()  # at work on
        self._met: set[int] = set()  # met again meanwhile
        self._own = 0  # objects of the user's that were looked into
        self._kept: list[Any] = []  # so that no other object gets the id of one in `_done`

    def rewritten(self, node: Any, path: str) -> Any:
        """The object, or a copy of it where it holds a chat model."""
        new = node
        for _ in range(_WALKS):
            self._done, self._own = {}, 0
            self._met.clear()
            self._functions.begin()
            new = self.visit(node, path)
            late = {key: self._done[key] for key in self._met}
            late = {k: new for k, new in late.items() if self._became(k) is not new}
            if not late:
                break
            self._early.update(late)
        return new

    def visit(self, node: Any, path: str, depth: int = 0) -> Any:
        """What stands for one part in this walk: the part itself where it cannot be rebuilt."""
        try:
            return self._visited(node, path, depth)
        except AgentRMError:
            raise  # another core manages a model in it, ours is closed
        except Exception:  # noqa: BLE001 - somebody's `__setattr__`, `__reduce__`, `__class__`
            _LOG.debug("left as it is: %s", path, exc_info=True)
            self._open.discard(id(node))
            self._done[id(node)] = node
            self._kept.append(node)
            self.looker.tell_of(node, path)
            return node

    def _visited(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, str | int | float | bytes | type(None) | type):
            if not isinstance(node, type) and getattr(node, "__dict__", None):
                self.looker.look(node, path)  # a value with attributes: a member of an `IntEnum`
            return node
        key = id(node)
        if key in self._done:
            if key in self._open:
                self._met.add(key)
            return self._done[key]
        if depth >= _DEPTH:
            return node
        self._kept.append(node)
        early = self._early.get(key)
        if not isinstance(node, _IMMUTABLE):
            self._done[key] = node if early is None else early  # in a circle
            self._open.add(key)
        new = self._one(node, path, depth + 1)
        self._open.discard(key)
        if early is not None and new is not node:
            new = moved(early, new, node)
        self._done[key] = new
        return new

    def _became(self, key: int) -> Any:
        """As what something was met in a circle."""
        if key in self._early:
            return self._early[key]
        return next(node for node in self._kept if id(node) == key)

    def _one(self, node: Any, path: str, depth: int) -> Any:
        replaced = self._replace(node, path)
        if replaced is not None:
            return replaced
        if self._functions.takes(node):
            return self._functions.rewritten(node, path, depth)
        if isinstance(node, _HOLDERS) and len(node) <= _ITEMS:
            return self._collection(node, path, depth)
        if type(node) is SimpleNamespace:
            parts = self.visit(vars(node), path, depth)
            return node if parts is vars(node) else SimpleNamespace(**parts)
        if isinstance(node, Runnable) and isinstance(node, BaseModel):
            return self._model(node, path, depth)
        frozen = _is_frozen(node) and is_users_module(type(node).__module__, _LIBRARIES)
        if isinstance(node, Runnable) or frozen or _is_part(node):
            return self._object(node, path, depth)
        if is_users_own(node, _LIBRARIES) and self._own < _OBJECTS:
            self._own += 1
            return self._users_own(node, path, depth)
        self.looker.look(node, path)
        return node

    # -- objects ----------------------------------------------------------------------------

    def _model(self, node: Any, path: str, depth: int) -> Any:
        parts = {name: getattr(node, name) for name in type(node).model_fields}
        changes = self._changes(parts, path, depth)
        hidden = {
            name: self._changes(getattr(node, name, None) or {}, path, depth)
            for name in ("__pydantic_private__", "__pydantic_extra__")
        }
        methods = self._methods(node, path, depth)
        if not changes and not methods and not any(hidden.values()):
            return node
        if not isinstance(node, Runnable):
            for found in hidden.values():
                changes |= found
            return sharing(node, changes, methods, _STATE)
        made: Any = node.model_copy(update=changes)  # type: ignore[attr-defined]
        for name, found in hidden.items():
            if found:
                object.__setattr__(made, name, {**getattr(node, name), **found})
        return on_its_class(made, methods, node, equal=False)

    def _object(self, node: Any, path: str, depth: int) -> Any:
        parts = parts_of(node)
        if hasattr(type(node), "flat_writers"):
            parts = {name: value for name, value in parts.items() if name not in _MADE_OF_IT}
        own = {name: value for name, value in parts.items() if _bound_to(value) is node}
        changes = self._changes({k: v for k, v in parts.items() if k not in own}, path, depth)
        methods = self._methods(node, path, depth)
        if not changes and not methods:
            return node
        made = on_its_class(copy.copy(node), methods, node, equal=_is_frozen(node))
        if hasattr(type(node), "flat_writers"):
            for name in _MADE_OF_IT & vars(made).keys():
                del vars(made)[name]
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
            self.looker.look(node, path)
            self.looker.look_at_class(type(node), path)
            return node
        changes.update(self._changes(parts, path, depth))
        methods = self._methods(node, path, depth)
        return on_its_class(made, methods) if changes or methods else node

    def _methods(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        """What its class is to have in the place of methods."""
        for name, method in hidden_methods(type(node), _LIBRARIES).items():
            self.looker.look(method, f"{path}.{name}")
        for name, part in descriptors_of(type(node), _LIBRARIES).items():
            self.looker.look(part, f"{path}.{name}")
            self.looker.look_at_class(type(part), f"{path}.{name}")
        own = parts_of(node)
        methods = methods_of(type(node), _LIBRARIES)
        return self._changes({k: v for k, v in methods.items() if k not in own}, path, depth)

    def _changes(self, parts: dict[str, Any], path: str, depth: int) -> dict[str, Any]:
        changes = {}
        for name, old in parts.items():
            new = self.visit(old, f"{path}.{name}", depth)
            if new is not old:
                changes[name] = new
        return changes

    # -- collections ------------------------------------------------------------------------

    def _collection(self, node: Any, path: str, depth: int) -> Any:
        if isinstance(node, set | frozenset):
            self.looker.look(node, path)  # what stands for a model has another hash
            return node
        within = next((name for kind, name in _WITHIN.items() if isinstance(node, kind)), None)
        if within is not None:
            return self._around(node, within, path, depth)
        if isinstance(node, dict):
            return self._mapping(node, path, depth)
        if isinstance(node, MappingProxyType):
            mapping = dict(node)
            changed = self.visit(mapping, path, depth)
            return node if changed is mapping else MappingProxyType(changed)
        return self._sequence(node, path, depth)

    def _around(self, node: Any, name: str, path: str, depth: int) -> Any:
        """A collection that keeps another one under this name."""
        old, own = vars(node)[name], self._own_attributes(node, path, depth)
        new = self.visit(old, path, depth)
        if new is old and not own:
            return node
        made = copy.copy(node)
        vars(made).update({**own, name: new})
        return made

    def _sequence(self, node: Any, path: str, depth: int) -> Any:
        own = self._own_attributes(node, path, depth)
        old = list(node)
        items = [self.visit(item, f"{path}[{at}]", depth) for at, item in enumerate(old)]
        if not own and all(one is other for one, other in zip(items, old, strict=True)):
            return node
        make = getattr(type(node), "_make", None)  # a named tuple's
        if make is not None:
            return make(items)
        if isinstance(node, deque | list):
            copied = copy.copy(node)
            copied.clear()
            copied.extend(items)
            if own:
                vars(copied).update(own)
            return copied
        if type(node) is tuple:
            return tuple(items)
        self.looker.look(node, path)
        return node

    def _mapping(self, node: dict[Any, Any], path: str, depth: int) -> Any:
        old = list(node.items())
        new = {k: self.visit(v, f"{path}{key_text(k)}", depth) for k, v in old}
        same = all(new[k] is v for k, v in old)
        if type(node) is dict:
            return node if same else new
        factory = self._factory(node, path, depth)
        own = self._own_attributes(node, path, depth)
        if same and factory is None and not own:
            return node
        made: Any = copy.copy(node)  # an ordered one, a default one
        made.update(new)
        if factory is not None:
            made.default_factory = factory
        if own:
            vars(made).update(own)
        return made

    def _own_attributes(self, node: Any, path: str, depth: int) -> dict[str, Any]:
        """What the attributes of a collection of a user's class stand for, beside its items."""
        if not is_users_own(node, _LIBRARIES):
            for name, part in parts_of(node).items():
                self.looker.tell_of(part, f"{path}.{name}")
            return {}
        kind, own = type(node), vars(node)
        for name, part in methods_of(kind, _LIBRARIES).items():
            self.looker.look(part, f"{path}.{name}")
        for name, part in attributes_of(node, _CLASS_LEVEL, _LIBRARIES).items():
            if name not in own:
                self.looker.tell_of(part, f"{path}.{name}")
        return self._changes(own, path, depth)

    def _factory(self, node: dict[Any, Any], path: str, depth: int) -> Any:
        """What makes the values of a default dict from now on; None where that stays."""
        if not isinstance(node, defaultdict):
            return None
        old, where = node.default_factory, f"{path}.default_factory"
        if isinstance(old, type):
            self.looker.look_at_class(old, where)
        new = self.visit(old, where, depth)
        return None if new is old else new


def _is_frozen(node: object) -> bool:
    params = getattr(type(node), "__dataclass_params__", None)
    return bool(getattr(params, "frozen", False))


def _may_hold(value: object) -> bool:
    """Whether a global of a user's module is one that is looked into: no function of a library."""
    if is_a(value, FunctionType):
        return is_users_own(value, _LIBRARIES)
    return not is_a(value, type | ModuleType)


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
