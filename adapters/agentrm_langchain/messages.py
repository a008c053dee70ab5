"""LangChain messages as the context lifecycle's own, and back, with nothing lost.

A message made here carries two things in `raw`: what is sent, as an OpenAI-format dict, and under
``framework`` whatever else the LangChain object holds (its class, id, usage, response metadata,
invalid calls, artifact, extra fields). The first is the message's identity: a history that is read
again from a database, under new ids and without usage, is still the same history. The second is
archived with it. In memory both are exact; in an archive, what JSON cannot hold becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    ChatMessage,
    ChatMessageChunk,
    FunctionMessage,
    FunctionMessageChunk,
    HumanMessage,
    HumanMessageChunk,
    SystemMessage,
    SystemMessageChunk,
    ToolMessage,
    ToolMessageChunk,
)
from langchain_core.utils.function_calling import convert_to_openai_tool

from agentrm_plugins import BadMessage
from agentrm_plugins.integration import Message, ToolCall, contexts, counting

__all__ = [
    "form_in",
    "from_message",
    "from_messages",
    "input_tokens",
    "sent_as",
    "to_message",
    "to_messages",
]

_ROLE = MappingProxyType(
    {
        "human": "user", "HumanMessageChunk": "user",
        "ai": "assistant", "AIMessageChunk": "assistant",
        "system": "system", "SystemMessageChunk": "system",
        "tool": "tool", "ToolMessageChunk": "tool",
        "function": "function", "FunctionMessageChunk": "function",
    }
)  # fmt: skip
_CLASSES = {
    kind.__name__: kind
    for kind in (
        AIMessage, AIMessageChunk, ChatMessage, ChatMessageChunk, FunctionMessage,
        FunctionMessageChunk, HumanMessage, HumanMessageChunk, SystemMessage, SystemMessageChunk,
        ToolMessage, ToolMessageChunk,
    )
}  # fmt: skip
_CALL_BLOCKS = frozenset({"tool_use", "tool_call", "function_call", "tool_call_chunk"})
_DEVELOPER = "__openai_role__"
_SCHEMA = "model_json_schema"


def to_message(message: BaseMessage, place: int | str = "") -> Message:
    """Read a LangChain message. It is not changed, and later changes to it have no effect.

    Args:
        message: Any that can be sent to a model.
        place: Its index, for the error's text.

    Raises:
        BadMessage: It is none, or one that is no message to a model, such as `RemoveMessage`.
    """
    role = _role(message, place)
    calls = tuple(ToolCall(*call) for call in _calls(message))
    raw: dict[str, Any] = {"role": role, "content": contexts.copied(message.content)}
    if message.name is not None:
        raw["name"] = message.name
    answered = getattr(message, "tool_call_id", None)
    if answered is not None:
        raw["tool_call_id"] = answered
    if calls and calls[0].is_legacy:
        raw["function_call"] = {"name": calls[0].name, "arguments": calls[0].arguments}
    elif calls:
        raw["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in calls
        ]
    raw[contexts.FRAMEWORK] = _rest(message)
    return Message(
        role=role,
        content=_content(message, calls),
        name=message.name,
        tool_calls=calls,
        tool_call_id=f"{contexts.LEGACY}{message.name or ''}" if role == "function" else answered,
        id=message.id,
        metadata=message.response_metadata,
        raw=raw,
    )


def input_tokens(messages: Sequence[BaseMessage], options: Mapping[str, Any], model: str) -> int:
    """Tokens that a request will send: the one count, by which the context's budget goes as well.

    Args:
        messages: The prompt, read in place.
        options: The call's other arguments: tools, functions and a response format count too.
        model: Its name, "" if that is not known.
    """
    form = form_in(options) if options else ()
    return counting.request_counter(model).request(map(_parts_of, messages), form)


def form_in(options: Mapping[str, Any]) -> list[Any]:
    """What tells a call's tools and the form of its answer, of all kinds that LangChain takes.

    The reservation and the context's budget count what this gives.

    Args:
        options: The call's arguments: tools, functions, a response format under any name.
    """
    return [sent_as(given) for given in counting.form_of(options)]


def sent_as(tool: Any) -> Any:
    """A tool, a function or a class as its schema; what is none stays, and is counted by its name.

    Args:
        tool: A mapping stays as it is, and a pydantic class, which the count reads by itself.
    """
    if isinstance(tool, Mapping) or (isinstance(tool, type) and hasattr(tool, _SCHEMA)):
        return tool
    try:
        return convert_to_openai_tool(tool)
    except Exception:  # noqa: BLE001 - a count never raises: who sends it will be told
        return tool


def _parts_of(
    message: BaseMessage,
) -> tuple[str | Sequence[Any], str | None, str | None, Sequence[tuple[str, str, str]]]:
    """Give what `to_message` would give, for the count alone: read in place, nothing copied."""
    content: Any = message.content
    if message.type == "human":
        return content, message.name, None, ()
    calls = _calls(message)
    if calls and calls[0][0].startswith(contexts.LEGACY):
        calls = [("", *calls[0][1:])]
    elif calls and not isinstance(content, str):
        content = _said(message, {call[0] for call in calls})
    return content, message.name, getattr(message, "tool_call_id", None), calls


def to_messages(messages: Iterable[BaseMessage]) -> list[Message]:
    """Read a list of LangChain messages.

    Raises:
        BadMessage: One of them cannot be sent to a model; the text names its place.
    """
    return [to_message(message, place) for place, message in enumerate(messages)]


def from_message(message: Message) -> BaseMessage:
    """Give the LangChain message: the one that it was made from, or a new one by its role."""
    raw = message.raw or {}
    rest = raw.get(contexts.FRAMEWORK)
    kind = _CLASSES.get(str(rest.get("class"))) if isinstance(rest, Mapping) else None
    if rest is None or kind is None:
        return _made(message)
    # Validated when it was made. Some validators add to a message, and would do so again.
    return kind.model_construct(
        content=contexts.copied(raw["content"]), **contexts.copied(rest["fields"])
    )


def from_messages(messages: Iterable[Message]) -> list[BaseMessage]:
    """Give the LangChain messages of a list."""
    return [from_message(message) for message in messages]


def _role(message: Any, place: int | str) -> str:
    where = f"messages[{place}]" if place != "" else "message"
    if not isinstance(message, BaseMessage):
        raise BadMessage(f"{where}={type(message).__name__}: give a LangChain message")
    if message.type in {"system", "SystemMessageChunk"}:
        return str(message.additional_kwargs.get(_DEVELOPER) or "system")
    found = _ROLE.get(message.type)
    if found is not None:
        return found
    role = getattr(message, "role", None)
    if not isinstance(role, str):
        way = "no message to a model; take it out of the history, or convert it first"
        raise BadMessage(f"{where}.type={message.type!r}: {way}")
    # A `ChatMessage` may have any role; a model that takes a role of its own gets it as it is.
    return role if role in contexts.ROLES else "user"


def _calls(message: BaseMessage) -> list[tuple[str, str, str]]:
    """The calls that a message asks for: id, name, and arguments as JSON text."""
    found = [
        (call.get("id") or "", call["name"], _json(call["args"]))
        for call in getattr(message, "tool_calls", ())
    ]
    # Providers are sent the calls that could not be read as well, and want an answer to each.
    found += [
        (str(call.get("id") or ""), str(call.get("name") or ""), str(call["args"] or ""))
        for call in getattr(message, "invalid_tool_calls", ())
    ]
    if not found and isinstance(message, AIMessage):
        old = message.additional_kwargs.get("function_call")  # sent where there are no other calls
        if isinstance(old, Mapping) and old.get("name"):  # gateways send empty ones along
            name = str(old["name"])
            found = [(f"{contexts.LEGACY}{name}", name, str(old.get("arguments") or ""))]
    return found


_json = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _content(
    message: BaseMessage, calls: Sequence[ToolCall]
) -> str | tuple[Mapping[str, Any], ...]:
    """What is said; calls that some providers repeat among the blocks are counted once."""
    if isinstance(message.content, str):
        return message.content
    return tuple(
        {"type": "text", "text": block} if isinstance(block, str) else contexts.copied(block)
        for block in _said(message, {call.id for call in calls})
    )


def _said(message: BaseMessage, ids: AbstractSet[str]) -> list[Any]:
    """The content blocks without those that repeat the calls of these ids."""
    return [
        block
        for block in message.content
        if isinstance(block, str)
        or block.get("type") not in _CALL_BLOCKS
        or not ids & {block.get("id"), block.get("call_id")}
    ]


def _rest(message: BaseMessage) -> dict[str, Any]:
    kind = next(base.__name__ for base in type(message).__mro__ if base.__name__ in _CLASSES)
    fields = {**message.__dict__, **(message.model_extra or {})}
    defaults = _defaults(type(message))
    kept = {
        name: contexts.copied(value)
        for name, value in fields.items()
        if name != "content" and not _is_default(defaults, name, value)
    }
    return {"class": kind, "fields": kept}


@lru_cache(maxsize=64)
def _defaults(kind: type[BaseMessage]) -> Mapping[str, Any]:
    """A class's defaults: asked of pydantic once, which takes its time."""
    return {
        name: field.get_default(call_default_factory=True)
        for name, field in kind.model_fields.items()
        if not field.is_required()
    }


