"""What an exception shows of itself: names, status, codes, headers and text, of any library.

It reads plain attributes and the names of the classes that it derives from, so no library is
imported and any is understood:

- the status: ``status_code``, ``status`` (aiohttp), ``code`` (Google), those of ``response``,
  ``ResponseMetadata.HTTPStatusCode`` (botocore), gRPC's ``code()``;
- its codes: ``code``, ``type``, ``status``, the same of ``body`` (an object, a list of one, or JSON
  text), of what it was raised with (a mapping, or an object with a code), of botocore's ``Error``;
- headers: those of ``response``, ``raw_response`` or the exception itself, ``HTTPHeaders``, and the
  ones that OpenRouter repeats in its body; a wait in a field of the body (see `body_waits`).

Regimes: an attribute that raises is not there; a number that is no HTTP status is a code like any
other. Limits: at most `TEXT_CHARS` of a text and `JSON_CHARS` of a body are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from errno import EHOSTDOWN, EHOSTUNREACH, ENETDOWN, ENETRESET, ENETUNREACH, errorcode
from functools import partial
from operator import attrgetter
from typing import Any, NamedTuple

from agentrm_plugins.policy.endpoint.body_waits import HINT, waits_of
from agentrm_plugins.policy.endpoint.passed_on import is_passed_on
from agentrm_plugins.policy.endpoint.reading import completed
from agentrm_plugins.policy.endpoint.times import WAIT_HEADERS
from agentrm_plugins.types.plain import parsed

__all__ = ["TEXT_CHARS", "Evidence", "body_evidence", "evidence_of", "made_with", "spoken"]

TEXT_CHARS = 4096
JSON_CHARS = 65_536
_STATUSES = range(400, 600)
_LEAST_ERROR, _SERVER_FAULT, _TOO_MANY = 400, 500, 429
_CODE_NAMES = ("code", "type", "status", "Code", "error_code", "error_type", "__type")
_BODY_CODE_NAMES = (
    *(*_CODE_NAMES, "status_code", "statusCode", "http_status", "httpStatus"),
    *("errorCode", "errorcode"),
)
_OTHER_RESPONSES = ("raw_response", "http_resp")
_RESPONSE = ("status_code", "status", "headers", "_content")
_OWN = (
    *("response", "body", "details", "error", "args", "headers", "is_retryable", "retryable"),
    *("errno", *_CODE_NAMES, "status_code", "http_status", *_OTHER_RESPONSES),
)
_ERROR_NAMES = ("error", "Error", "errors", "fault")
_NUMBERED = "base_resp"  # MiniMax's, whose short numbers mean something else elsewhere
_HOLDER_NAMES = ("detail", "response", _NUMBERED)  # of an error, where they are objects
_MESSAGE_NAMES = (
    *("message", "Message", "detail", "error", "msg", "faultstring", "title", "status_msg"),
)
# langchain-openai raises a failed response's error as the text of its object, and an error event's
# as "code: message".
_SHOWN_CODE = re.compile(
    r"(?:ResponseError\(code='(?=\w{3,64}')|(?=[a-z]{1,60}_[a-z_]{1,60}: ))(\w+)"
)
_IN_A_STREAM = "APIError"  # what SDKs raise for an event that is an error; others have a status
_SHOWN_NUMBER = re.compile(r"([45]\d\d): ")  # the same, where a provider surely said it
# Python has no classes for these, and libraries pass them on as they are.
_UNREACHABLE = frozenset({ENETDOWN, ENETUNREACH, ENETRESET, EHOSTDOWN, EHOSTUNREACH})
_NOTHING: Mapping[str, str] = {}
_NAME = attrgetter("__name__")
Look = Callable[[str], Any]
"""How to ask a body for what is under a name: a mapping's items, or an object's attributes."""


class Evidence(NamedTuple):
    """What is there to judge by.

    Args:
        names: Of the classes that it derives from.
        status: The HTTP status, if it is an error's.
        codes: The provider's words for it, the most telling first.
        text: What it says, cut.
        headers: Those of its response; their names in lower case.
        retryable: Whether it says of itself that it may go again.
        said: Whether a provider's own error object is in it.
    """

    names: frozenset[str] = frozenset()
    status: int | None = None
    codes: tuple[str, ...] = ()
    text: str = ""
    headers: Mapping[str, str] = _NOTHING
    retryable: bool = False
    said: bool = False


def evidence_of(error: BaseException) -> Evidence:
    """Read an exception. Nothing that it does while it is read can make this fail."""
    own, names = _read(error, _OWN), frozenset(map(_NAME, error.__class__.__mro__))
    if "RpcError" in names and callable(own.get("code")):
        own["code"] = _get(_called(own["code"]), "name")
    names = completed(error, own, names)
    response = own.get("response")
    answer = {} if response is None else _read(response, _RESPONSE)
    bodies = _bodies(own, answer)
    words = list(map(_message, bodies))
    codes = tuple(dict.fromkeys((*_codes([own.get], _CODE_NAMES), *_codes(bodies))))
    said = False
    for look, word in zip(bodies, words, strict=True):
        said = said or (bool(word) and look.__class__ is not partial)  # of a mapping, that is
    told = own.get("body")
    if isinstance(told, str) and told and not words:  # an error object that is a text
        words, said = [told[:TEXT_CHARS]], True
    said = said or (error.__class__ is ValueError and is_passed_on(error))
    text = _text(error, words) if any(words) else spoken(error)
    number = own.get("errno")
    if isinstance(number, int) and number in _UNREACHABLE:
        codes = (*codes, errorcode[number])
    shown = _SHOWN_CODE.match(text) or (_SHOWN_NUMBER.match(text) if said else None)
    if not codes and shown:
        codes = (shown.group(1),)
    if not codes and "body" in own and error.__class__.__name__ == _IN_A_STREAM:
        names |= {"WordyAnswer"}  # as a document of status 200 that says no more is one
    headers, content = _headers(own, answer, bodies), answer.get("_content")
    may_wait = not isinstance(content, bytes) or HINT.search(content, 0, JSON_CHARS)
    if may_wait and WAIT_HEADERS.isdisjoint(headers):
        headers = {**headers, **_waits(own, content)}
    return Evidence(
        names,
        _status_of(own, answer, codes),
        codes,
        text,
        headers,
        own.get("is_retryable") is True or own.get("retryable") is True,
        said,
    )


def made_with(error: BaseException) -> BaseException | None:
    """The error that it was made with, as urllib's and requests' are."""
    own = _read(error, ("reason", "args"))
    args = own.get("args")
    first = args[0] if isinstance(args, tuple) and args else None
    return next((one for one in (own.get("reason"), first) if isinstance(one, BaseException)), None)


def spoken(error: BaseException) -> str:
    """All that it says: its own text, and its response's body as it came.

    OpenAI's SDK puts into the text what a body calls its message, and nothing of any other shape.
    """
    content = _get(_get(error, "response"), "_content")
    if isinstance(content, bytes):
        body = content[:TEXT_CHARS].decode("utf-8", "replace")
    else:
        told = _get(error, "body")
        body = "" if told is None else str(told)[:TEXT_CHARS]
    text = _text(error, [])
    return text if body in text else f"{text} {body}"


def body_evidence(status: int | None, headers: Mapping[str, str], body: bytes) -> Evidence:
    """The same of a response that nobody made an exception of."""
    content = _parsed(body[:JSON_CHARS].decode("utf-8", "replace"))
    holders = _inner(content)
    codes = _codes(holders)
    words = list(map(_message, holders))
    text = " ".join(word for word in words if word) or body[:TEXT_CHARS].decode("utf-8", "replace")
    plain = {**_repeated(holders), **_plain(headers)}
    if WAIT_HEADERS.isdisjoint(plain) and HINT.search(body[:JSON_CHARS]):
        plain |= waits_of([content])
    return Evidence(
        status=_inner_status(status, codes),
        codes=codes,
        text=text[:TEXT_CHARS],
        headers=plain,
        said=bool(holders),
    )


def _get(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 - a property may raise whatever it likes
        return None


def _read(holder: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """What an object has under these names."""
    found: dict[str, Any] = {}
    for name in names:
        try:
            value = getattr(holder, name, None)
        except Exception:  # noqa: BLE001, S112 - as above
            continue
        if value is not None:
            found[name] = value
    return found


# -- bodies -----------------------------------------------------------------------------------


def _bodies(own: Mapping[str, Any], answer: Mapping[str, Any]) -> list[Look]:
    """What the provider said: the error objects in bodies, outermost first."""
    found: list[Look] = []
    for name in ("body", "details", "error"):
        if name in own:
            found += _inner(own[name])
    response, args = own.get("response"), own.get("args")
    if isinstance(response, Mapping):  # botocore
        found += _inner(response)
    if isinstance(args, tuple) and args and not isinstance(args[0], str | bytes):
        found += _inner(args[0])
    if not found and answer.get("_content"):  # httpx, requests: it has been read
        found += _inner(_get(response, "text"))
    return found


def _inner(body: Any) -> list[Look]:
    """The error object of a body, and what an object in it wraps, two deep."""
    found: list[Look] = []
    if isinstance(body, str | bytes):
        text = body if isinstance(body, str) else body[:JSON_CHARS].decode("utf-8", "replace")
        body = _parsed(text)
    if isinstance(body, list | tuple):  # Google's compatible API
        body = body[0] if body else None
    for _ in range(3):
        if body is None or isinstance(body, str | bytes | int | float | list | tuple):
            break
        look: Look = body.get if isinstance(body, Mapping) else partial(_get, body)
        inner = _wrapped(look)
        if inner is None or isinstance(inner, str):
            found.append(look)
            break
        if isinstance(body, Mapping) and body.get("code") is not None:
            found.append(look)
        body = inner
    return found


def _wrapped(look: Look) -> Any:
    """What a body calls its error: Cloudflare, IBM and writers of JSON:API send a list of them."""
    for name in _ERROR_NAMES:
        inner = look(name)
        if isinstance(inner, list | tuple):
            inner = inner[0] if inner and isinstance(inner[0], Mapping) else None
        if inner is not None:
            return inner
    for name in _HOLDER_NAMES:
        inner = look(name)
        if isinstance(inner, Mapping):
            number = inner.get("status_code") if name == _NUMBERED else None
            return {**inner, "code": f"{_NUMBERED} {number}"} if number else inner
    return None


def _parsed(text: str) -> Any:
    text = text.strip()
    if not text.startswith(("{", "[")) or len(text) > JSON_CHARS:
        return None
    try:
        return parsed(text)
    except ValueError:
        return None


# -- codes, status ----------------------------------------------------------------------------


def _codes(holders: list[Look], names: tuple[str, ...] = _BODY_CODE_NAMES) -> tuple[str, ...]:
    """The words and numbers under the usual names, each once."""
    found: dict[str, None] = {}
    for look in holders:
        for name in names:
            value = look(name)
            if value is None:
                continue
            if isinstance(value, float) and value.is_integer():
                value = int(value)
            if isinstance(value, str) and 0 < len(value) <= 200:  # noqa: PLR2004 - no prose
                found[value.rpartition("#")[2]] = None  # AWS: "com.amazon.coral.service#..."
            elif isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
                found[str(int(value))] = None
    return tuple(found)


def _called(method: Any) -> Any:
    try:
        return method()
    except Exception:  # noqa: BLE001 - as with attributes
        return None


def _status_of(
    own: Mapping[str, Any], answer: Mapping[str, Any], codes: tuple[str, ...]
) -> int | None:
    response = own.get("response")
    if isinstance(response, Mapping):
        metadata = response.get("ResponseMetadata")
        found = metadata.get("HTTPStatusCode") if isinstance(metadata, Mapping) else None
        return _inner_status(_known_status(found), codes)
    for told in (
        *(own.get("status_code"), answer.get("status_code"), own.get("status"), own.get("code")),
        *(answer.get("status"), own.get("http_status")),
    ):
        status = None if told is None else _known_status(told)
        if status is not None:
            return _inner_status(status, codes)
    return _inner_status(None, codes)


def _known_status(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value in _STATUSES:
        return int(value)
    return None


def _inner_status(status: int | None, codes: tuple[str, ...]) -> int | None:
    """The status inside the body counts where HTTP's own says less: a 200, or a gateway's 5xx."""
    inner = None
    for code in codes:
        if code.isascii() and code.isdigit() and int(code) in _STATUSES:
            inner = int(code)
            break
    if status is None or status < _LEAST_ERROR:
        return inner
    if status >= _SERVER_FAULT and inner == _TOO_MANY:
        return inner
    return status


# -- text, headers ----------------------------------------------------------------------------


def _text(error: BaseException, words: list[str]) -> str:
    try:
        text = str(error)[:TEXT_CHARS]
    except Exception:  # noqa: BLE001 - as with attributes
        text = ""
    for message in words:
        if message and message[:200] not in text:
            text = f"{text} {message}"
    return text[: 2 * TEXT_CHARS]


def _message(look: Look) -> str:
    for name in _MESSAGE_NAMES:
        value = look(name)
        if isinstance(value, str) and value:
            return value[:TEXT_CHARS]
    return ""


def _headers(
    own: Mapping[str, Any], answer: Mapping[str, Any], bodies: list[Look]
) -> Mapping[str, str]:
    found, response = _repeated(bodies), own.get("response")
    if isinstance(response, Mapping):
        metadata = response.get("ResponseMetadata")
        given = metadata.get("HTTPHeaders") if isinstance(metadata, Mapping) else None
        return {**found, **_plain(given)}
    for headers in (answer.get("headers"), own.get("headers")):
        if headers is not None and (given := _plain(headers)):
            return {**found, **given}
    for name in _OTHER_RESPONSES:
        if name in own and (given := _plain(_get(own[name], "headers"))):
            return {**found, **given}
    return found


def _waits(own: Mapping[str, Any], content: Any) -> dict[str, str]:
    """A wait that is named in a field: of the body as it came, or of what was made of it."""
    if isinstance(content, bytes):
        return waits_of([_parsed(content[:JSON_CHARS].decode("utf-8", "replace"))])
    args = own.get("args")
    bodies = [own.get(name) for name in ("body", "details", "error", "response")]
    return waits_of([*bodies, *(args[:1] if isinstance(args, tuple) else ())])


def _plain(headers: Any) -> dict[str, str]:
    """Any library's headers as a plain mapping of lower-case names to texts."""
    try:
        items = getattr(headers, "items", None)
        if not callable(items):
            return {}
        return {str(name).lower(): str(value) for name, value in items()}
    except Exception:  # noqa: BLE001 - what cannot be read was not sent
        return {}


def _repeated(bodies: list[Look]) -> dict[str, str]:
    for look in bodies:
        metadata = look("metadata")
        headers = metadata.get("headers") if isinstance(metadata, Mapping) else None
        if isinstance(headers, Mapping):
            return _plain(headers)
    return {}
