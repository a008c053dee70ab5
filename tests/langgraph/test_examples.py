"""The examples of graphs run as they stand, against the simulated provider."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from agentrm_plugins.testing.provider import ProviderConfig, SimulatedProvider

pytest.importorskip("langchain_openai")
pytestmark = pytest.mark.lowest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # LangGraph reads a state's hints where its class was made
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedProvider]:
    config = ProviderConfig(seed=7, time_scale=0.01)
    with SimulatedProvider(config) as running:
        monkeypatch.setenv("OPENAI_BASE_URL", running.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yield running


async def test_supervisor(provider: SimulatedProvider) -> None:
    """Each worker is the supervisor's child, and all of them share two lanes."""
    result = await example("supervisor").main(provider.base_url)
    assert result["answer"]
    assert len(result["findings"]) == 3
    parents = {name: seen.parent for name, seen in result["agents"].items()}
    workers = {f"worker {role}": "supervisor" for role in ("research", "writing", "review")}
    assert parents == {"supervisor": None, **workers}
    assert provider.statistics().peak_concurrency <= 2


async def test_map_reduce(provider: SimulatedProvider) -> None:
    """Three hundred branches finish, with never more than eight requests at once."""
    result = await example("map_reduce").main(provider.base_url)
    assert result["total"] == 300
    assert 1 <= result["lanes_peak"] <= 8  # how many, the slow start to an unknown endpoint decides
    assert provider.statistics().peak_concurrency <= 8


async def test_fastapi_service(provider: SimulatedProvider) -> None:
    """Twenty requests at once share the lanes, and the service ends with nothing held."""
    pytest.importorskip("fastapi")
    httpx = pytest.importorskip("httpx")
    app = example("fastapi_service").service(lanes=3)
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        asked = [client.post(f"/threads/{n}", params={"text": "hello"}) for n in range(20)]
        replies = await asyncio.gather(*asked)
        assert all(reply.status_code == 200 and reply.text for reply in replies)
        health = (await client.get("/health")).json()
        assert (health["running"], health["waiting"]) == (0, 0)
        assert 1 <= health["peak"] <= 3
    assert provider.statistics().peak_concurrency <= 3
