"""What the statistics say of waits, rates, pressure and of very many agents."""

from __future__ import annotations

import time

import pytest

from agentrm_plugins import AgentRM, Call, Config, EndpointConfig, Price, Usage
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.kernel import Kernel
from agentrm_plugins.policy.pressure import Stall
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.histogram import Histogram


def made(lanes: int = 1, **more) -> tuple[AgentRM, VirtualClock]:
    clock = VirtualClock()
    return AgentRM(lanes=lanes, clock=clock, **more), clock


def test_quantiles_are_right_within_ten_percent() -> None:
    """Of waits spread over five decades, with calls that did not wait among them."""
    waits = sorted(0.002 * 1.013**n for n in range(900))
    histogram = Histogram()
    for wait_s in waits:
        histogram.add(wait_s)
    quantiles = histogram.quantiles(100)
    for share, found in zip((0.5, 0.95, 0.99), quantiles, strict=True):
        exact = waits[int(share * 1000) - 100 - 1]
        assert found == pytest.approx(exact, rel=0.1)
    assert histogram.quantiles(100_000) == (0.0, 0.0, 0.0)


def test_waits_are_told_by_agent_tenant_group_and_endpoint() -> None:
    """One call waits 4 s: everybody whom it concerns says so, with p50, p95, p99 and the most."""
    rm, clock = made()
    with rm:
        host = rm._core.host
        first = host.submit(Call("ada", "acme", endpoint="h/m"))
        second = host.submit(Call("bob", "acme", endpoint="h/m"))
        clock.advance(4)
        first.settle(Usage(60, 60))
        seen = rm.statistics()
        agent = seen.agent("bob", tenant="acme").waits
        assert (agent.calls, agent.sum_s, agent.max_s) == (1, 4.0, 4.0)
        assert agent.p50_s == pytest.approx(4.0, rel=0.1)
        for waits in (
            seen.tenants["acme"].waits, seen.groups["model"].waits, seen.endpoints["h/m"].waits,
            seen.waits,
        ):  # fmt: skip
            assert (waits.calls, waits.sum_s, waits.p50_s) == (2, 4.0, 0.0)
            assert waits.p99_s == pytest.approx(4.0, rel=0.1)
        assert next(iter(seen.waits.buckets.items())) == ("0", 1)
        assert list(seen.waits.buckets.values()) == [1, 2]
        assert seen.groups["model"].token_rates.last_10_s == 12.0
        assert seen.endpoints["h/m"].token_rates.last_60_s == 2.0
        assert seen.agent("ada", tenant="acme").token_rates.last_1_s == 120.0
        second.settle()


def test_pressure_is_the_share_of_time_in_which_somebody_waits() -> None:
    """Three that wait together count once, and what is over long ago is forgotten."""
    rm, clock = made()
    with rm:
        host = rm._core.host
        leases = [host.submit(Call(f"a{n}")) for n in range(4)]
        clock.advance(6)
        for lease in leases:
            lease.settle() if lease.decided else lease.withdraw()
        clock.advance(4)
        seen = rm.statistics().pressure
        assert seen.lanes.last_10_s == pytest.approx(0.6)
        assert seen.lanes.last_60_s == pytest.approx(0.1)
        assert seen.lanes.total_s == pytest.approx(6.0)
        assert seen.rate.last_10_s == 0.0
        clock.advance(400)
        assert rm.statistics().pressure.lanes.last_300_s == 0.0


def test_waiting_for_a_rate_is_another_pressure_than_waiting_for_lanes() -> None:
    """With lanes free and the limit used up it is the rate that is short."""
    rm, clock = made(8, endpoints={"h/*": EndpointConfig(rpm=6, burst_s=10)})
    with rm:
        host = rm._core.host
        host.submit(Call("a", endpoint="h/m")).settle()
        waits = host.submit(Call("b", endpoint="h/m"))
        clock.advance(5)
        seen = rm.statistics()
        assert seen.pressure.rate.last_10_s == pytest.approx(0.5)
        assert seen.pressure.lanes.last_10_s == 0.0
        requests = seen.endpoints["h/m"].rates["requests"]
        assert requests.proximity == pytest.approx(0.5)
        assert requests.used_per_min == pytest.approx(6.0)
        clock.advance(5)
        assert waits.decided
        waits.settle()
        assert rm.statistics().pressure.rate.last_10_s == pytest.approx(1.0)


