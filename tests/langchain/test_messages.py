"""LangChain messages to the context's own and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from agentrm_langchain.messages import from_message, from_messages, to_message, to_messages
from agentrm_plugins.context.plan.bodies import body_of, identity_of, message_of
from agentrm_plugins.errors import BadMessage
from agentrm_plugins.types.message import Message, ToolCall

pytestmark = pytest.mark.lowest

words = st.text(max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
    max_leaves=4,
)
blocks = st.one_of(
    words,
    st.builds(lambda text: {"type": "text", "text": text}, words),
    st.just({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
    st.just({"type": "image", "source_type": "base64", "data": "AAAA", "mime_type": "image/png"}),
    st.just({"type": "image", "base64": "AAAA", "mime_type": "image/png"}),
    st.builds(lambda t: {"type": "reasoning", "reasoning": t, "extras": {"signature": "x"}}, words),
    st.builds(lambda t: {"type": "thinking", "thinking": t, "signature": "x"}, words),
    st.builds(lambda v: {"type": "non_standard", "value": v}, json_values),
)
contents = words | st.lists(blocks, max_size=3)
names = st.none() | st.text("abc", min_size=1, max_size=5)
extras = st.dictionaries(st.sampled_from(["alpha", "beta"]), json_values, max_size=2)
calls = st.builds(
    lambda args, at: {"name": "tool", "args": args, "id": f"c{at}", "type": "tool_call"},
    st.dictionaries(words, json_values, max_size=2),
    st.integers(0, 9),
)
invalid = st.builds(
    lambda text: {
        "name": "t", "args": text, "id": "i", "error": "no JSON", "type": "invalid_tool_call"
    },
    words,
)  # fmt: skip
usage = st.none() | st.builds(
    lambda i, o: {"input_tokens": i, "output_tokens": o, "total_tokens": i + o},
    st.integers(0, 9),
    st.integers(0, 9),
)
common = {"content": contents, "name": names, "id": names, "additional_kwargs": extras,
          "response_metadata": extras}  # fmt: skip
messages = st.one_of(
    st.builds(HumanMessage, **common),
    st.builds(SystemMessage, **common),
    st.builds(
        AIMessage,
        **common,
        tool_calls=st.lists(calls, max_size=2),
        invalid_tool_calls=st.lists(invalid, max_size=1),
        usage_metadata=usage,
    ),
    st.builds(AIMessageChunk, **common),
    st.builds(
        ToolMessage,
        **common,
        tool_call_id=words,
        status=st.sampled_from(["success", "error"]),
        artifact=json_values,
    ),
    st.builds(FunctionMessage, **{**common, "name": st.just("f")}),
    st.builds(ChatMessage, **common, role=st.sampled_from(["user", "narrator"])),
)


@given(messages)
def test_there_and_back_again(message):
    """Class, content, ids, names, calls, usage and extras come back as they were."""
    before = message.model_copy(deep=True)
    back = from_message(to_message(message))
    assert type(back) is type(message)
    assert back == message == before
    assert back is not message


@given(messages)
def test_through_the_archive(message):
    """What JSON can hold comes back from the archive's text as it was."""
    made = to_message(message)
    read = message_of(body_of(made))
    assert from_message(read) == message
    assert (read.role, read.tool_calls, read.tool_call_id) == (
        made.role,
        made.tool_calls,
        made.tool_call_id,
    )
    assert identity_of(read) == identity_of(made)


def test_a_history_is_recognised_under_new_ids_and_without_usage():
    """Ids, usage and metadata are archived; they are no part of a message's identity."""
    one = AIMessage("hi", id="a", usage_metadata={
        "input_tokens": 1, "output_tokens": 1, "total_tokens": 2})  # fmt: skip
    two = AIMessage("hi", id="b", response_metadata={"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert identity_of(to_message(one)) == identity_of(to_message(two))
    assert identity_of(to_message(one)) != identity_of(to_message(AIMessage("ho")))
    assert json.loads(body_of(to_message(one)))["framework"]["fields"]["id"] == "a"


def test_calls_repeated_among_the_blocks_count_once():
    """Anthropic and the Responses API say a call twice; it is one call and no said text."""
    message = AIMessage(
        [
            {"type": "text", "text": "Let me look."},
            {"type": "tool_use", "id": "c1", "name": "look", "input": {"x": 1}},
            {"type": "function_call", "id": "f1", "call_id": "c1", "name": "look"},
        ],
        tool_calls=[{"name": "look", "args": {"x": 1}, "id": "c1", "type": "tool_call"}],
    )
    made = to_message(message)
    assert made.content == ({"type": "text", "text": "Let me look."},)
    assert [call.id for call in made.tool_calls] == ["c1"]
    assert from_message(made) == message


def test_messages_of_ours_become_plain_ones_of_theirs():
    """Notes, stubs and results that stand in have no LangChain object behind them."""
    call, bad = ToolCall("1", "look", '{"a": 1}'), ToolCall("2", "look", "{")
    made = from_messages(
        [
            Message("user", "notes"),
            Message("system", "s"),
            Message("developer", "d"),
            Message("tool", "[no result]", None, (), "1"),
            Message("function", "f", "fun"),
            Message("assistant", ({"type": "text", "text": "x"},), None, (call, bad)),
        ]
    )
    assert [m.type for m in made] == ["human", "system", "system", "tool", "function", "ai"]
    assert made[3].tool_call_id == "1"
    assert made[5].tool_calls[0]["args"] == {"a": 1}
    assert made[5].invalid_tool_calls[0]["args"] == "{"
    assert [m.role for m in to_messages(made)] == [
        "user", "system", "developer", "tool", "function", "assistant",
    ]  # fmt: skip


def test_what_is_no_message_to_a_model_is_named():
    """The error says which one, and what to do."""
    with pytest.raises(BadMessage, match=r"messages\[1\].type='remove'.*take it out"):
        to_messages([HumanMessage("x"), RemoveMessage(id="1")])
    with pytest.raises(BadMessage, match="messages\\[0\\]=str: give a LangChain message"):
        to_messages(["x"])


def test_later_changes_to_the_original_have_no_effect():
    """The copy is deep where there is data."""
    message = HumanMessage([{"type": "text", "text": "one"}])
    made = to_message(message)
    message.content[0]["text"] = "two"
    assert from_message(made).content == [{"type": "text", "text": "one"}]
