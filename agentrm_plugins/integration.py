"""For authors of adapters: what the facade is made of, and stable as the facade is.

An adapter admits a `Call`, keeps the `Lease` until the model's work is over, beats on progress and
settles with the provider's usage. `activated` marks code as running inside a lease, so that managed
calls in there count as nested; `ReapGuard` turns a reaped lease into `CallReaped` in async code. In
sync code a `Job` is handed to a worker thread (`hand_off`), which can be left behind. `enter` and
`leave` are the same as `activated` and `AgentRM.identity`, without the price of a `with` block.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config.context import LEAST_BUDGET
from agentrm_plugins.context.live.lifecycle import ContextLifecycle, fit
from agentrm_plugins.context.live.recaller import RECALL_TOOL
from agentrm_plugins.context.live.session import OVERFLOW_SHARE, ContextSession
from agentrm_plugins.context.notes.summaries import PROMPT, LLMSummariser
from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.view import Pressure, View
from agentrm_plugins.context.plan.warm import extractive_summary
from agentrm_plugins.context.recall.rank import Candidate, Corpus
from agentrm_plugins.context.stores import ColdStore, MemoryStore, Row, SessionKey
from agentrm_plugins.counting.encodings import counter_for, request_counter
from agentrm_plugins.counting.requests import form_of, request_tokens
from agentrm_plugins.counting.tokens import REPLY_OVERHEAD
from agentrm_plugins.errors import (
    BadMessage,
    BudgetTooSmall,
    ClosedError,
    StoreError,
    StoreLocked,
)
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.lease import Lease
from agentrm_plugins.hosts.retry import RetryPolicy, retry_policy
from agentrm_plugins.hosts.slot import PullGuard, ReapGuard, outcome_of
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.retry_class import classify, classify_status
from agentrm_plugins.types.calls import Call, Outcome, Priority, Usage, parse_priority
from agentrm_plugins.types.checks import check_group, check_instance, check_name, check_whole
from agentrm_plugins.types.endpoint_name import Endpoint, host_of, key_fingerprint
from agentrm_plugins.types.identity import (
    ACTIVE,
    IDENTITY,
    NOBODY,
    WAITING,
    Active,
    Identity,
    restore,
)
from agentrm_plugins.types.message import FRAMEWORK, ROLES, Message, ToolCall, copied
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentrm_plugins.manager import AgentRM

__all__ = [
    "FRAMEWORK",
    "LEAST_BUDGET",
    "NOBODY",
    "OVERFLOW_SHARE",
    "PROMPT",
    "RECALL_TOOL",
    "REPLY_OVERHEAD",
    "ROLES",
    "Active",
    "BadMessage",
    "BudgetTooSmall",
    "Call",
    "Candidate",
    "ColdStore",
    "ContextLifecycle",
    "ContextSession",
    "Corpus",
    "Endpoint",
    "Identity",
    "Job",
    "Kind",
    "LLMSummariser",
    "Lease",
    "LimitReport",
    "MemoryStore",
    "Message",
    "Outcome",
    "Passage",
    "Pressure",
    "Priority",
    "PullGuard",
    "ReapGuard",
    "RetryPolicy",
    "Row",
    "ServerLimit",
    "SessionKey",
    "StoreError",
    "StoreLocked",
    "ToolCall",
    "Usage",
    "Verdict",
    "View",
    "activated",
    "active_call",
    "active_lease",
    "check_core",
    "check_group",
    "check_instance",
    "check_name",
    "check_whole",
    "classify",
    "classify_status",
    "copied",
    "counter_for",
    "current_identity",
    "current_ticket",
    "enter",
    "extractive_summary",
    "fit",
    "form_of",
    "hand_off",
    "host_of",
    "judge",
    "key_fingerprint",
    "leave",
    "outcome_of",
    "parse_priority",
    "parse_report",
    "request_counter",
    "request_tokens",
    "restore",
    "retry_policy",
    "while_waiting",
]


Entered = tuple[Token[Identity], Token[Active | None] | None]


def enter(rm: AgentRM, identity: Identity, lease: Lease | None = None) -> Entered:
    """What runs from here on is done for `identity`, and inside `lease` if one is given.

    Returns:
        What `leave` needs; it must be called whatever happens.
    """
    token = IDENTITY.set(identity)
    if lease is None:
        return token, None
    call = lease.call
    active = Active(rm.core, lease.ticket, call.agent, call.tenant, call.group)
    return token, ACTIVE.set(active)


def leave(entered: Entered) -> None:
    """Undo `enter`."""
    identity, active = entered
    if active is not None:
        restore(ACTIVE, active)
    restore(IDENTITY, identity)


class activated:  # noqa: N801 - it reads as a verb, and a generator costs three times as much
    """Code in this block runs inside `lease`: managed calls in it are nested in that call."""

    __slots__ = ("_active", "_token")

    def __init__(self, rm: AgentRM, lease: Lease) -> None:
        call = lease.call
        self._active = Active(rm.core, lease.ticket, call.agent, call.tenant, call.group)

    def __enter__(self) -> None:
        self._token = ACTIVE.set(self._active)

    def __exit__(self, *exc: object) -> None:
        restore(ACTIVE, self._token)


def check_core(rm: Any, group: str | None = None, field: str = "group") -> None:
    """Refuse at construction what no call could run with.

    Args:
        rm: What was given as the core.
        group: The lane group that its calls will ask for; None: no lane.
        field: What `group` is called.

    Raises:
        ConfigError: `rm` is no core, or it has no such lane group.
        ClosedError: It is closed.
    """
    from agentrm_plugins.manager import AgentRM

    way = "give the AgentRM core that manages the calls: AgentRM(lanes=8)"
    core = check_instance("rm", rm, AgentRM, way)
    if core.closed:
        raise ClosedError("rm is closed; make a new AgentRM, or keep this one open for longer")
    if group is not None:
        check_group(field, group, core.config.groups)


def current_identity() -> Identity:
    """What `AgentRM.identity` has declared for the code that runs now."""
    return IDENTITY.get()


def active_call(rm: AgentRM) -> Active | None:
    """The managed call of this core inside which the code that runs now is, or None."""
    active = ACTIVE.get()
    return active if active is not None and active.core == rm.core else None


def active_lease(rm: AgentRM) -> Lease | None:
    """The lease of the managed call inside which the code that runs now is; None if it is lost."""
    active = ACTIVE.get()
    return rm.lease_of(active.ticket) if active is not None and active.core == rm.core else None


def current_ticket(rm: AgentRM) -> int | None:
    """The ticket of the managed call inside which the code that runs now is, or None."""
    active = ACTIVE.get()
    return active.ticket if active is not None and active.core == rm.core else None


@contextmanager
def while_waiting(sign: Callable[[], None]) -> Iterator[None]:
    """Call `sign` every 50 ms while a managed call of this block's async code waits for its turn.

    For a framework that stops what seems idle. `sign` is called in the event loop and must be
    quick.
    """
    token = WAITING.set(sign)
    try:
        yield
    finally:
        restore(WAITING, token)
