"""One process of the fault table: its threads call a provider over HTTP while they are let.

It takes one word a line ("go", "rest", "end") and prints one JSON line for each event: "joined",
"asked", "answered", "failed" (each with the number of the call), "ended".
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from typing import Any

__all__: list[str] = []

_PATIENCE_S = 15.0


class Caller:
    """The threads, and what they say."""

    def __init__(self, task: dict[str, Any], rm: Any) -> None:
        from openai import OpenAI

        from agentrm_openai import manage_client

        self.task, self.rm = task, rm
        self.client = manage_client(OpenAI(base_url=task["url"], api_key="test", timeout=30.0), rm)
        self.going, self.ending = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._numbers = 0

    def say(self, what: str, **facts: Any) -> None:
        """Print an event."""
        with self._lock:
            print(json.dumps({"what": what, "at_s": time.monotonic(), **facts}), flush=True)

    def _number(self) -> int:
        with self._lock:
            self._numbers += 1
            return self._numbers

    def ask(self, agent: int) -> None:
        """One call; the first of a process builds what all the others need."""
        with self.rm.identity(agent=f"{self.task['name']}-{agent}"):
            self.client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "word"}], max_tokens=8
            )

    def work(self, agent: int) -> None:
        """Call, one after the other."""
        while not self.ending.is_set():
            if not self.going.wait(0.1):
                continue
            number = self._number()
            self.say("asked", call=number)
            try:
                self.ask(agent)
            except Exception as error:  # noqa: BLE001 - what the table is about
                self.say("failed", call=number, error=f"{type(error).__name__}: {error}"[:200])
            else:
                self.say("answered", call=number)


def _server(task: dict[str, Any]) -> Any:
    """A URL, or a client that asks a Sentinel."""
    if not task.get("sentinel"):
        return task["server"]
    from redis.sentinel import Sentinel

    return Sentinel([("127.0.0.1", task["sentinel"])], socket_timeout=0.5).master_for("fleet")


def main() -> None:
    """Run one process."""
    from agentrm_plugins import AgentRM, Coordination

    logging.getLogger("agentrm").setLevel(logging.CRITICAL)  # outages are meant
    task = json.loads(sys.argv[1])
    terms = Coordination(
        _server(task), task["namespace"], lease_s=task["lease_s"], on_outage=task["on_outage"]
    )
    rm = AgentRM(lanes=task["lanes"], coordination=terms)
    caller = Caller(task, rm)
    caller.ask(0)
    threads = [
        threading.Thread(target=caller.work, args=(agent,), daemon=True)
        for agent in range(task["threads"])
    ]
    for thread in threads:
        thread.start()
    caller.say("joined")
    for line in sys.stdin:
        word = line.strip()
        if word == "end":
            break
        (caller.going.set if word == "go" else caller.going.clear)()
    caller.ending.set()
    caller.going.set()
    end_s = time.monotonic() + _PATIENCE_S
    for thread in threads:
        thread.join(max(0.0, end_s - time.monotonic()))
    seen = rm.statistics().fleet
    assert seen is not None
    hung = sum(thread.is_alive() for thread in threads)
    rm.close()
    caller.say("ended", hung=hung, fenced=seen.fenced, outages=seen.outages)


if __name__ == "__main__":
    main()
