"""Usage of which a half is missing, thoughts without a count, and counts at unusual places."""

from __future__ import annotations

import json

import openai
import pytest
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, Config
from tests.providers.models import CHAT

pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer")  # the SDK's: odd usage
WORDS = "hello " * 20
EVENTS = {"content-type": "text/event-stream"}
MESSAGES = [{"role": "user", "content": "hi"}]


def whole(usage, **said):
    message = {"role": "assistant", "content": WORDS, **said}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {**CHAT, "choices": [choice], "usage": usage}


def piece(delta=None, finish=None, in_choice=None, **more):
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish, **(in_choice or {})}
    kind = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return {**kind, "choices": [choice], **more}


def stream(*pieces):
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in pieces)


def tell(loopback, usage, way):
    """Have the server say so much of its usage, whole or in a stream."""
    if way.endswith("stream"):
        told = piece({"content": WORDS}), piece(finish="stop", usage=usage)
        loopback.always(200, stream(*told), **EVENTS)
    else:
        loopback.always(200, whole(usage))


def charged(loopback, way):
    """Input and output of one call."""
    base, door = f"{loopback.url}/v1", way.partition(" ")[0]
    with AgentRM(Config(lanes=2)) as rm:
        if door == "model":
            bare = ChatOpenAI(model="gpt-4o", base_url=base, api_key="k", stream_usage=True)
            model = wrap_chat_model(bare, rm)
            list(model.stream("hi")) if way.endswith("stream") else model.invoke("hi")
        else:
            with openai.OpenAI(base_url=base, api_key="k") as client:
                create = manage_client(client, rm).chat.completions.create
                if way.endswith("stream"):
                    list(create(model="gpt-4o", messages=MESSAGES, stream=True))
                else:
                    create(model="gpt-4o", messages=MESSAGES)
        statistics = rm.statistics()
        return statistics.input_tokens, statistics.output_tokens


WAYS = ["model", "model stream", "client", "client stream"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("made", [{}, {"completion_tokens": 0}, {"completion_tokens": None}])
def test_a_missing_count_of_the_output_is_estimated(loopback, way, made):
    """Twenty words are there; the input is as told."""
    tell(loopback, {"prompt_tokens": 10, "total_tokens": 10, **made}, way)
    read, wrote = charged(loopback, way)
    assert read == 10
    assert 15 <= wrote <= 40


@pytest.mark.parametrize(
    ("way", "read"),
    [  # LangChain's own chunks cannot be added up with a text for a count
        (way, read)
        for way in WAYS
        for read in ("NaN", 10**12, 0, None)
        if (way, read) != ("model stream", "NaN")
    ],
)
def test_an_unusable_count_of_the_input_is_estimated(loopback, way, read):
    """The output is as told."""
    tell(loopback, {"prompt_tokens": read, "completion_tokens": 5, "total_tokens": 5}, way)
    told, wrote = charged(loopback, way)
    assert 0 < told < 50
    assert wrote == 5


@pytest.mark.parametrize("way", WAYS)
def test_only_a_total_is_all_there_is(loopback, way):
    """It has the output within it."""
    tell(loopback, {"total_tokens": 15}, way)
    assert sum(charged(loopback, way)) == 15


@pytest.mark.parametrize("way", ["client", "client stream"])
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_thoughts_without_a_count_are_estimated(loopback, way, name):
    """As what is said: 300 words of them."""
    thoughts = {name: "word " * 300}
    if way == "client":
        loopback.always(200, whole(None, **thoughts))
    else:
        pieces = piece(thoughts), piece({"content": "ok"}), piece(finish="stop")
        loopback.always(200, stream(*pieces), **EVENTS)
    assert 200 < charged(loopback, way)[1] < 500


@pytest.mark.parametrize("place", ["groq's", "the choice's"])
def test_counts_at_other_places_are_read(loopback, place):
    """Groq's last chunk has them under a name of its own, Moonshot's in its choice."""
    usage = {"prompt_tokens": 21, "completion_tokens": 7, "total_tokens": 28}
    where = {"in_choice": {"usage": usage}} if place != "groq's" else {"x_groq": {"usage": usage}}
    last = piece(finish="stop", **where)
    loopback.always(200, stream(piece({"content": WORDS}), last), **EVENTS)
    assert charged(loopback, "client stream") == (21, 7)


@pytest.mark.parametrize("way", ["model", "model stream", "client", "client stream"])
def test_an_input_that_only_the_total_tells_is_the_rest_of_it(loopback, way):
    """It is charged once: not as a part of the output and by estimate besides."""
    usage = {"completion_tokens": 20, "total_tokens": 120}
    tell(loopback, usage, way)
    assert charged(loopback, way) == (100, 20)


@pytest.mark.parametrize("way", ["client", "client stream"])
@pytest.mark.parametrize("at_once", [True, False])
def test_counts_of_several_choices_are_added_up(loopback, way, at_once):
    """Each tells its own output and the input that they share (Moonshot's, n=2)."""
    told = [{"prompt_tokens": 100, "completion_tokens": made, "total_tokens": 100 + made,
             "prompt_tokens_details": {"cached_tokens": 30}} for made in (50, 60)]  # fmt: skip
    ends = [{"index": number, "delta": {}, "finish_reason": "stop", "usage": usage}
            for number, usage in enumerate(told)]  # fmt: skip
    if way == "client":
        choices = [{**whole(None)["choices"][0], "index": end["index"], "usage": end["usage"]}
                   for end in ends]  # fmt: skip
        loopback.always(200, {**CHAT, "choices": choices, "usage": None})
    else:
        said = piece({"content": WORDS})
        groups = [ends] if at_once else [[end] for end in ends]
        last = [{**said, "choices": group} for group in groups]
        loopback.always(200, stream(said, *last), **EVENTS)
    assert charged(loopback, way) == (100, 110)
