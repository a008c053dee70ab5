"""Budgets, shares of rates and agents' levels are the fleet's, not the process's."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from agentrm_plugins import AgentRM, BudgetConfig, BudgetExceeded, Coordination
from agentrm_plugins.policy.fleet.state import Fleet, Member
from agentrm_plugins.policy.fleet.tallies import Tallies, tally, write_off
from agentrm_plugins.policy.spending.budget import Budget
from agentrm_plugins.types.fleet import TallyDemand
from tests.hosts.worlds import wait_until

TEN = BudgetConfig(tenant="acme", resource="calls", limit=10)


def core(server, namespace, **more):
    terms = Coordination(server.url, namespace, lease_s=2.0)
    return AgentRM(lanes=8, coordination=terms, budgets=[TEN], **more)


def call(rm):
    with rm.slot(agent="ada", tenant="acme"):
        pass


def spend(rm, most):
    """So many calls at most; how many went."""
    for number in range(most):
        try:
            call(rm)
        except BudgetExceeded:
            return number
    return most


def spent(rm):
    ledgers = rm._host.kernel.books.ledgers.ledgers.values()
    return sum(ledger.spent(rm._host.clock.now()) for ledger in ledgers)


def test_a_budget_is_the_fleets(server, namespace):
    """What one process spends, another cannot; who joins late knows what was spent before."""
    with core(server, namespace) as first, core(server, namespace) as second:
        assert spend(first, 6) == 6
        assert spend(second, 1) == 1
        wait_until(lambda: spent(second) == 7, "what the first has spent")
        assert spend(second, 20) == 3
        with core(server, namespace) as third:
            wait_until(lambda: spend(third, 1) == 0, "the history")
            with pytest.raises(BudgetExceeded):
                call(third)


def test_what_is_reserved_counts_for_all(server, namespace):
    """Calls that run elsewhere hold their part, and give it back at their end."""
    with core(server, namespace) as first, core(server, namespace) as second:
        assert spend(second, 1) == 1
        with first.slot(agent="ada", tenant="acme"):
            wait_until(lambda: spent(second) == 2, "what the first has reserved")
        wait_until(lambda: spent(first) == spent(second) == 2, "one sum")


def test_no_spending_is_lost_with_the_servers_data(own_server, namespace):
    """After FLUSHALL the sum goes on from what the members know."""
    with core(own_server, namespace) as first, core(own_server, namespace) as second:
        assert spend(first, 6) == 6
        assert spend(second, 1) == 1
        wait_until(lambda: spent(first) == spent(second) == 7, "one sum")
        own_server.client().flushall()
        assert spend(second, 1) == 1  # It waits until the server's new state gives lanes again.
        wait_until(lambda: spent(first) == 8, "the sum in the other process")
        assert spend(first, 9) == 2


def test_whoever_is_lost_has_spent_what_was_reserved():
    """A member that is given up: what it had reserved is spent; an exchange counts once."""
    fleet, lost, other = Fleet(), Member(1), Member(2)

    def tells(member, name, own, reserved):
        row = [f"{name}#1", own, 0.0, 0.0, 0.0, reserved, 0]
        return tally(fleet, member, {"m": name, "tally": {"b": row}}, 1e12)["b"]

    assert tells(lost, "lost", 3, 2) == [3, 3, 0]
    assert tells(lost, "lost", 3, 2) == [3, 3, 0]
    assert tells(other, "other", 1, 0) == [4, 4, 2]
    write_off(fleet, lost, 1e12)
    assert tells(other, "other", 1, 0) == [6, 6, 0]


class Teller:
    """A member that tells of one sum."""

    def __init__(self, fleet, name, window=0):
        self.fleet, self.name, self.window = fleet, name, window
        self.member, self.own, self.told = Member(1), {}, (0.0, 0.0, 0.0)

    def tells(self, own, reserved=0.0, at=1e12, number=1):
        before = self.own.get(number, 0.0)
        row = [f"{self.name}#{number}", own, before, *self.told[:2], reserved, self.window]
        asked = {"m": self.name, "tally": {"b": row}}
        self.told = tally(self.fleet, self.member, asked, at)["b"]
        self.own[number] = own
        return self.told[0]


def test_a_sum_follows_corrections_to_the_last_digit():
    """A refund, a rounding error, a hung call's true cost: the difference counts, up or down."""
    fleet = Fleet()
    one, other = Teller(fleet, "one"), Teller(fleet, "other")
    other.tells(0.0)
    for own in (0.0, 1000.0, 300.0, 1300.0, 600.0, 600.0 - 1e-10):
        one.tells(own)
    assert other.tells(0.0) == pytest.approx(600.0)
    assert one.tells(5.0, number=2) == pytest.approx(605.0)  # begun anew: what it had stays


