from __future__ import annotations

import base64
import json

import pytest

from agentrm_openai import Endpoint, endpoint_of, key_fingerprint
from agentrm_plugins.types import endpoint_name as endpoints

BODY = b'{"messages": [{"role": "user", "content": "x"}], "model": "m-1"}'


def test_names_host_model_and_fingerprint():
    """The three things that have limits of their own, in one word without the key."""
    url = "https://api.example.com/v1/chat/completions"
    endpoint = endpoint_of(url, {"authorization": "Bearer test-key"}, BODY)
    assert endpoint == Endpoint("api.example.com", "m-1", key_fingerprint("test-key"))
    assert endpoint.name == f"api.example.com/m-1#{endpoint.key}"
    assert "test-key" not in repr(endpoint)
    assert Endpoint("h", "m").name == "h/m"


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://h:443/v1", "h"),
        ("http://h:80/v1", "h"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1:8000"),
        ("https://H/v1", "h"),
    ],
)
def test_a_usual_port_is_left_out(url, host):
    """A port is part of the host only where it says something."""
    assert endpoint_of(url, {}, BODY).host == host


@pytest.mark.parametrize("name", ["api-key", "x-api-key", "x-goog-api-key"])
def test_knows_where_providers_want_the_key(name):
    """Azure, Anthropic and Google have headers of their own; a bare value counts whole."""
    endpoint = endpoint_of("https://h/", {name: "test-key"}, BODY)
    assert endpoint.key == key_fingerprint("test-key")
    assert endpoint_of("https://h/", {"authorization": "test-key"}, BODY).key == endpoint.key
    assert endpoint_of("https://h/", {}, BODY).key == ""


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/openai/deployments/dep-1/chat/completions", "dep-1"),
        ("/v1beta/models/gemini-x:generateContent", "gemini-x"),
    ],
)
def test_reads_the_model_from_the_path(path, model):
    """Azure names the deployment in the path, Google the model."""
    assert endpoint_of(f"https://h{path}", {}, b'{"messages": []}').model == model


@pytest.mark.parametrize("body", [b"", b"[1]", b"{broken", b'{"model": 3}', b"--boundary"])
def test_what_asks_no_model_is_no_exchange(body):
    """Lists of models, uploads and broken bodies are none of our business."""
    assert endpoint_of("https://h/v1/files", {}, body) is None
    assert endpoint_of("https://h/v1/models/m", {}, b"") is None


def test_fingerprints_are_stable_short_and_apart():
    """The same key has the same eight digits in every process; another key has others."""
    assert key_fingerprint("test-key") == key_fingerprint("test-key")
    assert len(key_fingerprint("test-key")) == 8
    assert key_fingerprint("test-key") != key_fingerprint("test-key-2")
    assert key_fingerprint("") == ""


def token(claims) -> str:
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.{part(str(claims))}"


def test_a_renewed_access_token_is_the_same_endpoint():
    """A JSON web token is known by whom it is for, not by when it was made."""
    one, two = ({"iss": "i", "sub": "me", "exp": exp} for exp in (1, 2))
    assert key_fingerprint(token(one)) == key_fingerprint(token(two))
    other = key_fingerprint(token({"iss": "i", "sub": "you"}))
    assert other != key_fingerprint(token(one))
    for odd in ("a.b.c", "a.!!!.c", token({"exp": 1}), token([1])):
        assert len(key_fingerprint(odd)) == 8


def test_fingerprints_are_remembered_without_their_keys():
    """The second look is a look-up; what is kept for it does not hold the key."""
    first = key_fingerprint("a-key-that-nobody-may-see")
    assert key_fingerprint("a-key-that-nobody-may-see") == first
    assert first in endpoints._fingerprints.values()
    assert "a-key-that-nobody-may-see" not in repr(endpoints._fingerprints)
    for n in range(2 * endpoints._REMEMBERED):
        key_fingerprint(f"key-{n}")
    assert len(endpoints._fingerprints) <= endpoints._REMEMBERED
    assert key_fingerprint("a-key-that-nobody-may-see") == first
