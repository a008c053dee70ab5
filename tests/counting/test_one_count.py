"""One count of a request, by whatever door it comes: what is reserved is what is budgeted."""

from __future__ import annotations

import base64
import json
import random
import struct
import time

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from agentrm_langchain.messages import input_tokens, to_messages
from agentrm_plugins.counting.encodings import counter_for, request_counter
from agentrm_plugins.counting.ranks import load_encoding
from agentrm_plugins.counting.requests import request_tokens
from agentrm_plugins.types.message import from_openai

pytestmark = pytest.mark.lowest

MODELS = ["gpt-4o", "gpt-4", "claude-sonnet-4-5", "gemini-2.5-pro", "mistral-large", ""]


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


PNG = (
    b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + struct.pack(">II", 1024, 768) + b"\0" * 8 + noise(9000)
)
WAV = (
    b"RIFF"
    + b"\0" * 4
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + noise(160_000)
)
PDF = b"%PDF-1.7\n" + b"<< /Type /Pages /Count 3 >>\n" + b"<< /Type /Page >>\n" * 3 + noise(60_000)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + b64(PNG)}}
AUDIO = {"type": "input_audio", "input_audio": {"data": b64(noise(300_000)), "format": "mp3"}}
FILE = {"type": "file", "file": {"file_data": b64(noise(30_000)), "filename": "a.bin"}}
DOCUMENT = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)},
}
SCREEN = {"type": "computer_screenshot", "image_url": "data:image/png;base64," + b64(PNG)}
MADE = {"type": "image_generation_call", "id": "ig_1", "result": b64(noise(410_000))}
STRANGE = {"type": "no_such_block", "deep": [{"in": {"here": b64(noise(410_000))}}], "say": "so"}
RESULT = {
    "type": "tool_result",
    "tool_use_id": "t1",
    "content": [IMAGE, {"type": "text", "text": "ok"}],
}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": b64(noise(6000))}

CALLS = [("call_1", "search", {"q": "weather in 深圳", "n": 3}), ("call_2", "now", {})]
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "search",
            "description": "Search the web.",
            "parameters": {
                "type": "object",
                "properties": {
                    "q": {"type": "string", "description": "what"},
                    "n": {"enum": [1, 2]},
                },
            },
        },
    }
]
SCHEMA = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}


def asked(*content: object) -> list[dict]:
    return [{"role": "user", "content": list(content)}]


DIALOGUE = [
    {"role": "system", "content": "You are brief."},
    {"role": "user", "content": "Weather in Shenzhen? " * 30, "name": "ada"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {
                "id": number,
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(args, ensure_ascii=False)},
            }
            for number, name, args in CALLS
        ],
    },
    {"role": "tool", "content": "31 C, sunny", "tool_call_id": "call_1"},
    {"role": "tool", "content": "noon", "tool_call_id": "call_2"},
]
TABLE = {
    "plain": ([{"role": "user", "content": "hi"}], {}),
    "dialogue": (DIALOGUE, {}),
    "tools": (DIALOGUE, {"tools": TOOLS}),
    "schema": (DIALOGUE, {"tools": TOOLS, "response_format": SCHEMA}),
    "image": (asked({"type": "text", "text": "what is it?"}, IMAGE), {}),
    "file": (asked(FILE), {}),
    "audio": (asked(AUDIO), {}),
    "pdf": (asked(DOCUMENT), {}),
    "screenshot": (asked(SCREEN), {}),
    "made image": (asked(MADE), {}),
    "strange": (asked(STRANGE), {}),
    "result": (asked(RESULT), {}),
    "thought": (asked(THOUGHT, {"type": "thinking", "thinking": "so ", "signature": "x"}), {}),
    "unseen file": (asked({"type": "file", "file": {"file_id": "file-1"}}), {}),
    "empty": ([{"role": "user", "content": ""}], {}),
}  # fmt: skip


def as_langchain(message: dict):
    content, name = message["content"], message.get("name")
    if message["role"] == "system":
        return SystemMessage(content)
    if message["role"] == "tool":
        return ToolMessage(content, tool_call_id=message["tool_call_id"])
    if message["role"] == "assistant":
        calls = [
            {
                "id": call["id"],
                "name": call["function"]["name"],
                "args": json.loads(call["function"]["arguments"]),
            }
            for call in message.get("tool_calls", ())
        ]
        return AIMessage(content, tool_calls=calls)
    return HumanMessage(content, name=name)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("case", TABLE)
def test_every_door_counts_alike(case, model):
    """LangChain's messages, the SDK's JSON and the context's own messages: one number."""
    messages, options = TABLE[case]
    chain = [as_langchain(message) for message in messages]
    form = [*options.get("tools", ()), *filter(None, [options.get("response_format")])]
    counter = counter_for(model)
    counts = {
        "langchain": input_tokens(chain, options, model),
        "json": request_tokens({"messages": messages, **options}, model),
        "context": counter.messages([from_openai(message) for message in messages], form),
        "langchain's context": counter.messages(to_messages(chain), form),
    }
    assert len(set(counts.values())) == 1, counts


@pytest.mark.parametrize("model", ["gpt-4o", "gpt-4"])
def test_plain_messages_are_exact(model):
    """By the cookbook's law: three for the reply, four for each message, and its text."""
    encoding = load_encoding("o200k_base" if model == "gpt-4o" else "cl100k_base")
    texts = ["Say this is a test. " * 40, "好的，没问题", ""]
    wanted = 3 + sum(4 + len(encoding.encode_ordinary(text)) for text in texts)
    body = {"messages": [{"role": "user", "content": text} for text in texts]}
    assert request_tokens(body, model) == wanted


