"""What a project calls models with, and what of it is managed already."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentrm_plugins.cli.project.files import Skipped, project_files
from agentrm_plugins.cli.project.kinds import GRAPH_ALONE, MANAGERS, MIDDLEWARE, kind_of
from agentrm_plugins.cli.project.links import At, Links
from agentrm_plugins.cli.project.modules import Modules
from agentrm_plugins.cli.project.notebook import notebook
from agentrm_plugins.cli.project.tree import Tree

__all__ = ["Finding", "Project", "look_at"]

_NODES = {"add_node", "add_sequence"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where something that calls models is made.

    Attributes:
        kind: "model", "embeddings", "client", "agent", "graph", "chain", "retry" or "limiter".
        path: The file.
        line: Where the call begins; in a notebook, the line of its cell.
        name: Of what is called: "ChatOpenAI".
        target: What the result is assigned to; "" if it is used where it is made.
        managed: A call of AgentRM has it already.
        inside: An agent, a graph or a chain of the project uses it, and is managed with it.
        compiled: Of a graph: it is compiled, at this line.
        cell: The notebook's cell, from 1; 0 in a program.
        by: What of AgentRM is given it, and where: "manage in app.py:17"; "" if nothing is.
    """

    kind: str
    path: Path
    line: int
    name: str
    target: str = ""
    managed: bool = False
    inside: bool = False
    compiled: bool = False
    cell: int = 0
    by: str = ""

    def to_dict(self, folder: Path) -> dict[str, Any]:
        """As JSON takes it, the path seen from the project's folder."""
        told = {name: getattr(self, name) for name in self.__slots__}
        return told | {"path": self.path.relative_to(folder).as_posix()}


@dataclass(slots=True)
class Project:
    """All that was found in a folder, and what was not read."""

    folder: Path
    files: list[Path]
    modules: Modules
    found: list[Finding] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def look_at(folder: Path) -> Project:
    """Read all programs and notebooks of a folder. Nothing is changed or run."""
    files = project_files(folder)
    trees: dict[Path, Tree] = {}
    for path in files.found:
        try:
            trees[path] = _tree(path, files.skipped)
        except (OSError, RecursionError, MemoryError, SyntaxError, ValueError) as error:
            files.skipped.append(Skipped(path, _why(path, error)))
    modules = Modules(folder, list(trees))
    found = _Found(Links(modules, trees), list(trees.values())).findings()
    return Project(folder, list(trees), modules, found, files.skipped)


def _tree(path: Path, skipped: list[Skipped]) -> Tree:
    text = path.read_bytes()
    if path.suffix != ".ipynb":
        return Tree(path, ast.parse(text))
    read = notebook(text)
    for number, why in read.broken:
        skipped.append(Skipped(path, f"cell {number}: {why}"))
    return Tree(path, ast.parse(read.code), read.cells)


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "nested too deep"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, SyntaxError):
        return error.msg
    return "no notebook" if path.suffix == ".ipynb" else "not valid Python"


