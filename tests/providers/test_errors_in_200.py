"""Errors that come with status 200, in the shapes of gateways: judged as what they are."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
import tenacity
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, RetryPolicy
from tests.providers.test_failed_answers import CHAT, EVENTS, WHOLE, chunk, data

QUICK = RetryPolicy(wait=tenacity.wait_none())
GOOD = json.loads(WHOLE)


def choice(**more: Any) -> dict[str, Any]:
    return {
        **GOOD,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, **more}],
    }


AGAIN: dict[str, Any] = {
    "in the choice": choice(
        finish_reason="error", error={"code": 502, "message": "Upstream error"}
    ),
    "a text": {"error": "Rate limit exceeded, please retry"},
    "a detail": {"detail": "Internal Server Error"},
    "vLLM's": {"object": "error", "message": "busy", "type": "InternalServerError", "code": 500},
    "no choice": {**GOOD, "choices": []},
    "a code": {"error": {"code": 429, "message": "Rate limited"}},
}
ONCE = {
    "no key": {"error": {"code": 401, "message": "No auth"}},
    "no money": {"error": {"code": 402, "message": "Insufficient credits"}},
}
FINAL = data(
    id="c", object="chat.completion.chunk", created=1, model="m",
    choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}],
)  # fmt: skip
STREAM = chunk("fine") + FINAL
PIECES: dict[str, bytes] = {
    "in the choice": data(
        id="c", object="chat.completion.chunk", created=1, model="m",
        choices=[{"index": 0, "delta": {"content": ""}, "finish_reason": "error",
                  "error": {"code": 429, "message": "rate limited upstream"}}],
    ),
    "a text": data(error="Rate limit exceeded"),
    "a detail": data(detail="Internal Server Error"),
    "vLLM's": data(object="error", message="busy", type="InternalServerError", code=500),
    "an event": b'event: error\ndata: {"message": "Too many requests", "code": 429}\n\n',
}  # fmt: skip
VECTOR = {
    "object": "list", "model": "m", "usage": {"prompt_tokens": 1, "total_tokens": 1},
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}],
}  # fmt: skip


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def client(loopback: Any, rm: AgentRM) -> Any:
    return manage_client(openai.OpenAI(base_url=f"{loopback.url}/v1", api_key="k"), rm, retry=QUICK)


def model(loopback: Any, rm: AgentRM) -> Any:
    bare = ChatOpenAI(model="m", base_url=f"{loopback.url}/v1", api_key="k")
    return wrap_chat_model(bare, rm, retry=QUICK)


def first(loopback: Any, answer: tuple[Any, Any], then: tuple[Any, Any]) -> None:
    loopback.answer = lambda number, *_: (200, *(answer if number == 1 else then))


@pytest.mark.parametrize("way", ["create", "raw", "langchain"])
@pytest.mark.parametrize("what", AGAIN)
def test_an_answer_goes_again(loopback, rm, way, what):
    """By the managed client, by its raw response and by the wrapped model alike."""
    first(loopback, ({}, AGAIN[what]), ({}, WHOLE))
    if way == "langchain":
        assert model(loopback, rm).invoke("go").text == "fine"
    else:
        chat = client(loopback, rm).chat.completions
        raw = way == "raw"
        got = chat.with_raw_response.create(model="m", **CHAT).parse() if raw else None
        got = got or chat.create(model="m", **CHAT)
        assert got.choices[0].message.content == "fine"
    assert len(loopback.requests) == 2


@pytest.mark.parametrize("way", ["stream", "langchain"])
@pytest.mark.parametrize("what", PIECES)
def test_a_stream_goes_again(loopback, rm, way, what):
    """Before its first word nobody notices."""
    first(loopback, (EVENTS, PIECES[what]), (EVENTS, STREAM))
    if way == "langchain":
        got = "".join(one.text for one in model(loopback, rm).stream("go"))
    else:
        pieces = client(loopback, rm).chat.completions.create(model="m", stream=True, **CHAT)
        got = "".join(one.choices[0].delta.content or "" for one in pieces)
    assert (got, len(loopback.requests)) == ("fine", 2)


@pytest.mark.parametrize("way", ["create", "raw", "stream"])
@pytest.mark.parametrize("what", ONCE)
def test_what_no_retry_cures_is_sent_once(loopback, rm, way, what):
    """A stream's request that is answered by one document, too."""
    loopback.always(200, json.dumps(ONCE[what]).encode())
    chat = client(loopback, rm).chat.completions
    if way == "raw":
        chat.with_raw_response.create(model="m", **CHAT)
    else:
        list(chat.create(model="m", stream=way == "stream", **CHAT))
    assert len(loopback.requests) == 1


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"error": {"code": 429, "message": "slow down"}}),
        ({}, {"object": "list", "data": [], "model": "m"}),
        ({"content-type": "text/html"}, b"<html>502</html>"),
    ],
    ids=["an error", "nothing", "a page"],
)
def test_embeddings_go_again(loopback, rm, headers, body):
    """The SDK makes its own errors of them, in words."""
    first(loopback, (headers, body), ({}, VECTOR))
    got = client(loopback, rm).embeddings.create(model="m", input="go", encoding_format="float")
    assert (got.data[0].embedding, len(loopback.requests)) == ([0.1], 2)


@pytest.mark.parametrize(
    ("what", "told", "count"),
    [
        ("in the choice", "Upstream error", 8),
        ("no choice", "No generation chunks were returned", 4),
    ],
)
def test_langchain_is_told_that_there_is_no_answer(loopback, rm, what, told, count):
    """An agent must not go on with an empty message of a failed answer; it is told the reason."""
    loopback.always(200, json.dumps(AGAIN[what]).encode())
    with pytest.raises(ValueError, match=told):
        model(loopback, rm).invoke("go")
    assert len(loopback.requests) == count
