"""Answers with status 200 that are errors: the SDK gives them as if all were well.

OpenRouter and other gateways answer 200 with ``{"error": {"code": 429}}``, the Responses API with
``status: "failed"``; a proxy may answer 200 with nothing in it. Such an answer goes again as any
error of its kind does, and counts as what it is; when it is given up, the caller gets it as the SDK
gives it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from openai._legacy_response import LegacyAPIResponse

__all__ = [
    "EVENT",
    "LARGEST",
    "WORDS",
    "FailedAnswer",
    "UnreadableAnswer",
    "checked",
    "checked_body",
    "error_in",
    "error_of",
    "failed",
    "has_failed",
    "is_coded",
    "look_at",
    "speaks",
    "unwrapped",
]

LARGEST = 65_536
"""Bytes of a document that is looked at: an error is no longer."""
EVENT = (b"data:", b"event:", b":", b"id:", b"retry:")
"""What a stream of events begins with."""
WORDS = frozenset({"message", "detail", "msg", "error_message"})
"""Where those errors have their words that are no more than words."""
_CONTENT = ("choices", "output", "data")
_FULL = ("choices", "data")  # which are never empty in an answer
_CODES = ("code", "type", "status", "status_code", "base_resp")
_TOLD = (*sorted(WORDS), *_CODES[:-1])
_WELL = frozenset({"0", "200", "ok", "success"})  # codes of what is none
_FAILED_EVENTS = frozenset({"error", "response.failed"})
_SPOKEN = (
    *("content", "tool_calls", "function_call", "refusal"),
    *("reasoning_content", "reasoning", "audio"),
)


class FailedAnswer(Exception):
    """An answer that is an error, on its way to be judged.

    Attributes:
        answer: What the SDK gave.
        body: The provider's error object, if there is one.
    """

    def __init__(self, answer: Any, body: Any) -> None:
        super().__init__("the provider answered 200 with an error, or with nothing")
        self.answer = answer
        self.body = body


class UnreadableAnswer(FailedAnswer):
    """An answer that is none: nothing, a page in HTML. Another try or two may cure that."""

    def __init__(self, answer: Any = None) -> None:
        super().__init__(answer, None)


class WordyAnswer(FailedAnswer):
    """An answer that is an error without a code: what its words do not tell, another try may."""


def checked(answer: Any) -> Any:
    """The answer, if it is one.

    Raises:
        FailedAnswer: It says that something failed, or nothing at all.
    """
    if isinstance(answer, LegacyAPIResponse):  # the caller parses it himself
        return answer if answer._stream else checked_body(answer, answer.http_response)
    told = unwrapped(answer)
    if told is None or isinstance(told, str | bytes | list):
        raise UnreadableAnswer(answer)
    error = error_of(look_at(told))
    if error is not None:
        raise failed(answer, error)
    for name in _FULL:
        if hasattr(answer, name) and not getattr(answer, name):
            raise UnreadableAnswer(answer)
    if has_failed(getattr(answer, "choices", None)):
        raise UnreadableAnswer(answer)
    return answer


def checked_body(answer: Any, response: Any) -> Any:
    """The same of a response that was read, by its body.

    Raises:
        FailedAnswer: As above.
    """
    kind, content = str(response.headers.get("content-type", "")), response.content
    if content.lstrip().startswith(EVENT):
        return answer  # a stream of events under a wrong name
    if not any(known in kind for known in ("json", "html")) or len(content) > LARGEST:
        return answer
    try:
        body = unwrapped(json.loads(content))
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and (error := error_of(body.get)) is not None:
        raise failed(answer, error)
    if not isinstance(body, dict) or not any(body.get(name) for name in (*_CONTENT, "id")):
        raise UnreadableAnswer(answer)
    if any(name in body and not body[name] for name in _FULL) or has_failed(body.get("choices")):
        raise UnreadableAnswer(answer)
    return answer


def failed(answer: Any, error: Any) -> FailedAnswer:
    """The failure that an error object in an answer is."""
    return (FailedAnswer if is_coded(look_at(error)) else WordyAnswer)(answer, error)


def is_coded(look: Callable[[str], Any]) -> bool:
    """Whether an error object has more than words."""
    return any(look(name) is not None for name in _CODES)


def error_in(piece: Any) -> Any:
    """The provider's error object in a piece of a stream; None if it is none."""
    kind = getattr(piece, "type", None)
    if kind in _FAILED_EVENTS:
        return getattr(getattr(piece, "response", None), "error", None) or piece
    if kind and getattr(piece, "object", None) != "error":
        return None
    return error_of(look_at(piece))


def error_of(look: Callable[[str], Any]) -> Any:
    """The provider's error object in an answer or a chunk: its own, its choice's, or itself."""
    content = next((found for name in _CONTENT if (found := look(name))), None)
    error = look("error")
    if error and (content is None or look("status") == "failed"):
        return {"message": error} if isinstance(error, str) else error
    if content is None:
        told = {name: value for name in _TOLD if (value := look(name)) is not None}
        plain = look("id") is None or look("object") == "error"
        base = look("base_resp")  # MiniMax's
        if isinstance(base, dict) and base.get("status_code"):
            return {"message": str(base.get("status_msg") or ""), "base_resp": base}
        well = str(told.get("code")).lower() in _WELL
        return told if told.keys() & WORDS and plain and not well else None
    return _error_of_choice(look("choices"))


def _error_of_choice(choices: Any) -> Any:
    """OpenRouter's: an error in the place of what a choice says.

    Other parts have errors too, such as that of a tool which the provider ran: the model goes on.
    """
    look = _first_of(choices)
    error = look("error")
    if not error or (look("finish_reason") != "error" and speaks(look)):
        return None
    return {"message": error} if isinstance(error, str) else error


def has_failed(choices: Any) -> bool:
    """Whether the first choice of an answer or a chunk ended with an error and says nothing."""
    look = _first_of(choices)
    return look("finish_reason") == "error" and not speaks(look)


def speaks(look: Callable[[str], Any]) -> bool:
    """Whether a choice says something."""
    return any(map(look_at(look("message") or look("delta")), _SPOKEN)) or bool(look("text"))


def _first_of(choices: Any) -> Callable[[str], Any]:
    return look_at(choices[0] if isinstance(choices, list) and choices else None)


def look_at(holder: Any) -> Callable[[str], Any]:
    """How to ask an object, or a mapping, for what it has under a name."""
    return holder.get if isinstance(holder, dict) else partial(_attribute, holder)


def _attribute(answer: Any, name: str) -> Any:
    return getattr(answer, name, None)


def unwrapped(document: Any) -> Any:
    """What Google puts into a list of one, and any other document as it is."""
    return document[0] if isinstance(document, list) and len(document) == 1 else document
