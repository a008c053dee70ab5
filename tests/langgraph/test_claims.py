"""Who claims one session of a LangGraph store holds nobody up who claims another."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from langgraph.store.base import SearchOp
from langgraph.store.memory import InMemoryStore

from agentrm_langgraph import LangGraphColdStore
from agentrm_plugins import SessionKey

HELD, OTHER = SessionKey("acme", "held"), SessionKey("acme", "other")
GUARD_S = 30


class HeldStore(InMemoryStore):
    """Looks for rivals of one session only once it is let go."""

    def __init__(self):
        super().__init__()
        self.looking, self.let_go = threading.Event(), threading.Event()

    def batch(self, ops):
        ops = list(ops)
        looked = [one.namespace_prefix for one in ops if isinstance(one, SearchOp)]
        if any(place[-1] == "claims" and "held" in place[-2] for place in looked):
            self.looking.set()
            assert self.let_go.wait(GUARD_S)
        return super().batch(ops)


@pytest.fixture
def store():
    return HeldStore()


def test_a_contest_holds_its_own_session_only(store):
    """While one session is contested, another of the same store is claimed, written and read."""
    cold = LangGraphColdStore(store)
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(cold.claim, HELD, "ada:1", 10.0)
        try:
            assert store.looking.wait(GUARD_S)
            assert pool.submit(cold.claim, OTHER, "ada:1", 10.0).result(GUARD_S).owner == ""
            assert cold.owned(OTHER).owner == "ada:1"
            assert cold.digests(OTHER) == []
            assert not held.done()
        finally:
            store.let_go.set()
        assert held.result(GUARD_S).owner == ""
    assert cold.owned(HELD).owner == "ada:1"


def test_two_threads_that_claim_one_session_take_turns(store):
    """The second one sees the first one's claim: it is the same owner's, with one number."""
    cold = LangGraphColdStore(store)
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(cold.claim, HELD, "ada:1", 10.0) for _ in range(2)]
        assert store.looking.wait(GUARD_S)
        store.let_go.set()
        assert sorted(one.result(GUARD_S).token for one in both) == [0, 1]
    assert cold.owned(HELD).token == 1
