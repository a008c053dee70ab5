"""Compaction as low-priority work of the same core as the model calls."""

from __future__ import annotations

import threading

import pytest

from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, LowPriority
from tests.hosts.worlds import wait_until

CONFIG = ContextConfig(budget_tokens=1_000, soft_mark=0.6, low_mark=0.3)


def talk(turns):
    return [{"role": "user", "content": f"item {n} is KX-{n} " + "bla " * 40} for n in range(turns)]


@pytest.fixture
def rm():
    with AgentRM(lanes=1) as made:
        yield made


def test_compaction_waits_behind_every_other_call(rm):
    """Above the soft mark it queues for a lane; a later user's call goes first; turns go on."""
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
            other = threading.Thread(target=user)
            other.start()
            wait_until(lambda: rm.statistics().waiting == 2)
        other.join(10)
        submit.close()
        assert order == [("user", 0)]
        assert session.pressure.compactions == 1
    assert rm.statistics().agents["context"].calls == 1


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
