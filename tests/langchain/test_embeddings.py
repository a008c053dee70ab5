"""Embeddings as managed calls: counted, limited, behind what users wait for, tried again."""

from __future__ import annotations

import pytest
from langchain_core.embeddings import Embeddings

from agentrm_langchain import ManagedEmbeddings
from agentrm_plugins import AgentRM, ContextConfig, ContextLifecycle
from agentrm_plugins.errors import ClosedError, ConfigError
from agentrm_plugins.events import Submitted
from agentrm_plugins.hosts import VirtualClock


class Small(Embeddings):
    """Two numbers for a text; fails as often as it is told to."""

    model = "text-embedding-3-small"

    def __init__(self, failing: int = 0) -> None:
        self.openai_api_base = "https://api.openai.com/v1"
        self.model = "text-embedding-3-small"
        self.failing = failing
        self.asked = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += 1
        if self.failing:
            self.failing -= 1
            raise ConnectionError("reset by peer")
        return [[float("car" in t or "automobile" in t), 0.1] for t in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as made:
        yield made


def test_a_session_embeds_through_the_core(rm):
    """Passages in the background, a question interactively; tokens are charged to the agent."""
    config = ContextConfig(embeddings=ManagedEmbeddings(Small(), rm, tenant="acme"))
    with rm.events() as stream, ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([{"role": "user", "content": "Her automobile is behind the mill."}])
        assert "mill" in session.recall("which car?")
        agent = rm.statistics().agent("context", tenant="acme")
        assert agent.calls == 2
        assert agent.input_tokens > 8
        sent = [event for event in stream if isinstance(event, Submitted)]
    assert [event.priority for event in sent] == ["background", "interactive"]
    assert {event.estimate_tokens > 0 for event in sent} == {True}
    assert {event.endpoint for event in sent} == {"api.openai.com/text-embedding-3-small"}


def test_a_broken_connection_is_tried_again():
    """By the core's policy, in a lane of its own each time; without one it is the caller's."""
    with AgentRM(lanes=1) as rm:
        inner = Small(failing=1)
        assert len(ManagedEmbeddings(inner, rm).embed_documents(["a", "b"])) == 2
        assert inner.asked == 2
        inner = Small(failing=1)
        with pytest.raises(ConnectionError):
            ManagedEmbeddings(inner, rm, retry=None).embed_query("a")
        assert rm.statistics().running == 0


async def test_the_asynchronous_ways_are_managed_too(rm):
    """They await the inner ones."""
    made = ManagedEmbeddings(Small(), rm)
    assert await made.aembed_query("a car") == [1.0, 0.1]
    assert await made.aembed_documents(["a car", "tea"]) == [[1.0, 0.1], [0.0, 0.1]]
    assert rm.statistics().agent("context").calls == 2


def test_what_cannot_be_is_said_at_once(rm):
    """No embeddings, no such group, no such priority, a closed core."""
    with pytest.raises(ConfigError, match="OpenAIEmbeddings"):
        ManagedEmbeddings(7, rm)
    with pytest.raises(ConfigError, match="priority"):
        ManagedEmbeddings(Small(), rm, priority="soon")
    closed = AgentRM(lanes=1, clock=VirtualClock())
    closed.close()
    with pytest.raises(ClosedError):
        ManagedEmbeddings(Small(), closed).embed_query("a")
