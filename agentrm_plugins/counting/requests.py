"""The tokens of a request's JSON: chat, responses, completions, embeddings.

Messages are counted by the law of `tokens`. The items of a Responses request that are no messages
(calls, their outputs, reasoning) are counted as the chat messages that they stand for: calls share
the frame of the assistant's turn that they belong to. What the server keeps
(`previous_response_id`, a stored prompt) is not seen here and so not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agentrm_plugins.counting.encodings import request_counter
from agentrm_plugins.counting.forms import form_of
from agentrm_plugins.counting.tokens import (
    CALL_OVERHEAD,
    MESSAGE_OVERHEAD,
    REPLY_OVERHEAD,
    TokenCounter,
)
from agentrm_plugins.errors import BadMessage
from agentrm_plugins.types.message import read_openai

__all__ = ["request_tokens"]

_FRAMELESS = ("embed", "moderation", "rerank")
"""What such a model is sent has no chat template around it."""


def request_tokens(body: Mapping[str, Any], model: str) -> int:
    """Count what a request will cost as input, before it is sent. Never raises.

    Args:
        body: Its JSON.
        model: The model's name, "" if that is not known.
    """
    counter = request_counter(model)
    messages, items, prompt = body.get("messages"), body.get("input"), body.get("prompt")
    form = counter.tools(form_of(body))
    if isinstance(messages, list | tuple):
        return REPLY_OVERHEAD + sum([_message(item, counter) for item in messages]) + form
    if _is_plain(prompt):
        suffix = body.get("suffix")
        return _plain(prompt, counter) + (counter.text(suffix) if isinstance(suffix, str) else 0)
    if _is_frameless(items, body, model):
        return _plain(items, counter)
    tokens = REPLY_OVERHEAD + form
    told = body.get("instructions")
    if isinstance(told, str) and told:
        tokens += counter.parts(told)
    if isinstance(prompt, Mapping):
        tokens += counter.block({key: prompt[key] for key in prompt if key != "id"})
    if isinstance(items, str):
        return tokens + counter.parts(items)
    return tokens + (_items(items, counter) if isinstance(items, list | tuple) else 0)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | list | tuple)


def _is_frameless(items: Any, body: Mapping[str, Any], model: str) -> bool:
    if any(word in model for word in _FRAMELESS) or "encoding_format" in body:
        return True
    several = isinstance(items, list | tuple) and bool(items)
    return several and all(isinstance(item, str | int | list | tuple) for item in items)


def _plain(value: Any, counter: TokenCounter) -> int:
    """Texts, or tokens already, or lists of either."""
    if isinstance(value, str):
        return counter.text(value)
    if isinstance(value, int):
        return 1
    if isinstance(value, list | tuple):
        return sum([_plain(item, counter) for item in value])
    return counter.block(value)


def _message(data: Any, counter: TokenCounter) -> int:
    if data.__class__ is dict and len(data) == 2:  # noqa: PLR2004 - role and content, as most have
        content = data.get("content")
        if content.__class__ is str and "role" in data:
            return MESSAGE_OVERHEAD + counter.text(content)
    try:
        return counter.message(read_openai(data))
    except BadMessage:  # the provider will say so; until then it costs what its text costs
        return MESSAGE_OVERHEAD + counter.block({"content": data})


def _items(items: Sequence[Any], counter: TokenCounter) -> int:
    tokens, speaking = 0, False
    for item in items:
        if not isinstance(item, Mapping):
            tokens += MESSAGE_OVERHEAD + counter.block(item)
            continue
        kind = str(item.get("type") or "message")
        if kind == "message" or "role" in item:
            tokens += _message(item, counter)
            speaking = item.get("role") == "assistant"
            continue
        if kind.endswith("_output"):
            output = item.get("output")
            content: str | Iterable[Any] = output if isinstance(output, str | list) else [output]
            tokens += counter.parts(content, answers=_text(item, "call_id"))
            speaking = False
            continue
        tokens += (0 if speaking else MESSAGE_OVERHEAD) + _own(item, kind, counter)
        speaking = True
    return tokens


def _own(item: Mapping[str, Any], kind: str, counter: TokenCounter) -> int:
    """A part of the assistant's turn: a call of one of the user's tools, or anything else."""
    if kind in {"function_call", "custom_tool_call"}:
        given = item.get("arguments", item.get("input", ""))
        arguments = given if isinstance(given, str) else json.dumps(given, default=str)
        parts = (_text(item, "call_id"), _text(item, "name"), arguments)
        return CALL_OVERHEAD + sum(map(counter.text, parts))
    return counter.block(item)


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return value if isinstance(value, str) else ""
