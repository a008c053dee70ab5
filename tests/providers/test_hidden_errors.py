"""Errors of status 200 that Google's and botocore's packages lose: judged as what they are."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
import zlib
from typing import Any

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, RetryPolicy
from agentrm_plugins.policy.endpoint.retry_class import classify
from tests.providers.models import RESPONSE, good, model_of

# Google's package makes a session of aiohttp in a way that aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
QUICK = RetryPolicy(wait=tenacity.wait_none(), stop=tenacity.stop_after_attempt(3))
EVENTS = {"content-type": "text/event-stream"}
AMAZON = {"content-type": "application/vnd.amazon.eventstream"}
RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}
WAYS = ["invoke", "ainvoke", "stream", "astream"]


def google(code: Any, status: str, *details: Any) -> dict[str, Any]:
    told = {"code": code, "message": "the reason", "status": status, "details": list(details)}
    return {"error": told}


def event(name: str, message: str) -> bytes:
    """An exception in a stream, as Amazon frames it."""
    told = {"message-type": "exception", "exception-type": name, "content-type": "application/json"}
    return _frame(told, {"message": message})


def framed(piece: Any) -> bytes:
    """A piece of a model's own stream, as Amazon frames it."""
    told = {"message-type": "event", "event-type": "chunk", "content-type": "application/json"}
    return _frame(told, {"bytes": base64.b64encode(json.dumps(piece).encode()).decode()})


def _frame(told: dict[str, str], body: dict[str, str]) -> bytes:
    headers = b""
    for key, value in told.items():
        headers += bytes([len(key) + 1]) + f":{key}".encode()
        headers += b"\x07" + struct.pack(">H", len(value)) + value.encode()
    payload = json.dumps(body).encode()
    head = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    whole = head + struct.pack(">I", zlib.crc32(head)) + headers + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def data(body: Any) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def model(name: str, loopback: Any, rm: AgentRM, retry: RetryPolicy = QUICK) -> Any:
    more = {"disable_streaming": False} if name == "bedrock" else {}
    return wrap_chat_model(model_of(name, loopback.url, **more), rm, retry=retry)


def text(model: Any, way: str) -> str:
    async def pieces() -> str:
        return "".join([piece.text async for piece in model.astream("go")])

    if way == "invoke":
        return model.invoke("go").text
    if way == "ainvoke":
        return asyncio.run(model.ainvoke("go")).text
    return (
        asyncio.run(pieces()) if way == "astream" else "".join(p.text for p in model.stream("go"))
    )


LIMIT = google(429, "RESOURCE_EXHAUSTED", RETRY)
GOOGLE: dict[str, tuple[dict[str, str], Any]] = {
    "a document": ({}, LIMIT),
    "a list": ({}, [LIMIT]),
}
WHOLE = {  # in a stream Google's own code fails at these, and they go again
    "no number": ({}, google(None, "RESOURCE_EXHAUSTED", RETRY)),
    "a number in a text": ({}, google("429", "", RETRY)),
}
STREAMED = {
    "an event": (EVENTS, data(LIMIT)),
    "a list in an event": (EVENTS, data([LIMIT])),
    "an event behind a blank": (EVENTS, data({}) + data(LIMIT)),
}


CASES = [(what, way) for what in GOOGLE for way in WAYS]
CASES += [(what, way) for what in STREAMED for way in ("stream", "astream")]
CASES += [(what, way) for what in WHOLE for way in ("invoke", "ainvoke")]


