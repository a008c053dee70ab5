"""Answers of status 200 that are none, and streams that fail: asked again, and how often."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple

import openai
import pytest
import tenacity
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, Config
from agentrm_plugins.hosts.retry import RetryPolicy

QUICK = RetryPolicy(wait=tenacity.wait_none())
EVENTS = {"content-type": "text/event-stream"}
PAGE = ({"content-type": "text/html"}, b"<html>Please sign in</html>")
WHOLE = json.dumps({
    "id": "c", "object": "chat.completion", "created": 1, "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "fine"},
                 "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}).encode()  # fmt: skip
NOTHING = {
    "a page": PAGE,
    "nothing": ({}, b""),
    "nothing at all": ({"content-type": "application/octet-stream"}, b""),
    "half a body": ({}, WHOLE[:60]),
    "null": ({}, b"null"),
    "another object": ({}, b'{"detail": "ok"}'),
    "no choices": ({}, WHOLE.replace(b"[{", b'null, "x": [{', 1)),
}
TRIES = 4


def data(**event):
    return f"data: {json.dumps(event)}\n\n".encode()


def chunk(text):
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}
    kind = "chat.completion.chunk"
    return data(id="c", object=kind, created=1, model="m", choices=[choice])


def response(status, **more):
    return {
        "id": "r", "object": "response", "created_at": 1, "model": "m", "status": status,
        "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "error": None, "incomplete_details": None, **more,
    }  # fmt: skip


USAGE = {
    "input_tokens": 5, "output_tokens": 7, "total_tokens": 12,
    "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0},
}  # fmt: skip
CREATED = data(type="response.created", sequence_number=0, response=response("in_progress"))
DELTA = data(
    type="response.output_text.delta", sequence_number=1, item_id="i", output_index=0,
    content_index=0, delta="hello", logprobs=[],
)  # fmt: skip
COMPLETED = data(
    type="response.completed", sequence_number=2, response=response("completed", usage=USAGE)
)
WELL = CREATED + DELTA + COMPLETED


def failed(code):
    error = {"code": code, "message": "it failed"}
    whole = response("failed", error=error)
    return data(type="response.failed", sequence_number=2, response=whole)


def error_event(code):
    return data(type="error", sequence_number=2, code=code, message="it failed", param=None)


@pytest.fixture
def rm():
    core = AgentRM(Config(lanes=4))
    yield core
    core.close()


class Seen(NamedTuple):
    got: Any
    error: Exception | None


def ask(loopback, rm, way, **request):
    """What the caller of a managed client sees, in sync or async code."""
    base = f"{loopback.url}/v1"
    kind = "responses" if "input" in request else "chat"

    def create(client):
        resource = client.responses if kind == "responses" else client.chat.completions
        return resource.create(model="m", **request)

    def sync():
        got = []
        with openai.OpenAI(base_url=base, api_key="k") as client:
            try:
                answer = create(manage_client(client, rm, retry=QUICK))
                if not request.get("stream"):
                    return Seen(answer, None)
                for piece in answer:
                    got.append(piece)
            except Exception as error:
                return Seen(got, error)
        return Seen(got, None)

    async def run():
        got = []
        async with openai.AsyncOpenAI(base_url=base, api_key="k") as client:
            try:
                answer = await create(manage_client(client, rm, retry=QUICK))
                if not request.get("stream"):
                    return Seen(answer, None)
                async for piece in answer:
                    got.append(piece)
            except Exception as error:
                return Seen(got, error)
        return Seen(got, None)

    return sync() if way == "sync" else asyncio.run(run())


CHAT = {"messages": [{"role": "user", "content": "go"}]}
ASKED = {"input": "go", "stream": True}


def kinds(seen):
    return [piece.type for piece in seen.got]


def only(rm):
    (endpoint,) = rm.statistics().endpoints.values()
    return endpoint


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("what", NOTHING)
def test_an_answer_that_is_none_is_asked_for_a_few_times(loopback, rm, way, what):
    """A glitch is over by then; a proxy's page stays, and the SDK's own answer comes of it."""
    headers, body = NOTHING[what]
    loopback.always(200, body, **headers)
    seen = ask(loopback, rm, way, **CHAT)
    assert len(loopback.requests) == TRIES
    statistics = rm.statistics()
    assert (statistics.running, statistics.waiting, only(rm).requeues) == (0, 0, TRIES - 1)
    loopback.requests.clear()
    with openai.OpenAI(base_url=f"{loopback.url}/v1", api_key="k") as bare:
        try:
            answer, error = bare.chat.completions.create(model="m", **CHAT), None
        except Exception as raised:
            answer, error = [], raised
    assert type(seen.error) is type(error)
    assert seen.got == answer


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("what", NOTHING)
def test_a_good_answer_cures_it(loopback, rm, way, what):
    """One request more, and the caller notices nothing."""
    headers, body = NOTHING[what]
    loopback.answer = lambda number, path, content: (
        (200, headers, body) if number == 1 else (200, {}, WHOLE)
    )
    seen = ask(loopback, rm, way, **CHAT)
    assert seen.got.choices[0].message.content == "fine"
    assert len(loopback.requests) == 2


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("headers_and_body", [PAGE, (EVENTS, b""), ({}, WHOLE)])
def test_a_stream_without_a_piece_is_none(loopback, rm, way, headers_and_body):
    """A page, nothing, or an answer that is no stream: as the SDK gives it, after four tries."""
    headers, body = headers_and_body
    loopback.always(200, body, **headers)
    assert ask(loopback, rm, way, stream=True, **CHAT) == ([], None)
    assert len(loopback.requests) == TRIES
    assert rm.statistics().running == 0


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_langchains_own_error_comes_of_it(loopback, rm, way):
    """Of a proxy's page, after four requests, through the wrapped model."""
    headers, body = PAGE
    loopback.always(200, body, **headers)
    bare = ChatOpenAI(model="m", base_url=f"{loopback.url}/v1", api_key="k")
    model = wrap_chat_model(bare, rm, retry=QUICK)
    with pytest.raises(ValueError, match=r"Unexpected response type|No generation chunks"):
        model.invoke("go") if way == "invoke" else list(model.stream("go"))
    assert len(loopback.requests) == TRIES


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("event", [failed, error_event], ids=["response.failed", "error"])
@pytest.mark.parametrize(
    ("code", "tally"), [("rate_limit_exceeded", "limit_hits"), ("server_error", "failures")]
)
def test_a_stream_that_fails_before_its_first_word_goes_again(
    loopback, rm, way, event, code, tally
):
    """The consumer sees the good one alone; the endpoint has learnt."""
    loopback.answer = lambda number, path, content: (
        (200, EVENTS, CREATED + event(code)) if number == 1 else (200, EVENTS, WELL)
    )
    seen = ask(loopback, rm, way, **ASKED)
    assert kinds(seen) == ["response.created", "response.output_text.delta", "response.completed"]
    assert len(loopback.requests) == 2
    assert (getattr(only(rm), tally), only(rm).requeues) == (1, 1)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(
    ("code", "requests"), [("server_error", 8), ("invalid_prompt", 1)], ids=["again", "never"]
)
def test_what_fails_for_ever_comes_as_the_sdk_gives_it(loopback, rm, way, code, requests):
    """As events, not as an exception of ours."""
    loopback.always(200, CREATED + failed(code), **EVENTS)
    seen = ask(loopback, rm, way, **ASKED)
    assert (kinds(seen), seen.error) == (["response.created", "response.failed"], None)
    assert len(loopback.requests) == requests
    assert rm.statistics().running == 0


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize("event", [failed, error_event], ids=["response.failed", "error"])
def test_a_stream_that_fails_after_its_first_word_is_its_consumers(loopback, rm, way, event):
    """He gets the event; it is not asked for again, and the endpoint learns."""
    loopback.always(200, CREATED + DELTA + event("rate_limit_exceeded"), **EVENTS)
    seen = ask(loopback, rm, way, **ASKED)
    assert kinds(seen)[:2] == ["response.created", "response.output_text.delta"]
    assert kinds(seen)[2] in {"response.failed", "error"}
    assert len(loopback.requests) == 1
    assert (only(rm).limit_hits, rm.statistics().running) == (1, 0)


