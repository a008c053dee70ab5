"""What a message, a call or a text holds beside what is known is sent, so it is counted."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins import ContextConfig, ContextLifecycle
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.counting.requests import request_tokens
from agentrm_plugins.types.message import from_openai

LONG = "the quick brown fox thinks about the lazy dog; " * 200


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("message", {"role": "assistant", "content": "t", "reasoning_content": LONG}),
        ("message", {"role": "assistant", "content": "t", "reasoning": {"steps": [LONG]}}),
        ("text", {"role": "user", "content": [
            {"type": "text", "text": "t", "annotations": [LONG]}]}),
        ("call", {"role": "assistant", "content": "t", "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"},
             "extra_content": {"note": LONG}}]}),
    ],
)  # fmt: skip
def test_what_is_sent_under_a_key_that_has_no_rule_is_counted(where, message):
    """A server may read it; by the request's JSON, by a session's count and by its budget alike."""
    whole = counter_for("gpt-4o").text(LONG)
    tokens = request_tokens({"messages": [message]}, "gpt-4o")
    assert whole < tokens < 1.2 * whole
    assert counter_for("gpt-4o").messages([from_openai(message)]) == tokens
    answer = [{"role": "tool", "tool_call_id": "a", "content": "r"}] * (where == "call")
    history = [{"role": "user", "content": "hello"}, message, *answer,
               {"role": "user", "content": "and now?"}]  # fmt: skip
    with ContextLifecycle(ContextConfig(budget_tokens=1_000)) as manager:
        view = manager.session("s").prepare(history)
    assert len(json.dumps(view.messages)) < 8_000
    with ContextLifecycle(ContextConfig(budget_tokens=40_000)) as manager:
        view = manager.session("s").prepare(history)
    assert whole < view.tokens < 1.2 * whole
    assert LONG in str(view.messages)


def test_an_empty_key_costs_nothing():
    """As the SDK writes an answer that is put into the history: keys without a value."""
    dumped = {"role": "assistant", "content": "t", "refusal": None, "annotations": [],
              "audio": None, "function_call": None, "tool_calls": None}  # fmt: skip
    plain = {"role": "assistant", "content": "t"}
    assert request_tokens({"messages": [dumped]}, "gpt-4o") == request_tokens(
        {"messages": [plain]}, "gpt-4o"
    )
