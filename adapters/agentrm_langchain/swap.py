"""Puts the managed model in the place of the bare one inside what the bare one built.

`bind_tools` and `with_structured_output` are the provider's own, for only it knows its formats.
They return a tree of runnables around the bare model; a call into that would pass unmanaged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import Runnable
from pydantic import BaseModel

from agentrm_plugins import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["swap"]


def swap(tree: Any, replace: Callable[[BaseChatModel], BaseChatModel], made_by: str) -> Any:
    """A copy of `tree` in which each chat model is `replace(model)`.

    Args:
        tree: A runnable.
        replace: Gives the managed model for a bare one.
        made_by: The method that built the tree, for the error.

    Raises:
        ConfigError: There is no chat model in it, so calls through it would pass unmanaged.
    """
    found: list[BaseChatModel] = []

    def visit(node: Any) -> Any:
        if isinstance(node, BaseChatModel):
            found.append(node)
            return replace(node)
        if isinstance(node, Runnable) and isinstance(node, BaseModel):
            changes = {
                name: new
                for name in type(node).model_fields
                if (new := visit(old := getattr(node, name))) is not old
            }
            return node.model_copy(update=changes) if changes else node
        return _visit_collection(node, visit)

    swapped = visit(tree)
    if not found:
        way = "it holds no chat model that could be managed; bind to the inner model yourself"
        raise ConfigError.of_kind(made_by, tree, way)
    return swapped


def _visit_collection(node: Any, visit: Callable[[Any], Any]) -> Any:
    if isinstance(node, dict):
        changed = {key: visit(value) for key, value in node.items()}
        return changed if any(changed[key] is not node[key] for key in node) else node
    if type(node) in {list, tuple}:
        items = [visit(item) for item in node]
        same = all(new is old for new, old in zip(items, node, strict=True))
        return node if same else type(node)(items)
    return node
