"""Sync streams of a wrapped ChatOpenAI: after the first word the caller's own thread reads.

Over real HTTP, with the real client. What a worker was for is held here as well: a hang is ended, a
second attempt is sent before the first word, whoever leaves or is interrupted gives the lane back.
"""

from __future__ import annotations

import contextlib
import signal
import threading

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, CallReaped
from agentrm_plugins.hosts import VirtualClock
from agentrm_plugins.testing.provider import Hang, Reply, SimulatedProvider, Stall
from tests.wire import DONE, said, wire

WORDS = "one two three four five six seven eight"


@pytest.fixture
def provider():
    with SimulatedProvider(seed=3) as simulated:
        yield simulated


@pytest.fixture
def readers(monkeypatch):
    """The threads in which chunks were made of what was read."""
    seen = []
    original = ChatOpenAI._convert_chunk_to_generation_chunk

    def noted(self, *args, **kwargs):
        seen.append(threading.get_ident())
        return original(self, *args, **kwargs)

    monkeypatch.setattr(ChatOpenAI, "_convert_chunk_to_generation_chunk", noted)
    return seen


def chat(url, **fields):
    return ChatOpenAI(base_url=url, api_key="test-key", model="simulated", **fields)


def empty(rm, provider=None):
    """Nothing runs or waits any more."""
    for _ in range(500):
        counts = rm.statistics()
        if not (counts.running or counts.zombies or counts.lanes_in_use):
            return True
        threading.Event().wait(0.01)
    return False


def test_the_callers_own_thread_reads_after_the_first_word(provider, readers):
    """A worker fetched it; then no thread is waited for but the server."""
    provider.script([Reply(WORDS)])
    with AgentRM(lanes=1) as rm:
        chunks = list(wrap_chat_model(chat(provider.base_url), rm).stream("go"))
    assert "".join(chunk.text for chunk in chunks) == WORDS
    me = threading.get_ident()
    assert readers[0] != me
    assert set(readers[readers.index(me) :]) == {me}
    assert readers.count(me) > len(readers) / 2


class Overridden(ChatOpenAI):
    """A user's own model: what its stream may wait for besides, nobody knows."""

    def _stream(self, *args, **kwargs):
        yield from super()._stream(*args, **kwargs)


def test_a_model_that_may_wait_for_something_else_is_read_by_workers(provider, readers):
    """Whatever hangs there is left behind."""
    provider.script([Reply(WORDS)])
    bare = Overridden(base_url=provider.base_url, api_key="test-key", model="simulated")
    with AgentRM(lanes=1) as rm:
        chunks = list(wrap_chat_model(bare, rm).stream("go"))
    assert "".join(chunk.text for chunk in chunks) == WORDS
    assert threading.get_ident() not in readers


def test_a_hang_in_the_middle_ends_in_the_callers_own_read(provider, readers):
    """The thread that waits in the socket is woken, and has the text so far."""
    provider.script([Stall(after_tokens=5), Reply("well")])
    with AgentRM(lanes=1) as rm:
        model = wrap_chat_model(chat(provider.base_url), rm, retry=None, silence_timeout_s=0.4)
        text = ""
        with pytest.raises(CallReaped, match=r"silence_timeout_s=0\.4 s") as reaped:
            for chunk in model.stream("go"):
                text += chunk.text
        assert reaped.value.text_so_far == text != ""
        assert threading.get_ident() in readers
        assert empty(rm)
        assert model.invoke("go").text == "well"


def test_a_second_attempt_is_sent_before_the_first_word(provider):
    """The first hangs; time is virtual, and is moved on while the caller waits."""
    clock, over = VirtualClock(), threading.Event()
    provider.script([Hang(), Reply(WORDS)])
    with AgentRM(lanes=2, clock=clock) as rm:
        model = wrap_chat_model(chat(provider.base_url), rm)

        def pass_time():
            while not over.wait(0.01) and provider.statistics().requests < 2:
                if provider.statistics().requests:
                    clock.advance(1.0)

        thread = threading.Thread(target=pass_time)
        thread.start()
        text = "".join(chunk.text for chunk in model.stream("go"))
        over.set()
        thread.join()
        assert text == WORDS
        assert provider.statistics().requests == 2
        assert empty(rm)
        assert rm.statistics().reaped == 0


