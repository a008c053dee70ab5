"""One process of a peer: LiteLLM's Router, or the OpenAI client behind `limits`, on the same Redis.

It runs in an environment of its own and imports nothing of this project. What ours has, it has too:
as many attempts, the limit (`limits` its burst as well, for which LiteLLM has no word), the exact
cost of each call before it goes, and whoever is refused by its own limiter tries again until the
run is over.

* `litellm`: Router with `usage-based-routing-v2` on Redis, told the limit, sixteen attempts.
* `limits`: a moving count over the provider's own window of two seconds, nine tenths of the limit
  (with all of it, the way to the server is enough to overshoot), in front of sixteen attempts.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

__all__: list[str] = []

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch it over the network

_RETRIES = 15
_SHARE = 0.9
_FIRST_S, _LONGEST_S = 0.05, 2.0
OUTPUT = 30

Ask = Callable[[str, int], Any]


def _litellm(task: dict[str, Any]) -> tuple[Ask, tuple[type[Exception], ...]]:
    import litellm

    litellm.telemetry = False
    litellm.suppress_debug_info = True
    params = {"model": "openai/m", "api_base": task["url"], "api_key": "test"}
    router = litellm.Router(
        model_list=[
            {"model_name": "m", "litellm_params": {**params, "tpm": int(task["tpm"])}},
        ],
        redis_host="127.0.0.1",
        redis_port=task["port"],
        routing_strategy="usage-based-routing-v2",
        enable_pre_call_checks=True,
        num_retries=_RETRIES,
    )

    def ask(words: str, _cost: int) -> Any:
        messages: list[Any] = [{"role": "user", "content": words}]
        return router.completion(model="m", messages=messages, max_tokens=OUTPUT)

    return ask, (litellm.exceptions.RateLimitError, litellm.exceptions.APIError)


def _limits(task: dict[str, Any]) -> tuple[Ask, tuple[type[Exception], ...]]:
    import limits
    import openai

    client = openai.OpenAI(base_url=task["url"], api_key="test", max_retries=_RETRIES)
    window_s = task["burst_s"]
    most = int(_SHARE * task["tpm"] / 60.0 * window_s)
    item = limits.RateLimitItemPerSecond(most, int(window_s))
    store = limits.storage.storage_from_string(task["server"])
    limiter = limits.strategies.SlidingWindowCounterRateLimiter(store)

    def ask(words: str, cost: int) -> Any:
        if not limiter.hit(item, "bench", cost=cost):
            raise _Refused
        messages: list[Any] = [{"role": "user", "content": words}]
        return client.chat.completions.create(model="m", messages=messages, max_tokens=OUTPUT)

    return ask, (_Refused, openai.RateLimitError)


class _Refused(Exception):
    """The limiter said no; nothing was sent."""


class Tally:
    """What the threads of one process saw."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waits: dict[str, list[float]] = {"interactive": [], "batch": []}
        self.tokens = self.calls = self.failed = self.refused = 0

    def refuse(self, error: Exception) -> None:
        """A provider's refusal reached the agent; its own limiter's is none."""
        with self.lock:
            self.refused += not isinstance(error, _Refused)


def _agent(task: dict[str, Any], way: Any, tally: Tally, number: int) -> None:
    ask, curable = way
    kind = "interactive" if number < task["people"] else "batch"
    words = "word " * (40 if kind == "interactive" else 200)
    chance = random.Random(f"{task['name']}-{number}")
    while time.monotonic() < task["until"]:
        began = time.monotonic()
        pause = _FIRST_S
        while True:
            try:
                answer = ask(words, task["cost"][kind])
            except curable as error:
                tally.refuse(error)
                if time.monotonic() > task["until"]:
                    return
                time.sleep(pause * chance.uniform(0.5, 1.0))
                pause = min(_LONGEST_S, 1.5 * pause)
            except Exception:  # noqa: BLE001 - counted
                with tally.lock:
                    tally.failed += 1
                break
            else:
                with tally.lock:
                    tally.waits[kind].append(time.monotonic() - began)
                    if time.monotonic() <= task["until"]:  # as for ours: what ended in time
                        tally.tokens += answer.usage.total_tokens
                    tally.calls += 1
                break
        if kind == "interactive":
            time.sleep(0.5)


def main() -> None:
    """Run one process."""
    task = json.loads(sys.argv[1])
    way = {"litellm": _litellm, "limits": _limits}[task["way"]](task)
    answers = {
        kind: way[0]("word " * words, 1) for kind, words in (("interactive", 40), ("batch", 200))
    }
    task["cost"] = {kind: one.usage.prompt_tokens + OUTPUT for kind, one in answers.items()}
    print("ready", flush=True)
    sys.stdin.readline()
    task["until"] = time.monotonic() + task["seconds"]
    before = resource.getrusage(resource.RUSAGE_SELF)
    tally = Tally()
    threads = [
        threading.Thread(target=_agent, args=(task, way, tally, number), daemon=True)
        for number in range(task["threads"])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, task["until"] + 30 - time.monotonic()))
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps({
            "waits": tally.waits,
            "tokens": tally.tokens,
            "calls": tally.calls,
            "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "hung": sum(thread.is_alive() for thread in threads),
            "reaped": tally.failed,
            "refused": tally.refused,
            "exchanges": 0,
        })
    )  # fmt: skip
    sys.stdout.flush()
    os._exit(0)  # LiteLLM's threads in the background would keep it


if __name__ == "__main__":
    main()
