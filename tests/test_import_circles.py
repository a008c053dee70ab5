"""No file needs one that needs it back, not even for a type."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from tests.test_architecture import CORE, imports, module_name, package_of, python_files

FREE = ("types", "config", "counting", "policy", "kernel", "context")


def graph(files: Iterable[Path]) -> dict[str, set[str]]:
    """Which of these modules imports which, imports for type checkers included."""
    files = list(files)
    names = {module_name(path) for path in files}
    found: dict[str, set[str]] = {}
    for path in files:
        targets = imports(ast.parse(path.read_text(encoding="utf-8")), package_of(path))
        needed = {nearest(target, names) for _, target in targets}
        found[module_name(path)] = needed - {None, module_name(path)}  # type: ignore[assignment]
    return found


def nearest(target: str, names: set[str]) -> str | None:
    """The module that an imported name lies in: `a.b.c` may be the module or a name in `a.b`."""
    return next((name for name in (target, target.rpartition(".")[0]) if name in names), None)


def circles(needs: Mapping[str, set[str]]) -> list[set[str]]:
    """Sets of modules of which each needs, directly or not, each other one."""
    reach = {name: reachable(name, needs) for name in needs}
    found: list[set[str]] = []
    for name in needs:
        circle = {other for other in reach[name] if name in reach[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def reachable(name: str, needs: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    left = list(needs[name])
    while left:
        other = left.pop()
        if other not in found:
            found.add(other)
            left += needs[other]
    return found


@pytest.mark.parametrize("package", FREE)
def test_no_circle_among_imports(package: str) -> None:
    """Among all imports of a package, type-only ones as well: whoever reads can begin somewhere."""
    files = [path for path in python_files(CORE / package) if path.name != "__init__.py"]
    assert files
    assert circles(graph(files)) == []


def test_a_circle_is_found() -> None:
    """Of three modules that need each other in a round, and one that they need besides."""
    needs = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()}
    assert circles(needs) == [{"a", "b", "c"}]
