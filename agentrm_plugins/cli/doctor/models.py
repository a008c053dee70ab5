"""What is said of each model, client and graph of a program: one finding for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from agentrm_plugins.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from agentrm_plugins.cli.doctor.source import Source

__all__ = ["WRAP", "told"]

WRAP = {
    "model": "wrap_chat_model(model, rm) where it is made, or manage(..., rm) of what it is in",
    "client": "client = manage_client(client, rm)",
    "embeddings": "ManagedEmbeddings(embeddings, rm), of agentrm_langchain",
}
_HANDED = (
    "nothing, if the program calls what comes back; doctor sees that where it stands at the "
    "module's top level: my_app:managed"
)
_MOST_PATHS = 5


def told(found: list[Any], source: Source) -> Iterator[Finding]:
    """All that was found, each object once, with all ways that lead to it."""
    groups: dict[tuple[object, ...], list[Any]] = {}
    for one in found:
        groups.setdefault((id(one.what), one.kind, one.managed), []).append(one)
    for group in groups.values():
        where = _where(group)
        if group[0].kind == "graph":
            yield _graph(group[0], where, found, source)
        else:
            yield from _asking(group[0], where, source)


def _where(group: list[Any]) -> str:
    paths = list(dict.fromkeys(one.path for one in group))
    also = paths[1 : 1 + _MOST_PATHS]
    more = len(paths) - 1 - len(also)
    if more:
        also.append(f"{more} more")
    return f"{group[0].name} at {paths[0]}" + (f" (also at {', '.join(also)})" if also else "")


def _graph(one: Any, where: str, found: list[Any], source: Source) -> Finding:
    if one.managed:
        return Finding("graph", OK, f"{where} is managed")
    inside = [
        other for other in found if other.kind != "graph" and other.path.startswith(f"{one.path}.")
    ]
    if inside and all(other.managed for other in inside):
        text = f"{where}: every model found in it is managed; manage(graph, rm) is for one"
        return Finding("graph", OK, f"{text} whose tools ask models")
    by = source.hands(one.kind, one.name, one.what)
    if by:
        return Finding("graph", NOTE, f"{where} is bare here; it is handed to {by}", _HANDED)
    text = f"{where} is not managed: its nodes take no lanes and its runs are no agents"
    return Finding("graph", NOTE, text, "graph = manage(graph, rm)")


def _asking(one: Any, where: str, source: Source) -> Iterator[Finding]:
    if one.managed:
        yield Finding(one.kind, OK, f"{where} is managed ({one.managed})")
        yield from _retries(one, where)
    elif by := source.hands(one.kind, one.name, one.what):
        yield Finding(one.kind, NOTE, f"{where} is bare here; it is handed to {by}", _HANDED)
    else:
        text = f"{where} slips past management"
        if one.retries:
            text += f", and its SDK retries by itself ({one.retries} times)"
        yield Finding(one.kind, PROBLEM, text, WRAP[one.kind])
    if one.rate_limiter:
        text = f"{where} has a rate limiter of LangChain's: it holds calls back a second time"
        yield Finding("limiter", NOTE, text, "leave it out: rates are found out, or told the core")


def _retries(one: Any, where: str) -> Iterator[Finding]:
    if one.retries:
        way = "management turns them off (without keep_sdk_retries); or set max_retries=0"
        if one.managed == "callback":
            way = "set max_retries=0: a callback cannot turn them off; or use wrap_chat_model"
        text = f"the SDK of {where} retries by itself ({one.retries} times): it hides refusals"
        yield Finding("retries", PROBLEM, text, way)
    elif one.kind in {"model", "client"}:
        yield Finding("retries", OK, f"the SDK of {where} does not retry by itself")
