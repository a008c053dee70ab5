"""A user's own object, seen with other models in some of its attributes.

A node is often an object: `class Assistant` with `self.llm` and `__call__`, or a method of one. A
copy of such an object would have counters, caches and locks of its own, and they would drift apart.
So the stand-in has the very attributes of the original (one `__dict__`, not two): what one of them
writes, the other reads. Only a name that held a bare model reads as the managed one, for as long as
the object holds that model there.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from functools import cached_property, partialmethod, singledispatchmethod
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import Any

from pydantic import BaseModel

from agentrm_langchain.touchy import asked, is_a

__all__ = [
    "StandInModule",
    "attributes_of",
    "descriptors_of",
    "hidden_methods",
    "is_users_module",
    "is_users_own",
    "methods_of",
    "on_its_class",
    "sharing",
    "slots_of",
    "stand_in_modules",
    "standing_in",
]

_METHODS = (
    *(FunctionType, staticmethod, classmethod, property),
    *(partialmethod, singledispatchmethod, cached_property),
)
_CALLED = {
    *("__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__", "__next__"),
    *("__getitem__", "__getattr__", "__aiter__", "__anext__", "__await__", "__or__", "__ror__"),
}
_WITHIN = ("fget", "__func__", "func")
_PYTHON = sys.stdlib_module_names - {"__main__"}


class StandInModule(ModuleType):
    """A module with some names standing for something else; all others are live, and set on it."""

    def __init__(self, module: ModuleType, changes: dict[str, Any]) -> None:
        super().__init__(module.__name__)
        vars(self).clear()
        vars(self).update(changes, _agentrm_module=module)

    def __getattr__(self, name: str) -> Any:
        """Of the module itself."""
        return getattr(vars(self)["_agentrm_module"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        """On the module itself, where everybody sees it."""
        vars(self).pop(name, None)
        setattr(vars(self)["_agentrm_module"], name, value)

    def __delattr__(self, name: str) -> None:
        """From the module itself."""
        vars(self).pop(name, None)
        delattr(vars(self)["_agentrm_module"], name)

    def __dir__(self) -> list[str]:
        """The module's names."""
        return dir(vars(self)["_agentrm_module"])


def stand_in_modules(
    first: ModuleType,
    names: frozenset[str],
    path: str,
    changes_of: Callable[[dict[str, Any], str], dict[str, Any]],
    libraries: tuple[str, ...],
) -> dict[int, ModuleType]:
    """What the user's modules that are reached from the first one stand for, by their ids.

    A module is another if one of its parts is, or a module that it reaches: in circles too, each
    is looked at once.

    Args:
        first: Where the search begins.
        names: What may be taken from a module.
        path: How the first one was reached.
        changes_of: What of a module's parts (at that path) stands for something else.
        libraries: Beginnings of the names of modules that are nobody's own.
    """
    reached: dict[int, tuple[ModuleType, dict[str, Any], dict[str, ModuleType]]] = {}
    todo = [(first, path)]
    while todo:
        module, where = todo.pop()
        if id(module) in reached:
            continue
        parts = {name: vars(module)[name] for name in sorted(names) if name in vars(module)}
        inner = {
            name: part
            for name, part in parts.items()
            if is_a(part, ModuleType) and is_users_module(part.__name__, libraries)
        }
        reached[id(module)] = module, changes_of(parts, where), inner
        todo += [(part, f"{where}.{name}") for name, part in inner.items()]
    made = {
        key: StandInModule(module, changes)
        for key, (module, changes, _) in reached.items()
        if changes
    }
    grows = bool(made)
    while grows:
        grows = False
        for key, (module, _, inner) in reached.items():
            if key not in made and any(id(part) in made for part in inner.values()):
                made[key] = StandInModule(module, {})
                grows = True
    for key, stand_in in made.items():
        inner = reached[key][2]
        vars(stand_in).update({n: made[id(m)] for n, m in inner.items() if id(m) in made})
    return {key: made.get(key, module) for key, (module, *_) in reached.items()}


