"""What a chunk of a LangChain stream says to its consumer.

Empty chunks, a role, a start, a ping and a count say nothing: until something is said, a call may
be sent again without anybody seeing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["text_of"]

_SILENT_BLOCKS = frozenset({"usage", "ping"})
_SILENT_EVENTS = frozenset({"message-start", "content-block-start", "ping", "usage"})
_EXTRAS = ("reasoning_content", "function_call", "refusal")
_TEXTS = ("text", "thinking", "reasoning", "refusal", "input", "arguments", "partial_json")


def text_of(chunk: Any) -> str | None:
    """The text that a chunk says; "" where that is no text; None where it says nothing.

    Args:
        chunk: A `ChatGenerationChunk`, or an event of the protocol streams.
    """
    message = getattr(chunk, "message", None)
    if message is None:
        return _text_of_event(chunk)
    content = message.content
    if isinstance(content, str):
        if content:
            return content
    else:
        text = _text_of_blocks(content)
        if text is not None:
            return text
    if getattr(message, "tool_call_chunks", None) or getattr(message, "tool_calls", None):
        return ""
    extras = message.additional_kwargs
    if extras and any(
        extras.get(name) for name in ("reasoning_content", "function_call", "refusal")
    ):
        return ""
    return None


def _text_of_blocks(blocks: Any) -> str | None:
    said = None
    for block in blocks:
        if isinstance(block, str):
            said = (said or "") + block if block else said
        elif isinstance(block, Mapping) and block.get("type") not in _SILENT_BLOCKS:
            told = next((block[name] for name in _TEXTS if block.get(name)), None)
            if told is not None:
                text = told if block.get("type") == "text" and isinstance(told, str) else ""
                said = (said or "") + text
            elif block.get("type") not in {"text", "thinking", "reasoning"}:
                said = said or ""  # a picture, a call of a tool
    return said


def _text_of_event(event: Any) -> str | None:
    if not isinstance(event, Mapping):
        return "" if event else None
    kind = str(event.get("event") or event.get("type") or "")
    if kind in _SILENT_EVENTS:
        return None
    delta = event.get("delta") or event.get("content") or {}
    text = delta.get("text") if isinstance(delta, Mapping) else None
    return text if isinstance(text, str) else ""
