"""A managed function that is a managed graph's node passes one gate, not two.

The function carries its gate as an attribute. The graph's node takes that gate over and waits at
it where waiting is cheap (in the event loop, for an async run), and the function within walks
through.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentrm_langgraph.gate import Gate

__all__ = ["GATE", "gate_of", "hoisted", "passed"]

GATE = "__agentrm_gate__"
_PASSED: ContextVar[Gate | None] = ContextVar("agentrm_passed", default=None)


def gate_of(function: Any) -> Gate | None:
    """The gate that a managed function or runnable carries; None if it is not managed."""
    function = getattr(function, "__func__", function)
    found = getattr(function, "__dict__", {}).get(GATE)
    return found if found is not None else getattr(function, "agentrm_gate", None)


@contextmanager
def hoisted(gate: Gate) -> Iterator[None]:
    """A node runs that has passed this gate."""
    token = _PASSED.set(gate)
    try:
        yield
    finally:
        _PASSED.reset(token)


def passed(gate: Gate) -> bool:
    """Whether the node that runs has passed this very gate for this very function.

    True once: a function that calls itself, or is called again as a helper, passes it again.
    """
    if _PASSED.get() is not gate:
        return False
    _PASSED.set(None)
    return True