class _Quiet:
    """First among the bases, so that a class that registers its subclasses hears of none."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        pass


def slots_of(kind: type) -> list[str]:
    """The attributes of its instances that are outside their `__dict__`."""
    found: list[str] = []
    for one in kind.__mro__:
        slots = one.__dict__.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            found.append(f"_{one.__name__.lstrip('_')}{name}" if private else name)
    return [name for name in found if name not in {"__dict__", "__weakref__"}]


def is_users_module(name: str, libraries: tuple[str, ...]) -> bool:
    """Whether a module is a user's: not Python's, not one of these, nothing that pip installed."""
    if name.startswith(libraries) or name.partition(".")[0] in _PYTHON:
        return False
    file = str(getattr(sys.modules.get(name), "__file__", None) or "")
    return not {"site-packages", "dist-packages"} & set(PurePath(file).parts)


def is_users_own(node: Any, libraries: tuple[str, ...]) -> bool:
    """Whether it is a function of a user's module, or an instance of a class of one."""
    if is_a(node, FunctionType):
        return is_users_module(str(node.__module__), libraries)
    if is_a(node, type | ModuleType) or not isinstance(asked(node, "__dict__", None), dict):
        return False
    return is_users_module(str(type(node).__module__), libraries)


def attributes_of(node: Any, kinds: tuple[type, ...], libraries: tuple[str, ...]) -> dict[str, Any]:
    """The attributes of a user's object, and those of these kinds that its classes have."""
    found: dict[str, Any] = {}
    for kind in reversed(type(node).__mro__):
        if is_users_module(kind.__module__, libraries):
            own = {name: part for name, part in vars(kind).items() if is_a(part, kinds)}
            found.update({name: part for name, part in own.items() if not name.startswith("__")})
    return {**found, **node.__dict__}


def methods_of(kind: type, libraries: tuple[str, ...]) -> dict[str, Any]:
    """The functions, properties and the like that a class has from classes of the user's."""
    found: dict[str, Any] = {}
    for one in reversed(kind.__mro__):
        if not is_users_module(one.__module__, libraries):
            found = {name: part for name, part in found.items() if name not in vars(one)}
            continue
        for name, part in list(vars(one).items()):
            called = not name.startswith("__") or name in _CALLED
            if called and is_a(part, _METHODS):
                found[name] = part
            else:
                found.pop(name, None)
    return found


def descriptors_of(kind: type, libraries: tuple[str, ...]) -> dict[str, Any]:
    """What a class of the user's has that gives its attributes by code of the user's own."""
    return {
        name: part
        for one in kind.__mro__
        if is_users_module(one.__module__, libraries)
        for name, part in vars(one).items()
        if hasattr(type(part), "__get__") and is_users_module(type(part).__module__, libraries)
    }


def hidden_methods(kind: type, libraries: tuple[str, ...]) -> dict[str, Any]:
    """The functions of bases that are reached by `super()` alone, by ``Base.name``."""
    bases = [one for one in kind.__mro__ if is_users_module(one.__module__, libraries)]
    own = [part for one in bases for part in vars(one).values() if is_a(part, _METHODS)]
    if not any("super" in names for names in map(_names_of, own)):
        return {}
    seen: set[str] = set()
    found: dict[str, Any] = {}
    for base in bases:
        parts = {n: part for n, part in vars(base).items() if is_a(part, _METHODS)}
        found |= {f"{base.__name__}.{n}": part for n, part in parts.items() if n in seen}
        seen |= parts.keys()
    return found


def _names_of(method: Any) -> tuple[str, ...]:
    """What the code of a function, a property, a static or a class method names."""
    found = next(
        (one for name in _WITHIN if (one := getattr(method, name, None)) is not None), method
    )
    return getattr(getattr(found, "__code__", None), "co_names", ())


class _Through:
    """First among the bases of its metaclass: what is written to the class is the original's."""

    def __setattr__(self, name: str, value: Any) -> None:
        """On the class that it stands for, once there is one."""
        if _ORIGINAL in vars(self):
            setattr(type(vars(self)[_ORIGINAL]), name, value)
        else:
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        """From the class that it stands for."""
        delattr(type(vars(self)[_ORIGINAL]), name)


_ORIGINAL = "_agentrm_original"
_COMPARE = (operator.ne, operator.lt, operator.le, operator.gt, operator.ge)
_NEVER = (None, *(getattr(object, f"__{name}__") for name in ("ne", "lt", "le", "gt", "ge")))


