"""A tool call in a lane of its own: released in every way out, untouched in what it gives.

A sync tool that hangs cannot be stopped: its lane is free at once, and its caller gets `CallReaped`
when it returns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from agentrm_plugins.integration import Attempt, core_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agentrm_plugins import AgentRM, Call
    from agentrm_plugins.integration import HostLease

__all__ = ["run_tool", "run_tool_async"]


def _held(rm: AgentRM, call: Call) -> bool:
    """Whether the code that runs now is in such a lane already: a managed graph gave it one."""
    active = core_of(rm).active_call()
    return active is not None and active.call.group == call.group


def run_tool(rm: AgentRM, call: Call, handler: Callable[[Any], Any], request: Any) -> Any:
    """Run `handler(request)` in a lane.

    Raises:
        CallRefused: The core said no.
        CallReaped: The tool showed no progress and lost its lane.
    """
    if _held(rm, call):
        return handler(request)
    work = partial(handler, request)
    return core_of(rm).call(call, lambda lease: Attempt(core_of(rm).number, lease).here(work))


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

    def attempt(lease: HostLease) -> Awaitable[Any]:
        return Attempt(core_of(rm).number, lease).in_task(partial(handler, request))

    return await core_of(rm).call_async(call, attempt)
