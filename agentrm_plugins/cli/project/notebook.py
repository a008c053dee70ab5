"""The code of a notebook as one program, in which each line knows its cell."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Notebook", "notebook"]

_MAGIC = re.compile(r"[%!?]|[\w.]+\?{1,2}\s*$|[\w, ]+=\s*[%!]")
_KEPT = ("%%time", "%%timeit", "%%capture", "%%prun")  # the rest of such a cell is Python


@dataclass(slots=True)
class Notebook:
    """One program out of all cells.

    Attributes:
        code: The cells below each other; a broken one is blank.
        cells: Of each line, from 1: the cell's number as Jupyter shows them, and the line in it.
        broken: Of each cell that is no Python: its number, and why.
    """

    code: str = ""
    cells: list[tuple[int, int]] = field(default_factory=lambda: [(0, 0)])
    broken: list[tuple[int, str]] = field(default_factory=list)


def notebook(text: bytes) -> Notebook:
    """What is written in the code cells.

    Raises:
        ValueError: It is no notebook.
        RecursionError: It is nested without an end.
    """
    tree = json.loads(text)
    cells = tree.get("cells") if isinstance(tree, dict) else None
    if not isinstance(cells, list):
        raise ValueError("no notebook")  # noqa: TRY004 - a file's content, not a caller's argument
    made = Notebook()
    lines: list[str] = []
    for number, cell in enumerate(cells, 1):
        code = _code(cell)
        if why := _fault(code):
            code = [_plain(line) for line in code]
            why = _fault(code)
        if why:
            made.broken.append((number, why))
            code = []
        lines += code
        made.cells += [(number, line) for line in range(1, len(code) + 1)]
    made.code = "\n".join(lines)
    return made


def _code(cell: Any) -> list[str]:
    """A code cell's lines; none of a cell that is for another language."""
    if not isinstance(cell, dict) or cell.get("cell_type") != "code":
        return []
    source = cell.get("source", "")
    text = "".join(map(str, source)) if isinstance(source, list) else str(source)
    return [] if text.startswith("%%") and not text.startswith(_KEPT) else text.splitlines()


def _fault(lines: list[str]) -> str:
    """Why it is no Python; "" if it is."""
    try:
        ast.parse("\n".join(lines))
    except SyntaxError as error:
        return error.msg
    return ""


def _plain(line: str) -> str:
    """A line as Python has it: `!pip install`, `%matplotlib inline` and `help?` do nothing."""
    bare = line.lstrip()
    return line[: len(line) - len(bare)] + "pass" if _MAGIC.match(bare) else line