@pytest.mark.parametrize(("what", "way"), CASES)
def test_googles_limit_is_a_limit_at_its_time(loopback, rm, what, way):
    """Whole, in a list, and as an event: the wait in its body is heeded."""
    waits: list[float] = []
    retry = RetryPolicy(stop=lambda state: waits.append(state.upcoming_sleep) or True)
    headers, body = (GOOGLE | STREAMED | WHOLE)[what]
    loopback.always(200, body, **headers)
    with pytest.raises(Exception, match="the reason") as raised:
        text(model("gemini", loopback, rm, retry), way)
    assert (classify(raised.value).kind, waits) == ("limit", [7.0])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("code", "status"), [(401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"), (400, "X")]
)
def test_googles_refusal_is_sent_once(loopback, rm, code, status, way):
    """A refused key was an empty answer, asked for four times."""
    loopback.always(200, google(code, status))
    with pytest.raises(Exception, match="the reason"):
        text(model("gemini", loopback, rm), way)
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_googles_answer_is_left_as_it_is(loopback, rm, way):
    """Also one that has the word in it; and the user's own client has none of this."""
    answer = json.loads(json.dumps(good("gemini")).replace('"hi"', '"an \\"error\\": {}"'))
    loopback.always(200, {**answer, "error": None})
    bare = model_of("gemini", loopback.url)
    own = bare.client
    assert text(wrap_chat_model(bare, rm, retry=QUICK), way) == 'an "error": {}'
    assert bare.client is own
    assert type(own.models).__name__ == "Models"
    assert type(own.models._api_client).__module__.startswith("google.")


BEDROCK: dict[str, tuple[dict[str, str], Any]] = {
    "its type": ({}, {"__type": "ThrottlingException", "message": "the reason"}),
    "a name with a path": (
        {},
        {"Output": {"__type": "com.amazon.coral.service#ThrottlingException"}},
    ),
    "a header": ({"x-amzn-errortype": "ThrottlingException:http://x/"}, {"message": "the reason"}),
    "a gateway's": ({}, {"error": {"code": 429, "message": "the reason"}}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", BEDROCK)
def test_amazons_limit_is_a_limit(loopback, rm, what, way):
    """One document of status 200, whether a stream was asked for or not."""
    headers, body = BEDROCK[what]
    loopback.always(200, body, **headers)
    with pytest.raises(Exception, match="An error occurred") as raised:
        text(model("bedrock", loopback, rm), way)
    assert classify(raised.value).kind == "limit"
    assert len(loopback.requests) == 3


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    ("name", "message", "kind", "count"),
    [
        ("throttlingException", "Too many tokens, please wait", "limit", 3),
        ("serviceUnavailableException", "no room", "overloaded", 3),
        ("internalServerException", "it broke", "transient", 3),
        ("validationException", "Input is too long for requested model.", "permanent", 1),
    ],
)
def test_amazons_exceptions_in_a_stream(loopback, rm, name, message, kind, count, way):
    """As the service frames them."""
    loopback.always(200, event(name, message), **AMAZON)
    with pytest.raises(Exception, match=name) as raised:
        text(model("bedrock", loopback, rm), way)
    assert (classify(raised.value).kind, len(loopback.requests)) == (kind, count)


def test_amazons_wait_is_heeded(loopback, rm):
    """In the words of an exception within a stream."""
    waits: list[float] = []
    retry = RetryPolicy(stop=lambda state: waits.append(state.upcoming_sleep) or True)
    loopback.always(200, event("throttlingException", "Please wait 3 seconds"), **AMAZON)
    with pytest.raises(Exception, match="throttlingException"):
        text(model("bedrock", loopback, rm, retry), "stream")
    assert waits == [3.0]


@pytest.mark.parametrize("status", ["failed", None])
@pytest.mark.parametrize(("code", "count"), [("1302", 3), ("1113", 1), ("1261", 1), (429, 3)])
def test_a_number_in_a_whole_response(loopback, rm, code, count, status):
    """Zhipu's, in an answer of the Responses API."""
    told = {"error": {"code": code, "message": "the reason"}}
    body = {**RESPONSE, "output": [], "status": status, **told} if status else told
    loopback.always(200, body)
    with pytest.raises(Exception, match="the reason"):
        model("openai_responses", loopback, rm).invoke("go")
    assert len(loopback.requests) == count


@pytest.mark.parametrize("name", ["openai", "groq"])
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(("code", "count"), [(401, 1), ("insufficient_quota", 1), (429, 3)])
def test_a_document_in_the_place_of_a_stream(loopback, rm, name, way, code, count):
    """Of which the SDK makes an empty stream."""
    loopback.always(200, {"error": {"code": code, "message": "the reason"}})
    with pytest.raises(Exception, match="the reason"):
        text(model(name, loopback, rm), way)
    assert len(loopback.requests) == count


@pytest.mark.parametrize("name", ["openai", "openai_responses", "groq", "anthropic"])
@pytest.mark.parametrize("coding", ["deflate", "gzip"])
def test_an_answer_whose_coding_is_broken_goes_again(loopback, rm, name, coding):
    """Some libraries decode it into what is no text."""
    loopback.always(200, b"zzzz", **{"content-encoding": coding})
    with pytest.raises(Exception):  # noqa: B017 - each package has its own
        model(name, loopback, rm).invoke("go")
    assert len(loopback.requests) == 3


@pytest.mark.parametrize("body", [{}, []])
def test_a_response_with_nothing_in_it_goes_again(loopback, rm, body):
    """LangChain fails while it takes it apart."""
    loopback.always(200, body)
    with pytest.raises((TypeError, AttributeError)):
        model("openai_responses", loopback, rm).invoke("go")
    assert len(loopback.requests) == 3


@pytest.mark.parametrize(("status", "told", "count"), [(400, "true", 3), (429, "false", 1)])
@pytest.mark.parametrize("name", ["openai", "deepseek", "anthropic", "groq"])
def test_the_servers_own_opinion_counts_more_than_a_name(loopback, rm, name, status, told, count):
    """LangChain's class for a 400 says that it never goes again."""
    loopback.always(status, {"error": {"message": "odd"}}, **{"x-should-retry": told})
    with pytest.raises(Exception, match="odd"):
        model(name, loopback, rm).invoke("go")
    assert len(loopback.requests) == count