def _is_default(defaults: Mapping[str, Any], name: str, value: Any) -> bool:
    if name not in defaults:
        return False
    default = defaults[name]
    return value.__class__ is default.__class__ and bool(value == default)


def _made(message: Message) -> BaseMessage:
    content: Any = (
        message.content if isinstance(message.content, str) else contexts.copied(message.content)
    )
    fields: dict[str, Any] = {"content": content, "name": message.name, "id": message.id}
    if message.role == "user":
        return HumanMessage(**fields)
    if message.role == "system":
        return SystemMessage(**fields)
    if message.role == "developer":
        return SystemMessage(**fields, additional_kwargs={_DEVELOPER: "developer"})
    if message.role == "tool":
        return ToolMessage(**fields, tool_call_id=message.tool_call_id or "")
    if message.role == "function":
        return FunctionMessage(**{**fields, "name": message.name or ""})
    if message.tool_calls and message.tool_calls[0].is_legacy:
        old = message.tool_calls[0]
        told = {"name": old.name, "arguments": old.arguments}
        return AIMessage(**fields, additional_kwargs={"function_call": told})
    good, bad = [], []
    for call in message.tool_calls:
        try:
            args = json.loads(call.arguments or "{}")
        except (ValueError, RecursionError):
            args = None
        if isinstance(args, dict):
            good.append({"name": call.name, "args": args, "id": call.id, "type": "tool_call"})
        else:
            bad.append(
                {
                    "name": call.name,
                    "args": call.arguments,
                    "id": call.id,
                    "error": None,
                    "type": "invalid_tool_call",
                }
            )
    return AIMessage(**fields, tool_calls=good, invalid_tool_calls=bad)