def test_a_response_is_counted_as_the_chat_that_it_stands_for():
    """Items instead of messages, instructions instead of a system message: the same number."""
    chat = request_tokens({"messages": DIALOGUE, "tools": TOOLS}, "gpt-4o")
    items: list = [{"role": "user", "content": DIALOGUE[1]["content"], "name": "ada"}]
    items += [
        {"type": "function_call", "call_id": number, "name": name,
         "arguments": json.dumps(args, ensure_ascii=False)}
        for number, name, args in CALLS
    ]  # fmt: skip
    items += [
        {"type": "function_call_output", "call_id": m["tool_call_id"], "output": m["content"]}
        for m in DIALOGUE[3:]
    ]
    body = {"instructions": DIALOGUE[0]["content"], "input": items, "tools": TOOLS}
    assert request_tokens(body, "gpt-4o") == chat
    one = request_tokens({"input": "hi"}, "gpt-4o")
    assert one == request_tokens({"messages": [{"role": "user", "content": "hi"}]}, "gpt-4o")


def test_embeddings_and_completions_have_no_frame():
    """Their texts alone are billed; token ids count one each, nested or not."""
    encoding = load_encoding("cl100k_base")
    text = "The food was delicious."
    plain, model = len(encoding.encode_ordinary(text)), "text-embedding-3-small"
    assert request_tokens({"input": text}, model) == plain
    assert request_tokens({"input": [text, text]}, model) == 2 * plain
    assert request_tokens({"input": [1, 2, 3]}, model) == 3
    assert request_tokens({"input": [[1, 2], [3]]}, model) == 3
    assert request_tokens({"prompt": text}, "gpt-4") == plain
    assert request_tokens({"prompt": [text, text]}, "gpt-4") == 2 * plain


def test_media_cost_by_their_provider_and_not_by_their_characters():
    """A megabyte of base64 costs pixels, seconds or pages, under whatever name it comes."""

    def cost(block, model="gpt-4o"):
        return request_counter(model).block(block)

    assert cost(IMAGE) == cost(SCREEN) == 85 + 4 * 170
    assert cost({"type": "x", "y": b64(PNG)}) == pytest.approx(cost(IMAGE), abs=12)
    assert cost(MADE) <= 85 + 8 * 170
    assert cost(STRANGE) < 1500
    assert cost(RESULT) < 900
    assert cost({"type": "input_audio", "input_audio": {"data": b64(WAV)}}) == pytest.approx(
        185, abs=2
    )
    assert cost(DOCUMENT) == 85 + 3 * 3000
    assert cost(DOCUMENT, "gemini-2.5-pro") == 85 + 3 * 258
    note = {"type": "file", "mime_type": "text/plain", "base64": b64(b"hello world " * 500)}
    assert cost(note) == pytest.approx(85 + 1001, abs=3)
    assert cost({"type": "file", "base64": b64(noise(9_000_000))}) <= 85 + 300_000
    assert 1500 < cost(THOUGHT) < 2500


def test_whatever_is_sent_is_counted_without_an_error():
    """Requests that no provider would take cost their text until the provider says so."""
    bodies = [
        {}, {"messages": [None, 7, "text", {"role": "nobody"}, {"content": {"a": 1}}]},
        {"messages": "text"}, {"input": [None, {"type": "x"}, 3, {"role": "user", "content": 7}]},
        {"prompt": {"id": "p", "variables": {"a": "b"}}, "input": "x"},
        {"tools": [None, "web", {"function": 3}]},
        {"messages": [{"role": "user", "content": [None, 1, {"type": None}, {"type": "image"}]}]},
        {"tools": [{"parameters": [1]}, {"parameters": {"properties": {"a": {"enum": 3}}}}]},
        {"input": [{"type": "computer_call_output", "call_id": "c", "output": SCREEN}]},
        {"response_format": int, "messages": []},
    ]  # fmt: skip
    for body in bodies:
        for model in ("gpt-4o", "claude-x", ""):
            assert request_tokens(body, model) >= 0
    assert request_tokens(bodies[-2], "gpt-4o") == pytest.approx(85 + 4 * 170 + 8, abs=4)


def test_a_long_conversation_is_counted_in_the_time_of_its_lookups():
    """Counts are remembered by hash: a second count of 200 messages takes a millisecond or so."""
    chain = [HumanMessage(f"turn {n}: " + "some words of a turn " * 40) for n in range(200)]
    first = input_tokens(chain, {"tools": TOOLS}, "gpt-4o")
    begun = time.perf_counter()
    for _ in range(5):
        assert input_tokens(chain, {"tools": TOOLS}, "gpt-4o") == first
    assert (time.perf_counter() - begun) / 5 < 0.02


def test_a_giant_text_is_sampled_near_its_count():
    """Ten megabytes do not hold up an event loop, and the sample is near the whole."""
    words = "the quick brown fox jumps over the lazy dog; " * 20_000
    whole = len(load_encoding("o200k_base").encode_ordinary(words))
    begun = time.perf_counter()
    assert counter_for("gpt-4o").text(words) == pytest.approx(whole, rel=0.02)
    assert time.perf_counter() - begun < 2.0
