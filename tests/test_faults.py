"""The tables of docs/faults.md: each row names tests, and each named test is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

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
def known(path: str) -> tuple[set[str], str]:
    """The tests of a file, and its text."""
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.parse(text).body if isinstance(node, functions)}, text


def test_every_part_has_rows() -> None:
    """Sixty kinds of fault and more, none of them twice."""
    assert len(ROWS) >= 60
    assert len({what for what, _ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("what", "cell"), ROWS, ids=[what for what, _ in ROWS])
def test_each_row_is_held_by_tests_that_exist(what: str, cell: str) -> None:
    """By their names, and by the case where one is named."""
    tests = NAMED.findall(cell)
    assert tests, what
    for path, name, case in tests:
        names, text = known(path)
        assert name in names, f"{path} has no test {name}"
        assert not case or f'"{case}"' in text or _case_elsewhere(path, case), case


def _case_elsewhere(path: str, case: str) -> bool:
    """A case may stand in a table beside the tests, or in the benchmark that they hold."""
    beside = [*(ROOT / "tests" / path).parent.glob("*.py"), *(ROOT / "benchmarks").rglob("*.py")]
    return any(f'"{case}"' in one.read_text(encoding="utf-8") for one in beside)
