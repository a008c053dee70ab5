"""A pytest fixture for users' own tests.

Put `pytest_plugins = ["agentrm_plugins.testing.fixtures"]` in your top `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentrm_plugins.testing.provider import SimulatedProvider

__all__ = ["simulated_provider"]


@pytest.fixture
def simulated_provider() -> Iterator[SimulatedProvider]:
    """A running provider without limits or faults; shape it with `reconfigure` and `script`."""
    with SimulatedProvider() as provider:
        yield provider
