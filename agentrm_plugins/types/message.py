"""One message, free of frameworks, with converters that lose nothing.

A message made from an OpenAI-format dict keeps a copy of it (`raw`), and `to_openai` gives an equal
dict back: unknown keys, content blocks and ids included. Adapters for other frameworks put their
own object's data into `raw` or `metadata` in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from agentrm_plugins.errors import BadMessage
from agentrm_plugins.types.plain import json_text, plain

__all__ = [
    "FRAMEWORK",
    "KNOWN_BLOCKS",
    "LEGACY",
    "ROLES",
    "Message",
    "ToolCall",
    "copied",
    "from_openai",
    "plain_text",
    "read_openai",
    "said_text",
]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
SYSTEM_ROLES = frozenset({"system", "developer"})

KNOWN_BLOCKS = MappingProxyType(
    {
        "text": "text", "input_text": "text", "output_text": "text", "refusal": "text",
        "thinking": "text", "reasoning": "text", "redacted_thinking": "data",
        "image_url": "image", "image": "image", "input_image": "image",
        "input_audio": "audio", "audio": "audio", "video": "video", "video_url": "video",
        "file": "file", "input_file": "file", "document": "file", "text-plain": "text",
        "tool_use": "data", "tool_result": "data", "tool_call": "data",
        "computer_call": "data", "computer_screenshot": "image", "computer_call_output": "data",
        "function_call": "data", "function_call_output": "data", "custom_tool_call": "data",
        "server_tool_use": "data", "server_tool_call": "data", "server_tool_result": "data",
        "web_search_call": "data", "web_search_tool_result": "data", "file_search_call": "data",
        "code_interpreter_call": "data", "image_generation_call": "image", "mcp_call": "data",
        "mcp_list_tools": "data", "mcp_approval_request": "data", "mcp_approval_response": "data",
        "mcp_tool_use": "data", "mcp_tool_result": "data", "local_shell_call": "data",
        "shell_call": "data", "apply_patch_call": "data", "code_execution_tool_result": "data",
        "non_standard": "data", "search_result": "data",
    }
)  # fmt: skip
"""Content block types of OpenAI, Anthropic and LangChain, and how each is counted."""

FRAMEWORK = "framework"
"""Key of `Message.raw` under which an adapter keeps what its own object holds beyond what is sent:
archived with the message, and no part of its identity."""

LEGACY = "function:"
"""What the id begins with that is made up for a call or a result of the form before `tool_calls`;
the function's name follows. It is not sent."""

_EMPTY: Mapping[str, Any] = MappingProxyType({})


