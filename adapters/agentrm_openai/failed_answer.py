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

from agentrm_openai.exchange import is_answered

__all__ = [
    "FailedAnswer",
    "UnreadableAnswer",
    "checked",
    "checked_body",
    "error_in",
    "failed",
    "told_as_error",
]

_CONTENT = ("choices", "output", "data")
_FULL = ("choices", "data")  # which are never empty in an answer
_WORDS = frozenset({"message", "detail", "msg", "error_message"})
_TOLD = (*sorted(_WORDS), "code", "type", "status", "status_code")
_WELL = frozenset({"0", "200", "ok", "success"})  # codes of what is none
_EVENT = (b"data:", b"event:", b":", b"id:", b"retry:")
_LARGEST = 65_536  # an error is no longer
_FAILED_EVENTS = frozenset({"error", "response.failed"})


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
    if answer is None or isinstance(answer, str | bytes):
        raise UnreadableAnswer(answer)
    if isinstance(answer, LegacyAPIResponse):  # the caller parses it himself
        return answer if answer._stream else checked_body(answer, answer.http_response)
    error = _error_of(partial(_attribute, answer))
    if error is not None:
        raise failed(answer, error)
    for name in _FULL:
        if hasattr(answer, name) and not getattr(answer, name):
            raise UnreadableAnswer(answer)
    return answer


def checked_body(answer: Any, response: Any) -> Any:
    """The same of a response that was read, by its body.

    Raises:
        FailedAnswer: As above.
    """
    kind, content = str(response.headers.get("content-type", "")), response.content
    if content.lstrip().startswith(_EVENT):
        return answer  # a stream of events under a wrong name
    if not any(known in kind for known in ("json", "html")) or len(content) > _LARGEST:
        return answer
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and (error := _error_of(body.get)) is not None:
        raise failed(answer, error)
    if not isinstance(body, dict) or not any(body.get(name) for name in (*_CONTENT, "id")):
        raise UnreadableAnswer(answer)
    if any(name in body and not body[name] for name in _FULL):
        raise UnreadableAnswer(answer)
    return answer


def told_as_error(content: bytes, *, streaming: bool) -> bytes | None:
    """A document of status 200 that is an error, told so that the SDK or its caller sees it as one.

    The SDK gives nothing of a document in the place of a stream, and LangChain reads an error of a
    whole answer under the name ``error`` only.

    Args:
        content: The document.
        streaming: Whether a stream was asked for; then it is told as an event.

    Returns:
        The body in its place; None if it is an answer, or tells it well itself.
    """
    if len(content) > _LARGEST:
        return None
    if not streaming and is_answered(content):
        return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if isinstance(body, list) and len(body) == 1:  # Google's
        body = body[0]
    if not isinstance(body, dict) or (body.get("error") is not None and not streaming):
        return None
    error = _error_of(body.get)
    if not isinstance(error, dict) or not (body.get("error") or _is_coded(error.get)):
        return None  # of mere words nobody knows whether another try may cure them
    said = next((error[name] for name in ("message", *sorted(_WORDS)) if error.get(name)), "")
    error = {**error, "message": said if isinstance(said, str) else json.dumps(said)}
    if not streaming:
        return json.dumps({"error": error}).encode()
    return f"data: {json.dumps({'error': error})}\n\n".encode()


def failed(answer: Any, error: Any) -> FailedAnswer:
    """The failure that an error object in an answer is."""
    look = error.get if isinstance(error, dict) else partial(_attribute, error)
    return (FailedAnswer if _is_coded(look) else WordyAnswer)(answer, error)


def _is_coded(look: Callable[[str], Any]) -> bool:
    return any(look(name) is not None for name in ("code", "type", "status", "status_code"))


def error_in(piece: Any) -> Any:
    """The provider's error object in a piece of a stream; None if it is none."""
    kind = getattr(piece, "type", None)
    if kind in _FAILED_EVENTS:
        return getattr(getattr(piece, "response", None), "error", None) or piece
    if kind and getattr(piece, "object", None) != "error":
        return None
    return _error_of(partial(_attribute, piece))


def _error_of(look: Callable[[str], Any]) -> Any:
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
            return {"message": str(base.get("status_msg") or ""), **base}
        well = str(told.get("code")).lower() in _WELL
        return told if told.keys() & _WORDS and plain and not well else None
    return _error_of_choice(look("choices"))


def _error_of_choice(choices: Any) -> Any:
    """OpenRouter's: an error in the place of what a choice says.

    Other parts have errors too, such as that of a tool which the provider ran: the model goes on.
    """
    first = choices[0] if isinstance(choices, list) and choices else None
    look = first.get if isinstance(first, dict) else partial(_attribute, first)
    error = look("error")
    if not error:
        return None
    said = look("message") or look("delta")
    spoke = said.get if isinstance(said, dict) else partial(_attribute, said)
    if look("finish_reason") != "error" and any(map(spoke, ("content", "tool_calls", "refusal"))):
        return None
    return {"message": error} if isinstance(error, str) else error


def _attribute(answer: Any, name: str) -> Any:
    return getattr(answer, name, None)
