"""Models whose streams break and cannot be closed: what broke them is what one is told."""

from __future__ import annotations

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle


class Stuck:
    """A stream that says so many words and breaks, and breaks when it is closed."""

    def __init__(self, words):
        self.words = words

    def __iter__(self):
        return self

    def __aiter__(self):
        return self

    def __next__(self):
        if not self.words:
            raise ValueError("broken")
        self.words -= 1
        return ChatGenerationChunk(message=AIMessageChunk(content="so "))

    async def __anext__(self):
        return next(self)

    def close(self):
        raise RuntimeError("not closed")

    async def aclose(self):
        self.close()


class Model(BaseChatModel):
    words: int = 0

    @property
    def _llm_type(self):
        return "stuck"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=AIMessage("so"))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        return Stuck(self.words)

    def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        return Stuck(self.words)


@pytest.fixture(params=[False, True], ids=["plain", "contextual"])
def context(request):
    if not request.param:
        yield None
        return
    with ContextLifecycle(ContextConfig(budget_tokens=800)) as made:
        yield made


@pytest.mark.parametrize("words", [0, 2])
def test_what_broke_a_stream_is_told(words, context):
    """Before its first word and after it."""
    with AgentRM(lanes=1) as rm:
        with pytest.raises(ValueError, match="broken"):
            list(wrap_chat_model(Model(words=words), rm, context=context).stream("hello"))
        assert rm.statistics().lanes_in_use == 0


@pytest.mark.parametrize("words", [0, 2])
async def test_what_broke_an_async_stream_is_told(words, context):
    """The same in a task."""
    async with AgentRM(lanes=1) as rm:
        with pytest.raises(ValueError, match="broken"):
            async for _ in wrap_chat_model(Model(words=words), rm, context=context).astream(
                "hello"
            ):
                pass
        assert rm.statistics().lanes_in_use == 0
