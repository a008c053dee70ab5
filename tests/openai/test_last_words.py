"""An answer that crosses the end of its attempt is read: it was billed. Real sockets.

The server answers the one that it holds back as soon as it sees that its caller asks no more. So
its answer is always on its way while the attempt is cut.
"""

from __future__ import annotations

import asyncio
import socketserver
import threading
from contextlib import asynccontextmanager, contextmanager

import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM
from agentrm_plugins.hosts import VirtualClock
from tests.wire import _request, whole

ASK = {"model": "m", "messages": [{"role": "user", "content": "go"}]}
WARM, USED = 40, 7  # quick calls; the tokens of an answer


@contextmanager
def crossing(*late):
    """Serve quick answers, and after those what `late` says of each request in turn.

    "crosses": answered when its caller asks no more; "hangs": never; "quick": at once.
    """
    asked, over = [], threading.Event()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            try:
                while not over.is_set() and _request(self.rfile) is not None:
                    asked.append(len(asked))
                    number = asked[-1] - WARM
                    how = late[min(number, len(late) - 1)] if number >= 0 else "quick"
                    if how != "quick" and (self.rfile.read(1) or how == "hangs"):
                        return
                    self._answer(f"answer {number}")
            except OSError:
                return

        def _answer(self, text):
            body = whole(text)
            head = (
                f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
            )
            self.wfile.write(f"{head}\r\n\r\n{body}".encode())

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", asked
        finally:
            over.set()
            server.shutdown()
            thread.join()


def charged(rm):
    counts = rm.statistics()
    assert counts.zombies == counts.running == 0
    return counts.input_tokens + counts.output_tokens


async def until(ready, clock, step_s=1.0):
    """Let the virtual time pass, each step once whatever runs has had its turn."""
    for _ in range(2000):
        if ready():
            return
        clock.advance(step_s)
        await asyncio.sleep(0.01)
    raise AssertionError(ready)


async def warm(ask, clock):
    """Quick calls: within 0.1 s by the virtual clock, as a rule."""
    for _ in range(WARM):
        asked = asyncio.ensure_future(ask())
        await until(asked.done, clock, 0.01)


@asynccontextmanager
async def _sync(url, rm):
    with openai.OpenAI(base_url=url, api_key="k") as client:
        ai = manage_client(client, rm)
        yield lambda: asyncio.to_thread(ai.chat.completions.create, **ASK)


@asynccontextmanager
async def _async(url, rm):
    async with openai.AsyncOpenAI(base_url=url, api_key="k") as client:
        ai = manage_client(client, rm)
        yield lambda: ai.chat.completions.create(**ASK)


async def late_call(url, clock, door):
    """Warm calls, then one that comes late: its text, and what was charged for that one."""
    with AgentRM(lanes=4, clock=clock) as rm:
        async with door(url, rm) as ask:
            await warm(ask, clock)
            before = charged(rm)
            asked = asyncio.ensure_future(ask())
            await until(asked.done, clock)
            await until(lambda: not rm.statistics().zombies + rm.statistics().running, clock)
            return asked.result().choices[0].message.content, charged(rm) - before, rm


@pytest.mark.parametrize("door", [_sync, _async])
async def test_a_loser_whose_answer_is_on_its_way_is_charged_what_it_says(door):
    """The second attempt wins; the first one's answer was written while it was being cut."""
    with crossing("crosses", "quick") as (url, asked):
        text, tokens, _ = await late_call(url, VirtualClock(), door)
    assert (text, len(asked)) == ("answer 1", WARM + 2)
    assert tokens == 2 * USED


@pytest.mark.parametrize("door", [_sync, _async])
async def test_a_loser_that_says_nothing_is_charged_its_input(door):
    """It is cut, as soon as its server has seen that nobody waits, and told as no failure."""
    with crossing("hangs", "quick") as (url, _):
        text, tokens, rm = await late_call(url, VirtualClock(), door)
    assert text == "answer 1"
    assert USED < tokens < 2 * USED
    (endpoint,) = rm.statistics().endpoints.values()
    assert endpoint.failures == 0


async def test_an_attempt_that_made_room_and_answers_all_the_same_has_won():
    """Its answer was paid for: it is the call's, and the first one is cut."""
    with crossing("hangs", "crosses", "hangs") as (url, _):
        text, _, _ = await late_call(url, VirtualClock(), _async)
    assert text == "answer 1"


async def test_a_connection_that_was_closed_in_our_direction_is_not_used_again():
    """Nothing could be sent on it any more."""
    with crossing("crosses", "quick") as (url, asked):
        clock = VirtualClock()
        with AgentRM(lanes=4, clock=clock) as rm:
            async with _async(url, rm) as ask:
                await warm(ask, clock)
                for _ in range(5):
                    asked_again = asyncio.ensure_future(ask())
                    await until(asked_again.done, clock)
                    assert asked_again.result().choices[0].message.content.startswith("answer")
        assert len(asked) == WARM + 6
