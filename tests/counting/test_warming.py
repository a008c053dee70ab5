"""The tokenizer is built before the first call, and never on the thread of an event loop."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEGIN = """
import asyncio, json, threading, time
from asyncio import _get_running_loop

import agentrm_plugins.counting.ranks as ranks
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.provider import SimulatedProvider

built, real = [], ranks._ranks

def watched(url, expected_hash=None):
    built.append([threading.current_thread().name, _get_running_loop() is not None])
    return real(url, expected_hash)

ranks._ranks = watched
HELLO = [{"role": "user", "content": "hello " * 200}]

async def ask_client(provider, rm):
    import openai
    from agentrm_openai import manage_client
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="k") as client:
        ai = manage_client(client, rm)
        await asyncio.gather(
            *(ai.chat.completions.create(model="gpt-4o", messages=HELLO) for _ in range(8))
        )

def model(provider, rm, **more):
    from agentrm_langchain import wrap_chat_model
    from langchain_openai import ChatOpenAI
    return wrap_chat_model(
        ChatOpenAI(model="gpt-4o", base_url=provider.base_url, api_key="k"), rm, **more
    )

async def ask_context(provider, rm):
    from agentrm_plugins.context.live import ContextLifecycle
    with ContextLifecycle() as contexts:
        wrapped = model(provider, rm, context=contexts)
        where = [{"configurable": {"thread_id": str(n)}} for n in range(8)]
        await asyncio.gather(*(wrapped.ainvoke("hello " * 200, config) for config in where))

async def main(door):
    with SimulatedProvider() as provider, AgentRM(lanes=8) as rm:
        await door(provider, rm)
    for _ in range(600):
        if built:
            break
        await asyncio.sleep(0.05)
"""
SYNC = """
with SimulatedProvider() as provider, AgentRM(lanes=8) as rm:
    wrapped = model(provider, rm)
    before = len(built)
    wrapped.invoke("hello")
    print(json.dumps([before, built]))
"""
FORKED = """
import json, os, threading, time, warnings
warnings.simplefilter("ignore")  # Python warns of a fork beside threads
from agentrm_plugins.counting import encodings, ranks

begun, end, real = threading.Event(), threading.Event(), ranks._ranks

def held_up(url, expected_hash=None):
    begun.set()
    end.wait()
    return real(url, expected_hash)

ranks._ranks = held_up
builder = threading.Thread(target=encodings.prepare, args=("gpt-4o",))
builder.start()
begun.wait()
child = os.fork()
if child == 0:
    ranks._ranks = real
    tokens = encodings.request_counter("gpt-4o").text("hello " * 200)
    os._exit(tokens)
until_s, done = time.monotonic() + 60.0, (0, 0)
while done == (0, 0) and time.monotonic() < until_s:
    done = os.waitpid(child, os.WNOHANG)
    time.sleep(0.01)
if done == (0, 0):
    os.kill(child, 9)
end.set()
builder.join()
print(json.dumps(os.waitstatus_to_exitcode(done[1]) if done[0] else "waits for ever"))
"""


def run(script):
    """In a process of its own, for an encoding is built once in each."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "adapters")))}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("door", ["ask_client", "ask_context"])
def test_no_event_loop_builds_it(door):
    """Eight first calls at once on a loop: one thread of its own builds it, once."""
    built = run(f"{BEGIN}\nasyncio.run(main({door}))\nprint(json.dumps(built))")
    assert [on_a_loop for _, on_a_loop in built] == [False]
    assert built[0][0] != "MainThread"


def test_without_a_loop_it_is_there_before_the_first_call():
    """Whoever wraps a model builds it."""
    before, built = run(BEGIN + SYNC)
    assert before == len(built) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_the_child_of_a_fork_does_not_wait_for_its_parents_thread():
    """It was building the encoding; in the child nobody is, so the child builds it itself."""
    tokens = run(FORKED)
    assert isinstance(tokens, int)
    assert tokens in {200, 201}
