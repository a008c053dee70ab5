"""Answers with status 200 that are errors: the SDK gives them as if all were well.

OpenRouter and other gateways answer 200 with ``{"error": {"code": 429}}``, the Responses API with
``status: "failed"``; a proxy may answer 200 with nothing in it. Such an answer goes again as any
error of its kind does, and counts as what it is; when it is given up, the caller gets it as the SDK
gives it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["FailedAnswer", "UnreadableAnswer", "checked", "error_in"]

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


def checked(answer: Any) -> Any:
    """The answer, if it is one.

    Raises:
        FailedAnswer: It says that something failed, or nothing at all.
    """
    if answer is None or isinstance(answer, str):
        raise UnreadableAnswer(answer)
    error = getattr(answer, "error", None)
    if error is not None and (_is_failed(answer) or not _has_content(answer)):
        raise FailedAnswer(answer, error)
    if error is None and hasattr(answer, "choices") and answer.choices is None:
        raise UnreadableAnswer(answer)
    return answer


def error_in(piece: Any) -> Any:
    """The provider's error object in an event of a stream of responses; None if it is none."""
    if getattr(piece, "type", None) not in _FAILED_EVENTS:
        return None
    return getattr(getattr(piece, "response", None), "error", None) or piece


def _is_failed(answer: Any) -> bool:
    return getattr(answer, "status", None) == "failed"


def _has_content(answer: Any) -> bool:
    return any(getattr(answer, name, None) for name in ("choices", "output", "data"))
