"""A tool call in a lane of its own: released in every way out, untouched in what it gives.

What LangGraph raises to steer a graph (an `interrupt`, a command to the parent) is no failure and
passes as it is; so does a cancellation. A sync tool that hangs cannot be stopped: its lane is free
at once, and its caller gets `CallReaped` when it returns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from langgraph.errors import GraphBubbleUp

from agentrm_plugins.integration import (
    Outcome,
    ReapGuard,
    activated,
    active_call,
    outcome_of,
)

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM, Call

__all__ = ["run_tool", "run_tool_async"]


def _held(rm: AgentRM, call: Call) -> bool:
    """Whether the code that runs now is in such a lane already: a managed graph gave it one."""
    active = active_call(rm)
    return active is not None and active.group == call.group


def run_tool(rm: AgentRM, call: Call, handler: Callable[[Any], Any], request: Any) -> Any:
    """Run `handler(request)` in a lane.

    Raises:
        CallRefused: The core said no.
        CallReaped: The tool showed no progress and lost its lane.
    """
    if _held(rm, call):
        return handler(request)
    lease = rm.admit(call)
    outcome = Outcome.CANCELLED
    try:
        with activated(rm, lease):
            result = handler(request)
        lease.raise_if_reaped()
    except BaseException as error:
        outcome = _outcome(error)
        raise
    else:
        outcome = Outcome.OK
        return result
    finally:
        lease.settle(outcome=outcome)


async def run_tool_async(
    rm: AgentRM, call: Call, handler: Callable[[Any], Awaitable[Any]], request: Any
) -> Any:
    """The same in async code.

    Raises:
        CallRefused: The core said no.
        CallReaped: The tool showed no progress: it lost its lane and was cancelled.
    """
    if _held(rm, call):
        return await handler(request)
    lease = await rm.admit_async(call)
    guard = ReapGuard(lease)
    outcome = Outcome.CANCELLED
    try:
        with activated(rm, lease):
            result = await handler(request)
    except BaseException as error:
        outcome = _outcome(error)
        reaped = guard.convert(error)
        if reaped is not None:
            raise reaped from error
        raise
    else:
        outcome = Outcome.OK
        reaped = guard.convert(None)
        if reaped is not None:
            raise reaped
        return result
    finally:
        lease.settle(outcome=outcome)


def _outcome(error: BaseException) -> Outcome:
    return Outcome.OK if isinstance(error, GraphBubbleUp) else outcome_of(type(error))
