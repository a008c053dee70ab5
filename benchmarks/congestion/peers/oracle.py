"""The oracle: a client that knows the server's limits, buckets, changes and latencies.

It keeps a mirror of the server's own meters, lets calls go at the very moment at which the server
will take them, interactive ones first and then whoever has the most left to do (which is near the
shortest schedule there is), and gives up a call as soon as no healthy one could still be silent.
It does not know which calls will fail.

It is not the optimum (a schedule that knew the future could be a little shorter), but nothing that
only sees the client's side can be expected to beat it by much.
"""

from __future__ import annotations

import asyncio
import heapq
import threading
import time
from concurrent.futures import Future
from itertools import count
from typing import Any

from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from benchmarks.congestion.peers.base import Plain, Seen, Setting, chat_models
from benchmarks.congestion.workload import Agent, Turn, service_s, worst_s

_MARGIN_S = 0.03  # covers the way to the server, whose clock starts at the first arrival
_OVERDUE_S = 0.25  # after the longest silence of a healthy call
_OVERHEAD_TOKENS = 7  # that the server counts for a single message
_ATTEMPTS = 50
_GAP_S = 0.003  # between two calls let go: what a client needs to send one, so that none queues
_SLIP_S = 0.02  # a mirror that was wrong is put back by so much


class _Endpoint:
    """The mirror of one endpoint's meters, and who waits for it."""

    def __init__(self, quota: Quota, capacity: int | None, now_s: float) -> None:
        self.quota, self.capacity, self.busy = quota, capacity, 0
        self.limits = LimitSet(quota, now_s)
        self.waiting: list[tuple[float, int, int, int, Future[None]]] = []

    def wait_s(self, input_tokens: int, output_tokens: int, now_s: float) -> float:
        """Seconds until the server would take this call; infinity until somebody leaves."""
        if self.capacity is not None and self.busy >= self.capacity:
            return float("inf")
        amounts = {"requests": 1.0, "tokens": float(input_tokens + output_tokens)}
        return max(
            (meter.wait_s(amounts[name], now_s) for name, meter in self.limits.meters()),
            default=0.0,
        )


