"""One file of a project as a tree: who makes what, where it goes, and what is done with it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

__all__ = ["Source"]

_OURS = ("agentrm_langchain", "agentrm_langgraph", "agentrm_openai", "agentrm_plugins")


class Source:
    """What can be asked of a file's tree. Names are taken as the file says them: no scopes."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._parents = {
            id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)
        }
        self.calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self.origins = _imported(tree)
        self._targets = dict(_targets(tree))
        self._taken = self._taken_by_us()

    def called(self, call: ast.Call) -> tuple[str, str]:
        """The name of what is called, and where it is imported from; "" if it is not."""
        function = call.func
        if isinstance(function, ast.Attribute):
            base = function.value
            origin = self.origins.get(base.id, "") if isinstance(base, ast.Name) else ""
            return function.attr, f"{origin}.{function.attr}" if origin else ""
        if isinstance(function, ast.Name):
            origin = self.origins.get(function.id, "")
            return origin.rpartition(".")[2], origin
        return "", ""

    def target(self, node: ast.AST) -> str:
        """What a call's result is assigned to: a name, an attribute or an item; else ""."""
        return self._targets.get(id(node), "")

    def within(self, node: ast.AST, call: ast.Call) -> bool:
        """Whether a node is written inside a call's arguments."""
        return any(one is call for one in self._above(node))

    def is_managed(self, node: ast.AST, target: str) -> bool:
        """Whether a call of AgentRM is around it, takes it by name, or is its middleware."""
        if target and target in self._taken:
            return True
        if any(isinstance(one, ast.Call) and self._ours(one) for one in self._above(node)):
            return True
        return any(
            isinstance(one, ast.Call) and self.called(one)[0] == "AgentRMMiddleware"
            for one in ast.walk(node)
        )

    def compiled(self, call: ast.Call) -> ast.Call:
        """Where the graph of a builder is compiled; the builder itself if that is elsewhere."""
        chain: ast.AST = call
        for above in self._above(call):  # StateGraph(...).add_node(...).compile()
            if not isinstance(above, ast.Attribute | ast.Call):
                break
            chain = above
            if isinstance(above, ast.Call) and _method(above) == "compile":
                return above
        builder = self.target(chain)
        for other in self.calls:
            if _method(other) == "compile" and builder and _written(other.func) == builder:
                return other
        return call

    def names_in(self, calls: Iterable[ast.Call]) -> set[str]:
        """What the arguments of calls name."""
        return {
            ast.unparse(node)
            for call in calls
            for part in (*call.args, *(one.value for one in call.keywords))
            for node in ast.walk(part)
            if isinstance(node, ast.Name | ast.Attribute)
        }

    def names_in_nodes(self) -> set[str]:
        """What the functions name that are nodes of a graph whose models are managed with it."""
        if any(self.called(one)[0] in {"manage_graph", "managed_node"} for one in self.calls):
            return set()  # these manage nodes, and leave models to whoever wrote them
        nodes = self.names_in(one for one in self.calls if _method(one) == "add_node")
        return {
            ast.unparse(part)
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in nodes
            for part in ast.walk(node)
            if isinstance(part, ast.Name | ast.Attribute)
        }

    def _ours(self, call: ast.Call) -> bool:
        return self.called(call)[1].startswith(_OURS)

    def _taken_by_us(self) -> set[str]:
        return {
            ast.unparse(part)
            for call in self.calls
            if self._ours(call)
            for part in (*call.args, *(one.value for one in call.keywords))
            if isinstance(part, ast.Name | ast.Attribute)
        }

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        above = self._parents.get(id(node))
        while above is not None and not isinstance(above, ast.stmt):
            yield above
            above = self._parents.get(id(above))


def _imported(tree: ast.AST) -> dict[str, str]:
    """Where each imported name comes from."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
    return names


def _targets(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            yield from _pair(node.targets[0], node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            yield from _pair(node.target, node.value)


def _pair(target: ast.expr, value: ast.expr) -> Iterator[tuple[int, str]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _pair(one, other)
    elif isinstance(target, ast.Name | ast.Attribute | ast.Subscript):
        yield id(value), ast.unparse(target)


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _written(function: ast.expr) -> str:
    return ast.unparse(function.value) if isinstance(function, ast.Attribute) else ""
