"""A server that evicts a single key: the rest is given up as well, and the fleet heals."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    BudgetExceeded,
    Coordination,
    EndpointConfig,
    WaitTimeout,
)
from agentrm_plugins.fleet import link
from agentrm_plugins.types.calls import Usage
from tests.hosts.worlds import wait_until

ENDPOINT = "api.test/v1#key"
LANES = 4


def core(server, namespace, rpm):
    terms = Coordination(server.url, namespace, lease_s=1.0)
    return AgentRM(lanes=LANES, coordination=terms, endpoints={"api.test/*": EndpointConfig(rpm)})


def slot(rm, wait_s=30.0):
    return rm.slot(agent="ada", endpoint=ENDPOINT, estimate=Usage(10, 1), wait_timeout_s=wait_s)


def at_once(rm, calls, wait_s=30.0):
    """Whether so many calls have a lane at one moment."""
    gate = threading.Barrier(calls)

    def call(_):
        try:
            with slot(rm, wait_s):
                gate.wait(2 * wait_s)
        except WaitTimeout:
            gate.abort()
            return False
        except threading.BrokenBarrierError:
            return False
        return True

    with ThreadPoolExecutor(calls) as pool:
        return all(pool.map(call, range(calls)))


@pytest.mark.parametrize("part", sorted({*link._PARTS} - {*"hno"}))
def test_the_loss_of_one_key_heals(server, namespace, part):
    """Calls go on, the lowest limit counts again, and no lane is doubled or lost."""
    with core(server, namespace, 60_000) as first:
        with core(server, namespace, 30_000) as second, slot(second):
            with slot(first):
                pass
            wait_until(lambda: first.statistics().fleet.lowered, "the lower limit")
            assert server.client().delete(f"{{arm:{namespace}}}:{part}")
            answered = first.statistics().fleet.exchanges
            wait_until(lambda: first.statistics().fleet.exchanges > answered + 3, "an exchange")
            assert at_once(first, LANES - 1)
            assert not at_once(first, LANES, wait_s=0.5)
            wait_until(lambda: first.statistics().fleet.lowered, "the lower limit again")
        wait_until(lambda: first.statistics().fleet.members == 1, "the end of the other")
        assert at_once(first, LANES)
        seen = first.statistics().fleet
        assert (seen.state, seen.outages, seen.error) == ("joined", 0, "")


@pytest.mark.parametrize("part", ["h", "n", "o"])
def test_who_waits_goes_on_when_the_heads_are_lost(server, namespace, part):
    """Whoever waits is told of again with its next exchange, and nothing else is given up."""
    with core(server, namespace, 60_000) as first, core(server, namespace, 60_000) as second:
        key, client = f"{{arm:{namespace}}}:{part}", server.client()
        release, inside = threading.Event(), threading.Semaphore(0)

        def hold():
            with slot(first):
                inside.release()
                release.wait(60)

        with ThreadPoolExecutor(LANES + 2) as pool:
            running = [pool.submit(hold) for _ in range(LANES)]
            for _ in running:
                assert inside.acquire(timeout=30)
            waiting = [pool.submit(at_once, rm, 1) for rm in (first, second)]
            try:
                wait_until(lambda: client.delete(key), "somebody who waits")
                wait_until(lambda: client.exists(key), "somebody who waits, again")
            finally:
                release.set()
            assert all(one.result(30) for one in waiting)
        assert {one.statistics().fleet.fenced for one in (first, second)} == {0}


def test_what_is_reserved_of_a_sum_that_is_lost_is_still_reserved(server, namespace):
    """Nobody gives back what the new sum never counted: no budget is passed by that."""
    ten = BudgetConfig(tenant="acme", resource="calls", limit=10)
    terms = Coordination(server.url, namespace, lease_s=1.0)

    def slot(rm):
        return rm.slot(agent="a", tenant="acme")

    with contextlib.ExitStack() as stack:
        cores = [
            stack.enter_context(AgentRM(lanes=16, coordination=terms, budgets=[ten]))
            for _ in range(3)
        ]
        first, second, third = cores
        with slot(third):
            pass
        stack.enter_context(slot(second))
        with contextlib.ExitStack() as running:
            for _ in range(4):
                running.enter_context(slot(first))
            wait_until(lambda: reserved(third) == 5, "what is reserved")
            assert server.client().delete(f"{{arm:{namespace}}}:g")
            answered = [exchanges(rm) for rm in cores]
            wait_until(
                lambda: all(
                    exchanges(rm) > before + 3 for rm, before in zip(cores, answered, strict=True)
                ),
                "exchanges",
            )
            wait_until(lambda: reserved(third) == 5, "what is reserved, again")
        wait_until(lambda: reserved(third) == 1, "what the second holds")
        went = 0
        with contextlib.suppress(BudgetExceeded):
            for _ in range(20):
                with slot(third):
                    went += 1
        assert went == 4


def exchanges(rm):
    return rm.statistics().fleet.exchanges


def reserved(rm):
    """What others have reserved, as far as this one knows."""
    ledgers = rm._host.kernel.books.ledgers.ledgers.values()
    return sum(ledger.reserved_elsewhere for ledger in ledgers)