def test_a_hang_before_the_first_word_is_left_behind(provider):
    """By a limit that was configured: the caller is back at that moment."""
    provider.script([Hang()])
    with AgentRM(lanes=1) as rm:
        options = {"retry": None, "hedge": False, "first_token_timeout_s": 0.4}
        model = wrap_chat_model(chat(provider.base_url), rm, **options)
        with pytest.raises(CallReaped, match="first_token_timeout_s"):
            list(model.stream("go"))
        assert empty(rm)


def test_who_leaves_gives_the_lane_back_and_the_connection_up():
    """The answer has no end: the lane is free at once, and the next call is served."""
    endless = [said("one "), said("two "), said("three "), None]
    with wire(endless, [said("well", "stop"), DONE]) as (url, _), AgentRM(lanes=1) as rm:
        model = wrap_chat_model(chat(url), rm)
        chunks, text = model.stream("go"), ""
        while text != "one two ":
            text += next(chunks).text
        chunks.close()
        assert rm.statistics().lanes_in_use == 0
        assert "".join(chunk.text for chunk in model.stream("go")) == "well"


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="this system has no such signals")
def test_ctrl_c_in_the_middle_of_a_read():
    """It is raised there and then, and nothing is left behind."""
    me = threading.get_ident()
    with wire([said("one "), said("two "), None]) as (url, _), AgentRM(lanes=1) as rm:
        model = wrap_chat_model(chat(url), rm, retry=None)
        begun = threading.Event()

        def interrupt():
            begun.wait(10)
            threading.Event().wait(0.2)
            signal.pthread_kill(me, signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        text = ""
        with pytest.raises(KeyboardInterrupt) as stopped:
            for chunk in model.stream("go"):
                text += chunk.text
                if text == "one two ":
                    begun.set()
        thread.join()
        assert text == stopped.value.text_so_far == "one two "
        assert empty(rm)


def test_a_reader_who_pauses_for_long_and_then_meets_a_hang(provider):
    """His pause is no silence; the server's, after it, is."""
    clock = VirtualClock()
    with wire([said("one "), said("two "), None]) as (url, _), AgentRM(lanes=1, clock=clock) as rm:
        model = wrap_chat_model(chat(url), rm, retry=None, silence_timeout_s=30.0)
        chunks, text = model.stream("go"), ""
        while text != "one two ":
            text += next(chunks).text
            clock.advance(3600.0)
        assert rm.statistics().reaped == 0
        over = threading.Event()

        def pass_time():
            while not over.wait(0.02):
                clock.advance(1.0)

        thread = threading.Thread(target=pass_time)
        thread.start()
        with pytest.raises(CallReaped, match="silence_timeout_s=30 s"):
            next(chunks)
        over.set()
        thread.join()
        assert rm.statistics().reaped == 1
        assert empty(rm)


def test_a_pause_below_the_limit_does_not_count_either():
    """Who asks again just before the limit has the whole of it before him."""
    clock = VirtualClock()
    answer = [said("one "), 0.5, said("two "), said("", "stop"), DONE]
    with wire(answer) as (url, _), AgentRM(lanes=1, clock=clock) as rm:
        model = wrap_chat_model(chat(url), rm, retry=None, silence_timeout_s=30.0)
        chunks, text = model.stream("go"), ""
        while text != "one ":
            text += next(chunks).text
        clock.advance(29.0)
        timer = threading.Timer(0.1, clock.advance, (29.0,))
        timer.start()
        text += "".join(chunk.text for chunk in chunks)
        timer.join()
        assert text == "one two "


class Endless(GenericFakeChatModel):
    """A model in this process that notes how far it was read, and whether it was ended."""

    def _stream(self, *args, **kwargs):
        try:
            yield from super()._stream(*args, **kwargs)
        finally:
            self.metadata["ended"].set()


@pytest.mark.parametrize("leaves", [True, False])
def test_a_model_in_this_process_is_ended_by_who_leaves_it(leaves):
    """At the latest when the worker is back; the lane is free before."""
    ended = threading.Event()
    answers = iter([AIMessage(" ".join(["word"] * 500))])
    with AgentRM(lanes=1) as rm:
        bare = Endless(messages=answers, metadata={"ended": ended})
        chunks = wrap_chat_model(bare, rm).stream("go")
        next(chunks)
        if leaves:
            with contextlib.suppress(StopIteration):
                chunks.close()
        else:
            list(chunks)
        assert rm.statistics().lanes_in_use == 0
        assert ended.wait(5)
