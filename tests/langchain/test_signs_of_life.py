"""What comes on the wire keeps a wrapped ChatOpenAI's call alive, over real HTTP."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, CallReaped
from tests.wire import DONE, JSON, STREAM, said, whole, wire

LIMIT_S = 2.0
COMMENT = ": keep-alive\n\n"
COMMENTS = [COMMENT, 0.25] * 12
WHOLE = [said("one "), said("two"), said("", "stop"), DONE]


def use(way, url):
    """Let a wrapped model answer in one of four ways; the text."""
    with AgentRM(lanes=1) as rm:
        limits = {"first_token_timeout_s": LIMIT_S, "silence_timeout_s": LIMIT_S}
        bare = ChatOpenAI(base_url=url, api_key="test-key", model="m")
        model = wrap_chat_model(bare, rm, retry=None, hedge=False, **limits)

        async def astream():
            return "".join([chunk.text async for chunk in model.astream("go")])

        async def ainvoke():
            return (await model.ainvoke("go")).text

        if way == "stream":
            return "".join(chunk.text for chunk in model.stream("go"))
        if way == "invoke":
            return model.invoke("go").text
        return asyncio.run(astream() if way == "astream" else ainvoke())


def outcomes(stream, answer) -> dict[str, object]:
    """What becomes of the four ways at once: the text, or the error."""

    def one(way):
        streams = way.endswith("stream")
        pieces, kind = (stream, STREAM) if streams else (answer, JSON)
        with wire(pieces, kind=kind) as (url, _):
            try:
                return use(way, url)
            except Exception as error:
                return error

    ways = ("stream", "astream", "invoke", "ainvoke")
    with ThreadPoolExecutor(len(ways)) as pool:
        return dict(zip(ways, pool.map(one, ways), strict=True))


def test_comments_and_white_space_keep_a_call_alive():
    """For longer than silence may last, in the middle of a stream and before an answer."""
    found = outcomes([WHOLE[0], *COMMENTS, *WHOLE[1:]], [*(["\n", 0.25] * 12), whole("one two")])
    assert found == dict.fromkeys(found, "one two")


def test_what_falls_silent_after_them_is_ended():
    """And a stream's error carries the text so far."""
    found = outcomes([WHOLE[0], 0.25, COMMENT, None], ["\n", 0.25, "\n", None])
    assert {way: type(error) for way, error in found.items()} == dict.fromkeys(found, CallReaped)
    texts = {way: error.text_so_far for way, error in found.items() if way.endswith("stream")}
    assert texts == {"stream": "one ", "astream": "one "}


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_reader_who_pauses_is_no_silence(way):
    """The whole answer lies there, and its reader takes longer than silence may last."""
    pause_s = 1.2 * LIMIT_S / 2
    with wire(WHOLE) as (url, _), AgentRM(lanes=1) as rm:
        bare = ChatOpenAI(base_url=url, api_key="test-key", model="m")
        model = wrap_chat_model(bare, rm, retry=None, silence_timeout_s=LIMIT_S / 2)

        async def read():
            text = ""
            async for chunk in model.astream("go"):
                text += chunk.text
                await asyncio.sleep(pause_s if text == "one " else 0.0)
            return text

        if way == "astream":
            assert asyncio.run(read()) == "one two"
            return
        text = ""
        for chunk in model.stream("go"):
            text += chunk.text
            if text == "one ":
                asyncio.run(asyncio.sleep(pause_s))
        assert text == "one two"
