"""Take everything out of a recording that matching and replaying do not need.

What stays is named in `fields`; texts that stay are masked besides (`redaction`), and what was sent
as a secret is not repeated where a server echoes it. The same request is scrubbed to the same
words each time, so a scrubbed recording matches the scrubbed request of a replay.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from agentrm_plugins.redaction import HIDDEN, masked, names_a_secret
from agentrm_plugins.types.plain import parsed
from agentrm_plugins.testing.cassettes.fields import (
    FIELDS,
    ID_FIELDS,
    KNOWN_ID,
    MEDIA_FIELDS,
    MODEL_HOLDERS,
    PATH,
    QUERY,
    REQUEST_HEADERS,
    RESPONSE_HEADERS,
    SCHEMA_FIELDS,
    SEALED_FIELDS,
    SEALED_WORDS,
    TALLY_FIELDS,
)
from agentrm_plugins.testing.cassettes.pieces import hide_across, is_token
from agentrm_plugins.testing.cassettes.secret_names import is_numbered_secret, may_name_a_secret

__all__ = ["Scrubber"]

_STARRED = re.compile(r"(?<![^\s'\"])[^\s'\"]*\*{3}[^\s'\"]*")
_BASE64 = re.compile(r"(?:data:[\w/+.;=-]{0,80},)?[A-Za-z0-9+/_=\r\n-]{256,}")
_SCHEMA_WORDS = frozenset({"type", "description", "title", "format", "$ref", "required"})
_EVENT = re.compile(
    r"(?:response|message|content_block|completion|thread|image|audio|transcript|error|ping|done)"
    r"[a-z_.]{0,60}"
)
_MEDIA = ("audio/", "image/", "video/")
_LEAST_SECRET = 6
"""Shorter values of a secret's name are not looked for elsewhere: they are parts of other words."""
_LEAST_NUMBER = 100
"""Smaller numbers under the name of a PIN are counts. Guessed: a card's three digits are secret."""
_MOST_UNNAMED = 1_000_000
"""A larger number that stands under no name may be a secret; vectors and tokens' numbers are below."""
_NO_JSON = object()
_CATEGORY = re.compile(r"[a-z_/-]{1,40}")
_UNSAID = frozenset({401, 403})
"""Of such a refusal the text tells about keys and accounts, and nothing that a replay needs."""