class _Found:
    """The findings of all files, each seen in the light of the others."""

    def __init__(self, links: Links, trees: list[Tree]) -> None:
        self._links = links
        self._calls: list[tuple[Tree, ast.Call, str, str]] = []  # of a kind, with their names
        self._ours: list[tuple[Tree, ast.Call, str]] = []
        self._methods: list[tuple[Tree, ast.Call, str, ast.expr]] = []
        for tree in trees:
            for call in tree.calls:
                self._sort(tree, call)
        self._compiled = self._graphs()
        self._graphs_alone: set[int] = set()
        self._managed = self._managed_by()
        self._inside = self._inside_ids()
        self._chains = [one for tree in trees for one in self._piped(tree)]

    def findings(self) -> list[Finding]:
        """In the order of the files and their lines."""
        return self._chains + [self._finding(*one) for one in self._calls]

    def _piped(self, tree: Tree) -> Iterator[Finding]:
        """Chains with a name, and in each a bare model that has none of its own."""
        bare = {
            id(call): name
            for where, call, kind, name in self._calls
            if where is tree and kind == "model" and not tree.target(call)
            if id(call) not in self._inside and id(call) not in self._managed
        }
        for pipe, line in tree.pipes:
            home = tree.scope(pipe)
            within = [one for one in ast.walk(pipe) if id(one) in bare and tree.scope(one) is home]
            if not within or not tree.target(pipe):
                continue
            self._inside |= {id(one) for one in within}
            cell, at = (0, line) if tree.cells is None else tree.cells[line]
            name = f"... | {bare[id(within[0])]}"
            yield Finding("chain", tree.path, at, name, tree.target(pipe), cell=cell)

    def _sort(self, tree: Tree, call: ast.Call) -> None:
        name, origin = self._links.origin(tree, call)
        kind = kind_of(origin)
        if kind == "ours":
            self._ours.append((tree, call, name))
            if name in GRAPH_ALONE:
                self._links.ends.add(id(call))
        elif kind:
            self._calls.append((tree, call, kind, name))
        elif isinstance(call.func, ast.Attribute):
            if call.func.attr == "with_retry":
                self._calls.append((tree, call, "retry", ".with_retry"))
            self._methods.append((tree, call, call.func.attr, call.func.value))

    def _graphs(self) -> dict[int, tuple[Tree, ast.Call]]:
        """Where each graph is compiled, by the id of its builder. Its nodes are noted as well."""
        builders = {id(call) for _, call, kind, _ in self._calls if kind == "graph"}
        compiled: dict[int, tuple[Tree, ast.Call]] = {}
        for tree, call, method, base in self._methods:
            if method != "compile" and method not in _NODES:
                continue
            for _, root in self._links.roots((tree, base)):
                if id(root) not in builders:
                    continue
                if method == "compile":
                    compiled.setdefault(id(root), (tree, call))
                else:
                    given = [*call.args, *(one.value for one in call.keywords)]
                    self._links.nodes.setdefault(id(root), []).extend((tree, one) for one in given)
        return compiled

    def _managed_by(self) -> dict[int, str]:
        """What is given to AgentRM, by the id of the call that makes it, and to what of it."""
        ids: dict[int, str] = {}
        for tree, call, name in self._ours:
            given: list[At] = [(tree, one) for one in call.args]
            given += [(tree, one.value) for one in call.keywords]
            if name in MANAGERS:
                held = self._links.held(*given)
            elif name in GRAPH_ALONE:
                held = self._links.roots(*given)
                self._graphs_alone |= {id(one) for _, one in held}
            else:
                continue
            for _, one in held:
                ids.setdefault(id(one), f"{name} in {_spot(tree, call)}")
        middlewares = {id(call) for _, call, name in self._ours if name == MIDDLEWARE}
        for tree, call, kind, _ in self._calls:
            if kind == "agent" and self._takes(tree, call, middlewares):
                model = call.args[:1] + [one.value for one in call.keywords if one.arg == "model"]
                for _, one in (
                    *((tree, call),),
                    *self._links.held(*((tree, one) for one in model)),
                ):
                    ids.setdefault(id(one), f"{MIDDLEWARE} in {_spot(tree, call)}")
        return ids

    def _takes(self, tree: Tree, agent: ast.Call, middlewares: set[int]) -> bool:
        if not middlewares:
            return False
        given = [(tree, one.value) for one in agent.keywords if one.arg == "middleware"]
        return any(id(one) in middlewares for _, one in self._links.held(*given))

    def _inside_ids(self) -> set[int]:
        """What an agent or a graph holds, and so is managed with it."""
        ids: set[int] = set()
        for tree, call, kind, _ in self._calls:
            if kind in {"agent", "graph"} and id(call) not in self._graphs_alone:
                held = self._links.held((tree, call))
                ids |= {id(one) for _, one in held if one is not call}
        return ids

    def _finding(self, tree: Tree, call: ast.Call, kind: str, name: str) -> Finding:
        where, made = self._compiled.get(id(call), (tree, call))
        cell, line = _line(where, made)
        by = self._managed.get(id(call)) or self._managed.get(id(made), "")
        return Finding(
            kind,
            where.path,
            line,
            name,
            where.target(made),
            managed=bool(by),
            inside=id(call) in self._inside and kind not in {"client", "limiter", "retry"},
            compiled=made is not call,
            cell=cell,
            by=by,
        )


def _line(tree: Tree, call: ast.AST) -> tuple[int, int]:
    """The cell of a notebook, or 0, and the line in it."""
    line: int = getattr(call, "lineno", 0)
    return (0, line) if tree.cells is None else tree.cells[line]


def _spot(tree: Tree, call: ast.Call) -> str:
    cell, line = _line(tree, call)
    return f"{tree.path.name} cell {cell}:{line}" if cell else f"{tree.path.name}:{line}"
