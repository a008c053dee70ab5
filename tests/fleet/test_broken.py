"""An exchange that fails as nobody expected: an outage by its rule, told once, that heals."""

from __future__ import annotations

import gc
import logging
import threading
import time

import pytest

from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    Coordination,
    CoordinatorUnavailable,
    EndpointConfig,
)
from agentrm_plugins.fleet import exchanger
from agentrm_plugins.fleet.link import Unreachable
from tests.fleet.test_servers import works
from tests.hosts.worlds import wait_until


def core(server, namespace, **terms):
    settings = {"lease_s": 1.0, **terms}
    return AgentRM(lanes=4, coordination=Coordination(server.url, namespace, **settings))


def garbled(real):
    """The server answers, and its answer lacks what every answer has."""

    def exchange(asked):
        answer = real(asked)
        answer.pop("held", None)
        return answer

    return exchange


def raising(_real):
    def exchange(_asked):
        raise ZeroDivisionError("nobody thought of this")

    return exchange


@pytest.fixture
def told(caplog):
    caplog.set_level(logging.WARNING, "agentrm.fleet")
    return lambda words: [r for r in caplog.records if words in r.getMessage()]


def state(rm):
    return rm._fleet.statistics()


@pytest.mark.parametrize("how", [garbled, raising])
def test_whatever_goes_wrong_is_an_outage(server, namespace, told, how):
    """After the lease the process goes on with its part; each reason stands in the log once."""
    with core(server, namespace) as rm, core(server, namespace) as other:
        assert works(rm, lanes=4)
        wait_until(lambda: state(rm).members == 2, "the other")
        link = rm._fleet._link
        real, link.exchange = link.exchange, how(link.exchange)
        wait_until(lambda: state(rm).state == "alone", "the outage")
        assert works(rm, lanes=2)  # its part
        wait_until(lambda: state(rm).outage_s > 1.5, "some more tries")
        assert state(rm).outages == 1
        assert len(told("an exchange with the fleet failed")) == 1
        assert len(told("cannot be reached")) == 1
        assert state(rm).error.startswith(("KeyError", "ZeroDivisionError"))
        link.exchange = real
        wait_until(lambda: state(rm).state == "joined", "the end of the outage")
        assert works(rm, lanes=4)
        assert not state(rm).error
        wait_until(lambda: state(other).members == 2, "both")


def test_refuse_holds_for_it_as_well(server, namespace):
    """Who wants no call without the server gets none."""
    with core(server, namespace, on_outage="refuse") as rm:
        rm._fleet._link.exchange = raising(None)
        wait_until(lambda: state(rm).state == "alone", "the outage")
        with pytest.raises(CoordinatorUnavailable), rm.slot(agent="a"):
            pass


def test_what_the_kernel_wants_cannot_be_told(server, namespace, told, monkeypatch):
    """The question itself fails: the rule goes by what was wanted last."""
    with core(server, namespace) as rm:
        assert works(rm, lanes=4)

        def broken(_kernel):
            raise RuntimeError("a bug of ours")

        monkeypatch.setattr(exchanger, "demand", broken)
        wait_until(lambda: rm._fleet.member.state == "alone", "the outage")
        assert works(rm, lanes=4)
        monkeypatch.undo()
        wait_until(lambda: state(rm).state == "joined", "the end of the outage")
        assert len(told("a bug of ours")) == 1


def test_a_core_that_is_held_for_long_is_collected_in_the_end(server, namespace):
    """However many exchanges somebody holds it for after its owner has gone."""
    forgotten = core(server, namespace)
    assert works(forgotten, lanes=4)
    held, threads = [forgotten._fleet], list(forgotten._fleet._threads)
    gc.disable()
    try:
        del forgotten
        gc.collect()
        begun = held[0].member.exchanges
        wait_until(lambda: held[0].member.exchanges > begun + 8, "many exchanges")
        held.clear()
        for thread in threads:
            thread.join(20)
            assert not thread.is_alive()
    finally:
        gc.enable()


