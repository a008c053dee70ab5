"""One process of the benchmark: makes calls until its time is over, and prints what happened."""

from __future__ import annotations

import json
import resource
import sys
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any

from agentrm_plugins import AgentRM, CallReaped, Coordination, EndpointConfig

if TYPE_CHECKING:
    from openai import OpenAI


def core(task: dict[str, Any]) -> AgentRM:
    """The core that the way of sharing asks for."""
    part = task["processes"] if task["way"] == "eighth" else 1
    settings: dict[str, Any] = {"lanes": max(1, task["lanes"] // part)}
    if task.get("tpm"):
        limit = EndpointConfig(tpm=task["tpm"] / part, burst_s=task["burst_s"])
        settings["endpoints"] = {"*": limit}
    if task["way"] == "fleet":
        shared = Coordination(task["server"], task["namespace"], lease_s=task["lease_s"])
        settings["coordination"] = shared
    return AgentRM(**settings)


class Tally:
    """What the threads of one process saw."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waits: dict[str, list[float]] = {"interactive": [], "batch": []}
        self.tokens = self.calls = self.reaped = self.refused = 0
        self.running = self.most = 0  # calls in lanes: now, and at one moment at most

    def runs(self, change: int) -> None:
        """A call got its lane, or gave it back."""
        with self.lock:
            self.running += change
            self.most = max(self.most, self.running)

    def refuse(self) -> None:
        """A 429 reached the agent, for all attempts of its call were used up."""
        with self.lock:
            self.refused += 1

    def add(self, kind: str, seconds: float, tokens: int, until_s: float) -> None:
        """One call ended well; its tokens count if that was in time."""
        with self.lock:
            self.waits[kind].append(seconds)
            self.tokens += tokens if time.monotonic() <= until_s else 0
            self.calls += 1


@cache
def _bare(url: str) -> OpenAI:
    """The one client of this process: to build it takes longer than a call (certificates)."""
    from openai import OpenAI

    return OpenAI(base_url=url, api_key="test")


def over_http(task: dict[str, Any], rm: AgentRM, tally: Tally, number: int) -> None:
    """One agent that talks to the provider; the first two of a process are interactive."""
    from openai import RateLimitError

    from agentrm_openai import manage_client

    kind = "interactive" if number < task["people"] else "batch"
    client = manage_client(_bare(task["url"]), rm)
    words = "word " * (1 if task.get("short") else 40 if kind == "interactive" else 200)
    first = True
    while first or time.monotonic() < task["until"]:
        first = False
        agent = f"{task['name']}-{number}-{tally.calls if kind == 'interactive' else 0}"
        began = time.monotonic()
        answer = None
        while answer is None:
            try:
                with rm.identity(agent=agent, priority=kind):
                    answer = client.chat.completions.create(
                        model="m", messages=[{"role": "user", "content": words}], max_tokens=30
                    )
            except RateLimitError:  # as a peer's agent: it asks again until the run is over
                tally.refuse()
                if time.monotonic() > task["until"]:
                    return
        usage = answer.usage
        tally.add(kind, time.monotonic() - began, usage.total_tokens if usage else 0, task["over"])
        if kind == "interactive":
            time.sleep(0.0 if task.get("short") else 0.5)


def in_lanes(task: dict[str, Any], rm: AgentRM, tally: Tally, number: int) -> None:
    """One agent that only takes lanes, for so long each."""
    while time.monotonic() < task["until"]:
        began = time.monotonic()
        try:
            with rm.slot(agent=f"{task['name']}-{number}"):
                waited = time.monotonic() - began
                tally.runs(1)
                if task["hold_s"]:
                    time.sleep(task["hold_s"])
                tally.runs(-1)
        except CallReaped:
            tally.reaped += 1
        else:
            tally.add("batch", waited, 0, 0.0)


def main() -> None:
    """Run one process."""
    task = json.loads(sys.argv[1])
    late = task.get("begin_s", 0.0)
    rm, tally = core({**task, "way": "single"} if late else task), Tally()
    work = over_http if task.get("url") else in_lanes
    if task.get("url"):  # What is imported and built once is not measured: one short call.
        first = {**task, "until": time.monotonic() + 1e-3, "over": 0.0, "short": True}
        over_http(first, rm, Tally(), 0)
    print("ready", flush=True)
    sys.stdin.readline()
    began_s = time.monotonic()
    task["over"] = began_s + task["seconds"]
    task["until"] = began_s + task.get("end_s", task["seconds"])
    if late:  # It joins now.
        rm.close()
        time.sleep(late)
        rm = core(task)
    before = resource.getrusage(resource.RUSAGE_SELF)
    threads = [
        threading.Thread(target=work, args=(task, rm, tally, number), daemon=True)
        for number in range(task["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, task["until"] + 30 - time.monotonic()))
    after = resource.getrusage(resource.RUSAGE_SELF)
    seen = rm.statistics()
    exchanges = 0 if seen.fleet is None else seen.fleet.exchanges
    rm.close()
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    hung = sum(thread.is_alive() for thread in threads)
    found = {"waits": tally.waits, "tokens": tally.tokens, "calls": tally.calls, "cpu_s": cpu_s}
    print(
        json.dumps(
            {
                **found,
                "hung": hung,
                "reaped": tally.reaped,
                "refused": tally.refused,
                "exchanges": exchanges,
                "most": tally.most,
            }
        )
    )


if __name__ == "__main__":
    main()
