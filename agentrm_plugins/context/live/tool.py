"""The tool `recall`: what the model is told of it, and how its calls are read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentrm_plugins.context.plan.lookups import RECALL_NAME
from agentrm_plugins.types.plain import parsed

__all__ = ["RECALL_TOOL", "asked_for"]

RECALL_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": RECALL_NAME,
        "description": (
            "Search the archive of this conversation, which holds every earlier message word for "
            "word. Use it when something said, decided or returned by a tool earlier is not in "
            "view. Give the words, names, numbers or dates to look for, or the number of a message."
        ),
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for."},
                "message": {"type": "integer", "description": "Number of a message to read."},
            },
            "required": [],
        },
    },
}


def asked_for(arguments: Any) -> tuple[str, int | None]:
    """Read a call's arguments as the model wrote them: what to look for, or which message.

    Not only a mapping or its text: a framework hands on whatever JSON there was, such as null.
    """
    try:
        given = parsed(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        given = {"query": arguments}
    if not isinstance(given, Mapping):
        given = {"query": str(given)}
    place = given.get("message")
    whole = isinstance(place, int) and not isinstance(place, bool)
    return str(given.get("query") or ""), place if whole else None
