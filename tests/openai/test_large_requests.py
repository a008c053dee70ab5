"""The model of a large request is found without reading all of it: that would hold up the loop."""

from __future__ import annotations

import json

import pytest

from agentrm_openai import exchange

URL = "http://127.0.0.1/v1/chat/completions"
TEXT = 'a "model": "x" in a text, ' * 40_000
SAYS = [{"role": "user", "content": TEXT, "model": "nested"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"model": "inner"}}}


@pytest.mark.parametrize(
    ("body", "most"),
    [
        ({"messages": SAYS, "model": "m", "stream": True}, 64_001),
        ({"messages": SAYS, "model": "m", "tools": [TOOL], "metadata": {"model": "x"}}, 64_001),
        ({"model": "m", "messages": SAYS}, None),
        ({"messages": SAYS, "model": "m", "input": TEXT}, None),
    ],
)
def test_the_model_of_a_large_request(monkeypatch, body, most):
    """Near its end, where the SDK puts it; elsewhere by reading it all, and never a nested one."""
    read, loads = [], json.loads

    def noted(raw):
        read.append(len(raw))
        return loads(raw)

    raw = json.dumps(body).encode()
    monkeypatch.setattr(exchange.json, "loads", noted)
    assert exchange.model_asked(URL, raw) == "m"
    assert most is None or max(read) <= most


def test_a_large_request_without_a_model():
    """A nested one is none of its own; the path's counts."""
    raw = json.dumps({"messages": SAYS, "metadata": {"model": "x"}}).encode()
    assert exchange.model_asked("http://127.0.0.1/deployments/d/chat", raw) == "d"
