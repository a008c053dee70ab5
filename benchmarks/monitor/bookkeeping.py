"""A core that keeps nothing for the monitor, as far as that can be separated.

What is left out: histograms of waits, pressure, who runs and who waits for what, token rates that
only people read, and the history of events that stories are told from. What decides (service,
tokens that are charged, rates of endpoints) stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from agentrm_plugins.kernel.gauges import Gauges
from agentrm_plugins.types.accounts import Recent
from agentrm_plugins.types.histogram import Histogram

__all__ = ["LEFT_OUT", "without_bookkeeping"]

LEFT_OUT = (
    "waits as histograms",
    "pressure",
    "causes of waits",
    "token rates",
    "the last 4,096 events",
)


def _nothing(*_: Any, **__: Any) -> None:
    """What is left out."""


@contextmanager
def without_bookkeeping() -> Iterator[None]:
    """In this block every core of the process keeps nothing for people."""
    with ExitStack() as stack:
        for owner, name in (
            (Gauges, "look"), (Gauges, "hold"), (Histogram, "add"), (Recent, "add"),
        ):  # fmt: skip
            stack.enter_context(patch.object(owner, name, _nothing))
        yield
