"""A server that evicts a single key: the rest is given up as well, and the fleet heals."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentrm_plugins import AgentRM, Coordination, EndpointConfig, WaitTimeout
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


@pytest.mark.parametrize("part", ["s", "m", "e", "r"])
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
