"""For authors of adapters: what the facade is made of, and stable as the facade is.

An adapter declares a `Call`, and gives `core_of(rm).call` a function that makes one attempt in the
lease that it gets (a `HostLease`, of which users see the `Lease`). An `Attempt` runs it on the
caller's thread, on a worker, in a task or as a stream (`Chunks`, `AsyncChunks`), settles with the
provider's usage and turns a lost lane into `CallReaped`.

Behind the door there are five rooms, for what only some adapters need: `asking` (for whom a call is
made), `counting` (tokens), `wire` (requests and answers), `contexts` (the context lifecycle) and
`archive` (a cold store of your own).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.context.plan.warm import extractive_summary
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.hosts.attempt import Attempt
from agentrm_plugins.hosts.chunk_stream import Reading
from agentrm_plugins.hosts.chunks import Chunks
from agentrm_plugins.hosts.chunks_async import AsyncChunks
from agentrm_plugins.hosts.core import Core
from agentrm_plugins.hosts.lease import HostLease
from agentrm_plugins.hosts.outcomes import outcome_of
from agentrm_plugins.hosts.workers import Job, hand_off
from agentrm_plugins.integration import archive, asking, contexts, counting, wire
from agentrm_plugins.integration.checking import checked
from agentrm_plugins.types.arguments import no_such_argument, suggesting
from agentrm_plugins.types.calls import Outcome, Priority, PriorityName, parse_priority
from agentrm_plugins.types.checks import check_group
from agentrm_plugins.types.endpoint_name import Endpoint, key_fingerprint
from agentrm_plugins.types.message import Message, ToolCall

if TYPE_CHECKING:
    from agentrm_plugins.manager import AgentRM

__all__ = [
    "AsyncChunks",
    "Attempt",
    "Chunks",
    "Core",
    "Endpoint",
    "HostLease",
    "Job",
    "Message",
    "Outcome",
    "Priority",
    "PriorityName",
    "Reading",
    "ToolCall",
    "archive",
    "asking",
    "check_group",
    "check_one_core",
    "checked",
    "contexts",
    "core_of",
    "counting",
    "extractive_summary",
    "hand_off",
    "key_fingerprint",
    "no_such_argument",
    "outcome_of",
    "parse_priority",
    "suggesting",
    "wire",
]


def core_of(rm: AgentRM) -> Core:
    """What adapters ask of the core: lanes, calls, leases, the clock, and news for its limits."""
    return rm._core  # noqa: SLF001 - this is the door to it


def check_one_core(rm: AgentRM, other: AgentRM | None) -> None:
    """Refuse to manage what another open core manages: both would hold a lane for each call.

    Args:
        rm: The core that is to manage it.
        other: The one that does; None: none.

    Raises:
        ConfigError: They are two, and the other one is open.
    """
    if other is not None and other is not rm and not other.closed:
        way = (
            "it is managed by another core already; give that one to both, or close it first: "
            "close() of the AgentRM that it was given, which is model.rm where nobody kept it"
        )
        raise ConfigError("rm", rm, way)