def _class_for(node: Any, body: dict[str, Any], *, equal: bool) -> Any:
    """A subclass of its class for what stands for it, and equals what it equals if so wished."""
    kind: Any = type(node)
    body |= {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    body |= {"__doc__": kind.__doc__}
    if equal:
        own = [op for op in _COMPARE if getattr(kind, f"__{op.__name__}__", None) not in _NEVER]
        body |= {f"__{op.__name__}__": _compared(node, op) for op in (operator.eq, *own)}
        body |= {"__hash__": kind.__hash__ and (lambda _: hash(node))}
    meta: Any = type(type(kind).__name__, (_Through, type(kind)), {})
    made = meta(kind.__name__, (_Quiet, kind), body)
    type.__setattr__(made, _ORIGINAL, node)
    return made


def _compared(node: Any, how: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda _, other: how(node, _original(other))


def _original(one: Any) -> Any:
    return vars(type(one)).get(_ORIGINAL, one)


def on_its_class(
    made: Any, methods: dict[str, Any], node: Any = None, *, equal: bool = False
) -> Any:
    """The object with other methods, of a class of its own.

    Args:
        made: A copy or a stand-in.
        methods: What its class has in the place of the methods of these names.
        node: What it is a copy of; None where its class is its own already.
        equal: Whether it is equal to what that is equal to, for it has the same state.
    """
    if not methods:
        return made
    kind: Any = type(made)
    if node is not None:
        body: dict[str, Any] = {} if issubclass(kind, BaseModel) else {"__slots__": ()}
        kind = _class_for(node, body, equal=equal)
        made = _as(kind, made)
    for name, method in methods.items():
        type.__setattr__(kind, name, method)
    return made


def _as(kind: type, made: Any) -> Any:
    """The same object, of a subclass of its class."""
    if isinstance(made, BaseModel):
        object.__setattr__(made, "__class__", kind)
        return made
    other: Any = object.__new__(kind)  # Python would not change the class of this one
    for name in slots_of(kind):
        if hasattr(made, name):
            object.__setattr__(other, name, getattr(made, name))
    if hasattr(made, "__dict__"):
        object.__setattr__(other, "__dict__", made.__dict__)
    return other


def sharing(node: Any, changes: dict[str, Any], methods: dict[str, Any], state: Any) -> Any:
    """A pydantic object that reads these names as others, and shares all its state.

    Args:
        node: The object.
        changes: What each name reads as, while it is what it was.
        methods: As for `on_its_class`.
        state: The names under which pydantic keeps an object's state.
    """
    kind: Any = type(node)
    original = {name: getattr(node, name) for name in changes}

    def seen(name: str, value: Any) -> Any:
        return changes[name] if name in changes and value is original[name] else value

    reading: dict[str, Any] = {
        "__getattribute__": lambda self, name: seen(name, kind.__getattribute__(self, name)),
        "__getattr__": lambda self, name: seen(name, kind.__getattr__(self, name)),  # private ones
    }
    if kind.__iter__ is BaseModel.__iter__:  # it reads the state itself

        def each(self: Any) -> Any:
            return ((name, seen(name, value)) for name, value in BaseModel.__iter__(self))

        reading["__iter__"] = each
    read = reading if changes else {}
    made = on_its_class(node.model_copy(), {**methods, **read}, node, equal=True)
    for name in state:
        object.__setattr__(made, name, getattr(node, name))
    return made


class _Live:
    """A class's attribute that a stand-in's class has for it, read anew each time."""

    def __init__(
        self, kind: type, name: str, changes: dict[str, Any], original: dict[str, Any]
    ) -> None:
        self._kind, self._name = kind, name
        self._changes, self._original = changes, original

    def __get__(self, _: object, owner: type | None = None) -> Any:
        """What it stands for, while the class has what it had."""
        value = getattr(self._kind, self._name)
        changed = self._name in self._changes and value is self._original[self._name]
        return self._changes[self._name] if changed else value


def standing_in(node: Any, changes: dict[str, Any], original: dict[str, Any]) -> Any:
    """The same object with other values under these names; None where its class forbids it.

    Args:
        node: The object.
        changes: What each name reads as, and may be filled later; all other attributes are the
            object's own, shared.
        original: What its attributes were, which these changes are of.
    """
    kind: Any = type(node)
    if slots_of(kind):
        return None  # they cannot be shared

    def read(self: Any, name: str) -> Any:
        value = kind.__getattribute__(self, name)
        return changes[name] if name in changes and value is original[name] else value

    body: dict[str, Any] = {
        name: _Live(kind, name, changes, original) for name in original if name not in node.__dict__
    }
    body |= {"__getattribute__": read, "__slots__": ()}
    if hasattr(kind, "__del__"):
        body["__del__"] = lambda _: None  # what the original holds is not the stand-in's to close
    try:
        seen: Any = _class_for(node, body, equal=True)
        made = object.__new__(seen)
        object.__setattr__(made, "__dict__", node.__dict__)
    except (TypeError, AttributeError, ValueError):  # a final class, a metaclass's own rules
        return None
    return made
