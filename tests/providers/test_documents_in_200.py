"""Errors in documents of status 200 that a wrapped model gets: whole, as a stream, in a task."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest
import tenacity
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_openai.retelling import told_as_error
from agentrm_plugins import AgentRM, RetryPolicy
from agentrm_plugins.policy.endpoint.retry_class import classify
from tests.providers.test_errors_in_200 import STREAM
from tests.providers.test_failed_answers import CHAT, EVENTS, WHOLE

QUICK = RetryPolicy(wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3))
ENVELOPE = {"id": "c", "object": "", "created": 1, "model": "m", "choices": None}
ONCE: dict[str, Any] = {
    "a key": {"error": {"code": 401, "message": "the reason"}},
    "an account": {"error": {"code": 402, "message": "the reason"}},
    "a right": {"error": {"code": 403, "message": "the reason"}},
    "a filter": {"error": {"code": "content_filter", "message": "the reason"}},
    "vLLM's": {"object": "error", "message": "the reason", "code": 401},
    "MiniMax's": {**ENVELOPE, "base_resp": {"status_code": 1008, "status_msg": "the reason"}},
}
AGAIN: dict[str, Any] = {
    "a limit": {"error": {"code": 429, "message": "the reason"}},
    "no room": {"error": {"code": 503, "message": "the reason"}},
    "Zhipu's": {"error": {"code": "1302", "message": "the reason"}},
    "MiniMax's": {**ENVELOPE, "base_resp": {"status_code": 1041, "status_msg": "the reason"}},
}
WAYS = ["invoke", "stream", "astream"]


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def model(loopback: Any, rm: AgentRM, retry: RetryPolicy, **more: Any) -> Any:
    bare = ChatOpenAI(model="m", base_url=f"{loopback.url}/v1", api_key="k", **more)
    return wrap_chat_model(bare, rm, retry=retry)


def text(model: Any, way: str) -> str:
    async def pieces() -> str:
        return "".join([piece.text async for piece in model.astream("go")])

    if way == "invoke":
        return model.invoke("go").text
    return (
        asyncio.run(pieces()) if way == "astream" else "".join(p.text for p in model.stream("go"))
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", ONCE)
def test_what_no_retry_cures_is_sent_once(loopback, rm, what, way):
    """The caller is told the reason."""
    loopback.always(200, json.dumps(ONCE[what]).encode())
    with pytest.raises(Exception, match="the reason"):
        text(model(loopback, rm, QUICK), way)
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(("what", "count"), [("a key", 1), ("a limit", 3)])
def test_the_responses_api_is_judged_alike(loopback, rm, what, count, way):
    """Its streams are read by other code."""
    loopback.always(200, json.dumps((ONCE | AGAIN)[what]).encode())
    with pytest.raises(openai.APIError, match="the reason"):
        text(model(loopback, rm, QUICK, use_responses_api=True), way)
    assert len(loopback.requests) == count


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", AGAIN)
def test_a_passing_error_goes_again(loopback, rm, what, way):
    """Nobody notices."""
    good = ({}, WHOLE) if way == "invoke" else (EVENTS, STREAM)
    loopback.answer = lambda number, *_: (200, *(({}, AGAIN[what]) if number == 1 else good))
    assert (text(model(loopback, rm, QUICK), way), len(loopback.requests)) == ("fine", 2)


@pytest.mark.parametrize("way", [*WAYS, "client", "client's stream"])
@pytest.mark.parametrize("code", [429, 503])
def test_the_wait_in_its_header_is_heeded(loopback, rm, code, way):
    """The error that is made of such an answer shows no headers."""
    waits: list[float] = []
    retry = RetryPolicy(stop=lambda state: waits.append(state.upcoming_sleep) or True)
    body = json.dumps({"error": {"code": code, "message": "the reason"}}).encode()
    loopback.always(200, body, **{"retry-after": "7"})
    if way in WAYS:
        with pytest.raises(Exception, match="the reason"):
            text(model(loopback, rm, retry), way)
    else:
        bare = openai.OpenAI(base_url=f"{loopback.url}/v1", api_key="k")
        chat = manage_client(bare, rm, retry=retry).chat.completions
        chat.create(model="m", stream=way != "client", **CHAT)
    assert waits == [7.0]


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_is_left_as_it_is(loopback, rm, way):
    """A server that gives no streams answers with a whole; of that the SDK makes nothing."""
    loopback.always(200, WHOLE)
    if way == "invoke":
        assert text(model(loopback, rm, QUICK), way) == "fine"
        return
    with pytest.raises(ValueError, match="No generation chunks were returned"):
        text(model(loopback, rm, QUICK), way)


@pytest.mark.parametrize(
    ("content", "streaming"),
    [
        (WHOLE, False),
        (WHOLE, True),
        (json.dumps(ONCE["a key"]).encode(), False),
        (json.dumps({**json.loads(WHOLE), "base_resp": {"status_code": 0}}).encode(), False),
        (b'{"detail": "ok"}', False),
        (b'{"detail": "ok"}', True),
        (b"{", True),
        (b"[" * 100_000, True),
        (b"null", True),
    ],
)
def test_what_is_no_hidden_error_is_not_told_as_one(content, streaming):
    """Answers, and what its reader understands or complains of by himself."""
    assert told_as_error(content, streaming=streaming) is None


def test_a_number_counts_in_a_providers_own_error_only():
    """Elsewhere it may be a database's."""

    class Numbered(Exception):
        code = 1302

    assert not classify(Numbered("it failed")).retryable
    limit = openai.APIError("it failed", None, body={"code": "1302", "message": "it failed"})
    assert classify(limit).kind == "limit"
    for number in ("1008", "1113"):
        money = openai.APIError("no", None, body={"code": number, "message": "no"})
        assert classify(money).why == "billing"


