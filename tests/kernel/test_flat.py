"""The cost of a dispatch in steps, not in seconds: it does not grow with the number that waits."""

from __future__ import annotations

import heapq
from collections import Counter

import pytest

from agentrm_plugins import accounts
from agentrm_plugins import events as ev
from agentrm_plugins.calls import Call
from agentrm_plugins.config import Order
from agentrm_plugins.kernel import Kernel, room
from agentrm_plugins.policy import leases, mlfq
from tests.kernel.world import config

DISPATCHES = 200


def steps_per_dispatch(order: Order, waiting: int, monkeypatch: pytest.MonkeyPatch) -> float:
    """Heap operations for each settle and the grant that follows it; heapify counts its size."""
    settings = config(4, order, time_quanta_s=(1.0, 2.0, 4.0, 8.0), wait_timeout_s=1e6)
    kernel = Kernel(settings)
    for number in range(waiting + 4):
        call = Call(f"agent{number}", tenant=f"tenant{number % 3}")
        kernel.handle(0.0, ev.Submit(number, call))
    steps: Counter[str] = Counter()

    def counted(name: str):
        real = getattr(heapq, name)

        def operation(heap, *rest):
            steps[name] += len(heap) if name == "heapify" else 1
            return real(heap, *rest)

        return operation

    with monkeypatch.context() as patch:
        for module in (accounts, room, leases, mlfq):
            for name in ("heappush", "heappop", "heapreplace", "heapify"):
                if hasattr(module, name):
                    patch.setattr(module, name, counted(name))
        number = waiting + 4
        for turn in range(DISPATCHES):
            kernel.handle(0.01 * turn, ev.Settle(min(kernel_running(kernel))))
            number += 1
            call = Call(f"agent{number}", tenant=f"tenant{number % 3}")
            kernel.handle(0.01 * turn, ev.Submit(number, call))
    kernel.validate()
    return sum(steps.values()) / DISPATCHES


def kernel_running(kernel: Kernel) -> list[int]:
    seats = [seat for group in kernel.pool.groups.values() for seat in group.seats]
    assert len(seats) == 4
    return [n for n, ticket in kernel.tickets.items() if ticket.seat is not None]


@pytest.mark.parametrize("order", list(Order))
def test_steps_do_not_grow_with_the_queue(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """100 or 10,000 waiting calls: a dispatch costs a handful of heap operations."""
    few = steps_per_dispatch(order, 100, monkeypatch)
    many = steps_per_dispatch(order, 10_000, monkeypatch)
    assert many <= max(2 * few, 30), (few, many)
    assert many <= 40
