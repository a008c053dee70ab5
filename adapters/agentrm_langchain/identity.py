"""For whom a model call is made: what was declared, or else what LangChain knows of the run.

The first of these that says something wins:

1. the config's metadata: ``agentrm_agent``, ``agentrm_tenant``, ``agentrm_priority``,
   ``agentrm_lane``, ``agentrm_parent_agent``, or plain ``agent``, ``tenant``, ``priority``;
2. the arguments of the handler or the wrapped model;
3. `AgentRM.identity`;
4. the managed call inside which this one is made;
5. the thread id of a conversation or graph;
6. the run at the root of it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from uuid import UUID

from langchain_core.runnables.config import var_child_runnable_config

from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import (
    Priority,
    active_call,
    check_name,
    current_identity,
    parse_priority,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Declared", "Options", "Who", "agent_of", "declared", "identify"]

_AGENT = ("agentrm_agent", "agentrm_agent_id", "agent")
_TENANT = ("agentrm_tenant", "tenant")


class Declared(Protocol):
    """What the handler or the wrapped model was given for all its calls."""

    @property
    def agent(self) -> str | None:
        """Whose calls they are."""

    @property
    def tenant(self) -> str | None:
        """Who pays for them."""

    @property
    def priority(self) -> Priority | None:
        """Where the agent starts."""

    @property
    def group(self) -> str:
        """The group of lanes."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a handler was given."""

    agent: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    group: str = "model"


class Who(NamedTuple):
    """The answer, in the terms of `Call`."""

    agent: str
    tenant: str
    priority: Priority | None
    group: str
    parent_agent: str | None


def declared(agent: Any, tenant: Any, priority: Any, group: str) -> Options:
    """Check what a user declares for a handler or a model.

    Raises:
        ConfigError: A name that is no string or empty, or a priority that is not one of the three.
    """
    for name, value in (("agent", agent), ("tenant", tenant)):
        check_name(name, value, none=True)
    return Options(agent, tenant, parse_priority(priority), group)


def agent_of(metadata: Mapping[str, Any]) -> str | None:
    """The agent that this metadata names, or None."""
    found = _first(metadata, _AGENT)
    if found is None:
        found = _thread(metadata)
    return str(found) if found else None


def identify(
    rm: AgentRM,
    own: Declared,
    metadata: Mapping[str, Any],
    *,
    root: object,
    parent_agent: str | None = None,
) -> Who:
    """Resolve the rules above for one call.

    Args:
        rm: The core.
        own: What the handler or the model was given.
        metadata: The run's metadata.
        root: The id of the run at the root, or None where nothing is known of it.
        parent_agent: The agent of an outer run, if the run tree knows one.

    Raises:
        ConfigError: ``agentrm_priority`` is not one of the three.
    """
    outer, active = current_identity(), active_call(rm)
    agent = _first(metadata, _AGENT) or own.agent or outer.agent
    if not agent:
        agent = active.agent if active else _thread(metadata) or root or "main"
    agent = str(agent)
    tenant = _first(metadata, _TENANT) or own.tenant or outer.tenant
    if not tenant:
        tenant = active.tenant if active else "default"
    parent = metadata.get("agentrm_parent_agent") or outer.parent_agent or parent_agent
    if parent is None and active is not None:
        parent = active.agent
    return Who(
        agent,
        str(tenant),
        _priority(metadata) or own.priority or outer.priority,
        metadata.get("agentrm_lane") or own.group,
        None if parent is None or str(parent) == agent else str(parent),
    )


def _first(metadata: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if name in metadata:
            value = metadata[name]
            if value and isinstance(value, str | int | UUID):
                return value
    return None


def _thread(metadata: Mapping[str, Any]) -> Any:
    """The thread id: LangGraph copies it into the metadata, a plain chain's config has it only."""
    thread = metadata.get("thread_id")
    if thread is None:
        config = var_child_runnable_config.get()
        thread = (config.get("configurable") or {}).get("thread_id") if config else None
    return thread


def _priority(metadata: Mapping[str, Any]) -> Priority | None:
    given = metadata.get("agentrm_priority")
    if given is not None:
        return parse_priority(given, "agentrm_priority")
    plain = metadata.get("priority")
    if plain is None:
        return None
    try:
        return parse_priority(plain)
    except ConfigError:  # somebody else's word: plain metadata is not ours alone
        return None
