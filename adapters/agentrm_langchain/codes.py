"""What the code of a function names, and the functions within it."""

from __future__ import annotations

import dis
from importlib.util import resolve_name
from types import CodeType

__all__ = ["globals_in", "imports_in", "names_in", "texts_in", "writes_globals"]

_BY_TEXT = frozenset({"import_module", "__import__", "modules"})


def names_in(code: CodeType) -> set[str]:
    """The names that it may look up as globals, or ask of something as an attribute."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names_in(constant)
    return found


def globals_in(code: CodeType) -> set[str]:
    """The names that it looks up as globals; an attribute of the same name is something else."""
    loads = {"LOAD_GLOBAL", "LOAD_NAME"}
    found = {str(one.argval) for one in dis.get_instructions(code) if one.opname in loads}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= globals_in(constant)
    return found


def writes_globals(code: CodeType) -> bool:
    """Whether it assigns or deletes a global."""
    if any(one.opname in {"STORE_GLOBAL", "DELETE_GLOBAL"} for one in dis.get_instructions(code)):
        return True
    return any(writes_globals(one) for one in code.co_consts if isinstance(one, CodeType))


def imports_in(code: CodeType, package: str = "") -> set[tuple[str, str]]:
    """The module and the name of each ``from module import name`` that runs with it.

    Of an ``import module`` the name is "". So it is of a module that is named in a text, where the
    code imports by texts.

    Args:
        code: The code.
        package: What relative imports are relative to.
    """
    found: set[tuple[str, str]] = set()
    module, level = "", 0
    for one in dis.get_instructions(code):
        if one.opname == "IMPORT_NAME":
            module = _absolute(str(one.argval), level, package)
            found.add((module, ""))
        elif one.opname == "IMPORT_FROM":
            found.add((module, str(one.argval)))
            found.discard((module, ""))
        elif isinstance(one.argval, int):  # the level is told before the names
            level = one.argval
    if not _BY_TEXT.isdisjoint(code.co_names):
        found |= {(text, "") for text in code.co_consts if isinstance(text, str)}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= imports_in(constant, package)
    return found


def texts_in(code: CodeType) -> set[str]:
    """The texts that are written in it, and in the functions within it."""
    found = {text for text in code.co_consts if isinstance(text, str)}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= texts_in(constant)
    return found


def _absolute(module: str, level: int, package: str) -> str:
    try:
        return resolve_name("." * level + module, package)
    except (ImportError, ValueError):  # beyond its package
        return module