def test_a_share_and_a_budget_tell_what_was_used():
    """What a call reserves and gives back, and what others have spent, add up to what was used."""
    fleet, budget = Fleet(), Budget("b", "tokens", 1e9, window_s=60.0)
    one, other = Teller(fleet, "one", 60_000), Teller(fleet, "other", 60_000)
    for step in range(200):
        now_s, used = float(step), 0.1 * (step % 7)
        budget.settle(0.0, used, now_s)
        budget.settle(0.0, -used / 3, now_s)  # a hung call's end was heard of
        budget.elsewhere(0.1, 0.0, now_s)
        one.tells(budget.own, at=now_s * 1000)
        other.tells(0.0, at=now_s * 1000)
    expected = sum(0.1 * (step % 7) for step in range(200)) * 2 / 3
    assert other.tells(0.0, at=2e5) == pytest.approx(expected)


def test_reservations_of_a_fleet_that_was_lost_are_spent():
    """The sum outlives the members: who had reserved is not there any more to give back."""
    fleet = Fleet()
    fleet.born = 1.0
    Teller(fleet, "killed").tells(3.0, reserved=500.0)
    fleet.members.clear()
    fleet.born = 2.0  # all else expired after an hour
    newcomer = Teller(fleet, "newcomer")
    assert newcomer.tells(0.0) == 503.0
    assert newcomer.told[2] == 0.0


def test_an_agents_service_counts_in_each_process(server, namespace):
    """Who has worked for long in one process is not new in another."""
    terms = Coordination(server.url, namespace)
    with (
        AgentRM(lanes=2, coordination=terms) as first,
        AgentRM(lanes=2, coordination=terms) as second,
    ):

        def recent(rm):
            return rm.statistics().agents["ada"].recent_service_s

        with first.slot(agent="ada"):
            wait_until(lambda: recent(first) > 1.5, "some service")
            with second.slot(agent="ada"):
                wait_until(lambda: recent(second) > 1.0, "what it had elsewhere")


def test_a_call_that_cost_nothing_gives_back_what_it_reserved(server, namespace):
    """The budget is forgotten here as soon as nothing is spent of it; the others hear of that."""
    with core(server, namespace) as first, core(server, namespace) as second:
        with pytest.raises(ValueError, match="nothing"), first.slot(agent="ada", tenant="acme"):
            raise ValueError("nothing")
        assert spend(second, 1) == 1
        wait_until(lambda: reserved(second) == 0, "nothing reserved elsewhere")


def test_a_sum_that_is_gone_reserves_nothing():
    """Whether its budget was taken out or it was empty: what was reserved is told to be free."""
    told = Tallies("one")
    row = told.request({"b": TallyDemand(1, 0.0, 5.0, window_s=60.0)}, 0.0)["b"]
    assert row[5] == 5.0
    told.answered({"b": [0.0, 0.0, 0.0]}, 0.0)
    assert told.request({}, 1.0) == {"b": ["one#1", 0.0, 0.0, 0.0, 0.0, 0.0, 60_000.0]}
    told.answered({"b": [0.0, 0.0, 0.0]}, 1.0)
    assert told.request({}, 2.0) == {}


def reserved(rm):
    ledgers = rm._host.kernel.books.ledgers.ledgers.values()
    return sum(ledger.reserved_elsewhere for ledger in ledgers)


def burst(cores, calls, hold_s=0.0):
    """So many calls in each process at one instant; how many went."""
    gate, went = threading.Barrier(len(cores) * calls), []

    def go(rm):
        gate.wait(20)
        try:
            with rm.slot(agent="ada", tenant="acme"):
                time.sleep(hold_s)
                went.append(rm)
        except BudgetExceeded:
            pass

    threads = [threading.Thread(target=go, args=(rm,)) for rm in cores for _ in range(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    return len(went)


@pytest.mark.parametrize("hold_s", [0.0, 0.3])
def test_a_hard_budget_is_never_passed_however_many_begin_at_once(server, namespace, hold_s):
    """Five processes, eight calls each at one instant, room for ten: ten go."""
    with contextlib.ExitStack() as stack:
        cores = [stack.enter_context(core(server, namespace)) for _ in range(5)]
        assert burst(cores, 8, hold_s) == 10
        assert burst(cores, 1, hold_s) == 0
        wait_until(lambda: all(spent(rm) == 10 for rm in cores), "one sum")
        for rm in cores:
            rm._host.read(lambda kernel: kernel.validate())


def test_calls_that_wait_for_the_server_go_on_when_it_is_away(own_server, namespace):
    """Without the server each goes by what it knows; nobody waits for an answer for ever."""
    terms = Coordination(own_server.url, namespace, lease_s=1.0)
    with AgentRM(lanes=8, coordination=terms, budgets=[TEN]) as rm:
        assert spend(rm, 4) == 4
        own_server.pause()
        try:
            assert spend(rm, 20) == 6
        finally:
            own_server.go_on()
        wait_until(lambda: rm._fleet.statistics().state == "joined", "the server")
        assert spend(rm, 1) == 0