def copied(value: Any) -> Any:
    """Copy JSON-like data deeply: dicts and lists are new, leaves are shared.

    What is nested deeper than any provider's format becomes its text (see `plain`).

    Raises:
        BadMessage: It has no end.
    """
    return plain(value)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call that the model asked for; `arguments` is the JSON text as the model wrote it."""

    id: str
    name: str
    arguments: str

    @property
    def is_legacy(self) -> bool:
        """Whether it travels as a `function_call`, which has no id: ours pairs it with its result.

        Its result is a message of the role "function" and of the same name.
        """
        return self.id.startswith(LEGACY)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    Args:
        role: One of `ROLES`.
        content: Text, or a tuple of content blocks (OpenAI-format dicts).
        name: The speaker's or the tool's name.
        tool_calls: The calls that an assistant message asks for.
        tool_call_id: For a tool message: the call that it answers.
        id: The caller's own id of the message.
        metadata: Anything that travels along and is not sent, such as "timestamp".
        raw: The data it was made from, given back by `to_openai` as it was.
    """

    role: str
    content: str | tuple[Mapping[str, Any], ...] = ""
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: _EMPTY)
    raw: Mapping[str, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse a role that no provider takes."""
        if self.role not in ROLES:
            raise BadMessage(f"role={self.role!r}: use one of {', '.join(sorted(ROLES))}")

    def to_openai(self) -> dict[str, Any]:
        """Give the OpenAI-format dict: equal to the one it was made from, but not the same."""
        if self.raw is not None:
            return dict(copied(self.raw))
        made: dict[str, Any] = {"role": self.role}
        content = self.content
        made["content"] = content if isinstance(content, str) else copied(content)
        if self.tool_calls and self.tool_calls[0].is_legacy:
            call = self.tool_calls[0]
            made["function_call"] = {"name": call.name, "arguments": call.arguments}
        elif self.tool_calls:
            made["tool_calls"] = [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                }
                for call in self.tool_calls
            ]
        for key in ("name", "tool_call_id", "id"):
            if getattr(self, key) is not None:
                made[key] = getattr(self, key)
        if self.metadata:
            made["metadata"] = copied(self.metadata)
        return made


def from_openai(data: Mapping[str, Any], place: int | str = "") -> Message:
    """Read an OpenAI-format dict.

    Args:
        data: The dict. It is copied, so later changes to it have no effect here.
        place: Its index, for the error's text.

    Raises:
        BadMessage: No role, an unknown role, or a field of the wrong type.
    """
    return read_openai(copied(data) if isinstance(data, Mapping) else data, place)


def read_openai(data: Any, place: int | str = "") -> Message:
    """Read an OpenAI-format dict without copying it: the message shares its values.

    Raises:
        BadMessage: As `from_openai`.
    """
    where = f"messages[{place}]" if place != "" else "message"
    if type(data) is not dict and not isinstance(data, Mapping):
        raise BadMessage(f"{where}={type(data).__name__}: give a dict with 'role' and 'content'")
    role = data.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise BadMessage(f"{where}.role={role!r}: use one of {', '.join(sorted(ROLES))}")
    raw = data
    metadata = raw.get("metadata")
    return Message(
        role=str(role),
        content=_content(raw.get("content"), where),
        name=_text_or_none(raw, "name", where),
        tool_calls=_calls(raw, where),
        tool_call_id=_answered(raw, where),
        id=_text_or_none(raw, "id", where),
        metadata=metadata if metadata is not None and isinstance(metadata, Mapping) else _EMPTY,
        raw=raw,
    )


def _text_or_none(raw: Mapping[str, Any], key: str, where: str) -> str | None:
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value
    raise BadMessage(f"{where}.{key}={value!r}: give text or leave it out")


def _content(content: Any, where: str) -> str | tuple[Mapping[str, Any], ...]:
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        raise BadMessage(f"{where}.content={type(content).__name__}: give text or a list of blocks")
    blocks: list[Mapping[str, Any]] = []
    for place, block in enumerate(content):
        if isinstance(block, str):
            blocks.append({"type": "text", "text": block})
        elif isinstance(block, Mapping):
            blocks.append(block)
        else:
            at = f"{where}.content[{place}]={type(block).__name__}"
            raise BadMessage(f"{at}: a content block is a dict with a 'type', or text")
    return tuple(blocks)


def _calls(raw: Mapping[str, Any], where: str) -> tuple[ToolCall, ...]:
    listed, old = raw.get("tool_calls") or (), raw.get("function_call")
    if not listed and old is None:  # most messages: this is asked of each that is read
        return ()
    calls = []
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        raise BadMessage(f"{where}.tool_calls={type(listed).__name__}: give a list of dicts")
    for place, call in enumerate(listed):
        if not isinstance(call, Mapping):
            at = f"{where}.tool_calls[{place}]={type(call).__name__}"
            raise BadMessage(f"{at}: give a dict with 'id' and 'function'")
        body = call.get("function") or call.get("custom") or call
        if not isinstance(body, Mapping):
            at = f"{where}.tool_calls[{place}].function={type(body).__name__}"
            raise BadMessage(f"{at}: give a dict with 'name' and 'arguments'")
        arguments = body.get("arguments", body.get("args", body.get("input", "")))
        if not isinstance(arguments, str):
            arguments = json_text(arguments)
        calls.append(ToolCall(str(call.get("id") or ""), str(body.get("name") or ""), arguments))
    if isinstance(old, Mapping) and not calls:
        name = str(old.get("name") or "")
        calls.append(ToolCall(f"{LEGACY}{name}", name, str(old.get("arguments") or "")))
    return tuple(calls)


def _answered(raw: Mapping[str, Any], where: str) -> str | None:
    if raw.get("role") == "function":
        return f"{LEGACY}{raw.get('name') or ''}"
    return _text_or_none(raw, "tool_call_id", where)


def plain_text(message: Message) -> str:
    """Give all that can be read in a message: texts of its blocks, then its calls."""
    if not message.tool_calls:
        return said_text(message)
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    return "\n".join([part for part in (said_text(message), *calls) if part])


def said_text(message: Message) -> str:
    """Give what is said in a message: the texts of its blocks, without its calls."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(filter(None, map(_block_text, message.content)))


def _block_text(block: Mapping[str, Any]) -> str:
    for key in ("text", "refusal", "thinking", "reasoning"):
        value = block.get(key)
        if isinstance(value, str):
            return value
    kind = str(block.get("type"))
    if kind == "tool_result":
        inner = block.get("content")
        if isinstance(inner, str):
            return inner
        if isinstance(inner, Sequence):
            return "\n".join(_block_text(b) for b in inner if isinstance(b, Mapping))
    if KNOWN_BLOCKS.get(kind) in {"image", "audio", "video", "file"}:
        name = block.get("filename") or block.get("title") or block.get("file_id") or ""
        return f"[{KNOWN_BLOCKS[kind]} {name}]".replace(" ]", "]")
    slim = {key: value for key, value in block.items() if key != "type"}
    return json_text(slim)[:4000]