@pytest.mark.parametrize("way", ["sync", "async"])
def test_an_incomplete_answer_is_an_answer(loopback, rm, way):
    """It is charged as it says, and no failure of anybody's."""
    details = {"reason": "max_output_tokens"}
    whole = response("incomplete", incomplete_details=details, usage=USAGE)
    end = data(type="response.incomplete", sequence_number=2, response=whole)
    loopback.always(200, CREATED + DELTA + end, **EVENTS)
    seen = ask(loopback, rm, way, **ASKED)
    assert kinds(seen)[-1] == "response.incomplete"
    statistics = rm.statistics()
    assert (statistics.input_tokens, statistics.output_tokens) == (5, 7)
    assert (only(rm).failures, only(rm).limit_hits) == (0, 0)


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(
    ("error", "tally"),
    [
        ({"message": "slow down", "type": "requests", "code": "rate_limit_exceeded"}, "limit_hits"),
        ({"message": "slow down", "code": 429}, "limit_hits"),
        ({"message": "it failed", "type": "server_error", "code": None}, "failures"),
    ],
)
def test_an_error_in_mid_stream_of_chat_completions(loopback, rm, way, error, tally):
    """Before the first word it goes again, after that it is the consumer's, and always learnt."""
    loopback.answer = lambda number, path, content: (
        (200, EVENTS, data(error=error)) if number == 1 else (200, EVENTS, chunk("fine"))
    )
    seen = ask(loopback, rm, way, stream=True, **CHAT)
    assert (len(seen.got), seen.error) == (1, None)
    assert len(loopback.requests) == 2
    loopback.always(200, chunk("hi") + data(error=error), **EVENTS)
    seen = ask(loopback, rm, way, stream=True, **CHAT)
    assert len(seen.got) == 1
    assert isinstance(seen.error, openai.APIError)
    assert seen.error.text_so_far == "hi"
    assert getattr(only(rm), tally) == 2
    assert len(loopback.requests) == 3


@pytest.mark.parametrize("way", ["sync", "async"])
@pytest.mark.parametrize(
    ("odd", "used"),
    [({"created": "today"}, (10, 500)), ({"id": 5}, (10, 500)), ({"choices": [{}]}, (10, 500))],
)
def test_a_strict_clients_whole_answer_is_bought_once(loopback, rm, way, odd, used):
    """One odd field: another would have it too. It is charged by what it says of its usage."""
    usage = {"prompt_tokens": 10, "completion_tokens": 500, "total_tokens": 510}
    loopback.always(200, {**json.loads(WHOLE), "usage": usage, **odd})
    given = {"base_url": f"{loopback.url}/v1", "api_key": "k"}

    async def run():
        async with openai.AsyncOpenAI(**given, _strict_response_validation=True) as client:
            await manage_client(client, rm).chat.completions.create(model="m", **CHAT)

    with pytest.raises(openai.APIResponseValidationError):
        if way == "async":
            asyncio.run(run())
        else:
            with openai.OpenAI(**given, _strict_response_validation=True) as client:
                manage_client(client, rm).chat.completions.create(model="m", **CHAT)
    assert len(loopback.requests) == 1
    statistics = rm.statistics()
    assert (statistics.input_tokens, statistics.output_tokens) == used
    assert statistics.running == 0
