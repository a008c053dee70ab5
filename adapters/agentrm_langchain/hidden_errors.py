"""Errors of status 200 of which a package makes an empty answer: told in the package's own words.

Google's client and botocore's parsers keep of an answer what their schemas name, so the error in
it is gone before anybody could judge it: a limit was met again at once, a refused key four times.
Copies of the clients look at what came first, and raise what the package raises for such an error
of any other status. The user's own clients stay as they are.

Sources: `google.genai._api_client.BaseApiClient` (its four ways to send) and botocore's event
``before-parse``; each is held by a test with the real package.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from importlib import import_module
from io import BytesIO
from typing import Any

__all__ = ["told_by_botocore", "told_by_google"]

_LARGEST = 65_536  # an error is no longer
_STATUSES = range(400, 600)
_HOLDERS = ("error", "Error", "Output")
_CODES = ("code", "Code", "__type", "type", "status")
_WORDS = ("message", "Message", "detail", "msg")
_CONTENT = ("candidates", "output", "content", "completion", "embedding", "embeddings")
_UNKNOWN = 500  # a code that nobody knows, another try may cure


def told_by_google(client: Any) -> Any:
    """A stand-in for a `google.genai.Client`, whose models raise such errors; or the client."""
    api: Any = getattr(client, "_api_client", None)
    models: Any = getattr(client, "models", None)
    aio: Any = getattr(client, "aio", None)
    if api is None or not hasattr(models, "generate_content") or not hasattr(aio, "models"):
        return client
    seen = _Api(api)
    later = _StandIn(aio, {"models": type(aio.models)(seen)})
    return _StandIn(client, {"models": type(models)(seen), "aio": later})


def told_by_botocore(client: Any, events: Any, service: str) -> None:
    """Let a botocore client's emitter raise such errors.

    Args:
        client: The client, a copy that is ours.
        events: Its emitter, of which the same holds.
        service: How its service is called in the names of events.
    """

    def look(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
        headers: Any = response_dict.get("headers") or {}
        body: Any = response_dict.get("body")
        if response_dict.get("status_code") not in range(200, 300):
            return
        if hasattr(body, "read") and "json" in str(headers.get("content-type")):
            body = body.read()  # a document in the place of a stream
            if not operation_model.has_event_stream_output:  # the answer itself, yet to be read
                again = import_module("botocore.response").StreamingBody
                response_dict["body"] = again(BytesIO(body), len(body))
        error = _error_of(body) if isinstance(body, bytes) else None
        told = str(headers.get("x-amzn-errortype") or "").partition(":")[0]
        code = told or (None if error is None else _first(error, _CODES))
        if error is None or not code:
            return
        name = str(code).rpartition("#")[2]
        metadata = {"HTTPStatusCode": _number(code) or 200, "HTTPHeaders": dict(headers)}
        said = {"Code": name, "Message": str(_first(error, _WORDS) or "")}
        kind = client.exceptions.from_code(name)
        raise kind({"Error": said, "ResponseMetadata": metadata}, operation_model.name)

    events.register(f"before-parse.{service}", look)


class _StandIn:
    """An object with some attributes of its own, and another's for all else."""

    def __init__(self, inner: Any, own: dict[str, Any]) -> None:
        self.__dict__ = {"_inner": inner, **own}

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # not set yet: it is being copied
            raise AttributeError(name)
        return getattr(self._inner, name)


class _Api(_StandIn):
    """Google's sender, whose answers are looked at."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner, {})

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """A whole answer."""
        return _checked(self._inner.request(*args, **kwargs))

    async def async_request(self, *args: Any, **kwargs: Any) -> Any:
        """The same in a task."""
        return _checked(await self._inner.async_request(*args, **kwargs))

    def request_streamed(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """A stream."""
        for piece in self._inner.request_streamed(*args, **kwargs):
            yield _checked(piece)

    async def async_request_streamed(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """The same in a task."""
        pieces = await self._inner.async_request_streamed(*args, **kwargs)

        async def checked() -> AsyncIterator[Any]:
            async for piece in pieces:
                yield _checked(piece)

        return checked()


def _checked(answer: Any) -> Any:
    """Google's answer, if it is one.

    Raises:
        google.genai.errors.APIError: It holds an error.
    """
    body = getattr(answer, "body", None)
    if not isinstance(body, str) or '"error"' not in body:
        return answer
    error = _error_of(body)
    if error is None or not _first(error, _CODES):
        return answer
    errors = import_module("google.genai.errors")
    status = next((n for name in _CODES if (n := _number(error.get(name)))), _UNKNOWN)
    errors.APIError.raise_error(status, {"error": dict(error)}, None)
    return answer


def _error_of(body: str | bytes) -> Mapping[str, Any] | None:
    """The error object of a document that is no answer."""
    try:
        data = json.loads(body) if len(body) <= _LARGEST else None
    except (ValueError, RecursionError):
        return None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, Mapping) or any(data.get(name) for name in _CONTENT):
        return None
    for name in _HOLDERS:
        held = data.get(name)
        if isinstance(held, Mapping):
            return held
        if isinstance(held, str) and held and name != "Output":
            return {**data, "message": held}
    if "role" in data:
        return None  # a message, however little it says
    # A model's own answer has a type or a status of its own as well, but no words about it.
    told = data.get("__type") or isinstance(_first(data, _WORDS), str)
    return data if told else {}


def _first(error: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((error[name] for name in names if error.get(name)), None)


def _number(code: Any) -> int:
    """The HTTP status that a code is; 0 if it is none."""
    text = str(code)
    return int(text) if text.isascii() and text.isdigit() and int(text[:4]) in _STATUSES else 0
