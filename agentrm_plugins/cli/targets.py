"""An object of a user's program, by the name that servers take: ``my_app:graph``."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

import typer

from agentrm_plugins.redaction import masked
from agentrm_plugins.types.looking import only_looking

__all__ = ["imported"]

_USAGE = "give module:name, such as my_app:graph; my_app:make() calls a function"


def imported(target: str, option: str = "APP") -> tuple[ModuleType, Any]:
    """The module and the object in it; the module itself if no object is named.

    The current folder is looked at first, as ``python -m`` does. Importing runs the module. Cores
    that it makes record nothing and open no socket: the program may be running beside us.

    Raises:
        typer.BadParameter: There is no such module or object, or it fails when it is imported.
    """
    with only_looking():
        return _imported(target, option)


def _imported(target: str, option: str) -> tuple[ModuleType, Any]:
    name, _, attribute = target.partition(":")
    name = name.removesuffix(".py").replace(os.sep, ".") if name.endswith(".py") else name
    if not all(part.isidentifier() for part in name.split(".")):
        raise typer.BadParameter(f"{masked(target)!r}: {_USAGE}", param_hint=option)
    if os.getcwd() not in sys.path:  # noqa: PTH109 - what Python itself puts there
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    try:
        module = importlib.import_module(name)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        raise typer.BadParameter(_failed(name, error), param_hint=option) from None
    found: Any = module
    calls = attribute.endswith("()")
    for part in attribute.removesuffix("()").split(".") if attribute else ():
        try:
            found = getattr(found, part)
        except AttributeError:
            near = ", ".join(sorted(key for key in vars(module) if not key.startswith("_"))[:20])
            way = f"{name} has no {part!r}; it has {near}"
            raise typer.BadParameter(f"{target!r}: {way}", param_hint=option) from None
        except Exception as error:  # noqa: BLE001 - a property of a user's
            raise typer.BadParameter(_failed(target, error), param_hint=option) from None
    return module, _called(target, found, option) if calls else found


def _called(target: str, found: Any, option: str) -> Any:
    try:
        return found()
    except BaseException as error:  # a user's program may also exit
        if isinstance(error, KeyboardInterrupt):
            raise
        raise typer.BadParameter(_failed(target, error), param_hint=option) from None


def _failed(what: str, error: BaseException) -> str:
    told = masked(str(error)).strip().split("\n", 1)[0][:300]
    missing = isinstance(error, ModuleNotFoundError) and error.name == what
    way = "; run this where it can be imported" if missing else ""
    return f"{what} cannot be imported: {type(error).__name__}: {told}{way}"
