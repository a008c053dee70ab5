"""The table of what works with what: each row is held by tests and by the locks."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)(?:\[([^]]+)\])?`")
NEWEST = {"deepagents": "deepagents.txt"}  # the others stand in dev.txt


class Row(NamedTuple):
    what: str
    package: str
    oldest: str
    newest: str
    tests: tuple[tuple[str, str, str], ...]


def rows() -> list[Row]:
    text = (ROOT / "docs" / "compatibility.md").read_text(encoding="utf-8")
    table = text.partition("# What works with what")[2]
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and len(cells) == 5 and cells[0] not in {"What", "---"}:
            found.append(Row(*cells[:4], tuple(NAMED.findall(cells[4]))))
    return found


ROWS = rows()


@cache
def locked(lock: str) -> dict[str, str]:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([\w.-]+)==([^\s;]+)", text, re.MULTILINE))


@cache
def module(path: str) -> ast.Module:
    return ast.parse((TESTS / path).read_text(encoding="utf-8"))


def marked_lowest(path: str, function: ast.AST) -> bool:
    """Whether the test, or all tests of its file, run on the oldest versions."""
    marks = [
        ast.unparse(node.value)
        for node in module(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
    ]
    marks += [ast.unparse(decorator) for decorator in function.decorator_list]
    return any("mark.lowest" in mark for mark in marks)


def test_the_table_is_there() -> None:
    """LangGraph, langchain's and deepagents' agents, and the SDK each have rows."""
    packages = {row.package for row in ROWS}
    assert packages == {
        *("langgraph", "langchain-core", "langchain-openai", "langchain", "deepagents", "openai"),
    }
    assert len({row.what for row in ROWS}) == len(ROWS) > 30


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.what)
def test_each_row_tells_the_truth(row: Row) -> None:
    """Its versions are those of the locks, its tests exist, and run on the oldest version."""
    newest = locked(NEWEST.get(row.package, "dev.txt"))[row.package]
    oldest = locked("lowest.txt").get(row.package)
    assert (row.oldest, row.newest) == (oldest or newest, newest)
    assert row.tests
    for path, name, case in row.tests:
        functions = {
            node.name: node
            for node in module(path).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{path} has no test {name}"
        if oldest is not None:
            assert marked_lowest(path, functions[name]), f"{path}::{name} is not marked `lowest`"
        if case:
            folder = (TESTS / path).parent
            texts = (TESTS / path, folder / "workloads.py")
            known = "".join(p.read_text(encoding="utf-8") for p in texts if p.exists())
            assert re.search(rf'"{re.escape(case)}"|def {re.escape(case)}\(', known), case
