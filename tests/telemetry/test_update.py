"""`rm.update`: a running core takes new lanes, limits, budgets and priorities."""

from __future__ import annotations

import threading

import pytest

from agentrm_plugins import (
    AgentEnded,
    AgentRM,
    BudgetConfig,
    BudgetExceeded,
    Call,
    ClosedError,
    Config,
    ConfigError,
    EndpointConfig,
    LaneGroup,
    ShareConfig,
    TenantConfig,
    Usage,
)
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.telemetry import answers
from agentrm_plugins.telemetry.changing import arguments


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


def checked(rm: AgentRM) -> None:
    rm._core.host.read(lambda kernel: kernel.validate())


def test_more_lanes_let_waiting_calls_go_at_once(clock: VirtualClock) -> None:
    """Those that wait are granted in their order, and nobody is lost."""
    with AgentRM(lanes=1, clock=clock) as rm:
        leases = [rm._core.host.submit(Call(f"a{n}")) for n in range(5)]
        assert rm.update(lanes=3).lanes == rm.config.lanes == 3
        assert [lease.decided for lease in leases] == [True] * 3 + [False] * 2
        assert rm.statistics().groups["model"].capacity == 3
        checked(rm)
        for lease in leases:
            lease.settle()
        assert rm.statistics().settled == 5
        checked(rm)


def test_fewer_lanes_end_no_call(clock: VirtualClock) -> None:
    """Running calls go on; nobody starts until there are fewer than the new bound."""
    with AgentRM(lanes=4, clock=clock) as rm:
        leases = [rm._core.host.submit(Call(f"a{n}")) for n in range(6)]
        rm.update(lanes=2)
        checked(rm)
        assert rm.statistics().running == 4
        for lease in leases[:2]:
            lease.settle()
        checked(rm)
        assert rm.statistics().running == 2
        leases[2].settle()
        assert (rm.statistics().running, rm.statistics().waiting) == (2, 1)
        for lease in leases[3:]:
            lease.settle()
        checked(rm)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"lanes": 0}, "lanes"),
        ({"lanes": 2.5}, "lanes"),
        ({"lanes": 3, "max_waiting": -1}, "max_waiting"),
        ({"lanes": 3, "endpoints": {"x": 5}}, "endpoints"),
        ({"lanes": 3, "groups": [LaneGroup("other", 3)]}, "groups"),
        ({"lanes": 3, "priorities": {"ada": "urgent"}}, "priority"),
        ({"lanes": 3, "budgets": [BudgetConfig(1, agent="*", resource="cost")]}, "prices"),
        ({"config": Config(lanes=3), "lanes": 3}, "lanes"),
    ],
)
def test_nothing_changes_if_anything_is_wrong(fields: dict, name: str, clock: VirtualClock) -> None:
    """The error names the field; the lanes that were right stay as they were too."""
    with AgentRM(lanes=1, clock=clock) as rm:
        running = rm._core.host.submit(Call("ada"))
        waiting = rm._core.host.submit(Call("bob"))
        with pytest.raises(ConfigError, match=name):
            rm.update(**fields)
        assert rm.config.lanes == rm.statistics().lanes == 1
        assert not waiting.decided
        checked(rm)
        running.settle()
        waiting.settle()


def test_what_a_running_core_keeps_is_said() -> None:
    """The order cannot change, a field that does not exist has a suggestion, a closed core none."""
    with AgentRM(lanes=1) as rm:
        with pytest.raises(ConfigError, match="make a new AgentRM"):
            rm.update(Config(lanes=1, scheduler=rm.config.scheduler.__class__(order="fifo")))
        with pytest.raises(ConfigError, match="did you mean 'lanes'"):
            rm.update(lane=3)
    with pytest.raises(ClosedError):
        rm.update(lanes=2)


def test_a_new_limit_holds_from_now_on(clock: VirtualClock) -> None:
    """A raised limit lets go who waits for it, a lowered one slows the next."""
    told = {"h/*": EndpointConfig(rpm=6, burst_s=10)}
    with AgentRM(lanes=8, clock=clock, endpoints=told, adaptive=False) as rm:
        host = rm._core.host
        first = host.submit(Call("a", endpoint="h/m"))
        waits = host.submit(Call("b", endpoint="h/m"))
        clock.advance(1)
        assert not waits.decided
        rm.update(endpoints={"h/*": EndpointConfig(rpm=60, burst_s=10)})
        assert rm.statistics().endpoints["h/m"].rates["requests"].limit_per_min == 60
        assert waits.decided
        checked(rm)
        rm.update(endpoints={"h/*": EndpointConfig(rpm=60, burst_s=10, concurrency=2)})
        third = host.submit(Call("c", endpoint="h/m"))
        clock.advance(60)
        assert not third.decided
        first.settle()
        assert third.decided
        rm.update(endpoints={})
        for lease in (waits, third):
            lease.settle()
        checked(rm)


