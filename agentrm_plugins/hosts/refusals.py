"""The errors of calls that the core turned away or gave up: what happened, and the way out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.errors import (
    AgentEnded,
    BudgetExceeded,
    CallReaped,
    CallRefused,
    CallTooLarge,
    ClosedError,
    CoordinatorUnavailable,
    EndpointUnavailable,
    QueueFull,
    WaitTimeout,
    WouldDeadlock,
)

if TYPE_CHECKING:
    from agentrm_plugins.types.calls import Call
    from agentrm_plugins.types.effects import Reaped, Refused

__all__ = ["reaped_error", "refusal", "superseded_error"]

_WHY = {
    "first_token": ("no token within", "first_token_timeout_s"),
    "response": ("no answer within", "response_timeout_s"),
    "silence": ("no progress within", "silence_timeout_s"),
    "total": ("longer than", "total_timeout_s"),
}


def reaped_error(effect: Reaped, call: Call) -> CallReaped:
    """The error for a call that passed a limit: which, who set it, and how to change it."""
    who = f"call {effect.ticket} of agent {call.agent!r}"
    if effect.cause == "gave_way":
        message = f"an attempt of {who} made room for another one of the same call"
    elif effect.cause == "lost":
        message = (
            f"{who} was given up after {effect.held_s:.1f} s: this process was cut off from its "
            "fleet, which gave the lane to another process; try it again"
        )
    else:
        why, name = _WHY[effect.cause]
        limit = f"{name}={effect.limit_s:g}" if effect.limit_s else name
        source = f", set by {effect.source}" if effect.source else ""
        message = (
            f"{who} was given up after {effect.held_s:.1f} s: {why} {limit} s{source}; "
            f"{_remedy(effect)} if the call was healthy, or try it again"
        )
    return CallReaped(
        message,
        ticket=effect.ticket,
        agent=call.agent,
        cause=effect.cause,
        held_s=effect.held_s,
        limit_s=effect.limit_s,
    )


def _remedy(effect: Reaped) -> str:
    if "client" in effect.source:
        return "raise the client's timeout=, or give the plugin a timeout of its own"
    name = _WHY[effect.cause][1]
    return f"raise {name} (of the call, of the plugin, or in AgentRM(leases=LeaseConfig(...)))"


def superseded_error(ticket: int, call: Call) -> CallReaped:
    """For whoever still waits in an attempt after another one was faster."""
    message = (
        f"an attempt of call {ticket} of agent {call.agent!r} was given up: another was faster"
    )
    return CallReaped(message, ticket=ticket, agent=call.agent, cause="superseded")


def refusal(effect: Refused, call: Call) -> CallRefused | ClosedError | WouldDeadlock:
    """The error for a refused call."""
    cause = effect.cause
    who = f"call {effect.ticket} of agent {call.agent!r}"
    if cause == "closed":
        return ClosedError(f"{who} was refused: the AgentRM is closed; make a new one")
    if cause == "would_deadlock":
        return WouldDeadlock(
            f"{who} would wait for ever: all calls that its endpoint's concurrency of "
            f"{effect.detail} lets in flight wait for calls of their own, such as this one, which "
            "who reads a stream has asked for; raise it, or read the stream to its end first"
        )
    kind, why = _REFUSALS.get(cause, (CallRefused, f"was withdrawn ({cause})"))
    if cause == "wait_timeout" and effect.detail:
        why = _HELD
    if effect.detail:
        why = f"{why} [{effect.detail}]"
    return kind(
        f"{who} {why} (waited {effect.waited_s:.1f} s)",
        ticket=effect.ticket,
        agent=call.agent,
        cause=cause,
    )


_HELD = (
    "was refused: its endpoint did not let it go within its wait_timeout_s; raise it, use another "
    "endpoint, or have this one allow more"
)
_REFUSALS: dict[str, tuple[type[CallRefused], str]] = {
    "queue_full": (
        QueueFull,
        "was refused: max_waiting calls wait already; raise it, add lanes, or ask for less",
    ),
    "agent_queue_full": (
        QueueFull,
        "was refused: max_waiting_per_agent calls of it wait already; raise it, or ask for less",
    ),
    "wait_timeout": (
        WaitTimeout,
        "was refused: no lane within its wait_timeout_s; raise it, or add lanes",
    ),
    "too_large": (
        CallTooLarge,
        "was refused: it needs more than the endpoint's whole limit; send less, or ask for less",
    ),
    "budget": (
        BudgetExceeded,
        "was refused: a budget has no room for it; raise the budget, lower max_tokens, or wait",
    ),
    "endpoint_closed": (
        EndpointUnavailable,
        "was refused: its endpoint stays closed for too long; use another, or raise wait_timeout_s",
    ),
    "endpoint_unavailable": (
        EndpointUnavailable,
        "was refused: its endpoint fails, and is left alone until a probe succeeds",
    ),
    "agent_drained": (
        AgentEnded,
        "was refused: the agent is drained, and gets no new calls until it is let in again",
    ),
    "coordinator_unavailable": (
        CoordinatorUnavailable,
        "was refused: the fleet's server is out of reach; see to it, or use on_outage='share'",
    ),
    "agent_ended": (
        AgentEnded,
        "was withdrawn: the agent, or a parent of it, was ended",
    ),
}
