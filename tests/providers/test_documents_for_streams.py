"""Errors of status 200 where a stream was asked for, read by the providers' own packages."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, RetryPolicy
from tests.providers.models import model_of

# Google's package makes a session of aiohttp in a way that aiohttp discourages.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
PLAIN = ("openai", "azure", "groq", "mistral", "deepseek", "openrouter", "xai")
ALL = (*PLAIN, "openai_responses", "anthropic", "bedrock", "gemini", "ollama")
WORDED = tuple(name for name in ALL if name not in {"bedrock", "gemini"})
STREAMED = tuple(name for name in ALL if name not in {"bedrock", "ollama"})
WAYS = ("stream", "astream", "invoke", "ainvoke")
LIMIT, KEY = ("limit", "", 7.0), ("permanent", "", 0.0)
CODES = {
    LIMIT: (429, "rate_limit_error", "Rate limit exceeded, try again in 7s"),
    KEY: (401, "authentication_error", "the reason"),
}
GOOGLES = {429: "RESOURCE_EXHAUSTED", 401: "UNAUTHENTICATED"}
AMAZONS = {429: "ThrottlingException", 401: "AccessDeniedException"}


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        yield core
        assert core.statistics().running == 0


def own(name: str, code: int, word: str, message: str) -> Any:
    """What this provider's error looks like."""
    if name == "anthropic":
        return {"type": "error", "error": {"type": word, "message": message}}
    if name == "gemini":
        return {"error": {"code": code, "message": message, "status": GOOGLES[code]}}
    if name == "bedrock":
        return {"__type": AMAZONS[code], "message": message}
    if name == "mistral":
        return {"object": "error", "message": message, "type": word, "code": str(code)}
    return {"error": {"message": message, "code": code, "type": word}}


def judged(name: str, loopback: Any, rm: AgentRM, way: str) -> tuple[str, str, float]:
    """What is thought of its answer, which is asked for once."""
    found: list[tuple[str, str, float]] = []

    def retry(state: Any) -> bool:
        verdict = state.verdict
        found.append((str(verdict.kind), verdict.why, round(state.upcoming_sleep, 2)))
        return False

    more = {"disable_streaming": False} if name == "bedrock" else {}
    bare = model_of(name, loopback.url, **more)
    model = wrap_chat_model(bare, rm, retry=RetryPolicy(retry=retry))

    async def later() -> Any:
        if way == "ainvoke":
            return await model.ainvoke("go")
        return [piece async for piece in model.astream("go")]

    with pytest.raises(Exception):  # noqa: B017 - each package has its own
        if way.startswith("a"):
            asyncio.run(later())
        else:
            assert model.invoke("go") if way == "invoke" else list(model.stream("go"))
    assert len(loopback.requests) == 1
    return found[-1]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", CODES, ids=["limit", "key"])
@pytest.mark.parametrize("name", ALL)
def test_a_document(loopback: Any, rm: AgentRM, name: str, what: Any, way: str) -> None:
    """A limit at its time, a refused key once: as with any other status."""
    loopback.always(200, own(name, *CODES[what]))
    assert judged(name, loopback, rm, way) == what


@pytest.mark.parametrize("way", ["stream", "invoke"])
@pytest.mark.parametrize("name", WORDED)
def test_words_that_mean_something(loopback: Any, rm: AgentRM, name: str, way: str) -> None:
    """A gateway's own, which has no code."""
    loopback.always(200, {"detail": CODES[LIMIT][2]})
    assert judged(name, loopback, rm, way) == LIMIT


@pytest.mark.parametrize("name", WORDED)
def test_words_that_mean_nothing(loopback: Any, rm: AgentRM, name: str) -> None:
    """Another try or two may cure that."""
    loopback.always(200, {"detail": "it went wrong"})
    assert judged(name, loopback, rm, "stream")[:2] == ("transient", "unreadable")


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("what", CODES, ids=["limit", "key"])
@pytest.mark.parametrize("name", STREAMED)
def test_an_event(loopback: Any, rm: AgentRM, name: str, what: Any, way: str) -> None:
    """The first one of a stream."""
    event = f"data: {json.dumps(own(name, *CODES[what]))}\n\n"
    event = f"event: error\n{event}" if name == "anthropic" else event
    loopback.always(200, event.encode(), **{"content-type": "text/event-stream"})
    assert judged(name, loopback, rm, way) == what


def test_ollamas_text(loopback: Any, rm: AgentRM) -> None:
    """Its errors within a stream are nothing but words."""
    loopback.always(200, {"error": CODES[LIMIT][2]})
    assert judged("ollama", loopback, rm, "stream") == LIMIT
