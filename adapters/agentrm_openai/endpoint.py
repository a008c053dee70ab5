"""Which endpoint a request goes to: provider host, model, and a fingerprint of the key."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from agentrm_plugins.integration import Endpoint, host_of, key_fingerprint

__all__ = ["Endpoint", "endpoint_named", "endpoint_of", "key_fingerprint", "model_asked"]

_KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
_PATH_MODEL = re.compile(r"/(?:deployments|models)/([^/:?]+)")


def endpoint_of(url: str, headers: Mapping[str, str], body: bytes) -> Endpoint | None:
    """The endpoint of a request, or None if it asks no model anything.

    Args:
        url: Where the request goes.
        headers: Its headers, names in lower case or looked up in any case.
        body: Its body; the model is read from its JSON, or else from the path (Azure, Google).
    """
    model = model_asked(url, body)
    return None if model is None else endpoint_named(url, headers, model)


def model_asked(url: object, body: bytes) -> str | None:
    """The model that a request asks, by its body or else its path; None if it asks none."""
    if body.lstrip()[:1] == b"{":
        try:
            model = json.loads(body).get("model")
        except (ValueError, RecursionError):
            model = None
        if isinstance(model, str) and model:
            return model
    in_path = _PATH_MODEL.search(urlsplit(str(url)).path) if body else None
    return None if in_path is None else in_path.group(1)


def endpoint_named(url: object, headers: Mapping[str, str], model: str) -> Endpoint:
    """The endpoint of a request that asks this model."""
    return Endpoint(host_of(str(url)), model, key_fingerprint(_key(headers)))


def _key(headers: Mapping[str, str]) -> str:
    for name in _KEY_HEADERS:
        value = headers.get(name)
        if value:
            return value
    scheme, _, value = (headers.get("authorization") or "").partition(" ")
    return value.strip() or scheme
