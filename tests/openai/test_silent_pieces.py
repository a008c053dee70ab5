"""A piece of a stream that says nothing costs nothing: nobody bills a role, a start or a count."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_openai.usage import Tally
from agentrm_plugins import AgentRM, Usage
from tests.wire import said, wire

HI = [{"role": "user", "content": "go"}]
ASK = {"model": "m", "messages": HI, "stream": True}


def chunk(**fields):
    given = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m", **fields}
    return f"data: {json.dumps(given)}\n\n"


def delta(**fields):
    return chunk(choices=[{"index": 0, "delta": fields, "finish_reason": None}])


NONE_YET = {"prompt_tokens": 13, "completion_tokens": 0, "total_tokens": 13}
SILENT = [
    ": ping\n\n",
    delta(role="assistant", content=""),
    delta(content=""),
    delta(),
    chunk(choices=[], usage=NONE_YET),
]
TEXTS = [said("one "), said("two "), said("six ")]


def event(kind, **fields):
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': 0, **fields})}\n\n"


def response(**fields):
    given = {"id": "r", "object": "response", "created_at": 0, "model": "m", "output": []}
    return {**given, "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], **fields}


ITEM = {"id": "i", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
PART = {"type": "output_text", "text": "", "annotations": []}
AT = {"item_id": "i", "output_index": 0, "content_index": 0}
STARTS = [
    event("response.created", response=response(status="in_progress")),
    event("response.in_progress", response=response(status="in_progress")),
    event("response.output_item.added", item=ITEM, output_index=0),
    event("response.content_part.added", part=PART, **AT),
]
DELTAS = [event("response.output_text.delta", delta=t, logprobs=[], **AT) for t in ("one ", "two ")]
ENDS = [
    event("response.output_text.done", text="one two ", logprobs=[], **AT),
    event("response.content_part.done", part={**PART, "text": "one two "}, **AT),
]


def charged(rm):
    counts = rm.statistics()
    assert counts.lanes_in_use == 0
    return counts.output_tokens


def test_a_chat_that_is_left():
    """By the client, after three texts among pieces that say nothing."""
    with (
        wire([*SILENT, TEXTS[0], *SILENT, *TEXTS[1:], None]) as (url, _),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        for piece in manage_client(client, rm).chat.completions.create(**ASK):
            if piece.choices and piece.choices[0].delta.content == "six ":
                break
        assert charged(rm) == 3


@pytest.mark.parametrize("ends", [[], ENDS])
def test_a_response_that_is_left(ends):
    """How it starts, and how its parts end, is no output either."""
    left_at = "response.content_part.done" if ends else "two "
    with (
        wire([*STARTS, *DELTAS, *ends, None]) as (url, _),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        ai = manage_client(client, rm)
        for piece in ai.responses.create(model="m", input="go", stream=True, store=False):
            if left_at in (piece.type, getattr(piece, "delta", None)):
                break
        assert charged(rm) == 2


@pytest.mark.parametrize("responses", [False, True])
@pytest.mark.parametrize("silent", [False, True])
def test_a_wrapped_model_that_is_left(responses, silent):
    """As a task's stream that is closed, and as one of which nothing was said at all."""
    pieces = [*STARTS, *DELTAS] if responses else [*SILENT, *TEXTS[:2]]
    if silent:
        pieces = STARTS if responses else SILENT
    bare = {"api_key": "k", "model": "m", "use_responses_api": responses}

    async def main(url, rm):
        model, said = wrap_chat_model(ChatOpenAI(base_url=url, **bare), rm), ""
        stream = model.astream("go")
        if silent:
            task = asyncio.ensure_future(anext(stream))
            while rm.statistics().running == 0:
                await asyncio.sleep(0)
            for _ in range(2000):
                if task.done():
                    break
                await asyncio.sleep(0.0001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        else:
            async for piece in stream:
                said += piece.text
                if said == "one two ":
                    break
        await stream.aclose()

    with wire([*pieces, None]) as (url, _), AgentRM(lanes=1) as rm:
        asyncio.run(main(url, rm))
        assert charged(rm) == (0 if silent else 2)


def test_a_stream_that_only_began_has_cost_its_input():
    """One of which nothing came at all has cost nobody knows what."""
    tally = Tally(Usage(14))
    assert tally.cut() is None
    tally.add(
        openai.types.chat.ChatCompletionChunk(
            id="1", choices=[], created=0, model="m", object="chat.completion.chunk"
        )
    )
    assert tally.cut() == Usage(14, 0)
