"""What comes on the wire is a sign of life, though the SDK makes nothing of it: real HTTP."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, CallReaped
from tests.wire import DONE, JSON, STREAM, said, whole, wire

LIMIT_S = 2.0
ASK = {"model": "m", "messages": [{"role": "user", "content": "go"}]}


def again(piece: str) -> list:
    """A piece that comes four times a second, for longer than silence may last."""
    return [piece, 0.25] * 12


def trickled(text: str) -> list:
    """A text that comes a few letters at a time, for as long."""
    size = max(1, len(text) // 50)
    pieces = []
    for at in range(0, len(text), size):
        pieces += [text[at : at + size], 0.06]
    return pieces


WHOLE = [said("one "), said("two"), said("", "stop"), DONE]
COMMENT = ": keep-alive\n\n"
ALIVE = {
    "comments before": (STREAM, [*again(COMMENT), *WHOLE]),
    "comments within": (STREAM, [WHOLE[0], *again(COMMENT), *WHOLE[1:]]),
    "comments after": (STREAM, [*WHOLE[:2], *again(COMMENT), *WHOLE[2:]]),
    "empty chunks before": (STREAM, [*again(said("")), *WHOLE]),
    "blank lines": (STREAM, [WHOLE[0], *again("\n"), *WHOLE[1:]]),
    "a stream that trickles": (STREAM, [WHOLE[0], *trickled(WHOLE[1]), *WHOLE[2:]]),
    "lines before an answer": (JSON, [*again("\n"), whole("one two")]),
    "blanks before an answer": (JSON, [*again(" "), whole("one two")]),
    "an answer that trickles": (JSON, trickled(whole("one two"))),
}
SILENT = {
    "nothing": (STREAM, [None], "", "first_token"),
    "two comments": (STREAM, [COMMENT, 0.25, COMMENT, None], "", "first_token"),
    "a word": (STREAM, [WHOLE[0], None], "one ", "silence"),
    "a word and comments": (
        STREAM,
        [WHOLE[0], 0.25, COMMENT, 0.25, COMMENT, None],
        "one ",
        "silence",
    ),
    "blanks": (JSON, ["\n", 0.25, "\n", None], "", "response"),
}


def options(**given):
    limits = {"first_token_timeout_s": LIMIT_S, "silence_timeout_s": LIMIT_S, "retry": None}
    return {**limits, **given}


def ask(url, *, stream, **given):
    """What a managed client makes of it: the text."""
    with AgentRM(lanes=1) as rm, openai.OpenAI(base_url=url, api_key="k") as client:
        ai = manage_client(client, rm, **options(**given))
        answer = ai.chat.completions.create(**ASK, stream=stream)
        if not stream:
            return answer.choices[0].message.content
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer)


async def ask_async(url, *, stream, **given):
    """The same in async code."""
    with AgentRM(lanes=1) as rm:
        async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
            ai = manage_client(client, rm, **options(**given))
            answer = await ai.chat.completions.create(**ASK, stream=stream)
            if not stream:
                return answer.choices[0].message.content
            return "".join([chunk.choices[0].delta.content or "" async for chunk in answer])


def outcomes(world, situations, **given) -> dict[str, tuple[object, int]]:
    """What becomes of each situation, all at once: the text or the error, and the requests."""

    def one(kind, pieces):
        with wire(pieces, kind=kind) as (url, asked):
            try:
                stream = kind == STREAM
                text = (
                    ask(url, stream=stream, **given)
                    if world == "sync"
                    else asyncio.run(ask_async(url, stream=stream, **given))
                )
            except Exception as error:
                return error, len(asked)
            return text, len(asked)

    with ThreadPoolExecutor(len(situations)) as pool:
        futures = {name: pool.submit(one, *what[:2]) for name, what in situations.items()}
        return {name: future.result() for name, future in futures.items()}


WORLDS = pytest.mark.parametrize("world", ["sync", "async"])


@WORLDS
def test_an_answer_whose_server_shows_itself_is_not_ended(world):
    """Comments, pings, empty chunks, white space, single letters: for longer than silence may last.

    And it is asked for once.
    """
    assert outcomes(world, ALIVE) == dict.fromkeys(ALIVE, ("one two", 1))


@WORLDS
def test_what_falls_silent_is_ended(world):
    """After the last sign of life the limit holds as it does without any; what came is carried."""
    found = outcomes(world, SILENT, hedge=False)
    for name, (_, _, text, cause) in SILENT.items():
        error, asked = found[name]
        assert isinstance(error, CallReaped), name
        assert error.cause == cause, name
        assert getattr(error, "text_so_far", "") == text, name
        assert asked == 1, name


@WORLDS
def test_pings_for_ever_end_with_the_total_limit(world):
    """A server that shows itself and never answers does not hold a lane for ever."""
    pings = {"pings": (STREAM, [COMMENT, 0.1] * 200)}
    error, _ = outcomes(world, pings, total_timeout_s=2.0)["pings"]
    assert isinstance(error, CallReaped)
    assert error.cause == "total"
