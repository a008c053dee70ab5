"""The depth hint: which nodes of a graph an answer does not wait for, read off its edges.

Rules, for the graph and for each subgraph in it:

1. A node from which no edge leads to END, in a graph that has edges to END, is aside: "background".
2. Where a node has several plain edges, their branches run side by side until they meet. The branch
   with the most steps to there is waited for longest; nodes of shorter ones are "batch".

Steps are nodes; a subgraph counts for its own longest way, a loop once. Edges that a condition
chooses lead one way or another, not side by side, so rule 2 does not look at them. What a node says
at run time (`Command`, `Send`) is known only as far as it is declared: by its return type,
`destinations` or a path map; a condition that declares nothing may lead anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langgraph.graph import END, START
from langgraph.pregel import Pregel

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["aside"]

_Edges = dict[str, set[str]]


def aside(graph: Any) -> dict[str, str]:
    """The nodes that can wait, and the priority with which they start.

    Args:
        graph: A compiled graph; one that was not built by a `StateGraph` has no such nodes.
    """
    builder = getattr(graph, "builder", None)
    if builder is None:
        return {}
    plain = _plain_edges(builder)
    edges = _all_edges(builder, plain)
    found: dict[str, str] = {}
    ways = _reaching(edges, END)
    if ways == {END}:  # nobody names the end: each last node is one
        ways = set(edges)
    for name in edges:
        if name not in ways:
            found[name] = "background"
    weights = {name: _steps(graph.nodes[name].bound) for name in edges if name in graph.nodes}
    for starts in plain.values():
        _compare([name for name in starts if name in ways and name != END], edges, weights, found)
    return found


def _compare(
    starts: list[str], edges: _Edges, weights: dict[str, int], found: dict[str, str]
) -> None:
    """Branches that run side by side: all but the longest can wait."""
    if len(starts) < 2:  # noqa: PLR2004 - one is not beside another
        return
    reached = {name: _reached(edges, name) for name in starts}
    own = {}
    for name in starts:
        others = set[str]().union(*(reached[other] for other in starts if other != name))
        own[name] = reached[name] - others - {END}
    steps = {name: _longest(name, own[name], edges, weights) for name in starts}
    most = max(steps.values())
    for name in starts:
        if steps[name] < most:
            for node in own[name]:
                found.setdefault(node, "batch")


def _plain_edges(builder: Any) -> _Edges:
    plain: _Edges = {}
    for start, end in builder.edges:
        plain.setdefault(start, set()).add(end)
    for starts, end in builder.waiting_edges:
        for start in starts:
            plain.setdefault(start, set()).add(end)
    return plain


def _all_edges(builder: Any, plain: _Edges) -> _Edges:
    everything = {*builder.nodes, END}
    edges: _Edges = {name: set(plain.get(name, ())) for name in (START, *builder.nodes)}
    for start, branches in builder.branches.items():
        for branch in branches.values():
            ends = branch.ends
            edges[start] |= set(ends.values()) if ends else everything
    for name, spec in builder.nodes.items():
        edges[name] |= set(spec.ends or ())
    return edges


def _reached(edges: _Edges, start: str) -> set[str]:
    """Where one may come from here, here included."""
    found, look = {start}, [start]
    while look:
        for name in edges.get(look.pop(), ()):
            if name not in found:
                found.add(name)
                look.append(name)
    return found


def _reaching(edges: _Edges, end: str) -> set[str]:
    """From where one may come here, here included."""
    back: _Edges = {}
    for start, ends in edges.items():
        for name in ends:
            back.setdefault(name, set()).add(start)
    return _reached(back, end)


def _longest(start: str, within: Iterable[str], edges: _Edges, weights: dict[str, int]) -> int:
    """Steps of the longest way from `start` that stays `within`; what is in a loop counts once."""
    inside = set(within)
    best: dict[str, int] = {}
    path: set[str] = set()
    look: list[tuple[str, bool]] = [(start, False)] if start in inside else []
    while look:
        name, seen = look.pop()
        if seen:
            path.discard(name)
            after = [best.get(other, 0) for other in edges.get(name, ()) if other not in path]
            best[name] = weights.get(name, 1) + max(after, default=0)
        elif name not in best and name not in path:
            path.add(name)
            look.append((name, True))
            look += [(other, False) for other in edges.get(name, ()) if other in inside]
    return best.get(start, 0)


def _steps(bound: Any) -> int:
    """A node's weight: 1, or the longest way through it if it is a graph."""
    builder = getattr(bound, "builder", None)
    if not isinstance(bound, Pregel) or builder is None:
        return 1
    edges = _all_edges(builder, _plain_edges(builder))
    weights = {name: _steps(bound.nodes[name].bound) for name in edges if name in bound.nodes}
    weights[START] = 0
    return max(_longest(START, edges, edges, weights), 1)
