"""What a piece of an SDK's stream says to its consumer.

A role, an empty delta, a start, a ping and a count say nothing: until something is said, a call may
be sent again without anybody seeing it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["text_of"]

_TEXT_DELTAS = frozenset({"response.output_text.delta", "response.refusal.delta"})
_OTHERS = (
    "tool_calls", "function_call", "refusal", "reasoning_content", "reasoning", "audio",
)  # fmt: skip
_SILENT = frozenset({
    "response.created", "response.queued", "response.in_progress", "response.output_item.added",
    "response.content_part.added", "response.reasoning_summary_part.added", "keepalive", "ping",
    "response.web_search_call.in_progress", "response.file_search_call.in_progress",
})  # fmt: skip


def text_of(piece: Any) -> str | None:
    """The text that a piece says; "" where that is no text; None where it says nothing."""
    kind = getattr(piece, "type", None)
    if isinstance(kind, str) and kind:
        if kind in _TEXT_DELTAS:
            return str(getattr(piece, "delta", ""))
        return None if kind in _SILENT else ""
    choices = getattr(piece, "choices", None)
    if not choices:
        return None
    said = None
    for choice in choices:
        delta = getattr(choice, "delta", None)
        text = getattr(choice, "text", None) if delta is None else getattr(delta, "content", None)
        if isinstance(text, str) and text:
            said = (said or "") + text
        elif said is None and _other(delta):
            said = ""
    return said


def _other(delta: Any) -> bool:
    """Whether it says something else than text: a call of a tool, a refusal, reasoning."""
    return any(
        getattr(delta, name, None)
        for name in (
            "tool_calls",
            "function_call",
            "refusal",
            "reasoning_content",
            "reasoning",
            "audio",
        )
    )
