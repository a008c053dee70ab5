"""The files of a project as one: what a name means through imports, and what a thing holds.

Nothing is run, so every order is taken as possible: a name may be all that it is ever bound to.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agentrm_plugins.cli.project.modules import Modules
from agentrm_plugins.cli.project.tree import Bound, Function, Imported, Scope, Tree, dotted

__all__ = ["At", "Links"]

At = tuple[Tree, ast.AST]  # a node, in its file
Meaning = At | Tree | str  # that; a module of the project; a dotted name of elsewhere
_MOST_HOPS = 20  # of one name from file to file; imports may go round
_CHOICES = (ast.Await, ast.IfExp, ast.NamedExpr, ast.BoolOp)


@dataclass(frozen=True, slots=True)
class _Way:
    """How one name was followed: over so many files, and by these names in them, each once."""

    hops: int = 0
    seen: set[tuple[int, str]] = field(default_factory=set)


class Links:
    """What can be asked across files. Walks are loops, so that no depth of nesting ends them.

    Args:
        modules: Which file an import means.
        trees: Each file that could be read.
    """

    def __init__(self, modules: Modules, trees: dict[Path, Tree]) -> None:
        self._modules = modules
        self._trees = trees
        self.nodes: dict[int, list[At]] = {}
        """What is added to a graph's builder, by the id of the call that makes the builder."""
        self.ends: set[int] = set()
        """Calls that are not looked into: what they are given is somebody else's to manage."""

    def origin(self, tree: Tree, call: ast.Call) -> tuple[str, str]:
        """The name of what is called and where it is from: "langchain_openai.ChatOpenAI".

        Both are "" if that is not known. A class of the project comes from where its base does,
        under its own name.
        """
        found = self.meanings(tree, call.func)
        name = ""
        for _ in range(_MOST_HOPS):
            outside = next((one for one in found if isinstance(one, str)), "")
            if outside or not found:
                return (name or outside.rpartition(".")[2]) if outside else "", outside
            bases: list[Meaning] = []
            for one in found:
                if isinstance(one, tuple) and isinstance(one[1], ast.ClassDef):
                    name = name or one[1].name
                    for base in one[1].bases:
                        bases += self.meanings(one[0], base)
            found = bases
        return "", ""

    def held(self, *begun: At) -> list[tuple[Tree, ast.Call]]:
        """Every call whose result is in something: as it, in it, or in a function of it."""
        return self._walk(begun, self._contents)

    def roots(self, *begun: At) -> list[tuple[Tree, ast.Call]]:
        """Every call whose result something is, or is made of by its own methods."""
        return self._walk(begun, self._base)

    def meanings(self, tree: Tree, node: ast.AST) -> list[Meaning]:
        """What a name or an attribute may be."""
        attributes: list[str] = []
        base = node
        while isinstance(base, ast.Attribute):
            attributes.append(base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return []
        found = self._named(tree, base.id, tree.scope(base))
        for name in reversed(attributes):
            found = [what for one in found for what in self._member(tree, one, name)]
        if isinstance(node, ast.Attribute):
            found += self._attribute(tree, node)
        return found

    def _walk(
        self, begun: Iterable[At], further: Callable[[Tree, ast.AST], Iterable[At]]
    ) -> list[tuple[Tree, ast.Call]]:
        waiting, seen, calls = list(begun), set[int](), list[tuple[Tree, ast.Call]]()
        while waiting:
            tree, node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, ast.Call):
                calls.append((tree, node))
            waiting += further(tree, node)
        return calls

    def _contents(self, tree: Tree, node: ast.AST) -> Iterator[At]:
        yield from self._base(tree, node)
        if isinstance(node, ast.Call):
            if id(node) not in self.ends:
                yield from ((tree, part) for part in node.args)
                yield from ((tree, part.value) for part in node.keywords)
                yield from self.nodes.get(id(node), ())
        elif isinstance(node, Function):
            yield from self._closed_over(tree, node)
        elif isinstance(node, ast.expr) and not isinstance(node, ast.Name | ast.Attribute):
            yield from (
                (tree, part)
                for part in ast.iter_child_nodes(node)
                if isinstance(part, ast.expr | ast.comprehension)
            )
        elif isinstance(node, ast.comprehension):
            yield tree, node.iter

    def _base(self, tree: Tree, node: ast.AST) -> Iterator[At]:
        if isinstance(node, ast.Name | ast.Attribute):
            found = [one for one in self.meanings(tree, node) if isinstance(one, tuple)]
            yield from found
            if not found and isinstance(node, ast.Attribute):
                yield tree, node.value
        elif isinstance(node, ast.Call):
            made = [one for one in self.meanings(tree, node.func) if isinstance(one, tuple)]
            for where, what in made:
                yield from _results(where, what)
            if not made and isinstance(node.func, ast.Attribute):
                yield tree, node.func.value
        elif isinstance(node, _CHOICES):
            yield from ((tree, part) for part in ast.iter_child_nodes(node))

    def _closed_over(self, tree: Tree, function: ast.AST) -> Iterator[At]:
        """What a function's body takes from outside of it; not what it makes while it runs."""
        for part in ast.walk(function):
            if isinstance(part, ast.Name):
                scope = tree.scope(part)
                home = tree.home(part.id, scope)
                if home is None or not tree.is_within(home, function):
                    yield tree, part
            elif isinstance(part, ast.Attribute):
                yield from (one for one in self.meanings(tree, part) if isinstance(one, tuple))

    def _attribute(self, tree: Tree, node: ast.Attribute) -> list[Meaning]:
        """Of `self.x` what the class gives it; of `app.state.x` what is assigned to just that."""
        own = tree.own_class(node)
        if own is not None:
            given = [*own.names.get(f"self.{node.attr}", ()), *own.names.get(node.attr, ())]
            return self._all(tree, given, _Way())
        return self._all(tree, tree.bounds(dotted(node), tree.scope(node)) or [], _Way())

    def _named(self, tree: Tree, name: str, scope: Scope) -> list[Meaning]:
        bounds = tree.bounds(name, scope)
        if bounds is None:
            return self._of_module(tree, name, _Way())
        return self._all(tree, bounds, _Way())

    def _all(self, tree: Tree, bounds: Iterable[Bound], way: _Way) -> list[Meaning]:
        found: list[Meaning] = []
        for one in bounds:
            found += self._imported(tree, one, way) if isinstance(one, Imported) else [(tree, one)]
        return found

    def _of_module(self, tree: Tree, name: str, way: _Way) -> list[Meaning]:
        if way.hops > _MOST_HOPS or (id(tree), name) in way.seen:
            return []
        way.seen.add((id(tree), name))
        further = _Way(way.hops + 1, way.seen)
        if name in tree.top.names:
            return self._all(tree, tree.top.names[name], further)
        for star in tree.stars:
            found = self._imported(tree, Imported(star.module, star.level, name), further)
            if found and self._file(tree, star.module, star.level) is not None:
                return found
        return []

    def _imported(self, tree: Tree, one: Imported, way: _Way) -> list[Meaning]:
        module = self._file(tree, one.module, one.level)
        if module is not None and one.name:
            found = self._of_module(module, one.name, way)
            if found:
                return found
        elif module is not None:
            return [module]
        whole = f"{one.module}.{one.name}".strip(".")
        inner = self._file(tree, whole, one.level) if one.name else None
        if inner is not None:
            return [inner]
        return [whole] if module is None and not one.level else []

    def _member(self, tree: Tree, one: Meaning, name: str) -> list[Meaning]:
        """`one.name`, of a module."""
        if isinstance(one, str):
            inner = self._file(tree, f"{one}.{name}", 0)
            return [f"{one}.{name}" if inner is None else inner]
        if isinstance(one, tuple):
            return []
        found = self._of_module(one, name, _Way())
        if not found and one.path.name == "__init__.py":
            inner = self._file(one, name, 1)
            found = [] if inner is None else [inner]
        return found

    def _file(self, tree: Tree, module: str, level: int) -> Tree | None:
        path = self._modules.path(tree.path, module, level)
        return None if path is None else self._trees.get(path)


def _results(tree: Tree, made: ast.AST) -> Iterator[At]:
    """What a function returns; of an object, what its class gives `self`."""
    if isinstance(made, ast.ClassDef):
        own = tree.scope(made.body[0]).names
        for name, bounds in own.items():
            if name.startswith("self."):
                yield from ((tree, one) for one in bounds if isinstance(one, ast.expr))
    elif isinstance(made, ast.Lambda):
        yield tree, made.body
    elif isinstance(made, ast.FunctionDef | ast.AsyncFunctionDef):
        for part in ast.walk(made):
            if isinstance(part, ast.Return) and part.value and tree.scope(part).owner is made:
                yield tree, part.value
