"""The tables of docs/faults.md: each row names tests, and each named test is there and is run.

Whether a test holds what its row says is for its reader: nothing here looks at that.
"""

from __future__ import annotations

import ast
import importlib
import re
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)(?:\[([^]]+)\])?`")


def rows() -> list[tuple[str, str]]:
    """What comes, and the cell of its tests."""
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    found = []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| ") and cells[-1] != "test":
            found.append((cells[0], cells[-1]))
    return found


ROWS = rows()


@cache
def known(path: str) -> dict[str, set[str]]:
    """The tests of a file, each with the names of its marks."""
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {
        node.name: {
            mark.attr
            for one in node.decorator_list
            for mark in ast.walk(one)
            if isinstance(mark, ast.Attribute)
        }
        for node in ast.parse(text).body
        if isinstance(node, functions) and node.name.startswith("test_")
    }


def cases(test: FunctionType) -> set[str]:
    """The ids that its parameters have, each by itself."""
    found = set()
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            given, told = [*mark.args[1]], mark.kwargs.get("ids")
            found |= {_id_of(one) for one in given} if told is None else {*map(str, told)}
    return found


def _id_of(given: Any) -> str:
    return str(getattr(given, "id", None) or given)


def test_every_part_has_rows() -> None:
    """Sixty kinds of fault and more, none of them twice."""
    assert len(ROWS) >= 60
    assert len({what for what, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("what", "cell"), ROWS, ids=[what for what, _ in ROWS])
def test_each_row_is_held_by_tests_that_exist(what: str, cell: str) -> None:
    """By their names, and by the case where one is named; nothing else stands in the cell."""
    tests = NAMED.findall(cell)
    assert tests, what
    assert not NAMED.sub("", cell).strip(", "), cell
    for path, name, case in tests:
        assert name in known(path), f"{path} has no test {name}"
        assert not known(path)[name] & {"skip", "xfail"}, f"{name} is not run"
        if case:
            module = importlib.import_module(f"tests.{path[:-3].replace('/', '.')}")
            assert case in cases(getattr(module, name)), f"{name} has no case {case}"
