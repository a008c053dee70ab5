"""A pytest plugin for users' own tests: fixtures, and short words for cassettes that do not fit.

Put `pytest_plugins = ["agentrm_plugins.testing.fixtures"]` in your top `conftest.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import pytest

from agentrm_plugins.testing.cassettes import mismatch_in, vcr_config
from agentrm_plugins.testing.provider import SimulatedProvider

__all__ = ["pytest_runtest_call", "simulated_provider", "vcr_config_of_agentrm"]


@pytest.fixture
def simulated_provider() -> Iterator[SimulatedProvider]:
    """A running provider without limits or faults; shape it with `reconfigure` and `script`."""
    with SimulatedProvider() as provider:
        yield provider


@pytest.fixture(scope="module", name="vcr_config")
def vcr_config_of_agentrm() -> dict[str, Any]:
    """Settings for pytest-recording; a `vcr_config` of your own goes before this one."""
    return vcr_config()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """A request that no recording fits fails its test with what differs, not with the SDK's stack.

    Raises:
        CassetteMismatch: Instead of vcrpy's own error.
    """
    del item
    try:
        return (yield)
    except Exception as error:
        found = mismatch_in(error)
        if found is None:
            raise
        raise found from None
