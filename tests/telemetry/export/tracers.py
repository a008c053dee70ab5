"""A model call that waits for a lane, fails once and goes again: what tracers are to see once."""

from __future__ import annotations

import threading
import time
from contextvars import Context

from tenacity import wait_none

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Call, RetryPolicy
from tests.langchain.fakes import FakeChat, ask

WAYS = ("invoke", "ainvoke", "stream", "astream")
AT_ONCE = RetryPolicy(wait=wait_none())  # so that the call waits once
STORY = [
    *("agentrm.queued", "agentrm.granted", "agentrm.retried", "agentrm.throttled"),
    "agentrm.granted",
]


class Broken(Exception):
    """What an SDK raises for 500."""

    status_code = 500


class Flaky(FakeChat):
    """Fails the first time."""

    def _begin(self, way):
        super()._begin(way)
        if len(self.calls) == 1:
            raise Broken("come again")


async def story_of_a_call(instrumented, config, way):
    """Make that call through a core that `instrumented(rm)` follows."""
    with AgentRM(lanes=1) as rm, instrumented(rm):
        held = Context().run(rm._core.admit, Call("other"))  # in no span

        def let_go():
            while not rm.statistics().waiting:
                time.sleep(0.002)
            time.sleep(0.15)
            held.settle()

        thread = threading.Thread(target=let_go)
        thread.start()
        model = wrap_chat_model(Flaky(), rm, agent="ada", retry=AT_ONCE)
        await ask(model, config, way)
        thread.join()