def ill(rm):
    """Its answers cannot be used any more. How many it gets is noted."""
    tries = []

    def answered(*_given, **_named):
        tries.append(1)
        raise ZeroDivisionError("nobody thought of this")

    rm._fleet.member.answered = answered
    return tries


def test_who_cannot_use_answers_takes_nothing_from_the_others(server, namespace):
    """An ill process asks ever less often, for one call, and gives back what it was granted: the
    others have the lanes, the rate and the budget that it does not use.
    """
    terms = Coordination(server.url, namespace, lease_s=1.0)
    told = {
        "lanes": 4,
        "endpoints": {"x.test": EndpointConfig(rpm=1200)},
        "budgets": [BudgetConfig(tenant="t", resource="calls", limit=1000)],
    }
    over = threading.Event()
    with AgentRM(coordination=terms, **told) as rm, AgentRM(coordination=terms, **told) as other:
        wait_until(lambda: state(rm).members == 2, "the other")

        def works_on():
            while not over.is_set():
                with rm.slot(agent="a", tenant="t", endpoint="x.test"):
                    over.wait(0.02)

        threads = [threading.Thread(target=works_on) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.3)
        tries = ill(rm)
        wait_until(lambda: state(rm).state == "alone", "the outage")
        wait_until(lambda: state(rm).outage_s > 2.0, "some more tries")
        done = 0
        until_s = time.monotonic() + 2.0
        while time.monotonic() < until_s:
            with other.slot(agent="b", tenant="u", endpoint="x.test"):
                done += 1
        over.set()
        for thread in threads:
            thread.join()
        assert len(tries) < 10
        assert done > 25  # of forty
        del rm._fleet.member.answered
        wait_until(lambda: state(rm).state == "joined", "the end of the outage")


def test_what_runs_in_an_ill_process_is_not_spent_with_each_try(server, namespace):
    """What a lost member reserved counts as spent: once, and not for each answer it cannot use."""
    terms = Coordination(server.url, namespace, lease_s=1.0)
    told = {"lanes": 4, "budgets": [BudgetConfig(tenant="t", resource="calls", limit=30)]}
    with AgentRM(coordination=terms, **told) as rm, AgentRM(coordination=terms, **told) as other:
        wait_until(lambda: state(rm).members == 2, "the other")
        with rm.slot(agent="a", tenant="t"), rm.slot(agent="b", tenant="t"):
            time.sleep(0.3)
            ill(rm)
            wait_until(lambda: state(rm).state == "alone", "the outage")
            wait_until(lambda: state(rm).outage_s > 2.0, "some more tries")
            for _ in range(24):  # of thirty: two run, and are counted twice at most
                with other.slot(agent="c", tenant="t"):
                    pass


def test_what_fails_after_an_answer_is_said_once_as_well(server, namespace, told):
    """The server is not reached again before all of an answer was taken in."""
    with core(server, namespace) as rm:
        rm._fleet._fold = lambda: 1 / 0
        wait_until(lambda: state(rm).state == "alone", "the outage")
        wait_until(lambda: state(rm).outage_s > 1.0, "some more tries")
        assert len(told("an exchange with the fleet failed")) == 1
        assert not told("is reached again")
        del rm._fleet._fold
        wait_until(lambda: state(rm).state == "joined", "the end of the outage")
        wait_until(lambda: bool(told("is reached again")), "that it is said")


def test_the_second_outage_is_as_the_first(server, namespace):
    """Whoever comes back has no fewer places at an endpoint whose calls in flight nobody limits."""
    terms = Coordination(server.url, namespace, lease_s=1.0)
    told = {"lanes": 4, "endpoints": {"x.test": EndpointConfig(rpm=6000)}}

    def away(_asked):
        raise Unreachable("the server is away")

    with AgentRM(coordination=terms, wait_timeout_s=5.0, **told) as rm:
        link = rm._fleet._link
        real = link.exchange
        for _ in range(2):
            with rm.slot(agent="a", endpoint="x.test"):
                pass
            link.exchange = away
            wait_until(lambda: state(rm).state == "alone", "the outage")
            with rm.slot(agent="a", endpoint="x.test"):
                pass
            link.exchange = real
            wait_until(lambda: state(rm).state == "joined", "the end of the outage")
