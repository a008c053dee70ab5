"""A person who asks while a crowd uses up a limit that was told and that the server never names."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import count
from math import inf

import pytest

from agentrm_plugins.config import Config, EndpointConfig, LeaseConfig
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.testing.provider.limits import LimitSet, Quota
from agentrm_plugins.types.calls import Call, Outcome, Usage
from agentrm_plugins.types.effects import Granted
from agentrm_plugins.types.events import Settle, Submit, Tick

SIZE = Usage(10, 10)
SECONDS = 300.0


def waits_of_people(kind: str, endpoint: EndpointConfig) -> list[float]:
    """Twenty batch agents always ask, a person every seven seconds; 60 requests a minute."""
    leases = LeaseConfig(1e9, 1e9, 1e9, None)
    kernel = Kernel(Config(lanes=64, leases=leases, endpoints={"p/*": endpoint}))
    server = LimitSet(Quota(requests=60, kind=kind), 0.0)
    agenda, order, tickets, calls, waits = [], count(), count(1), {}, []

    def submit(now_s, call):
        ticket = next(tickets)
        calls[ticket] = (call, now_s)
        feed(now_s, Submit(ticket, call))

    def feed(now_s, event):
        for effect in kernel.handle(now_s, event):
            if isinstance(effect, Granted):
                call, since_s = calls[effect.ticket]
                if call.priority == "interactive":
                    waits.append(now_s - since_s)
                admitted = server.admit(now_s, input_tokens=10, output_tokens=10, rejection_cost=1)
                assert admitted.admitted
                end = (now_s + 1.0, next(order), "end", effect.ticket)
                heappush(agenda, end)

    for number in range(20):
        call = Call(f"b{number}", priority="batch", endpoint="p/m", estimate=SIZE)
        heappush(agenda, (0.0, next(order), "ask", call))
    for number in range(int(SECONDS / 7)):
        call = Call(f"p{number % 3}", priority="interactive", endpoint="p/m", estimate=SIZE)
        heappush(agenda, (3.0 + 7 * number, next(order), "ask", call))
    now_s = 0.0
    while now_s < SECONDS:
        due_s = kernel.next_deadline()
        if due_s <= (agenda[0][0] if agenda else inf):
            now_s = max(now_s, due_s)
            feed(now_s, Tick())
            continue
        now_s, _, what, one = heappop(agenda)
        if what == "ask":
            submit(now_s, one)
        else:
            feed(now_s, Settle(one, SIZE, Outcome.OK))
            if calls[one][0].priority == "batch":
                submit(now_s, calls[one][0])
    return sorted(waits)


@pytest.mark.parametrize("kind", ["bucket", "fixed", "sliding"])
def test_people_wait_for_seconds_behind_a_crowd(kind):
    """The crowd is paced, so there is always a turn soon."""
    waits = waits_of_people(kind, EndpointConfig(rpm=58.0))
    assert len(waits) >= 40
    assert waits[len(waits) // 2] <= 1.5
    assert waits[int(0.95 * len(waits))] <= 7.0


def test_a_minute_at_once_is_for_batch_work_alone():
    """As its docstring says: who asks behind a wave waits for the next one."""
    waits = waits_of_people("fixed", EndpointConfig(rpm=60.0, burst_s=None))
    assert waits[len(waits) // 2] > 10.0
