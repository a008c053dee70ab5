"""The managed model beside the bare one, and beside the bare one with a callback handler.

A fake model answers at once, so all that is measured is LangChain's own work and what is added to
it. The handlers do nothing: they are the least that any callback costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from time import perf_counter
from typing import Any

from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import AgentRM
from benchmarks.micro.timing import Effort, Sample, race, timed

__all__ = ["measure"]

CHUNKS = 20
PROMPT = "What does a resource manager do?"
USAGE = {"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}


class FakeModel(BaseChatModel):
    """Answers at once."""

    @property
    def _llm_type(self) -> str:
        return "fake"

    def _generate(self, *_: Any, **__: Any) -> ChatResult:
        message = AIMessage("It decides who goes next.", usage_metadata=USAGE)
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, *_: Any, **__: Any) -> ChatResult:
        return self._generate()

    def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
        for _number in range(CHUNKS - 1):
            yield ChatGenerationChunk(message=AIMessageChunk("word "))
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=USAGE))

    async def _astream(self, *_: Any, **__: Any) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in self._stream():
            yield chunk


class AsyncHandler(AsyncCallbackHandler):
    """An async handler that does nothing."""

    async def on_chat_model_start(self, *_: Any, **__: Any) -> None: ...

    async def on_llm_new_token(self, *_: Any, **__: Any) -> None: ...

    async def on_llm_end(self, *_: Any, **__: Any) -> None: ...


class InlineHandler(BaseCallbackHandler):
    """A sync handler that does nothing, on the caller's own thread."""

    run_inline = True

    def on_chat_model_start(self, *_: Any, **__: Any) -> None: ...

    def on_llm_new_token(self, *_: Any, **__: Any) -> None: ...

    def on_llm_end(self, *_: Any, **__: Any) -> None: ...


def measure(effort: Effort) -> dict[str, dict[str, Sample]]:
    """By way of calling: the bare model, the two handlers, and the managed model."""
    bare = FakeModel()
    with AgentRM(lanes=8) as rm, asyncio.Runner() as runner:
        models: dict[str, Any] = {
            "bare": bare,
            "one async handler": bare.with_config(callbacks=[AsyncHandler()]),
            "one sync inline handler": bare.with_config(callbacks=[InlineHandler()]),
            "managed model": wrap_chat_model(bare, rm),
            "managed by our callback handler": bare.with_config(
                callbacks=[AgentRMCallbackHandler(rm)]
            ),
        }
        few = max(effort.operations // 20, 10)
        return {
            "invoke": _race(effort, few, _sync(models, lambda model: model.invoke(PROMPT))),
            "ainvoke": _race(
                effort, few, _async(models, runner, lambda model: model.ainvoke(PROMPT))
            ),
            f"stream of {CHUNKS} chunks": _race(
                effort, few, _sync(models, lambda model: list(model.stream(PROMPT)))
            ),
            f"astream of {CHUNKS} chunks": _race(effort, few, _async(models, runner, _drain)),
        }


def _race(
    effort: Effort, operations: int, contestants: dict[str, Callable[[int], float]]
) -> dict[str, Sample]:
    return race(contestants, rounds=effort.rounds, operations=operations)


async def _drain(model: Any) -> None:
    async for _ in model.astream(PROMPT):
        pass


def _sync(
    models: dict[str, Any], use: Callable[[Any], object]
) -> dict[str, Callable[[int], float]]:
    return {
        name: lambda count, model=model: timed(count, lambda: use(model))
        for name, model in models.items()
    }


def _async(
    models: dict[str, Any], runner: asyncio.Runner, use: Callable[[Any], Awaitable[object]]
) -> dict[str, Callable[[int], float]]:
    async def repeat(count: int, model: Any) -> float:
        begun = perf_counter()
        for _ in range(count):
            await use(model)
        return perf_counter() - begun

    return {
        name: lambda count, model=model: runner.run(repeat(count, model))
        for name, model in models.items()
    }