def test_pressure_of_long_and_of_tiny_stalls_stays_exact_and_small() -> None:
    """Sliding windows to the part of a second, and a bounded number of bins."""
    stall = Stall(0.0)
    stall.set(True, 0.0)
    stall.set(False, 1e6)
    assert stall.shares(1e6) == (1.0, 1.0, 1.0)
    now_s = 1e6
    for _ in range(5000):
        now_s += 0.1
        stall.set(True, now_s)
        now_s += 0.1
        stall.set(False, now_s)
    ten, sixty, most = stall.shares(now_s)
    assert (ten, sixty, most) == pytest.approx((0.5, 0.5, 0.5), abs=0.01)
    assert len(stall._bins) <= 301


def test_cost_and_failures_are_told_by_agent_and_tenant() -> None:
    """What it cost, how often it went again, and how often a limit was the cause."""
    from agentrm_plugins.types.verdicts import Kind, Verdict

    rm, clock = made(prices={"h/*": Price(1.0, 2.0)})
    with rm:
        host = rm._core.host
        lease = host.submit(Call("ada", "acme", endpoint="h/m"))
        host.feed(ev.Requeue(lease.ticket, Verdict(Kind.LIMIT, 429), 1.0))
        host.feed(ev.Requeue(lease.ticket, Verdict(Kind.TRANSIENT), 1.0))
        clock.advance(5)
        host.feed(ev.Requeue(lease.ticket, Verdict(Kind.TRANSIENT), 1.0))
        clock.advance(5)
        lease.settle(Usage(1_000_000, 500_000))
        seen = rm.statistics()
        agent = seen.agent("ada", tenant="acme")
        assert (agent.requeues, agent.limit_hits, agent.cost) == (2, 1, 2.0)
        assert seen.tenants["acme"].cost == seen.cost == seen.endpoints["h/m"].cost == 2.0


def crowd(count: int, **more) -> Kernel:
    kernel = Kernel(Config(lanes=8, **more))
    usage = Usage(10, 5)
    for number in range(count):
        call = Call(f"agent-{number}")
        kernel.handle(number * 0.001, ev.Submit(number, call), ev.Settle(number, usage))
    return kernel


def test_agents_that_age_out_stay_in_the_totals() -> None:
    """Nothing that they received is lost, and no more are remembered than may be."""
    kernel = crowd(500, max_idle_agents=100)
    seen = kernel.statistics()
    assert len(seen.agents) == seen.agents_known <= 101
    assert seen.forgotten.agents == 500 - seen.agents_known
    tokens = sum(agent.tokens for agent in seen.agents.values())
    assert tokens + seen.forgotten.input_tokens + seen.forgotten.output_tokens == 500 * 15
    assert sum(a.calls for a in seen.agents.values()) + seen.forgotten.calls == 500


def test_a_page_of_the_busiest_comes_first() -> None:
    """Who runs, who waits, then who called last; and any number may be asked for."""
    rm, _ = made()
    with rm:
        for number in range(20):
            rm._core.host.submit(Call(f"old-{number}")).settle()
        running = rm._core.host.submit(Call("runs"))
        waiting = rm._core.host.submit(Call("waits"))
        assert list(rm.statistics(agents=3).agents) == ["runs", "waits", "old-19"]
        assert rm.statistics(agents=False).agents == rm.statistics(agents=0).agents == {}
        assert len(rm.statistics(agents=1000).agents) == len(rm.statistics().agents) == 22
        assert rm.statistics(agents=3).agents_known == 22
        for lease in (waiting, running):
            lease.withdraw()
        with pytest.raises(ValueError, match="agents"):
            rm.statistics(agents=-1)


@pytest.mark.slow
def test_a_look_at_a_hundred_thousand_agents_is_quick() -> None:
    """Without agents far below the time of all of them; a page as well. (Bounds of a busy machine;
    the benchmark has the figures.)
    """
    kernel = crowd(100_000, max_idle_agents=1_000_000)
    best = {}
    for agents in (False, 100):
        times = []
        for _ in range(20):
            begun_s = time.perf_counter()
            seen = kernel.statistics(agents=agents)
            times.append(time.perf_counter() - begun_s)
        best[agents] = min(times)
        assert len(seen.agents) == int(agents)
    assert seen.agents_known == 100_000
    assert best[False] < 0.05
    assert best[100] < 0.1
    print(best)
