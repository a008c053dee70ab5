"""What has limits of its own at a provider, and how it is named.

Host, model and key have limits together, so together they share buckets, breaker and latencies.

The fingerprint is a keyed hash with a fixed key (no salt per process), cut to 32 bits. Fixed,
because processes that share limits through Redis, and figures of yesterday and today, must mean
the same endpoint. Cut, because 32 bits are too few to confirm a guessed key with, and enough that
the handful of keys in a program does not collide; if two did, they would merely share a limit.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from agentrm_plugins.types.plain import parsed

__all__ = ["Endpoint", "host_of", "key_fingerprint"]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_CLAIMS = ("iss", "tid", "sub", "oid", "appid", "azp")
_JWT_PARTS = 3
_REMEMBERED = 1024  # guessed: far more keys than a program has
_fingerprints: dict[int, str] = {}


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


def host_of(url: str) -> str:
    """The host of a URL, with its port unless that is the scheme's usual one; "" if it has none."""
    try:
        parts = urlsplit(url if "//" in url else f"//{url}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    if port is None or port == _DEFAULT_PORTS.get(parts.scheme):
        return host
    return f"{host}:{port}"


def key_fingerprint(key: str) -> str:
    """Eight hex digits that stand for an API key; "" for an empty one.

    Access tokens that are renewed by the hour (JSON web tokens) are known by whom they are for, so
    that a renewed one is still the same endpoint.
    """
    if not key:
        return ""
    known = _fingerprints.get(hash(key))  # every call asks; the key itself is not kept
    if known is None:
        stable = _subject(key) or key
        known = blake2b(stable.encode(), digest_size=4, key=b"agentrm endpoint").hexdigest()
        if len(_fingerprints) >= _REMEMBERED:
            _fingerprints.clear()
        _fingerprints[hash(key)] = known
    return known


def _subject(token: str) -> str | None:
    parts = token.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        padded = parts[1] + "=" * (-len(parts[1]) % 4)
        claims: Any = parsed(base64.urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        return None
    if not isinstance(claims, dict):
        return None
    known = {name: str(claims[name]) for name in _CLAIMS if name in claims}
    return json.dumps(known, sort_keys=True) if known else None
