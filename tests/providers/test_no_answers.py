"""Answers of status 200 that are none, met by packages other than OpenAI's: asked for again."""

from __future__ import annotations

import asyncio

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config, RetryPolicy
from tests.providers.models import CHAT, OLLAMA, PACKAGES, good, model_of

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
QUICK = RetryPolicy(wait=tenacity.wait_none())
TRIES = 4
NONE = {
    "nothing": ({}, b""),
    "half a body": ({}, b'{"id":"m","type":"mess'),
    "a page": ({"content-type": "text/html"}, b"<html>502 Bad Gateway</html>"),
    "null": ({}, b"null"),
    "another object": ({}, b'{"detail": "Internal Server Error"}'),
    "an error's text": ({}, b'{"error": "the upstream went away"}'),
}
TOO_MANY = {"error": {"code": 429, "message": "Rate limit"}}
KEPT = ("anthropic", "mistral", "groq", "deepseek", "xai")  # whose answer can be looked at
OTHERS = [name for name in PACKAGES if PACKAGES[name][0] != "langchain_openai"]
SEEN = [
    (name, what)
    for name in OTHERS
    for what in NONE
    if (name, what) not in {("ollama", "null"), ("ollama", "an error's text")}
]


@pytest.fixture
def rm():
    core = AgentRM(Config(lanes=4))
    yield core
    core.close()


def ask(model, way):
    """The text that a caller gets."""
    if way == "invoke":
        return model.invoke("hi").text
    if way == "ainvoke":
        return asyncio.run(model.ainvoke("hi")).text
    return "".join(chunk.text for chunk in model.stream("hi"))


@pytest.mark.parametrize(
    ("name", "what", "way"),
    [(*each, "ainvoke" if each[1] == "null" else "invoke") for each in SEEN],
)
def test_an_answer_that_is_none_is_asked_for_again(name, what, way, loopback, rm):
    """A good one cures it; for ever, it is given up after four requests."""
    headers, body = NONE[what]
    model = wrap_chat_model(model_of(name, loopback.url), rm, retry=QUICK)
    loopback.answer = lambda number, path, content: (
        (200, headers, body) if number == 1 else (200, {}, good(name))
    )
    assert ask(model, way) == "hi"
    assert len(loopback.requests) == 2
    if way == "invoke":
        loopback.requests.clear()
        loopback.always(200, body, **headers)
        with pytest.raises(Exception, match=r".*"):
            ask(model, way)
        assert len(loopback.requests) == TRIES
    assert (rm.statistics().running, rm.statistics().waiting) == (0, 0)


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("what", ["nothing", "half a body", "a page"])
def test_a_stream_that_is_none_is_asked_for_again(name, what, loopback, rm):
    """Four times, as an answer."""
    headers, body = NONE[what]
    loopback.always(200, body, **headers)
    model = wrap_chat_model(model_of(name, loopback.url), rm, retry=QUICK)
    with pytest.raises(Exception, match=r".*"):
        ask(model, "stream")
    assert len(loopback.requests) == TRIES


@pytest.mark.parametrize(
    "answer",
    [
        {"promptFeedback": {"blockReason": "SAFETY"}},
        {"candidates": [{"content": {"role": "model"}, "finishReason": "SAFETY"}]},
    ],
    ids=["blocked", "ended"],
)
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_an_empty_answer_that_says_why_is_one(answer, way, loopback, rm):
    """Google's filters leave nothing, and another request would be blocked as well."""
    loopback.always(200, answer)
    model = wrap_chat_model(model_of("gemini", loopback.url), rm, retry=QUICK)
    assert ask(model, way) == ""
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("name", KEPT)
def test_a_refusal_inside_an_answer_is_a_limit(name, loopback, rm):
    """The endpoint learns of it, whatever the package makes of it."""
    loopback.once(200, TOO_MANY, good(name))
    model = wrap_chat_model(model_of(name, loopback.url), rm, retry=QUICK)
    assert ask(model, "invoke") == "hi"
    (endpoint,) = rm.statistics().endpoints.values()
    assert (len(loopback.requests), endpoint.limit_hits) == (2, 1)


@pytest.mark.parametrize("name", ["mistral", "groq"])
def test_a_whole_answer_that_the_package_cannot_read_is_bought_once(name, loopback, rm):
    """Another one would be the same."""
    loopback.always(200, {**CHAT, "choices": [{"index": 0, "finish_reason": "stop"}]})
    model = wrap_chat_model(model_of(name, loopback.url), rm, retry=QUICK)
    with pytest.raises(Exception, match=r".*"):
        ask(model, "invoke")
    assert len(loopback.requests) == 1


@pytest.mark.parametrize(
    "line",
    [
        b'{"error":"an error was encountered while running the model: unexpected EOF"}\n',
        OLLAMA.replace(b'"hi"', b'""').replace(b'"stop"', b'"load"'),
    ],
    ids=["an error's line", "it was loading"],
)
def test_ollamas_own_failures(line, loopback, rm):
    """A line with an error within the stream, and a model that has only been loaded."""
    loopback.once(200, line, OLLAMA)
    model = wrap_chat_model(model_of("ollama", loopback.url), rm, retry=QUICK)
    assert ask(model, "invoke") == "hi"
    assert len(loopback.requests) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_ollamas_package_hides_the_wait_that_its_server_names(status, loopback):
    """It is read all the same: ten days are not waited for."""
    loopback.always(status, {"error": "busy"}, **{"retry-after": "864000"})
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("ollama", loopback.url), rm, retry=QUICK)
        with pytest.raises(Exception, match=r"busy"):
            ask(model, "invoke")
    assert len(loopback.requests) == 1
