"""Every error that AgentRM raises, in one tree, split by whose fault it is.

::

    AgentRMError
    |-- the caller's fault
    |   |-- ConfigError(ValueError)      a bad value in the configuration or an argument
    |   |-- ClosedError(RuntimeError)    the core was closed, or belongs to another process
    |   `-- WouldDeadlock(RuntimeError)  a sync wait for what this very thread holds
    |-- nobody's fault: the core says no
    |   `-- CallRefused(RuntimeError)
    |       |-- QueueFull                too many calls wait already
    |       |-- WaitTimeout              the call's own deadline for waiting passed
    |       |-- AgentEnded               its agent, or a parent of it, was ended
    |       |-- CallTooLarge             it needs more than the endpoint's whole limit
    |       |-- BudgetExceeded           its agent's or tenant's budget is used up
    |       |-- EndpointUnavailable      the endpoint fails, or is closed for too long
    |       `-- CoordinatorUnavailable   the fleet's server cannot be reached
    |-- the provider's fault
    |   `-- CallReaped                   the call held a lane and made no progress
    |-- the context's: nothing that was archived is lost by one
    |   `-- ContextError
    |       |-- BudgetTooSmall(ValueError)    system prompt, tools and newest task do not fit
    |       |-- BadMessage(ValueError)        a message that no provider would take
    |       |-- SessionBusy(RuntimeError)     another process is at work on the session
    |       `-- StoreError(RuntimeError)      the archive cannot be read or written
    |           |-- StoreLocked               another process holds it for too long
    |           |-- StoreCorrupt              the file is damaged, or is no archive
    |           |-- StoreReadOnly             no right to write
    |           |-- StoreFenced               another owner has taken the session over
    |           `-- StoreFull                 no room left on the disk
    |-- a file's
    |   `-- RecordingError(ValueError)   it holds no recording, or a damaged one
    |-- a test's
    |   `-- CassetteMismatch(AssertionError)   a replayed request is none of the recorded ones
    `-- ours
        `-- KernelBug(AssertionError)    an impossible transition; any other error is a bug too

`CallRefused` derives from `RuntimeError` because LangGraph's default retry policy does not retry
those: trying a refusal again at once only makes the crowd larger. `CallReaped` derives from
`Exception` alone because the same policy must retry it.
"""

from __future__ import annotations

from typing import Any

from agentrm_plugins.redaction import HIDDEN, kind_of, shown

__all__ = [
    "AgentEnded",
    "AgentRMError",
    "AgentRMWarning",
    "BadMessage",
    "BudgetExceeded",
    "BudgetTooSmall",
    "CallReaped",
    "CallRefused",
    "CallTooLarge",
    "CassetteMismatch",
    "ClosedError",
    "ConfigError",
    "ContextError",
    "CoordinatorUnavailable",
    "EndpointUnavailable",
    "KernelBug",
    "QueueFull",
    "RecordingError",
    "SessionBusy",
    "StoreCorrupt",
    "StoreError",
    "StoreFenced",
    "StoreFull",
    "StoreLocked",
    "StoreReadOnly",
    "WaitTimeout",
    "WouldDeadlock",
]


class AgentRMError(Exception):
    """The root of every error raised by AgentRM."""


class AgentRMWarning(UserWarning):
    """What works, and not as it should: a model that is not managed, retries that hide refusals.

    Each is told once by a core. Silence all of them with
    ``warnings.filterwarnings("ignore", category=AgentRMWarning)``.
    """


class _Kind(str):
    """What a value is, in words, where it is not shown itself: "an int"."""

    __slots__ = ()


class ConfigError(AgentRMError, ValueError):
    """A bad value, named with its field and the way out.

    Args:
        field: The name of the field or argument.
        value: What was given. It is shown shortened, and what looks like a secret is hidden.
        remedy: What would be accepted instead.
    """

    def __init__(self, field: str, value: object, remedy: str) -> None:
        kind = isinstance(value, _Kind)
        text = f" ({value})" if kind else f"={shown(value, field)}"
        super().__init__(f"{field}{text}: {remedy}")
        self.field = field
        self.value = HIDDEN if isinstance(value, str | bytes) and HIDDEN in text else value
        self.remedy = remedy

    @classmethod
    def of_kind(cls, field: str, value: object, remedy: str) -> ConfigError:
        """The same for a value that may be a secret, or says nothing: only what it is is told.

        Args:
            field: The name of the field or argument.
            value: What was given.
            remedy: What would be accepted instead.
        """
        return cls(field, _Kind(kind_of(value)), remedy)

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, object, str]]:
        """Rebuild from the three parts, so that the error crosses process borders."""
        return type(self), (self.field, self.value, self.remedy)


class ClosedError(AgentRMError, RuntimeError):
    """The core was closed: make a new `AgentRM`, or keep this one open while it is in use."""


class WouldDeadlock(AgentRMError, RuntimeError):
    """A wait for what only the one who waits could give back. Nothing was sent.

    A sync wait on the thread that holds it; or a call of who reads a stream, where such streams are
    all that an endpoint's configured `concurrency` lets in flight.
    """


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


