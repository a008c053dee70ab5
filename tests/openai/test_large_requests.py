"""What a large request asks is found without reading all of it: that would hold up the loop."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from agentrm_openai import exchange
from agentrm_openai.large_requests import LARGE, at_the_ends
from agentrm_openai.transport import _asks_for_a_stream

URL = "http://127.0.0.1/v1/chat/completions"
TEXT = 'a "model": "x", "stream": true in a text, ' * 40_000
SAYS = [{"role": "user", "content": TEXT, "model": "nested", "stream": True}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"model": "i", "stream": {}}}}
ENDS = [
    {"messages": SAYS, "model": "m", "stream": True},
    {"messages": SAYS, "model": "m", "tools": [TOOL], "stream": True, "metadata": {"model": "x"}},
    {"model": "m", "stream": True, "messages": SAYS},
    {"model": "m", "messages": SAYS, "stream": True},
    {"tools": [TOOL], "stream": True, "model": "m", "messages": SAYS},
    {"n": 12, "model": "m", "stream": True, "messages": SAYS, "tools": [TOOL]},
]
MIDDLE = {"messages": SAYS, "model": "m", "stream": True, "input": TEXT}


@pytest.fixture
def read(monkeypatch):
    """Lengths of all that is parsed whole."""
    lengths, loads = [], json.loads

    def noted(raw):
        lengths.append(len(raw))
        return loads(raw)

    monkeypatch.setattr(json, "loads", noted)
    return lengths


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("body", [*ENDS, MIDDLE])
def test_the_model_and_the_stream_of_a_large_request(read, body, indent):
    """At its ends, where SDKs put them; elsewhere by reading it all, and never a nested one."""
    raw = json.dumps(body, indent=indent).encode()
    assert exchange.model_asked(URL, raw) == "m"
    assert _asks_for_a_stream(SimpleNamespace(_content=raw))
    assert body is MIDDLE or max(read, default=0) <= LARGE + 1


@pytest.mark.parametrize("body", [{**one, "stream": False} for one in [*ENDS, MIDDLE]])
def test_a_large_request_that_asks_for_no_stream(body):
    assert not _asks_for_a_stream(SimpleNamespace(_content=json.dumps(body).encode()))


def test_a_large_request_without_either():
    """A nested one is none of its own; the path's model counts."""
    raw = json.dumps({"messages": SAYS, "metadata": {"model": "x", "stream": True}}).encode()
    assert exchange.model_asked("http://127.0.0.1/deployments/d/chat", raw) == "d"
    assert not _asks_for_a_stream(SimpleNamespace(_content=raw))


@pytest.mark.parametrize(
    "begin", [b"", b"[", b"{", b'{"n": 12', b'{"n": 1 2, "model": "m"', b'{"n":']
)
def test_what_is_no_object_names_nothing(begin):
    assert at_the_ends(begin + b" " * LARGE + b"3" * LARGE, "model") is None


def test_a_number_that_is_cut_is_not_taken_for_a_whole_one():
    raw = b'{"model": ' + b"1" * (LARGE + 9) + b', "messages": [' + b"1, " * LARGE + b"1]}"
    assert at_the_ends(raw, "model") is None
