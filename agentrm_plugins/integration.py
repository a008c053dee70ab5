"""For authors of adapters: what the facade is made of, and stable as the facade is.

An adapter declares a `Call`, and gives `core_of(rm).call` a function that makes one attempt in the
lease that it gets: an `Attempt` runs it on the caller's thread, on a worker, in a task or as a
stream (`Chunks`, `AsyncChunks`), settles with the provider's usage and turns a lost lane into
`CallReaped`. `enter` and `leave` are the same as `AgentRM.identity`, without the price of a `with`
block.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING, Any

from agentrm_plugins.config.context import LEAST_BUDGET
from agentrm_plugins.context.live.session import OVERFLOW_SHARE
from agentrm_plugins.context.live.tool import RECALL_TOOL
from agentrm_plugins.context.notes.summaries import PROMPT
from agentrm_plugins.context.notes.text import Passage
from agentrm_plugins.context.plan.warm import extractive_summary
from agentrm_plugins.context.recall.rank import Candidate, Corpus
from agentrm_plugins.context.stores import Row
from agentrm_plugins.context.stores.base import Fence, Owned, taken_over, written
from agentrm_plugins.counting.encodings import counter_for, prepare, request_counter
from agentrm_plugins.counting.requests import form_of, request_tokens
from agentrm_plugins.counting.usage import UsageTally, estimated_usage, reported_usage, said_in
from agentrm_plugins.errors import ClosedError
from agentrm_plugins.hosts.attempt import Attempt
from agentrm_plugins.hosts.chunk_stream import Reading
from agentrm_plugins.hosts.chunks import Chunks
from agentrm_plugins.hosts.chunks_async import AsyncChunks
from agentrm_plugins.hosts.core import Core
from agentrm_plugins.hosts.guards import outcome_of
from agentrm_plugins.hosts.identity import RunInfo, Said, named_in, resolve, run_around, say
from agentrm_plugins.hosts.judgement import judge, judge_response
from agentrm_plugins.hosts.retry import retry_policy
from agentrm_plugins.hosts.sending import client_timeout_s, is_sent_once
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.types.arguments import no_such_argument, suggesting
from agentrm_plugins.types.calls import (
    Outcome,
    Priority,
    PriorityName,
    parse_priority,
)
from agentrm_plugins.types.checks import check_group, check_instance
from agentrm_plugins.types.endpoint_name import Endpoint, host_of, key_fingerprint
from agentrm_plugins.types.identity import (
    ACTIVE,
    IDENTITY,
    NOBODY,
    QUEUED,
    WAITING,
    Active,
    Identity,
    restore,
)
from agentrm_plugins.types.message import FRAMEWORK, ROLES, Message, ToolCall, copied
from agentrm_plugins.types.verdicts import LimitReport, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentrm_plugins.manager import AgentRM

__all__ = [
    "FRAMEWORK",
    "LEAST_BUDGET",
    "NOBODY",
    "OVERFLOW_SHARE",
    "PROMPT",
    "QUEUED",
    "RECALL_TOOL",
    "ROLES",
    "AsyncChunks",
    "Attempt",
    "Candidate",
    "Chunks",
    "Core",
    "Corpus",
    "Endpoint",
    "Fence",
    "Identity",
    "Job",
    "LimitReport",
    "Message",
    "Outcome",
    "Owned",
    "Passage",
    "Priority",
    "PriorityName",
    "Reading",
    "Row",
    "RunInfo",
    "Said",
    "ToolCall",
    "UsageTally",
    "Verdict",
    "active_call",
    "check_core",
    "check_group",
    "client_timeout_s",
    "copied",
    "core_of",
    "counter_for",
    "current_identity",
    "enter",
    "estimated_usage",
    "extractive_summary",
    "form_of",
    "hand_off",
    "host_of",
    "is_sent_once",
    "judge",
    "judge_response",
    "key_fingerprint",
    "leave",
    "named_in",
    "no_such_argument",
    "outcome_of",
    "parse_priority",
    "parse_report",
    "prepare",
    "reported_usage",
    "request_counter",
    "request_tokens",
    "resolve",
    "restore",
    "retry_policy",
    "run_around",
    "said_in",
    "say",
    "suggesting",
    "taken_over",
    "while_waiting",
    "written",
]


def core_of(rm: AgentRM) -> Core:
    """What adapters ask of the core: lanes, calls, leases, the clock, and news for its limits."""
    return rm._core  # noqa: SLF001 - this is the door to it


def enter(identity: Identity, active: Active | None = None) -> Token[Identity]:
    """What runs from here on is done for `identity`.

    Args:
        identity: For whom.
        active: The managed call that will be entered next (`Attempt.active`), if one will.

    Returns:
        What `leave` needs; it must be called whatever happens.
    """
    within = ACTIVE.get() if active is None else active
    if identity.within is not within:  # what is declared here is nearer than that call
        identity = identity._replace(within=within)
    return IDENTITY.set(identity)


def leave(entered: Token[Identity]) -> None:
    """Undo `enter`."""
    restore(IDENTITY, entered)


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
    return active if active is not None and active.core == core_of(rm).number else None


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