def test_a_budget_keeps_what_was_spent(clock: VirtualClock) -> None:
    """Raised, lowered, joined by another, taken away: calls that hold some of it settle well."""
    with AgentRM(lanes=8, clock=clock, budgets=[BudgetConfig(100, agent="*")]) as rm:
        host = rm._core.host
        host.submit(Call("ada", estimate=Usage(60))).settle(Usage(60))
        running = host.submit(Call("ada", estimate=Usage(30)))
        with pytest.raises(BudgetExceeded):
            host.submit(Call("ada", estimate=Usage(20))).result()
        rm.update(budgets=[BudgetConfig(5, tenant="x"), BudgetConfig(150, agent="*")])
        checked(rm)
        last = host.submit(Call("ada", estimate=Usage(20)))
        assert last.result()
        with pytest.raises(BudgetExceeded, match="has 40 of 150"):
            host.submit(Call("ada", estimate=Usage(60))).result()
        running.settle(Usage(30))
        rm.update(budgets=[], shares=[ShareConfig(0.5, agent="*")])
        checked(rm)
        last.settle(Usage(20))
        checked(rm)
        host.submit(Call("ada", estimate=Usage(10**6))).settle()


def test_groups_and_ceilings_change_with_calls_under_way(clock: VirtualClock) -> None:
    """A new group can be asked for, a ceiling counts what is held already."""
    with AgentRM(lanes=4, clock=clock) as rm:
        host = rm._core.host
        two = [host.submit(Call("ada", "acme")) for _ in range(2)]
        rm.update(groups=[LaneGroup("model", 4, per_agent=2, per_tenant=3), LaneGroup("tool", 1)])
        checked(rm)
        third = host.submit(Call("ada", "acme"))
        others = [host.submit(Call(f"b{n}", "acme")) for n in range(2)]
        assert [third.decided, others[0].decided, others[1].decided] == [False, True, False]
        with rm.slot(agent="t", group="tool"):
            checked(rm)
        rm.update(groups=[LaneGroup("model", 4)])
        checked(rm)
        assert third.decided
        for lease in [*two, third, *others]:
            lease.settle()
        with pytest.raises(ConfigError, match="group"):
            rm.slot(agent="t", group="tool")


def test_priorities_change_who_goes_next(clock: VirtualClock) -> None:
    """A waiting agent that is made interactive overtakes; one not seen yet starts so."""
    with AgentRM(lanes=1, clock=clock) as rm:
        host = rm._core.host
        running = host.submit(Call("r"))
        batch = [host.submit(Call(f"b{n}", priority="background")) for n in range(3)]
        clock.advance(1)
        rm.update(priorities={"b2": "interactive", "acme/later": "batch"})
        checked(rm)
        running.settle()
        clock.advance(1)
        assert batch[2].decided
        for lease in batch:
            lease.settle()
        rm.update(tenants={"acme": TenantConfig(3.0)})
        host.submit(Call("later", "acme", priority="interactive")).settle()
        assert rm.statistics().tenants["acme"].weight == 3.0


def test_a_drained_agent_gets_no_new_calls(clock: VirtualClock) -> None:
    """What it has under way ends well, and it can be let in again."""
    with AgentRM(lanes=1, clock=clock) as rm:
        host = rm._core.host
        running, waiting = host.submit(Call("ada")), host.submit(Call("ada"))
        rm.drain("ada")
        with pytest.raises(AgentEnded, match="drained"):
            host.submit(Call("ada")).result()
        host.submit(Call("ada", "acme")).withdraw()
        running.settle()
        assert waiting.decided
        waiting.settle()
        rm.drain("ada", drain=False)
        host.submit(Call("ada")).settle()
        checked(rm)


def test_two_who_change_fields_of_one_entry_lose_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change is laid over what holds when it is made, not when it was asked for."""
    with AgentRM(lanes=1, endpoints={"h/*": EndpointConfig(rpm=60)}) as rm:
        other = threading.Thread(
            target=answers.answer,
            args=(rm, {"do": "change", "endpoints": {"h/*": {"concurrency": 7}}}),
        )

        def slow(fields: dict, over: Config) -> dict:
            made = arguments(fields, over)
            if threading.current_thread() is not other:
                other.start()
                other.join(0.2)
            return made

        monkeypatch.setattr(answers, "arguments", slow)
        answers.answer(rm, {"do": "change", "endpoints": {"h/*": {"rpm": 30}}})
        other.join()
        assert rm.config.endpoints == {"h/*": EndpointConfig(rpm=30, concurrency=7)}


def test_changes_from_many_threads_under_load_lose_nothing() -> None:
    """Lanes, limits and budgets change while calls go; every call ends, and the books are right."""
    rm = AgentRM(lanes=4, endpoints={"h/*": EndpointConfig(rpm=1e6, tpm=1e9)})
    failed: list[BaseException] = []

    def work(agent: str) -> None:
        try:
            for _ in range(60):
                with rm.slot(agent=agent, endpoint="h/m", estimate=Usage(10, 10)):
                    pass
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"a{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        rm.update(
            lanes=1 + turn % 5,
            endpoints={"h/*": EndpointConfig(rpm=1e6 + turn, tpm=1e9)},
            budgets=[BudgetConfig(1e9, agent="*"), BudgetConfig(1e9, tenant="*")][turn % 3 :],
            priorities={f"a{turn % 6}": ("batch", "interactive")[turn % 2]},
        )
        checked(rm)
    for thread in threads:
        thread.join(60)
    assert not failed
    assert rm.statistics().settled == 360
    checked(rm)
    rm.close()