class CallTooLarge(CallRefused):
    """The call needs more than the endpoint's whole limit, so it could never go."""


class BudgetExceeded(CallRefused):
    """A budget of the agent, of a parent of it, or of the tenant has no room for the call."""


class EndpointUnavailable(CallRefused):
    """The endpoint fails and is left alone, or is closed for longer than the call would wait.

    One that fails is probed; calls to it fail fast until a probe succeeds. Where it never answered
    they wait for the next probe, and get this when that comes too late for them.
    """


class CoordinatorUnavailable(CallRefused):
    """The server through which processes share limits cannot be reached.

    Raised at the start, where it was never reached, and by calls if ``on_outage="refuse"``.
    """

    def __init__(
        self, message: str, *, ticket: int = 0, agent: str = "", cause: str = "coordinator"
    ) -> None:
        super().__init__(message, ticket=ticket, agent=agent, cause=cause)


class CallReaped(AgentRMError):
    """The call held a lane without progress and lost it. Whether it had an effect is unknown.

    Args:
        message: What happened, and the way out.
        ticket: The call's number in this core.
        agent: The agent that asked.
        cause: "first_token", "response", "silence" or "total"; "gave_way" for an attempt that made
            room for another one.
        held_s: Seconds for which the call held its lane.
        limit_s: The configured limit that it passed, seconds; 0 if it was none.

    Attributes:
        text_so_far: Of a stream that broke off, what its consumer had got.
    """

    text_so_far: str = ""

    def __init__(
        self,
        message: str,
        *,
        ticket: int = 0,
        agent: str = "",
        cause: str = "",
        held_s: float = 0.0,
        limit_s: float = 0.0,
    ) -> None:
        super().__init__(message)
        self.ticket = ticket
        self.agent = agent
        self.cause = cause
        self.held_s = held_s
        self.limit_s = limit_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the keyword parts when the error crosses process borders."""
        state = {
            "ticket": self.ticket,
            "agent": self.agent,
            "cause": self.cause,
            "held_s": self.held_s,
            "limit_s": self.limit_s,
        }
        return type(self), self.args, state


class ContextError(AgentRMError):
    """The root of the context lifecycle's errors. Nothing that was archived is lost by one."""


class BudgetTooSmall(ContextError, ValueError):
    """The system prompt, the tools and the newest task alone exceed the budget.

    Args:
        budget_tokens: The budget that was to be met.
        needed_tokens: The least that the request needs.
        parts: What it is made of: tokens by name.
    """

    def __init__(self, budget_tokens: int, needed_tokens: int, parts: dict[str, int]) -> None:
        listed = ", ".join(f"{name} {count}" for name, count in parts.items())
        super().__init__(
            f"budget_tokens={budget_tokens}: at least {needed_tokens} tokens are needed "
            f"({listed}); raise the budget, or shorten the largest part"
        )
        self.budget_tokens = budget_tokens
        self.needed_tokens = needed_tokens
        self.parts = parts

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from its parts, so that it crosses process borders."""
        return type(self), (self.budget_tokens, self.needed_tokens, self.parts)


class BadMessage(ContextError, ValueError):
    """A message without a usable role or content. The text names its place, field and value."""


class SessionBusy(ContextError, RuntimeError):
    """Another process owns the session, and this turn's history does not hold what it archived.

    Args:
        session: Its id.
        owner: Who has it: host, process and a random part.
        left_s: Seconds until its lease ends, if it does nothing more.
    """

    def __init__(self, session: str, owner: str, left_s: float) -> None:
        super().__init__(
            f"session={session!r}: {owner} is at work on it, for {left_s:.1f} s more unless it "
            "goes on; try again later, raise wait_s, or give this work a session of its own"
        )
        self.session = session
        self.owner = owner
        self.left_s = left_s

    def __reduce__(self) -> tuple[Any, ...]:
        """Rebuild from its parts, so that it crosses process borders."""
        return type(self), (self.session, self.owner, self.left_s)


class StoreError(ContextError, RuntimeError):
    """The archive refused. The messages stay in memory until it takes them."""


class StoreLocked(StoreError):
    """Another process holds the archive: raise `busy_timeout_s`, or give it its own file."""


class StoreCorrupt(StoreError):
    """The archive's file is damaged or is none: move it away and restore a copy of it."""


class StoreReadOnly(StoreError):
    """The archive cannot be written: give the process the right, or another path."""


class StoreFenced(StoreError):
    """Another owner has taken the session over: nothing of the earlier one is written any more."""


class StoreFull(StoreError):
    """No room is left for the archive: free some, or give another path."""


class CassetteMismatch(AgentRMError, AssertionError):
    """A replayed request is none of those that the cassette holds. The text says what differs."""


class RecordingError(AgentRMError, ValueError):
    """A file of recorded events cannot be read. The text names the file, the line and the cause."""


class KernelBug(AgentRMError, AssertionError):
    """An impossible transition inside the kernel. The message carries the ticket's story."""
