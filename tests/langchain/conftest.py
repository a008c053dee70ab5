from __future__ import annotations

import asyncio
import contextlib
import gc

import pytest

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.testing.provider import SimulatedProvider
from tests.langchain.fakes import FakeChat


@pytest.fixture
def core():
    """Make cores; each must be empty at the end of the test, and is closed."""
    made = []

    def make(**settings):
        made.append(AgentRM(**{"lanes": 1, **settings}))
        return made[-1]

    yield make
    for rm in made:
        statistics = rm.statistics()
        if statistics.running:  # an abandoned stream in a cycle
            gc.collect()
            statistics = rm.statistics()
        rm.close()
        assert (statistics.running, statistics.waiting, statistics.lanes_in_use) == (0, 0, 0)


@pytest.fixture
def rm(core):
    return core()


class Managed:
    """One way of managing a model: what to call, and the config to call it with."""

    def __init__(self, way, rm, **fields):
        self.bare = FakeChat(**fields)
        wrapped = way in {"wrapper", "both"}
        self.model = wrap_chat_model(self.bare, rm) if wrapped else self.bare
        self.handler = AgentRMCallbackHandler(rm) if way != "wrapper" else None
        self.callbacks = [self.handler] if self.handler else []
        if way == "twice":
            self.callbacks.append(AgentRMCallbackHandler(rm))
        self.config = {"callbacks": self.callbacks}


@pytest.fixture(params=["wrapper", "callback", "both", "twice"])
def managed(request, core):
    """Make a managed model: by the wrapper, by a callback, by both, by two callbacks."""
    return lambda rm, **fields: Managed(request.param, rm, **fields)


@pytest.fixture
def empty():
    """Wait until a core holds no lane: lanes that come back in a later turn of the loop."""

    async def wait(rm, turns=200):
        for _ in range(turns):
            if not rm.statistics().lanes_in_use:
                return
            gc.collect()
            await asyncio.sleep(0)
        raise AssertionError(f"still held: {rm.statistics()}")

    return wait


@pytest.fixture
def suppressed():
    return contextlib.suppress


@pytest.fixture
def start():
    made = []

    def build(**settings):
        made.append(SimulatedProvider(**{"seed": 7, **settings}))
        return made[-1].__enter__()

    yield build
    for provider in made:
        provider.__exit__(None, None, None)


@pytest.fixture
def provider(start):
    return start()


@pytest.fixture
def chat():
    import httpx2
    from langchain_openai import ChatOpenAI

    # LangChain's own async clients outlive their loops, and leave their connections to chance.
    parting = httpx2.Limits(max_keepalive_connections=0)
    loose = httpx2.AsyncClient(timeout=20, limits=parting)
    with httpx2.Client(timeout=20) as client:
        clients = {"http_client": client, "http_async_client": loose}

        def build(provider, **fields):
            fields = {"model": "simulated", "max_tokens": 40, **clients, **fields}
            return ChatOpenAI(base_url=provider.base_url, api_key="test-key", **fields)

        yield build