ITEM = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "fine", "annotations": []}]}  # fmt: skip
TOOL = {"type": "mcp_call", "id": "mcp_1", "name": "n", "arguments": "{}", "server_label": "s",
        "error": "HTTP 500 from the tool"}  # fmt: skip
WELL = json.loads(WHOLE)
GOOD: dict[str, Any] = {
    "a tool that failed": {"id": "resp_1", "object": "response", "status": "completed",
                           "output": [TOOL, ITEM], "error": None},
    "an empty error": {**WELL, "error": {}},
    "no error in words": {**WELL, "error": ""},
    "an error beside what a choice says": {
        **WELL, "choices": [{**WELL["choices"][0], "error": {"code": 502, "message": "late"}}]},
}  # fmt: skip


@pytest.mark.parametrize("what", GOOD)
def test_a_whole_answer_beside_an_error_is_bought_once(loopback, rm, what):
    """A tool of the provider failed, or a gateway names no error: the model has answered."""
    loopback.always(200, json.dumps(GOOD[what]).encode())
    bare = openai.OpenAI(base_url=f"{loopback.url}/v1", api_key="k")
    client = manage_client(bare, rm, retry=QUICK)
    if "output" in GOOD[what]:
        said = client.responses.create(model="m", input="go", store=False).output_text
    else:
        said = client.chat.completions.create(model="m", **CHAT).choices[0].message.content
    assert (said, len(loopback.requests)) == ("fine", 1)
    assert rm.statistics().settled == 1


@pytest.mark.parametrize("way", ["client", "stream", "astream"])
def test_a_stream_under_a_wrong_name_is_a_stream(loopback, rm, way):
    """A server that calls its events JSON is asked once, and what it says comes."""
    loopback.answer = lambda *_: (200, {"content-type": "application/json"}, STREAM)
    if way == "client":
        bare = openai.OpenAI(base_url=f"{loopback.url}/v1", api_key="k")
        pieces = manage_client(bare, rm, retry=QUICK).chat.completions.create(
            model="m", stream=True, **CHAT
        )
        said = "".join(one.choices[0].delta.content or "" for one in pieces if one.choices)
    else:
        said = text(model(loopback, rm, QUICK), way)
    assert (said, len(loopback.requests)) == ("fine", 1)


def test_a_piece_that_says_all_is_well_is_no_error():
    """Some gateways begin or end a stream with a code 0 and the word "success"."""
    assert told_as_error(b'{"choices": [], "code": 0, "msg": "success"}', streaming=True) is None
