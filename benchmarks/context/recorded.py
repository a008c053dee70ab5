"""Recorded chats from a file: OpenAI's format, or LangChain's dumps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.context.generate import Session

ROLES = {"human": "user", "ai": "assistant", "AIMessage": "assistant", "HumanMessage": "user",
         "SystemMessage": "system", "ToolMessage": "tool"}  # fmt: skip


def recorded(path: str) -> Session:
    """Read a recorded chat.

    Args:
        path: A JSON list of messages, or ``{"messages": [...]}``. A message is in OpenAI's format,
            or as LangChain writes it: `messages_to_dict` (``{"type", "data"}``), `dumpd` (``{"lc",
            "id", "kwargs"}``), or `model_dump` (a flat dict with "type").

    Raises:
        ValueError: The file holds no list of messages.
    """
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    listed = data.get("messages") if isinstance(data, dict) else data
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"{path}: give a JSON list of messages, or an object with 'messages'")
    messages = [_openai(one, at) for at, one in enumerate(listed)]
    if messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": "(end)"})
    return Session(Path(path).stem, messages, [], {})


def _openai(one: dict[str, Any], at: int) -> dict[str, Any]:
    if "role" in one:
        return one
    inner = one.get("data") or one.get("kwargs") or one
    kind = one["id"][-1] if "lc" in one else one.get("type")
    role = ROLES.get(str(kind), kind)
    if role not in {"user", "assistant", "system", "tool"}:
        raise ValueError(f"messages[{at}]: neither 'role' nor a known 'type' ({kind!r})")
    made: dict[str, Any] = {"role": role, "content": inner.get("content") or ""}
    calls = inner.get("tool_calls") or ()
    if calls:
        made["tool_calls"] = [
            {"id": call["id"], "type": "function",
             "function": {"name": call["name"], "arguments": json.dumps(call["args"])}}
            for call in calls
        ]  # fmt: skip
    for key in ("tool_call_id", "name"):
        if inner.get(key):
            made[key] = inner[key]
    return made
