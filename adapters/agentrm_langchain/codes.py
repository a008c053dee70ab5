"""What the code of a function names, and the functions within it."""

from __future__ import annotations

import dis
from types import CodeType

__all__ = ["globals_in", "imports_in", "names_in", "writes_globals"]


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


def imports_in(code: CodeType) -> set[tuple[str, str]]:
    """The module and the name of each ``from module import name`` that runs with it."""
    found: set[tuple[str, str]] = set()
    module = ""
    for one in dis.get_instructions(code):
        if one.opname == "IMPORT_NAME":
            module = str(one.argval)
        elif one.opname == "IMPORT_FROM":
            found.add((module, str(one.argval)))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= imports_in(constant)
    return found
