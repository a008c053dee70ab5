"""A chat model of our own: counts its calls, reports usage, and hangs when told to."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

USAGE = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
WORDS = ("one ", "two ", "three")


class FakeChat(BaseChatModel):
    """Answers "one two three". `hang` makes calls wait for `release` before they answer."""

    model_name: str = "fake-1"
    temperature: float = 0.0
    calls: list[str] = Field(default_factory=list)
    hang: bool = False
    hang_after: int | None = None
    fail: bool = False
    release: Any = Field(default_factory=threading.Event)
    entered: Any = Field(default_factory=threading.Semaphore)

    def __init__(self, **fields):
        super().__init__(**fields)
        self.entered = threading.Semaphore(0)

    @property
    def _llm_type(self):
        return "fake-chat"

    @property
    def _identifying_params(self):
        return {"model": self.model_name, "temperature": self.temperature}

    def _answer(self, kwargs):
        calls = []
        if kwargs.get("tools"):
            name = kwargs["tools"][0]["function"]["name"]
            calls = [{"name": name, "args": {"text": "x"}, "id": "1", "type": "tool_call"}]
        content = '{"text": "x"}' if kwargs.get("response_format") else "".join(WORDS)
        return AIMessage(content, tool_calls=calls, usage_metadata=USAGE)

    def _begin(self, way):
        self.calls.append(way)
        self.entered.release()
        if self.fail:
            raise ValueError("the model failed")

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin("generate")
        if self.hang:
            self.release.wait(20)
        return ChatResult(generations=[ChatGeneration(message=self._answer(kwargs))])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin("agenerate")
        await asyncio.sleep(0)
        if self.hang:
            await asyncio.Event().wait()
        return ChatResult(generations=[ChatGeneration(message=self._answer(kwargs))])

    def _chunks(self, kwargs):
        message = self._answer(kwargs)
        tools = [
            {"name": c["name"], "args": json.dumps(c["args"]), "id": c["id"], "index": 0}
            for c in message.tool_calls
        ]
        words = WORDS if not kwargs.get("response_format") else (message.content,)
        for index, word in enumerate(words):
            usage = USAGE if index == len(words) - 1 else None
            chunk = AIMessageChunk(
                word, usage_metadata=usage, tool_call_chunks=tools if index == 0 else []
            )
            yield index, ChatGenerationChunk(message=chunk)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin("stream")
        for index, chunk in self._chunks(kwargs):
            if self.hang_after == index:
                self.entered.release()
                self.release.wait(20)
            yield chunk

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        self._begin("astream")
        for index, chunk in self._chunks(kwargs):
            await asyncio.sleep(0)
            if self.hang_after == index:
                await asyncio.Event().wait()
            yield chunk

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        from langchain_core.utils.function_calling import convert_to_openai_tool

        if tool_choice is not None:
            kwargs["tool_choice"] = tool_choice
        return self.bind(tools=[convert_to_openai_tool(tool) for tool in tools], **kwargs)


class SyncOnly(BaseChatModel):
    """A model without an async way, as many small integrations are."""

    inner: FakeChat = Field(default_factory=FakeChat)

    @property
    def _llm_type(self):
        return "sync-only"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return self.inner._generate(messages, stop=stop)


async def ask(model, config, way):
    """Call the model in one of its four ways."""
    if way == "invoke":
        return await asyncio.to_thread(model.invoke, "hi", config)
    if way == "ainvoke":
        return await model.ainvoke("hi", config)
    if way == "stream":
        return await asyncio.to_thread(lambda: list(model.stream("hi", config)))
    return [chunk async for chunk in model.astream("hi", config)]
