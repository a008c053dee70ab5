"""What a message asks for and what it answers, beyond `tool_calls`: ids in its content blocks.

Calls that the caller carries out (a computer's, a shell's, a patch's) and approvals that a server's
tool waits for are asked for in blocks, and belong to their answers as a tool call does to its
result. What a provider carries out by itself stands with its result in one message.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentrm_plugins.types.message import FRAMEWORK, Message

__all__ = ["approvals_of", "asked_in_blocks", "only_approves"]

_CARRIED_OUT = frozenset(
    {"computer_call", "local_shell_call", "shell_call", "apply_patch_call", "custom_tool_call",
     "function_call", "tool_use", "tool_call"}
)  # fmt: skip
"""Blocks that wait for an answer by the caller; OpenAI's, Anthropic's and LangChain's names."""
_APPROVAL, _APPROVED = "mcp_approval_request", "mcp_approval_response"


def _blocks(message: Message | None) -> Iterator[Mapping[str, Any]]:
    if message is None:
        return
    listed = () if isinstance(message.content, str) else message.content
    for block in (*listed, *_beside(message)):
        inner = block.get("value") if block.get("type") == "non_standard" else block
        if isinstance(inner, Mapping):
            yield inner


def _beside(message: Message) -> Any:
    """What LangChain's older form of an answer keeps beside the content."""
    rest = message.raw.get(FRAMEWORK) if message.raw is not None else None
    fields = rest.get("fields") if isinstance(rest, Mapping) else None
    more = fields.get("additional_kwargs") if isinstance(fields, Mapping) else None
    outputs = more.get("tool_outputs") if isinstance(more, Mapping) else None
    return [block for block in outputs if isinstance(block, Mapping)] if outputs else ()


def _plain(message: Message | None) -> bool:
    """Whether a message has no blocks at all, as nearly all have: this is asked on each turn."""
    if message is None:
        return True
    return isinstance(message.content, str) and (
        message.raw is None or FRAMEWORK not in message.raw
    )


def asked_in_blocks(message: Message | None) -> list[str]:
    """Ids of the calls and approvals that a message asks for in its blocks alone."""
    if message is None or _plain(message):
        return []
    known = {call.id for call in message.tool_calls}
    found = []
    for block in _blocks(message):
        kind = block.get("type")
        if kind in _CARRIED_OUT:
            number = block.get("call_id") or block.get("id")
        elif kind == _APPROVAL:
            number = block.get("id")
        else:
            continue
        if isinstance(number, str) and number not in known:
            found.append(number)
    return found


def approvals_of(message: Message | None) -> list[str]:
    """Ids of the requests that a message approves or denies."""
    if _plain(message):
        return []
    return [
        str(block.get("approval_request_id"))
        for block in _blocks(message)
        if block.get("type") == _APPROVED
    ]


def only_approves(message: Message | None) -> bool:
    """Whether a user message says nothing beside its approvals: it is no task."""
    if message is None or isinstance(message.content, str) or not message.content:
        return False
    return all(block.get("type") == _APPROVED for block in _blocks(message))