class Oracle(Plain):
    """See the module. A thread of its own lets calls go."""

    def __init__(self, setting: Setting) -> None:
        scenario = setting.scenario
        super().__init__(
            setting,
            chat_models(
                setting,
                0,
                lambda kind: (
                    worst_s(kind, scenario.latency, streaming=scenario.streaming) + _OVERDUE_S
                ),
            ),
        )
        self._limits = scenario.limits.times(setting.crowd)
        self._changed = threading.Condition()
        self._endpoints: dict[str, _Endpoint] = {}
        self._credits: list[tuple[float, int, str, int, int]] = []
        self._numbers = count()
        self._start_s: float | None = None
        self._last_s = 0.0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="oracle", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # -- the mirror; all under the lock

    def _endpoint(self, model: str, now_s: float) -> _Endpoint:
        if self._start_s is None:
            self._start_s = now_s
        if model not in self._endpoints:
            limits = self._limits
            quota = Quota(limits.rpm, limits.tpm, burst=limits.bucket_s / 60.0)
            self._endpoints[model] = _Endpoint(quota, limits.concurrency, now_s + _MARGIN_S)
        return self._endpoints[model]

    def _follow_schedule(self, now_s: float) -> float:
        """Apply the limits in force; seconds until they change next."""
        passed_s = now_s - (self._start_s or now_s)
        factor, next_s = 1.0, float("inf")
        for at_s, changes in self.setting.scenario.schedule:
            new = changes.get("limit_factor")
            if new is None:
                continue
            # Early when they fall, late when they rise.
            left_s = at_s - passed_s + (-_MARGIN_S if new < factor else _MARGIN_S)
            if left_s > 0:
                next_s = left_s
                break
            factor = new
        for endpoint in self._endpoints.values():
            old = endpoint.quota
            quota = Quota(
                self._limits.rpm and self._limits.rpm * factor,
                self._limits.tpm and self._limits.tpm * factor,
                burst=old.burst,
            )
            if quota != old:
                endpoint.quota = quota
                endpoint.limits.apply(quota, now_s)
        return next_s

    def _closed_for_s(self, model: str, now_s: float) -> float:
        closed = self.setting.scenario.closed_s
        if closed is None or model != self.setting.scenario.models[0] or self._start_s is None:
            return 0.0
        passed_s = now_s - self._start_s
        if closed[0] - _MARGIN_S <= passed_s < closed[1] + _MARGIN_S:
            return closed[1] + _MARGIN_S - passed_s
        return 0.0

    def _pay(self, now_s: float) -> float:
        """Give back what is due; seconds until the next is."""
        while self._credits:
            due_s, _, model, tokens_in, tokens_out = self._credits[0]
            if due_s > now_s:
                return due_s - now_s
            heapq.heappop(self._credits)
            endpoint = self._endpoints[model]
            endpoint.busy -= 1
            endpoint.limits.settle(now_s, input_tokens=-tokens_in, output_tokens=-tokens_out)
        return float("inf")

    def _let_go(self, model: str, endpoint: _Endpoint, now_s: float) -> float:
        """Let the head go as long as the server takes it; seconds until it is worth a look."""
        while endpoint.waiting:
            _, _, tokens_in, tokens_out, future = endpoint.waiting[0]
            wait_s = max(self._closed_for_s(model, now_s), self._last_s + _GAP_S - now_s)
            wait_s = max(wait_s, 0.0)
            wait_s = wait_s or endpoint.wait_s(tokens_in, tokens_out, now_s)
            if wait_s > 0:
                return wait_s
            heapq.heappop(endpoint.waiting)
            if future.set_running_or_notify_cancel():
                endpoint.busy += 1
                self._last_s = now_s
                endpoint.limits.admit(
                    now_s, input_tokens=tokens_in, output_tokens=tokens_out, rejection_cost=0
                )
                future.set_result(None)
        return float("inf")

    def _run(self) -> None:
        with self._changed:
            while not self._closed:
                now_s = time.monotonic()
                wait_s = min(self._follow_schedule(now_s), self._pay(now_s))
                for model, endpoint in self._endpoints.items():
                    wait_s = min(wait_s, self._let_go(model, endpoint, now_s))
                self._changed.wait(None if wait_s == float("inf") else wait_s + 0.0005)

    # -- calls

    def _enter(self, agent: Agent, turn: Turn, number: int) -> Future[None]:
        future: Future[None] = Future()
        sizes = (turn.input_tokens + _OVERHEAD_TOKENS, agent.kind.max_tokens)
        with self._changed:
            endpoint = self._endpoint(agent.model, time.monotonic())
            rank = self._rank(agent, turn)
            heapq.heappush(endpoint.waiting, (rank, number, *sizes, future))
            self._changed.notify()
        return future

    def _rank(self, agent: Agent, turn: Turn) -> float:
        """The lower, the sooner: interactive first, then by the seconds that are left to do."""
        if agent.kind.name == "interactive":
            return -1e9
        scenario = self.setting.scenario
        left = len(agent.turns) - agent.turns.index(turn)
        each_s = service_s(agent.kind, sum(scenario.usage) / 2, scenario.latency)
        each_s += sum(agent.kind.pause_s) / 2
        return -each_s * -(-left // agent.kind.width)

    def _slipped(self, agent: Agent, turn: Turn) -> None:
        """The server had less than the mirror: empty the mirror to just below this call."""
        sizes = (turn.input_tokens + _OVERHEAD_TOKENS, agent.kind.max_tokens)
        now_s = time.monotonic()
        with self._changed:
            endpoint = self._endpoints[agent.model]
            need = {"requests": 1.0, "tokens": float(sum(sizes))}
            for name, meter in endpoint.limits.meters():
                slip = meter.limit / 60.0 * _SLIP_S
                meter.charge(max(slip, meter.remaining(now_s) - need[name] + slip), now_s)

    def _leave(self, agent: Agent, turn: Turn, text: str | None) -> None:
        """Give back what was not used; after a failure a little later, as the server may."""
        now_s = time.monotonic()
        used_in, used_out = (0, 0) if text is None else (turn.input_tokens + 7, len(text) // 4)
        if text is None and self.streaming:  # a stalled stream was charged up to the stall
            used_in, used_out = turn.input_tokens + 7, 16
        back_in = turn.input_tokens + _OVERHEAD_TOKENS - used_in
        back_out = agent.kind.max_tokens - used_out
        due_s = now_s if text is not None else now_s + _MARGIN_S
        with self._changed:
            credit = (due_s, next(self._numbers), agent.model, back_in, back_out)
            heapq.heappush(self._credits, credit)
            self._changed.notify()

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        number = next(self._numbers)
        for attempt in range(_ATTEMPTS):
            await asyncio.wrap_future(self._enter(agent, turn, number))
            text: str | None = None
            try:
                text = await super().ask(agent, turn, seen)
            except Exception as error:  # noqa: BLE001  sorted out by its status
                self._check(error, attempt, agent, turn)
            finally:
                self._leave(agent, turn, text)
            if text is not None:
                return text
        raise AssertionError

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        number = next(self._numbers)
        for attempt in range(_ATTEMPTS):
            self._enter(agent, turn, number).result()
            text: str | None = None
            try:
                text = super().ask_sync(agent, turn, seen)
            except Exception as error:  # noqa: BLE001  sorted out by its status
                self._check(error, attempt, agent, turn)
            finally:
                self._leave(agent, turn, text)
            if text is not None:
                return text
        raise AssertionError

    def _check(self, error: Exception, attempt: int, agent: Agent, turn: Turn) -> None:
        """Let what cannot be cured through; put the mirror right if it was wrong."""
        status: Any = getattr(error, "status_code", None)
        if attempt == _ATTEMPTS - 1 or status in {400, 401, 403, 404}:
            raise error
        if status == 429:
            self._slipped(agent, turn)
