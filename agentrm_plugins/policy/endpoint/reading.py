"""Errors of Python's own that a package raises because what it reads is no answer.

An SDK gives a 200 that carries an error, or nothing, as if it were an answer; what fails is the
framework's code that takes it apart: `KeyError: 'choices'`, `'NoneType' object is not iterable`.

Law: an ordinary error that was raised while an integration of LangChain, botocore's parsers or
Google's client read an answer is an answer that cannot be read, and what was being read is the
provider's word, unless that holds content: then it has been paid for, and another one would be the
same. So is an error of an SDK about a status of 200: by a schema that it holds answers to.

Limits: it is told from the names of the functions in the traceback (sources: the packages named in
`_READERS`, each held by a test with the real package). A package's own error says more, and is read
as any other.
"""

from __future__ import annotations

from types import FrameType
from typing import Any, NamedTuple

from agentrm_plugins.types.plain import parsed

__all__ = ["completed"]

_ORDINARY = frozenset({"AttributeError", "IndexError", "KeyError", "TypeError", "ValueError"})
_READERS = {
    "_construct_lc_result_from_responses_api": "response",  # openai's responses
    "_create_chat_result": "response",  # openai, groq, mistralai, deepseek, openrouter, xai, ...
    "_format_output": "data",  # anthropic
    "_parse_response": "response",  # aws
    "_response_to_result": "response",  # google_genai
}
"""Functions of LangChain's integrations that take an answer apart, and what they call it."""
_CLIENTS = {
    "botocore.parsers": {"parse": ""},
    "ollama._client": {"inner": "part"},
    "google.genai._api_client": {"request_streamed": "", "async_request_streamed": ""},
}
"""The same of clients; "": nothing is left of it there."""
_TOLD = "no data received from ollama stream"
_CONTENT = ("choices", "content", "output", "candidates")
_OLLAMAS = "message"  # an object; a text of that name is what others say of an error
_FRAMES = 200  # of a traceback; guessed: LangGraph's are some 60 deep
_LARGEST = 1_000_000  # characters of a body that is looked at; guessed
_WITHIN_A_STREAM = -1
_WELL = range(200, 300)
_STRICT = frozenset(
    {
        "APIResponseValidationError",
        "ResponseValidationError",
        "OpenRouterDefaultError",
    }
)


class _Misread(NamedTuple):
    """What could not be read: the answer, if it was kept."""

    answer: Any = None


def completed(error: BaseException, own: dict[str, Any], names: frozenset[str]) -> frozenset[str]:
    """The names of an error's classes, and in `own` what it was raised about: see above.

    Ollama's package hides the response, and gives -1 as the status of an error within a stream,
    which is a text. OpenRouter's tells an event that its schema does not know within an object.
    """
    if "ResponseError" in names:
        hidden = error.__context__ if error.__suppress_context__ else None
        if own.get("status_code") == _WITHIN_A_STREAM:
            own["body"] = own.get("error")
            return names | {"WordyAnswer"}
        if "response" not in own and (response := getattr(hidden, "response", None)) is not None:
            own["response"] = response
    elif own.get("status_code") in _WELL and not _STRICT.isdisjoint(names):
        own["body"] = told = _event_of(own.get("body"))
        whole = _has_content(told)
        return names - _STRICT if whole else names | {"UnreadableAnswer"}
    elif not _ORDINARY.isdisjoint(names) and (misread := _misread(error)) is not None:
        own["body"] = misread.answer
        return names | {"UnreadableAnswer"}
    return names


def _event_of(body: Any) -> Any:
    if isinstance(body, str) and len(body) <= _LARGEST:
        try:
            event = parsed(body)
        except ValueError:
            return body
        return event["data"] if isinstance(event, dict) and [*event] == ["data"] else event
    return body


def _misread(error: BaseException) -> _Misread | None:
    entry = error.__traceback__
    for _ in range(_FRAMES):
        if entry is None:
            break
        found = _read_by(entry.tb_frame)
        if found is not None:
            return None if _has_content(found.answer) else found
        entry = entry.tb_next
    return _Misread() if error.__class__ is ValueError and _TOLD in str(error).lower() else None


def _read_by(frame: FrameType) -> _Misread | None:
    module, function = str(frame.f_globals.get("__name__", "")), frame.f_code.co_name
    client = _CLIENTS.get(module, {}).get(function)
    if client is not None:
        return _Misread(frame.f_locals.get(client))
    name = _READERS.get(function)
    if name is None or not module.startswith("langchain_") or module.startswith("langchain_core."):
        return None
    return _Misread(frame.f_locals.get(name))


def _has_content(answer: Any) -> bool:
    if isinstance(answer, str | bytes) and len(answer) <= _LARGEST:
        try:
            answer = parsed(answer if isinstance(answer, str) else answer.decode())
        except ValueError:
            return False
    if isinstance(answer, dict):
        return any(map(answer.get, _CONTENT)) or isinstance(answer.get(_OLLAMAS), dict)
    return any(getattr(answer, name, None) for name in (*_CONTENT, _OLLAMAS))
