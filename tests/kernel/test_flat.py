"""The cost of a dispatch in steps, not in seconds: it does not grow with the number that waits."""

from __future__ import annotations

import heapq
from collections import Counter

import pytest

from agentrm_plugins.config import Order
from agentrm_plugins.kernel import Kernel, selection, wait_queue
from agentrm_plugins.policy import leases
from agentrm_plugins.policy.order import heap, level, mlfq, mlfq_textbook
from agentrm_plugins.types import effects as fx
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.calls import Call
from tests.kernel.world import config

pytestmark = pytest.mark.lowest

DISPATCHES = 200


def steps_per_dispatch(order: Order, waiting: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Heap operations for each settle and the grant that follows it; heapify counts its size."""
    settings = config(4, order, time_quanta_s=(1.0, 2.0, 4.0, 8.0), wait_timeout_s=1e6)
    kernel = Kernel(settings)
    running: list[int] = []

    def feed(at_s: float, event: ev.Event) -> None:
        effects = kernel.handle(at_s, event)
        running.extend(effect.ticket for effect in effects if isinstance(effect, fx.Granted))

    def submit(number: int, at_s: float) -> None:
        feed(at_s, ev.Submit(number, Call(f"agent{number}", tenant=f"tenant{number % 3}")))

    for number in range(waiting + 4):
        submit(number, 0.0)
    steps: Counter[str] = Counter()

    def counted(name: str):
        real = getattr(heapq, name)

        def operation(heap, *rest):
            steps[name] += len(heap) if name == "heapify" else 1
            return real(heap, *rest)

        return operation

    with monkeypatch.context() as patch:
        for module in (heap, level, wait_queue, selection, leases, mlfq, mlfq_textbook):
            for name in ("heappush", "heappop", "heapreplace", "heapify"):
                if hasattr(module, name):
                    patch.setattr(module, name, counted(name))
        for turn in range(DISPATCHES):
            feed(0.01 * turn, ev.Settle(running.pop(0)))
            submit(waiting + 4 + turn, 0.01 * turn)
    kernel.validate()
    return sum(steps.values()) / DISPATCHES


@pytest.mark.parametrize("order", list(Order))
def test_steps_do_not_grow_with_the_queue(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 or 10,000 waiting calls: a dispatch costs a handful of heap operations."""
    few = steps_per_dispatch(order, 100, monkeypatch)
    many = steps_per_dispatch(order, 10_000, monkeypatch)
    assert many <= max(2 * few, 30), (few, many)
    assert many <= 40
