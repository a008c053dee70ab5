"""The server of one run, in a process of its own: JSON lines in, JSON lines out.

{"do": "start", "variant": "tokens/told/async/own", "seed": 1, "crowd": 1.0}
-> {"url": "http://...", "warm_url": "http://..."}
{"do": "stop"}
-> {"log": [...], "started_s": 12.3, "errors": []}
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from agentrm_plugins.testing.provider import (
    Change,
    Distribution,
    ProviderConfig,
    ProviderRequest,
    SimulatedProvider,
    Status,
)
from benchmarks.congestion.scenarios import SCENARIOS, Scenario, Variant
from benchmarks.congestion.workload import PACE_S, TTFT_CAP_S, TTFT_MEDIAN_S, TTFT_SIGMA

_WATCH_S = 0.01
_LOGGED = (
    "started_s",
    "finished_s",
    "model",
    "status",
    "fault",
    "cause",
    "client_gone",
    "input_tokens",
    "output_tokens",
    "reserved_tokens",
)


class Lag:
    """How late a thread of this process, which has little to do, wakes up: is the machine busy?"""

    def __init__(self) -> None:
        self._late_s: list[float] = []
        threading.Thread(target=self._watch, name="bench-lag", daemon=True).start()

    def _watch(self) -> None:
        while True:
            before_s = time.monotonic()
            time.sleep(_WATCH_S)
            self._late_s.append(time.monotonic() - before_s - _WATCH_S)

    def take_s(self) -> float:
        """The 95th percentile since the last time, seconds."""
        late, self._late_s = sorted(self._late_s), []
        return late[int(0.95 * len(late))] if late else 0.0


class Closed:
    """Answers every call to one model with a 429 and the time that is left, for a while."""

    def __init__(self, model: str, from_s: float, to_s: float) -> None:
        self._model, self._from_s, self._to_s = model, from_s, to_s
        self._start_s: float | None = None

    def __call__(self, request: ProviderRequest) -> Status | None:
        now_s = time.monotonic()
        if self._start_s is None:
            self._start_s = now_s
        passed_s = now_s - self._start_s
        if request.model != self._model or not self._from_s <= passed_s < self._to_s:
            return None
        return Status(429, retry_after=self._to_s - passed_s)


def provider_config(scenario: Scenario, seed: int, crowd: float) -> ProviderConfig:
    """The configuration of the simulated provider for a crowd of this size."""
    limits = scenario.limits.times(crowd)
    responder = None
    if scenario.closed_s is not None:
        responder = Closed(scenario.models[0], *scenario.closed_s)
    return ProviderConfig(
        seed=seed,
        rpm=limits.rpm,
        tpm=limits.tpm,
        capacity=limits.concurrency,
        burst=limits.bucket_s / 60.0,
        time_to_first_token_s=Distribution.lognormal(
            TTFT_MEDIAN_S * scenario.latency, TTFT_SIGMA, cap=TTFT_CAP_S * scenario.latency
        ),
        token_time_s=PACE_S * scenario.latency,
        usage_factor=Distribution.uniform(*scenario.usage),
        schedule=tuple(Change(at_s, changes) for at_s, changes in scenario.schedule),
        responder=responder,
        **scenario.server,
    )


def main() -> None:
    warm = SimulatedProvider().start()  # for warming up: answers at once, has no limits
    lag = Lag()
    provider: SimulatedProvider | None = None
    for line in sys.stdin:
        order: dict[str, Any] = json.loads(line)
        answer: dict[str, Any] = {}
        if order["do"] == "start":
            scenario = SCENARIOS[Variant.parse(order["variant"]).scenario]
            config = provider_config(scenario, order["seed"], order["crowd"])
            provider = SimulatedProvider(config).start()
            lag.take_s()
            answer = {"url": provider.base_url, "warm_url": warm.base_url}
        elif provider is not None:
            late_s = lag.take_s()
            provider.close()
            answer = {
                "lag_s": late_s,
                "log": [[getattr(record, name) for name in _LOGGED] for record in provider.log],
                "started_s": provider.started_s,
                "errors": [repr(error) for error in provider.errors],
            }
        print(json.dumps(answer), flush=True)
    warm.close()


if __name__ == "__main__":
    main()
