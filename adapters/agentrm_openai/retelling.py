"""Errors of status 200, told so that an SDK or its caller sees them as errors.

SDKs raise an event ``{"error": ...}`` of a stream, and LangChain's packages read an error of a
whole answer under that name only. What a provider says otherwise (a document in the place of a
stream, a ``base_resp``, a ``detail``, an error within a choice) is told in that form, before
anything was said; so whoever asks, the same answer is judged alike. A package that knows errors by
their status only (Mistral's) is told the status that it should have had.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from agentrm_openai.exchange import is_answered
from agentrm_openai.failed_answer import (
    LARGEST,
    WORDS,
    error_of,
    is_coded,
    look_at,
    speaks,
    unwrapped,
)
from agentrm_plugins.integration import wire

__all__ = [
    "Retold",
    "plain_headers",
    "refusing",
    "retold",
    "told_as_error",
    "told_as_status",
]

_WELL = 200
_STATUSES = {
    "limit": 429, "overloaded": 503, "transient": 500, "permanent": 400, "billing": 402,
}  # fmt: skip
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")


def retold(content: bytes, style: str, streaming: bool, **tables: Any) -> tuple[int, bytes] | None:
    """The status and the body in a document's place; None: it stays as it is.

    Args:
        content: The document.
        style: "events" or "statuses" (see `TransportBase`).
        streaming: Whether a stream was asked for.
        tables: `tables=`: what providers say, if it is not the usual.
    """
    if style == "statuses":
        status = told_as_status(content, **tables)
        return None if status is None else (status, content)
    told = told_as_error(content, streaming=streaming, **tables)
    return None if told is None else (_WELL, told)


def told_as_error(content: bytes, *, streaming: bool, **tables: Any) -> bytes | None:
    """A document of status 200 that is an error, told so that the SDK or its caller sees it as one.

    Args:
        content: The document.
        streaming: Whether a stream was asked for; then it is told as an event.
        tables: `tables=`: what providers say, if it is not the usual.

    Returns:
        The body in its place; None if it is an answer, or tells it well itself.
    """
    if len(content) > LARGEST or (not streaming and is_answered(content)):
        return None
    body = _parsed(content)
    if not isinstance(body, dict) or (body.get("error") and not streaming):
        return None
    error = _error_in(body, content, tables)
    if error is None:
        return None
    return _event(error) if streaming else json.dumps({"error": error}).encode()


def told_as_status(content: bytes, **tables: Any) -> int | None:
    """The status that a document of status 200 should have had; None if it is no error.

    Args:
        content: The document.
        tables: As above.
    """
    body = _parsed(content) if len(content) <= LARGEST else None
    error = _error_in(body, content, tables) if isinstance(body, dict) else None
    if error is None:
        return None
    verdict, _ = wire.judge_response(_WELL, {}, content, **tables)
    if verdict.status == _WELL:  # nothing in it says anything
        return _STATUSES["permanent"] if is_coded(error.get) else None
    return verdict.status or _STATUSES.get(verdict.why) or _STATUSES[verdict.kind]


def refusing(request: Any, response: Any) -> Callable[[bytes, int], Exception]:
    """Makes the error that an HTTP library raises for a response of such a body and status."""
    kind: Any = type(response)
    library = import_module(kind.__module__.partition(".")[0])

    def refusal(content: bytes, status: int) -> Exception:
        headers = plain_headers(response.headers)
        text = content.decode("utf-8", "replace")
        why = f"Error response {status} while fetching {request.url}: {text}"
        answer = kind(status, headers=headers, content=content, request=request)
        error: Exception = library.HTTPStatusError(why, request=request, response=answer)
        return error

    return refusal


def plain_headers(headers: Any) -> Any:
    """The same headers, but for what they say of how the body comes."""
    headers = headers.copy()
    for name in ("content-encoding", "content-length", "transfer-encoding"):
        headers.pop(name, None)
    return headers


def _parsed(content: bytes) -> Any:
    try:
        return unwrapped(json.loads(content))
    except (ValueError, RecursionError):
        return None


def _error_in(body: dict[str, Any], content: bytes, tables: dict[str, Any]) -> Any:
    """The error object with its words where they are looked for; None if it is none.

    One that is nothing but words counts where these mean something: of others nobody knows whether
    another try may cure them, and they are left to whoever reads the answer.
    """
    error = error_of(body.get)
    if not isinstance(error, dict):
        return None
    if not (body.get("error") or is_coded(error.get)) and not _means(content, tables):
        return None
    said = next((error[name] for name in ("message", *sorted(WORDS)) if error.get(name)), "")
    return {**error, "message": said if isinstance(said, str) else json.dumps(said)}


def _means(content: bytes, tables: dict[str, Any]) -> bool:
    verdict, _ = wire.judge_response(_WELL, {}, content, **tables)
    return verdict.status != _WELL


def _event(error: Any) -> bytes:
    told = json.dumps({"type": "error", "error": error})
    return f"event: error\ndata: {told}\n\n".encode()


class Retold:
    """The events of a stream, of which those before the first word are looked at.

    Args:
        refuse: Makes what is raised for an error, of its body and its status; None: it is told as
            an event.
        tables: As above.
    """

    __slots__ = ("_held", "_over", "_refuse", "_tables")

    def __init__(
        self, refuse: Callable[[bytes, int], Exception] | None = None, **tables: Any
    ) -> None:
        self._refuse = refuse
        self._held = b""
        self._over = False
        self._tables = tables

    def told(self, piece: bytes) -> bytes:
        """What is to be passed on now that this piece came; b"" while an event is half there.

        Raises:
            Exception: What `refuse` made of an error.
        """
        if self._over:
            return piece
        at, seen = 0, max(0, len(self._held) - 3)  # an end may have begun there
        held = self._held = self._held + piece
        passed: list[bytes] = []
        while not self._over and (end := _END.search(held, seen)) is not None:
            event, at = held[at : end.end()], end.end()
            seen = at
            passed.append(self._look(event))
        self._held = held[at:]
        if self._over or len(self._held) > LARGEST:
            self._over = True
            passed.append(self.rest())
        return b"".join(passed)

    def rest(self) -> bytes:
        """What is left of it at its end."""
        held, self._held = self._held, b""
        return held

    def _look(self, event: bytes) -> bytes:
        lines = (line for line in event.splitlines() if line.startswith(b"data:"))
        data = b"\n".join(line[5:].strip() for line in lines)
        if not data:
            return event  # a comment, a ping
        if self._refuse is not None and (status := told_as_status(data, **self._tables)):
            raise self._refuse(data, status)
        body = _parsed(data)
        if not isinstance(body, dict) or body.get("error"):
            return event  # its end, or what the SDK itself makes an error of
        if body.get("type") and body.get("object") != "error":
            self._over = True  # another API's: its events say themselves what they are
            return event
        error = _error_in(body, data, self._tables)
        if error is not None:
            return _event(error)
        self._over = any(speaks(look_at(one)) for one in _listed(body.get("choices")))
        return event


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
