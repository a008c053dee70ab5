"""Every error that AgentRM raises, in one tree, split by whose fault it is.

::

    AgentRMError
    |-- the caller's fault
    |   |-- ConfigError(ValueError)      a bad value in the configuration or an argument
    |   `-- ClosedError(RuntimeError)    the core was closed, or belongs to another process
    |-- nobody's fault: the core says no
    |   `-- CallRefused(RuntimeError)
    |       |-- QueueFull                too many calls wait already
    |       |-- WaitTimeout              the call's own deadline for waiting passed
    |       `-- AgentEnded               its agent, or a parent of it, was ended
    |-- the provider's fault
    |   `-- CallReaped                   the call held a lane and made no progress
    `-- ours
        `-- KernelBug(AssertionError)    an impossible transition; any other error is a bug too

`CallRefused` derives from `RuntimeError` because LangGraph's default retry policy does not retry
those: trying a refusal again at once only makes the crowd larger. `CallReaped` derives from
`Exception` alone because the same policy must retry it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "AgentEnded",
    "AgentRMError",
    "CallReaped",
    "CallRefused",
    "ClosedError",
    "ConfigError",
    "KernelBug",
    "QueueFull",
    "WaitTimeout",
]


class AgentRMError(Exception):
    """The root of every error raised by AgentRM."""


class ConfigError(AgentRMError, ValueError):
    """A bad value, named with its field and the way out.

    Args:
        field: The name of the field or argument.
        value: What was given. It is shown, so never pass a secret.
        remedy: What would be accepted instead.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        super().__init__(f"{field}={value!r}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        """Rebuild from the three parts, so that the error crosses process borders."""
        return type(self), (self.field, self.value, self.remedy)


class ClosedError(AgentRMError, RuntimeError):
    """The core was closed: make a new `AgentRM`, or keep this one open while it is in use."""


class CallRefused(AgentRMError, RuntimeError):
    """The core would not let the call run. Nothing was sent and nothing is held.

    Args:
        message: What happened, and the way out.
        ticket: The call's number in this core.
        agent: The agent that asked.
        cause: One word for programs: "queue_full", "wait_timeout", "agent_ended", ...
    """

    def __init__(self, message: str, *, ticket: int = 0, agent: str = "", cause: str = "") -> None:
        super().__init__(message)
        self.ticket = ticket
        self.agent = agent
        self.cause = cause

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword parts when the error crosses process borders."""
        state = {"ticket": self.ticket, "agent": self.agent, "cause": self.cause}
        return type(self), self.args, state


class QueueFull(CallRefused):
    """Too many calls wait already: raise `max_waiting`, add lanes, or slow the producers."""


class WaitTimeout(CallRefused):
    """The call waited in the queue for longer than its `wait_timeout_s`."""


class AgentEnded(CallRefused):
    """The agent, or a parent of it, was ended while this call waited."""


class CallReaped(AgentRMError):
    """The call held a lane without progress and lost it. Whether it had an effect is unknown.

    Args:
        message: What happened, and the way out.
        ticket: The call's number in this core.
        agent: The agent that asked.
        cause: "first_token", "response", "silence" or "deadline".
        held_s: Seconds for which the call held its lane.
    """

    def __init__(
        self,
        message: str,
        *,
        ticket: int = 0,
        agent: str = "",
        cause: str = "",
        held_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.ticket = ticket
        self.agent = agent
        self.cause = cause
        self.held_s = held_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword parts when the error crosses process borders."""
        state = {
            "ticket": self.ticket,
            "agent": self.agent,
            "cause": self.cause,
            "held_s": self.held_s,
        }
        return type(self), self.args, state


class KernelBug(AgentRMError, AssertionError):
    """An impossible transition inside the kernel. The message carries the ticket's story."""
