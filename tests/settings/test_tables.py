"""A setting that is a table, or a list, is checked when it is made: it is `ConfigError` at once."""

from __future__ import annotations

import pytest

from agentrm_plugins.config import Config, SchedulerConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.provider import Provider

NO_TABLES = (5, 2.5, True, "batch", b"batch", None, [], [5], (1,), ..., {1}, len)
TABLES = [
    *((SchedulerConfig, name) for name in ("hint_weights", "start_levels")),
    *((Provider, name) for name in ("statuses", "codes", "names", "words")),
    *((Config, name) for name in ("tenants", "endpoints", "prices")),
]
LISTS = [(Provider, name) for name in ("billing", "quota", "too_long", "limits", "waits")]


def make(kind, name, value):
    kind(**({"name": "p"} if kind is Provider else {}), **{name: value})


@pytest.mark.parametrize("given", NO_TABLES)
@pytest.mark.parametrize(("kind", "name"), TABLES)
def test_what_is_no_table(kind, name, given):
    """The field is named."""
    with pytest.raises(ConfigError, match=name):
        make(kind, name, given)


@pytest.mark.parametrize("given", [5, 2.5, True, "words", b"words", None, ..., {"a": 1}, len])
@pytest.mark.parametrize(("kind", "name"), LISTS)
def test_what_is_no_list(kind, name, given):
    """A text is none, nor is a table."""
    with pytest.raises(ConfigError, match=name):
        make(kind, name, given)
