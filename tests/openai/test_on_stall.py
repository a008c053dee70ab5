"""Streams that stall after their first words: an error with the text so far, or a new beginning."""

from __future__ import annotations

import asyncio
import json

import openai
import pytest
from tenacity import stop_after_attempt, wait_none

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, CallReaped, ConfigError, RetryPolicy
from tests.wire import DONE, said, wire

ASK = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
WHOLE = [said("one "), said("two"), said("", "stop"), DONE]
STALLED = [said("half "), None]
CREATED = 'event: response.created\ndata: {"type": "response.created", "response": {"id": "1"}}\n\n'
OPTIONS = {"silence_timeout_s": 0.5, "on_stall": "restart"}


def delta(text):
    kind = "response.output_text.delta"
    return f'event: {kind}\ndata: {{"type": "{kind}", "delta": "{text}"}}\n\n'


def managed(rm, client, **options):
    return manage_client(client, rm, **{**OPTIONS, **options})


def event(number, kind, **fields):
    told = json.dumps({"type": kind, "sequence_number": number, **fields})
    return f"event: {kind}\ndata: {told}\n\n"


MESSAGE = {"type": "message", "id": "m", "role": "assistant", "status": "in_progress"}
TEXT = {"item_id": "m", "output_index": 0, "content_index": 0}
OPENED = [
    event(0, "response.created", response={"id": "1", "object": "response", "output": []}),
    event(1, "response.output_item.added", output_index=0, item=MESSAGE | {"content": []}),
    event(2, "response.content_part.added", **TEXT, part={"type": "output_text", "text": ""}),
    event(3, "response.output_text.delta", **TEXT, delta="half", logprobs=[]),
]


def chat(url, **options):
    with AgentRM(lanes=1) as rm, openai.OpenAI(base_url=url, api_key="k") as client:
        stream = managed(rm, client, **options).chat.completions.create(**ASK, stream=True)
        pieces = list(stream)
        assert rm.statistics().lanes_in_use == 0
        return pieces


async def chat_async(url, **options):
    with AgentRM(lanes=1) as rm:
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            ai = managed(rm, client, **options)
            pieces = [p async for p in await ai.chat.completions.create(**ASK, stream=True)]
        assert rm.statistics().lanes_in_use == 0
        return pieces


def read(world, url, **options):
    return chat(url, **options) if world == "sync" else asyncio.run(chat_async(url, **options))


WORLDS = pytest.mark.parametrize("world", ["sync", "async"])


@WORLDS
def test_a_stream_begins_anew_behind_a_marker(world):
    """What came before the marker is void; it says nothing by itself, and has its one choice."""
    with wire(STALLED, WHOLE) as (url, asked):
        pieces = read(world, url)
    at = [getattr(piece, "agentrm_restart", False) for piece in pieces].index(True)
    texts = [piece.choices[0].delta.content or "" for piece in pieces]
    assert ("".join(texts[:at]), texts[at], "".join(texts[at:])) == ("half ", "", "one two")
    assert type(pieces[at]) is type(pieces[0])
    assert len(asked) == 2


@WORLDS
def test_without_it_the_error_carries_the_text_so_far(world):
    """The default."""
    with wire(STALLED, WHOLE) as (url, asked), pytest.raises(CallReaped) as reaped:
        read(world, url, on_stall="error")
    assert reaped.value.text_so_far == "half "
    assert len(asked) == 1


@WORLDS
def test_it_gives_up_with_the_retry_policy(world):
    """One that stalls whenever it is asked ends with an error; without a policy at the first."""
    with wire(STALLED) as (url, asked), pytest.raises(CallReaped) as reaped:
        read(world, url, retry=None)
    assert reaped.value.text_so_far == "half "
    assert len(asked) == 1


@WORLDS
def test_it_begins_anew_as_often_as_the_policy_lets_it(world):
    """Then the error comes, with the text of the last one."""
    policy = RetryPolicy(stop=stop_after_attempt(3), wait=wait_none())
    with wire(STALLED) as (url, asked), pytest.raises(CallReaped) as reaped:
        read(world, url, retry=policy)
    assert reaped.value.text_so_far == "half "
    assert len(asked) == 3


def test_events_of_responses_get_an_event_of_their_own():
    """The Responses API has no choices: the marker is an event of the type agentrm.restart."""
    whole = [CREATED, delta("all"), 'event: response.completed\ndata: {"type": "x"}\n\n']
    with (
        wire([CREATED, delta("half"), None], whole) as (url, _),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        stream = managed(rm, client).responses.create(model="m", input="go", stream=True)
        kinds = [event.type for event in stream]
    assert kinds.count("agentrm.restart") == 1
    assert kinds.index("agentrm.restart") == 2


def test_a_helper_of_the_sdk_gets_the_error():
    """It adds up what comes: to it a marker would be nothing, and the text would be there twice."""
    with (
        wire(STALLED, WHOLE) as (url, asked),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        ai = managed(rm, client)
        with pytest.raises(CallReaped), ai.chat.completions.stream(**ASK) as stream:
            list(stream)
        assert len(asked) == 1


def test_the_helper_of_responses_gets_the_error_too():
    """It holds all events to one response."""
    with (
        wire([*OPENED, None]) as (url, asked),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        ai = managed(rm, client).with_options(timeout=60)
        with pytest.raises(CallReaped), ai.responses.stream(model="m", input="go") as stream:
            list(stream)
        assert len(asked) == 1


def test_a_reader_who_leaves_after_a_new_beginning_gives_the_lane_back():
    """The stream closes the connection of the answer that it is reading."""
    with (
        wire(STALLED, [said("one "), said("two"), None]) as (url, _),
        AgentRM(lanes=1) as rm,
        openai.OpenAI(base_url=url, api_key="k") as client,
    ):
        with managed(rm, client).chat.completions.create(**ASK, stream=True) as stream:
            for piece in stream:
                if piece.choices[0].delta.content == "one ":
                    break
        assert rm.statistics().lanes_in_use == 0


def test_another_word_is_refused():
    """Only the two."""
    with AgentRM(lanes=1) as rm, pytest.raises(ConfigError, match="on_stall"):
        manage_client(openai.OpenAI(api_key="k"), rm, on_stall="again")
