"""Roles that take turns: what we add to a request never makes two messages of one role in a row.

Strict chat templates (Mistral's, Gemma's and others that vLLM and llama.cpp apply) refuse a request
whose roles do not alternate. Notes, recalled passages and the pressure line are sent as user
messages; where one stands beside another one or before a user message of the caller's, they become
one message, texts above the caller's own. What the caller himself sends in a row is his.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentrm_plugins.context.plan.view import Item
from agentrm_plugins.counting.tokens import TokenCounter

__all__ = ["alternating", "saved"]

_OURS = frozenset({"notes", "recall", "pressure"})
_BETWEEN = "\n\n"


def alternating(items: Sequence[Item]) -> list[Item]:
    """Join what we add with the message of the same role that follows it."""
    joined: list[Item] = []
    for item in items:
        last = joined[-1] if joined else None
        if last is None or last.kind not in _OURS or not _fit(last, item):
            joined.append(item)
        else:
            joined[-1] = _together(last, item)
    return joined


def saved(apart: Sequence[Item], joined: Sequence[Item], counter: TokenCounter) -> int:
    """By how many tokens the joined messages differ from those before."""
    if len(apart) == len(joined):
        return 0
    kept = {id(item) for item in joined}
    before = [item.message for item in apart if id(item) not in kept and item.message is not None]
    known = {id(item) for item in apart}
    after = [item.message for item in joined if id(item) not in known and item.message is not None]
    return sum(map(counter.message, after)) - sum(map(counter.message, before))


def _fit(one: Item, other: Item) -> bool:
    if one.message is None or other.message is None:
        return False
    return one.message.role == other.message.role == "user"


def _together(ours: Item, item: Item) -> Item:
    above, message = ours.message, item.message
    if above is None or message is None or not isinstance(above.content, str):
        raise AssertionError("only messages with a text of ours are joined")
    if isinstance(message.content, str):
        content: Any = _BETWEEN.join(filter(None, (above.content, message.content)))
        sent = content
    else:
        content = ({"type": "text", "text": above.content}, *message.content)
        sent = list(content)
    raw: Mapping[str, Any] | None = None
    if message.raw is not None:
        raw = {**message.raw, "content": sent}
    made = replace(message, content=content, raw=raw)
    return Item(made, None, item.index, item.kind)
