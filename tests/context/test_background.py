"""Compaction as low-priority work of the same core as the model calls."""

from __future__ import annotations

import threading

import pytest

from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, LowPriority
from agentrm_plugins.hosts import VirtualClock
from tests.hosts.worlds import wait_until

CONFIG = ContextConfig(budget_tokens=1_000, soft_mark=0.6, low_mark=0.3)


def talk(turns):
    return [{"role": "user", "content": f"item {n} is KX-{n} " + "bla " * 40} for n in range(turns)]


@pytest.fixture
def clock():
    return VirtualClock()


@pytest.fixture
def rm(clock):
    with AgentRM(lanes=1, clock=clock) as made:
        yield made


def order_behind(rm, clock, ahead_s):
    """Who goes first when the lane is free, compaction or a user that came `ahead_s` later?

    Told as (who, compactions by then).
    """
    submit = LowPriority(rm)
    order = []
    with ContextLifecycle(CONFIG, submit=submit) as manager:
        session = manager.session("s")

        def user():
            with rm.slot(agent="user", priority="interactive"):
                order.append(("user", session.pressure.compactions))

        with rm.slot(agent="first"):
            view = session.prepare(talk(14))
            assert view.pressure.utilisation > CONFIG.soft_mark
            wait_until(lambda: rm.statistics().waiting == 1)
            session.prepare(talk(15))
            assert session.pressure.compactions == 0
            clock.advance(ahead_s)
            other = threading.Thread(target=user)
            other.start()
            wait_until(lambda: rm.statistics().waiting == 2)
            clock.advance(1.0)
        other.join(10)
        submit.close()
        assert session.pressure.compactions == 1
    assert rm.statistics().agents["context"].calls == 1
    return order


def test_compaction_waits_behind_calls_that_have_waited_as_long(rm, clock):
    """Above the soft mark it queues for a lane; a later user's call goes first; turns go on."""
    assert order_behind(rm, clock, 4.0) == [("user", 0)]


def test_compaction_is_not_starved(rm, clock):
    """The weight of an interactive call is eight times its own: who has waited longer goes on."""
    assert order_behind(rm, clock, 16.0) == [("user", 1)]


def test_a_core_that_refuses_stops_no_compaction(rm):
    """After the core was closed the work is done without a lane; after `close`, by the turns."""
    submit = LowPriority(rm)
    with ContextLifecycle(CONFIG, submit=submit) as manager:
        session = manager.session("s")
        rm.close()
        session.prepare(talk(14))
        submit.close()
        assert session.pressure.compactions == 1
        assert session.last_error is None
        view = session.prepare(talk(40))
        assert view.tokens <= CONFIG.budget_tokens
        assert isinstance(session.last_error, RuntimeError)


def test_an_unknown_group_is_named(rm):
    """The error tells which groups there are."""
    with pytest.raises(ConfigError, match="'model'"):
        LowPriority(rm, group="contxt")
