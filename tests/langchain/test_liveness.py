"""Healthy work is never killed, sick work never hangs: over real HTTP, with the real client."""

from __future__ import annotations

import asyncio

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_langchain.answers import text_of
from agentrm_plugins import AgentRM, CallReaped
from agentrm_plugins.testing.provider import Hang, Reply, SimulatedProvider, Stall


@pytest.fixture
def provider():
    with SimulatedProvider(seed=3) as simulated:
        yield simulated


def chat(provider, **fields):
    url = provider.base_url
    return ChatOpenAI(base_url=url, api_key="test-key", model="simulated", **fields)


def test_the_clients_own_timeout_is_the_limit(provider):
    """The error says which limit, who set it and how to change it; a hedge does not stretch it."""
    with AgentRM(lanes=2) as rm:
        model = wrap_chat_model(chat(provider, timeout=0.5), rm, retry=None)
        provider.script([Hang()])
        with pytest.raises(Exception, match=r"client's timeout|[Tt]imed out"):
            model.invoke("go")
        assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("world", ["sync", "async"])
async def test_who_only_wants_the_answer_goes_again_after_a_stall(provider, world):
    """`invoke` of a streaming model whose stream stalls in the middle."""
    with AgentRM(lanes=2) as rm:
        model = wrap_chat_model(chat(provider, streaming=True), rm, silence_timeout_s=0.3)
        provider.script([Stall(after_tokens=2), Reply("well")])
        if world == "sync":
            answer = await asyncio.to_thread(model.invoke, "go")
        else:
            answer = await model.ainvoke("go")
        assert answer.content == "well"
        assert rm.statistics().lanes_in_use == 0
        assert rm.statistics().reaped == 1  # by the silence that was set, not by a later guess


class Shows(BaseCallbackHandler):
    """Somebody who shows tokens to people."""

    def __init__(self):
        self.text = ""

    def on_llm_new_token(self, token, **_):
        self.text += token


def test_whose_tokens_are_shown_gets_the_text_so_far(provider):
    """A handler has shown them: the call cannot go again unseen."""
    with AgentRM(lanes=2) as rm:
        model = wrap_chat_model(chat(provider, streaming=True), rm, silence_timeout_s=0.3)
        provider.script([Stall(after_tokens=2), Reply("well")])
        shows = Shows()
        with pytest.raises(
            CallReaped, match=r"silence_timeout_s=0\.3 s, set by the call"
        ) as reaped:
            model.invoke("go", {"callbacks": [shows]})
        assert reaped.value.text_so_far == shows.text != ""


def test_a_stream_may_begin_anew(provider):
    """With `on_stall="restart"` a marker tells that what came before is void."""
    with AgentRM(lanes=2) as rm:
        options = {"silence_timeout_s": 0.3, "on_stall": "restart"}
        model = wrap_chat_model(chat(provider), rm, **options)
        provider.script([Stall(after_tokens=2), Reply("well")])
        chunks = list(model.stream("go"))
        marks = [chunk.response_metadata.get("agentrm_restart") for chunk in chunks]
        at = marks.index(True)
        assert "".join(chunk.text for chunk in chunks[:at]) != ""
        assert "".join(chunk.text for chunk in chunks[at:]) == "well"


def test_a_stream_that_acts_at_the_provider_does_not_begin_anew():
    """Its first words say that it was seen to: what it did would be done twice."""
    sent = []

    class Breaks(GenericFakeChatModel):
        def _stream(self, *_, **__):
            sent.append(1)
            yield ChatGenerationChunk(message=AIMessageChunk(content="hello "))
            raise ConnectionResetError("broken")

    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(Breaks(messages=iter(())), rm, on_stall="restart")
        with pytest.raises(ConnectionResetError):
            list(model.stream("go", tools=[{"type": "code_interpreter"}]))
    assert len(sent) == 1


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (AIMessageChunk(""), None),
        (AIMessageChunk("hello"), "hello"),
        (AIMessageChunk([]), None),
        (
            AIMessageChunk([{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]),
            "hello",
        ),
        (AIMessageChunk([{"type": "text", "text": ""}]), None),
        (AIMessageChunk([{"type": "thinking", "thinking": "hm"}]), ""),
        (AIMessageChunk("", additional_kwargs={"reasoning_content": "hm"}), ""),
        (
            AIMessageChunk("", tool_call_chunks=[{"name": "f", "args": "", "id": "1", "index": 0}]),
            "",
        ),
        (
            AIMessageChunk(
                "", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
            ),
            None,
        ),
    ],
)
def test_what_a_chunk_says(message, text):
    """Text, something else, or nothing at all: a role, a start, a count."""
    assert text_of(ChatGenerationChunk(message=message)) == text


def test_the_answer_of_a_silent_stream_is_given(provider):
    """A stream that says nothing to its end is given as it came."""
    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(GenericFakeChatModel(messages=iter([AIMessage("")])), rm)
        assert model.invoke("go").content == ""
        assert rm.statistics().settled == 1
