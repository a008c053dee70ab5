"""Which endpoint a request goes to: provider host, model, and a fingerprint of the key.

These three have their own limits at a provider, so they share buckets, breaker and latencies here.

The fingerprint is a keyed hash with a fixed key (no salt per process), cut to 32 bits. Fixed,
because processes that share limits through Redis, and figures of yesterday and today, must mean
the same endpoint. Cut, because 32 bits are too few to confirm a guessed key with, and enough that
the handful of keys in a program does not collide; if two did, they would merely share a limit.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Endpoint", "endpoint_of", "key_fingerprint"]

_KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
_PATH_MODEL = re.compile(r"/(?:deployments|models)/([^/:?]+)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_CLAIMS = ("iss", "tid", "sub", "oid", "appid", "azp")
_JWT_PARTS = 3


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What has limits of its own at a provider.

    Args:
        host: The provider's host, with its port unless that is the usual one.
        model: The model, or the deployment on Azure.
        key: The fingerprint of the API key, "" if the request carries none.
    """

    host: str
    model: str
    key: str = ""

    @property
    def name(self) -> str:
        """One word for events, statistics and configuration: ``host/model#key``."""
        return f"{self.host}/{self.model}" + (f"#{self.key}" if self.key else "")


def key_fingerprint(key: str) -> str:
    """Eight hex digits that stand for an API key; "" for an empty one.

    Access tokens that are renewed by the hour (JSON web tokens) are known by whom they are for, so
    that a renewed one is still the same endpoint.
    """
    if not key:
        return ""
    stable = _subject(key) or key
    return blake2b(stable.encode(), digest_size=4, key=b"agentrm endpoint").hexdigest()


def endpoint_of(url: str, headers: Mapping[str, str], body: bytes) -> Endpoint | None:
    """The endpoint of a request, or None if it asks no model anything.

    Args:
        url: Where the request goes.
        headers: Its headers, names in lower case or looked up in any case.
        body: Its body; the model is read from its JSON, or else from the path (Azure, Google).
    """
    parts = urlsplit(url)
    model = _model(body)
    if model is None:
        in_path = _PATH_MODEL.search(parts.path)
        if in_path is None or not body:
            return None
        model = in_path.group(1)
    host = parts.hostname or ""
    if parts.port is not None and parts.port != _DEFAULT_PORTS.get(parts.scheme):
        host = f"{host}:{parts.port}"
    return Endpoint(host, model, key_fingerprint(_key(headers)))


def _model(body: bytes) -> str | None:
    if body.lstrip()[:1] != b"{":
        return None
    try:
        content: Any = json.loads(body)
    except ValueError:
        return None
    model = content.get("model")
    return model if isinstance(model, str) and model else None


def _key(headers: Mapping[str, str]) -> str:
    for name in _KEY_HEADERS:
        value = headers.get(name)
        if value:
            return value
    scheme, _, value = (headers.get("authorization") or "").partition(" ")
    return value.strip() or scheme


def _subject(token: str) -> str | None:
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims: Any = json.loads(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(claims, dict):
        return None
    known = {name: str(claims[name]) for name in _CLAIMS if name in claims}
    return json.dumps(known, sort_keys=True) if known else None
