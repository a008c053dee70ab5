"""`LazyHeap`, `AgentQueue`, `Alarms` and `Recent` against models that do it the slow way."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.kernel.ticket import Alarms
from agentrm_plugins.policy.leases import NEVER
from agentrm_plugins.policy.order.agent_queue import AgentQueue
from agentrm_plugins.policy.order.heap import LazyHeap
from agentrm_plugins.types.accounts import Recent
from tests.effort import effort

pytestmark = pytest.mark.lowest

FAST = effort(100)
OPERATIONS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=300)


@FAST
@given(operations=OPERATIONS)
def test_lazy_heap_is_a_sorted_list(operations) -> None:
    """Whatever is pushed, taken out and moved over: the smallest key is on top."""
    heaps, books = (LazyHeap(), LazyHeap()), ({}, {})
    bids = [AgentQueue(SimpleNamespace(), None, number) for number in range(31)]
    for what, number in operations:
        side = number % 2
        if what == 3:
            heaps[side].absorb(heaps[1 - side])
            books[side].update(books[1 - side])
            books[1 - side].clear()
        elif number in books[side]:
            heaps[side].discard(bids[number])
            del books[side][number]
        elif number not in books[1 - side]:
            heaps[side].push(number, bids[number])
            books[side][number] = bids[number]
        for heap, book in zip(heaps, books, strict=True):
            assert len(heap) == len(book)
            assert heap.peek() is (book[min(book)] if book else None)


def test_lazy_heap_stays_small() -> None:
    """Entries that died do not pile up: memory follows what lives."""
    heap = LazyHeap()
    keeper = AgentQueue(SimpleNamespace(), None, 0)
    heap.push(0, keeper)
    other = AgentQueue(SimpleNamespace(), None, 1)
    for _ in range(1000):
        heap.push(1, other)
        heap.discard(other)
    assert len(heap.entries) < 40
    assert heap.peek() is keeper


@FAST
@given(operations=OPERATIONS)
def test_bid_is_a_list(operations) -> None:
    """Waiting calls leave from anywhere, and the others keep their order."""
    bid, book = AgentQueue(SimpleNamespace(), None, 0), []
    for what, number in operations:
        if what == 0 or not book:
            waiter = SimpleNamespace(before=None, after=None)
            bid.append(waiter)
            book.append(waiter)
        else:
            bid.discard(book.pop(number % len(book)))
        assert list(bid.queue) == book
        assert bid.live == len(book)
        assert bid.head is (book[0] if book else None)


@FAST
@given(
    operations=st.lists(
        st.tuples(
            st.sampled_from(["set", "clear", "wait"]), st.integers(0, 40), st.integers(1, 50)
        ),
        max_size=400,
    )
)
def test_alarms_ring_in_order_and_never_late(operations) -> None:
    """Moved to and fro, each alarm rings once, in the order of dates; the next is never missed."""
    alarms, now_s = Alarms(), 0
    items = [SimpleNamespace(alarm_s=NEVER, armed_s=NEVER, number=number) for number in range(41)]
    book: dict[int, int] = {}
    for what, number, amount in operations:
        if what == "set":
            alarms.set(items[number], now_s + amount)
            book[number] = now_s + amount
        elif what == "clear":
            alarms.clear(items[number])
            book.pop(number, None)
        else:
            now_s += amount // 4
            rung = []
            while (item := alarms.due(now_s)) is not None:
                rung.append(item.number)
                assert item.alarm_s == NEVER
            expected = sorted((at_s, seq) for seq, at_s in book.items() if at_s <= now_s)
            assert rung == [seq for _, seq in expected]
            for seq in rung:
                del book[seq]
            assert alarms.next_s() > now_s
        assert alarms.next_s() <= min(book.values(), default=NEVER)
        assert (alarms.next_s() == NEVER) == (not book)


def test_dead_alarms_are_swept() -> None:
    """A million calls that ended in time leave no million entries."""
    alarms = Alarms()
    keeper = SimpleNamespace(alarm_s=NEVER, armed_s=NEVER, number=0)
    alarms.set(keeper, 5.0)
    alarms.set(keeper, 9.0)
    for number in range(1, 2000):
        item = SimpleNamespace(alarm_s=NEVER, armed_s=NEVER, number=number)
        alarms.set(item, 100.0 + number)
        alarms.clear(item)
    assert len(alarms._heap) < 300
    assert alarms.next_s() == 9.0
    assert alarms.due(10.0) is keeper


@FAST
@given(steps=st.lists(st.tuples(st.integers(0, 400), st.integers(1, 100)), min_size=1, max_size=50))
def test_rates_are_exact_to_one_bin(steps) -> None:
    """Each window's sum lies between those of a window one bin smaller and its own."""
    rates, book, now_s = Recent(), [], 0.0
    for twentieths, amount in steps:
        now_s += twentieths / 20
        rates.add(amount, now_s)
        book.append((now_s, amount))
        for window_s, rate in zip((1.0, 10.0, 60.0), rates.per_s(now_s), strict=True):
            most = sum(amount for at_s, amount in book if now_s - at_s <= window_s + 1e-6)
            least = sum(amount for at_s, amount in book if now_s - at_s <= window_s - 0.1 - 1e-6)
            assert least - 1e-6 <= rate * window_s <= most + 1e-6
    assert len(rates._bins or ()) / 2 <= 601 * 4 / 3  # a quarter may be too old
