from __future__ import annotations

import httpx2

from agentrm_plugins.testing.fixtures import simulated_provider

__all__ = ["simulated_provider"]


def test_the_fixture_gives_a_running_provider(simulated_provider):
    """A user's test gets a provider by name and can shape it."""
    simulated_provider.reconfigure(error_rate=1.0, error_statuses=(503,))
    body = {"model": "m", "input": "hi"}
    answer = httpx2.post(f"{simulated_provider.base_url}/responses", json=body)
    assert answer.status_code == 503
