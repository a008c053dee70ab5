"""One file as a tree: its calls, its scopes, and what each name in them may be bound to."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Bound", "Function", "Imported", "Scope", "Tree", "dotted"]

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import binds a name to.

    Attributes:
        module: As it is written: "app.llm"; "" in `from . import llm`.
        level: The dots before it.
        name: What is taken from the module; "" if the name is the module itself, "*" for all.
    """

    module: str
    level: int
    name: str


Bound = ast.AST | Imported


@dataclass(slots=True, eq=False)
class Scope:
    """Where names live: a file, a class or a function.

    Attributes:
        owner: The file's, the class's or the function's tree.
        parent: The scope around it.
        names: What each is bound to; `self.x` is a name of its class. An argument
            without a default is bound to nothing.
        elsewhere: Names that it declares as global.
    """

    owner: ast.AST
    parent: Scope | None = None
    names: dict[str, list[Bound]] = field(default_factory=dict)
    elsewhere: set[str] = field(default_factory=set)

    def bind(self, name: str, *what: Bound) -> None:
        """One more thing that a name may be; without one the name is known and empty."""
        self.names.setdefault(name, []).extend(what)


class Tree:
    """What can be asked of one file. Every order of execution is taken as possible."""

    def __init__(
        self, path: Path, tree: ast.Module, cells: list[tuple[int, int]] | None = None
    ) -> None:
        self.path = path
        self.cells = cells
        self.top = Scope(tree)
        self.stars: list[Imported] = []
        self.calls: list[ast.Call] = []
        self.pipes: list[
            tuple[ast.BinOp, int]
        ] = []  # `a | b` with a name, and its statement's line
        self._scopes: dict[int, Scope] = {}
        self._targets: dict[int, str] = {}
        self._grow(tree)
        self.calls.sort(key=lambda call: (call.lineno, call.col_offset))

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which a node is evaluated."""
        return self._scopes[id(node)]

    def target(self, node: ast.AST) -> str:
        """What a call's result is assigned to: a name, an attribute or an item; else ""."""
        return self._targets.get(id(node), "")

    def home(self, name: str, scope: Scope) -> Scope | None:
        """The scope in which a name is bound, seen from another; None if it is in none."""
        one: Scope | None = scope
        while one is not None:
            hidden = isinstance(one.owner, ast.ClassDef) and one is not scope
            if name in one.names and not hidden:
                return one
            one = one.parent
        return None

    def bounds(self, name: str, scope: Scope) -> list[Bound] | None:
        """What a name may be, seen from a scope; None if the file does not bind it."""
        home = self.home(name, scope)
        return None if home is None else home.names[name]

    def own_class(self, node: ast.Attribute) -> Scope | None:
        """The class whose attribute `self.x` is; None if it is no such attribute."""
        if not isinstance(node.value, ast.Name):
            return None
        return _class_of(node.value.id, self._scopes[id(node)])

    def is_within(self, scope: Scope, owner: ast.AST) -> bool:
        """Whether a scope is that of a function, or of something in its body."""
        one: Scope | None = scope
        while one is not None and one.owner is not owner:
            one = one.parent
        return one is not None

    def _grow(self, tree: ast.Module) -> None:
        waiting: list[tuple[ast.AST, Scope]] = [(tree, self.top)]
        while waiting:
            node, scope = waiting.pop()
            self._scopes[id(node)] = scope
            if isinstance(node, ast.Call):
                self.calls.append(node)
            self._bind(node, scope)
            inner, body = _body(node, scope)
            waiting += [
                (child, inner if id(child) in body else scope)
                for child in reversed(list(ast.iter_child_nodes(node)))  # in the file's order
            ]

    def _bind(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, node.value, scope)
            if isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr):
                self.pipes.append((node.value, node.lineno))
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr | ast.AugAssign):
            self._assign(node.target, node.value, scope)
        elif isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            self._assign(node.target, node.iter, scope)
        elif isinstance(node, ast.withitem):
            self._assign(node.optional_vars, node.context_expr, scope)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            scope.bind(node.name, node)
        elif isinstance(node, ast.Global):
            scope.elsewhere.update(node.names)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, scope)

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                one = Imported(node.module or "", node.level, alias.name)
                if alias.name == "*":
                    self.stars.append(one)
                else:
                    scope.bind(alias.asname or alias.name, one)
            elif alias.asname:
                scope.bind(alias.asname, Imported(alias.name, 0, ""))
            else:
                first = alias.name.partition(".")[0]
                scope.bind(first, Imported(first, 0, ""))

    def _assign(self, target: ast.expr | None, value: ast.expr | None, scope: Scope) -> None:
        pairs = [] if target is None or value is None else [(target, value)]
        while pairs:
            to, what = pairs.pop()
            if isinstance(to, ast.Tuple | ast.List):
                same = isinstance(what, ast.Tuple | ast.List) and len(what.elts) == len(to.elts)
                values = what.elts if same and isinstance(what, ast.Tuple | ast.List) else None
                pairs += zip(to.elts, values or [what] * len(to.elts), strict=True)
                continue
            if isinstance(to, ast.Starred):
                to = to.value
            self._targets[id(what)] = _written(to)
            if isinstance(to, ast.Attribute):
                owner = isinstance(to.value, ast.Name) and _class_of(to.value.id, scope)
                if owner:
                    owner.bind(f"self.{to.attr}", what)
            base = to.value if isinstance(to, ast.Subscript) else to
            where = dotted(base)
            if where:
                home = self.top if where in scope.elsewhere else scope
                home.bind(where, what)


def _class_of(name: str, scope: Scope) -> Scope | None:
    """The class in one of whose methods `name` is the first argument."""
    one: Scope | None = scope
    while one is not None:
        function = one.owner
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            first = [*function.args.posonlyargs, *function.args.args][:1]
            if first and first[0].arg == name:
                is_method = one.parent is not None and isinstance(one.parent.owner, ast.ClassDef)
                return one.parent if is_method else None
        one = one.parent
    return None


def _body(node: ast.AST, scope: Scope) -> tuple[Scope, set[int]]:
    """The scope that a node opens, and which of its children are in it."""
    if isinstance(node, Function):
        inner = Scope(node, scope)
        body = node.body if isinstance(node.body, list) else [node.body]
        _bind_arguments(node.args, inner)
    elif isinstance(node, ast.ClassDef):
        inner, body = Scope(node, scope), list(node.body)
    else:
        return scope, set()
    return inner, {id(child) for child in body}


def _bind_arguments(given: ast.arguments, scope: Scope) -> None:
    plain = [*given.posonlyargs, *given.args]
    for one in (*plain, *given.kwonlyargs, given.vararg, given.kwarg):
        if one is not None:
            scope.bind(one.arg)
    defaults = given.defaults
    for one, value in zip(plain[len(plain) - len(defaults) :], defaults, strict=True):
        scope.bind(one.arg, value)
    for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if default is not None:
            scope.bind(one.arg, default)


def dotted(node: ast.AST) -> str:
    """`a.b.c` as it is written; "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _written(target: ast.expr) -> str:
    if isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        return ast.unparse(target)
    return ""