class Scrubber:
    """Scrubs the requests and responses of one recording.

    Args:
        origin: Scheme and host that are written instead of the real ones.
    """

    def __init__(self, origin: str) -> None:
        self._origin = urlsplit(origin)
        self._sent: set[str] = set()
        self._done: frozenset[tuple[int, str]] = frozenset()

    # -- requests ---------------------------------------------------------------------------

    def request(self, recorded: Any) -> Any:
        """Scrub vcrpy's request in place; it is a copy already."""
        there = urlsplit(recorded.uri)
        self._note_headers(recorded.headers)
        if there.password:
            self._note(there.password)
        query = []
        for name, value in parse_qsl(there.query, keep_blank_values=True):
            if name in QUERY:
                if QUERY[name].fullmatch(value):
                    query.append((name, value))
            elif names_a_secret(name):
                self._note(value)
        path = self._path(there.path)
        where = (self._origin.scheme, self._origin.netloc, path, urlencode(query), "")
        recorded.uri = urlunsplit(where)
        recorded.headers = {**_kept(recorded.headers), "host": self._origin.netloc}
        body = recorded.body
        if body:
            recorded.body = self._body(body if isinstance(body, bytes | str) else b"")
        return recorded

    def _path(self, path: str) -> str:
        """Words of model APIs, their ids and the models' names; what else stands there is hidden."""
        kept, before, holder = [], "", ""
        for given in path.split("/"):
            part = unquote(given)
            if part and part not in PATH:
                word, _, action = part.rpartition(":")
                called = not word or action in PATH or action[:1].isdigit()
                named = called and (before in MODEL_HOLDERS or holder == "models" != before)
                part = self._text(part) if named or KNOWN_ID.fullmatch(part) else HIDDEN
            kept.append(quote(part, safe="@:()"))
            holder, before = before, part
        return "/".join(kept)

    def _note_headers(self, headers: Mapping[str, Any]) -> None:
        for name, given in headers.items():
            if name.lower() in REQUEST_HEADERS or not names_a_secret(name):
                continue
            for value in given if isinstance(given, list | tuple) else (given,):
                text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
                self._note(text.rpartition(" ")[2])

    def _note(self, secret: Any) -> None:
        if isinstance(secret, str) and len(secret) >= _LEAST_SECRET and secret != HIDDEN:
            self._sent.add(secret)

    # -- responses --------------------------------------------------------------------------

    def response(self, recorded: dict[str, Any]) -> dict[str, Any]:
        """Give a scrubbed copy of vcrpy's response."""
        code = int(recorded["status"]["code"])
        headers: dict[str, Any] = {}
        for name, given in recorded["headers"].items():
            values = given if isinstance(given, list) else [given]
            allowed = next((value for key, value in RESPONSE_HEADERS if key.fullmatch(name)), None)
            kept = [value for value in values if allowed and allowed.fullmatch(str(value).strip())]
            if kept:
                headers[name] = kept
        content = next((v[0] for k, v in headers.items() if k.lower() == "content-type"), "")
        body = recorded["body"].get("string") or b""
        if "event-stream" in str(content):
            scrubbed = self._events(body)
        elif "ndjson" in str(content):
            scrubbed = self._lines(body)
        elif str(content).startswith(_MEDIA) and isinstance(body, bytes):
            scrubbed = self._media(body)
        else:
            scrubbed = self._body(body, unsaid=code in _UNSAID) if body else b""
        status = {"code": code, "message": _phrase(code)}
        return {"status": status, "headers": headers, "body": {"string": scrubbed}}

    def _media(self, body: bytes) -> bytes:
        """Sound and pictures as they are; what is a text by another name is hidden."""
        text = body.decode("utf-8", "replace")
        readable = "\0" not in text and "\ufffd" not in text
        if readable or any(secret.encode() in body for secret in self._sent):
            return HIDDEN.encode()
        return body

    def _events(self, body: bytes | str) -> bytes:
        lines: list[str] = []
        said: list[tuple[int, Any]] = []
        for line in _text_of(body).replace("\r\n", "\n").split("\n"):
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not line:
                lines.append("")
            elif name == "event" and _EVENT.fullmatch(value):
                lines.append(f"event: {value}")
            elif name == "data" and value == "[DONE]":
                lines.append(line)
            elif name == "data":
                said.append((len(lines), _data(value)))
                lines.append(name)
        for (number, _), written in zip(said, self._pieces([data for _, data in said]), strict=True):
            lines[number] = f"data: {written}"
        return "\n".join(lines).encode()

    def _lines(self, body: bytes | str) -> bytes:
        """JSON line by line, as Ollama streams it."""
        values = [_data(line) for line in _text_of(body).splitlines() if line.strip()]
        return "".join(f"{written}\n" for written in self._pieces(values)).encode()

    def _pieces(self, values: list[Any]) -> list[str]:
        """What is written of the pieces of a stream: first of them all, then of what is left."""
        self._done = hide_across(values, self._text)
        try:
            return [HIDDEN if one is _NO_JSON else _json(self._value(one, "")) for one in values]
        finally:
            self._done = frozenset()

    # -- bodies -----------------------------------------------------------------------------

    def _body(self, body: bytes | str, *, unsaid: bool = False) -> bytes:
        try:
            data = parsed(body)
        except ValueError:
            return HIDDEN.encode()
        if unsaid and isinstance(data, dict) and "error" in data:
            error = data["error"]
            kept = {"message": HIDDEN}
            if isinstance(error, dict):
                kept |= {key: error[key] for key in ("type", "code", "param") if key in error}
            data = {"error": kept}
        if isinstance(data, list):
            hide_across(data, self._text)
        return _json(self._value(data, "")).encode()

    def _value(self, value: Any, name: str) -> Any:
        if isinstance(value, Mapping):
            if name in SCHEMA_FIELDS or (name == "input" and "role" not in value):
                return self._open(value)
            return self._tally(value) if name in TALLY_FIELDS else self._fields(value)
        if isinstance(value, list):
            if name == "content" and value and all(map(is_token, value)):
                return self._tokens(value)
            # An item of a list is no tool's input: Responses' `input` holds the turn's items.
            within = f"{name}[]" if name == "input" else name
            return [self._value(item, within) for item in value]
        small = isinstance(value, int | float) and abs(value) < _MOST_UNNAMED
        if not name and value is not None and not small:
            return HIDDEN  # it stands under no name: nobody knows what it is
        return self._leaf(value, name) if isinstance(value, str) else value

    def _fields(self, value: Mapping[str, Any]) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        for key, item in value.items():
            if isinstance(item, str) and (
                (key == "token" and "logprob" in value)
                or (key == "id" and value.get("object") == "model")
            ):
                kept[key] = item if (id(value), key) in self._done else self._text(item)
            elif key in FIELDS or key in ID_FIELDS:
                seen = (id(value), key) in self._done
                kept[key] = item if seen else self._value(item, key)
            elif names_a_secret(key):
                self._note(item.rpartition(" ")[2] if isinstance(item, str) else None)
        return kept

    def _tokens(self, tokens: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Log probabilities, token by token; none where a secret can be put together from them."""
        kept = [self._fields(one) for one in tokens]
        said = "".join(one["token"] for one in tokens)
        if self._text(said) == said or all((id(one), "token") in self._done for one in tokens):
            return kept
        return [{**one, "token": HIDDEN, "bytes": None, "top_logprobs": []} for one in kept]

    def _tally(self, value: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: item
            for key, item in value.items()
            if isinstance(item, bool | int | float) and _CATEGORY.fullmatch(key)
        }

    def _leaf(self, value: str, name: str) -> str:
        if name in ID_FIELDS:
            return value if not value or KNOWN_ID.fullmatch(value) else _pseudonym(value)
        if name in SEALED_FIELDS:
            return SEALED_WORDS.get(name, HIDDEN)
        if name in MEDIA_FIELDS and _BASE64.fullmatch(value):
            return self._coded(value)
        if name in {"url", "image_url"}:
            return self._coded(value) if _BASE64.fullmatch(value) else self._link(value)
        return self._text(value)

    def _coded(self, value: str) -> str:
        """Base64 as it is, unless it is that of a text in which there is a secret."""
        head, comma, coded = value.rpartition(",")
        try:
            data = b64decode(coded + "===", altchars=b"-_" if set("-_") & set(coded) else None)
            text = data.decode()
        except ValueError:
            return value
        clean = self._text(text)
        return value if clean == text else f"{head}{comma}{b64encode(clean.encode()).decode()}"

    def _open(self, value: Any, *, under: str = "") -> Any:
        """Below a name where all names are the tool's own: values of secret names are hidden.

        Args:
            value: What stands there.
            under: The secret name that it stands under; "" for none.
        """
        if isinstance(value, Mapping):
            return {
                self._prose(key): self._open(item, under=self._secret(key, under))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._open(item, under=under) for item in value]
        if isinstance(value, str):
            return HIDDEN if under else self._text(value)
        number = isinstance(value, int) and abs(value) >= _LEAST_NUMBER
        return 0 if number and is_numbered_secret(under) else value

    @staticmethod
    def _secret(name: str, under: str) -> str:
        """The secret name that a value of this name stands under."""
        if name in _SCHEMA_WORDS:
            return ""
        return name if may_name_a_secret(name) else under

    def _link(self, link: str) -> str:
        there = urlsplit(link)
        host = there.netloc.rpartition("@")[2]
        return self._text(urlunsplit((there.scheme, host, there.path, "", "")))

    def _text(self, text: str) -> str:
        """A text without secrets; JSON in a text stays JSON, and reads the same when it had none."""
        if text.lstrip()[:1] in ("{", "["):
            try:
                data = parsed(text)
            except ValueError:
                return self._prose(text)
            clean = self._open(data)
            # The text itself may hold more than its data: of a repeated name only the last is read.
            if clean == data and self._prose(text) == text:
                return text
            return json.dumps(clean, ensure_ascii=False)
        return self._prose(text)

    def _prose(self, text: str) -> str:
        for secret in self._sent:
            text = text.replace(secret, HIDDEN)
        return _STARRED.sub(HIDDEN, masked(text))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _data(text: str) -> Any:
    try:
        return parsed(text)
    except ValueError:
        return _NO_JSON


def _text_of(body: bytes | str) -> str:
    return body if isinstance(body, str) else body.decode("utf-8", "replace")


def _kept(headers: Mapping[str, Any]) -> dict[str, str]:
    kept = {}
    for name, given in headers.items():
        allowed = REQUEST_HEADERS.get(name.lower())
        value = given.decode("latin-1") if isinstance(given, bytes) else str(given)
        if allowed is not None and allowed.fullmatch(value):
            kept[name] = value
    return kept


def _pseudonym(value: str) -> str:
    return f"id_{sha256(value.encode()).hexdigest()[:12]}"


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""
