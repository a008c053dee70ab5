"""Who is asking: one answer for every door.

The slot, the wrapped model, the callback, the middleware, a managed node, a tool call and a managed
SDK client all ask `resolve`. The first row that says something wins, for each field by itself:

=== =================================================== ===== ====== ======== ======
row source                                              agent tenant priority parent
=== =================================================== ===== ====== ======== ======
1   the call's own words: arguments of `AgentRM.slot`,  yes   yes    yes      yes
    headers ``x-agentrm-agent``, ``-tenant``,
    ``-priority`` of an SDK request
2   metadata of the run in which it is made:            yes   yes    yes      yes
    ``agentrm_agent``, ``agentrm_tenant``,
    ``agentrm_priority``, ``agentrm_parent_agent``,
    or plain ``agent``, ``tenant``, ``priority``
3   the arguments of the plugin: wrapped model,         yes   yes    yes      no
    callback, middleware, client, `manage`,
    `manage_graph`, `managed_node`
4   the nearest block around it that names one:         yes   yes    yes      yes
    `AgentRM.identity` or a managed call
5   the thread id of the run, where it is another than  yes   no     no       no
    that of the node around
6   the node around it, whose own agent came from rows  yes   no     no       no
    5 or 7
7   the run at the root, where one is known             yes   no     no       no
8   "main", "default", none                             yes   yes    yes      yes
=== =================================================== ===== ====== ======== ======

Row 4 has one more rule for the parent. The block around belongs to another agent of the same
tenant: that agent is the parent. It belongs to the same one: its parent is this call's parent. One
of the same name in another tenant is somebody else, and so would its parent be. Last of all comes
the agent of an outer run, where a callback has seen it. Nobody is its own parent.

Of metadata, our own words (``agentrm_...``) must be what they are meant to be, or it is an error;
plain ones that cannot be meant for us say nothing. None and an empty text say nothing anywhere.
"""

from __future__ import annotations

import sys
from operator import index
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex
from uuid import UUID

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.calls import parse_priority
from agentrm_plugins.types.checks import check_name, whole_text
from agentrm_plugins.types.identity import ACTIVE, IDENTITY, Identity

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.types.calls import Priority

__all__ = [
    "NO_RUN",
    "SILENT",
    "RunInfo",
    "Said",
    "declared",
    "named_in",
    "resolve",
    "run_around",
    "said_in",
    "say",
]

_AGENT = ("agentrm_agent", "agentrm_agent_id", "agent")
_TENANT = ("agentrm_tenant", "tenant")
_PARENT = ("agentrm_parent_agent",)
_PRIORITY = ("agentrm_priority", "priority")
_NAMED = frozenset({*_AGENT, *_TENANT, *_PARENT, *_PRIORITY})
_LANGCHAIN = "langchain_core.runnables.config"


class Said(NamedTuple):
    """What one source says; None where it says nothing."""

    agent: str | None = None
    tenant: str | None = None
    priority: Priority | None = None
    parent_agent: str | None = None


class RunInfo(NamedTuple):
    """What is known of the framework's run in which a call is made.

    Args:
        metadata: The run's metadata.
        thread: The thread id of its conversation.
        root: What names the run at the root of it all.
        above: The agent of an outer run.
    """

    metadata: Mapping[str, Any] = {}
    thread: object = None
    root: str | None = None
    above: str | None = None


SILENT = Said()
NO_RUN = RunInfo()


def resolve(core: int, said: Said = SILENT, own: Said = SILENT, run: RunInfo = NO_RUN) -> Identity:
    """Say for whom a call is made, by the table above.

    Args:
        core: The core that asks (`AgentRM.core`): another one's calls are not around it.
        said: The call's own words.
        own: What the plugin was given.
        run: The framework's run.

    Returns:
        The identity, with an agent and a tenant.

    Raises:
        ConfigError: One of our own words in the metadata has a value that it cannot have.
    """
    metadata = run.metadata
    hints = SILENT if _NAMED.isdisjoint(metadata) else said_in(metadata)
    around = _around(core)
    thread = None if run.thread is None or run.thread == "" else whole_text(str(run.thread))
    agent, named = said.agent or hints.agent or own.agent, True
    if not agent and around.named:
        agent = around.agent
    if not agent:
        agent, named = around.agent or run.root or "main", False
        if thread is not None and (thread != around.thread or not around.agent):
            agent = thread
    tenant = said.tenant or hints.tenant or own.tenant or around.tenant or "default"
    priority = said.priority or hints.priority or own.priority or around.priority
    parent = said.parent_agent or hints.parent_agent
    if not parent:
        parent = _parent_around(around, agent, tenant) or run.above
    return Identity(
        agent,
        tenant,
        priority,
        None if parent == agent else parent,
        named,
        thread or around.thread,
    )


def _around(core: int) -> Identity:
    """The nearest block: what was declared, or the managed call that was entered since."""
    outer, active = IDENTITY.get(), ACTIVE.get()
    if active is None or active is outer.within or active.core != core:
        return outer
    call = active.call
    same = call.agent == outer.agent and call.tenant == (outer.tenant or "default")
    return Identity(
        call.agent,
        call.tenant,
        call.priority or outer.priority,
        call.parent_agent,
        outer.named if same else True,
        outer.thread,
    )


def _parent_around(around: Identity, agent: str, tenant: str) -> str | None:
    if not around.agent or not agent:
        return around.parent_agent
    if around.agent == agent:  # its namesake in another tenant is somebody else
        return around.parent_agent if around.tenant in {None, tenant} else None
    return around.agent if (around.tenant or "default") == tenant else None


def declared(core: int, said: Said) -> Identity:
    """What `AgentRM.identity` declares: its own words, and what is around it for the rest."""
    around = _around(core)
    agent, tenant = said.agent or around.agent, said.tenant or around.tenant
    parent = said.parent_agent
    if not parent:
        parent = _parent_around(around, agent or "", tenant or "default")
    return Identity(
        agent,
        tenant,
        said.priority or around.priority,
        None if parent == agent else parent,
        around.named if said.agent is None else True,
        around.thread,
        ACTIVE.get(),
    )


def say(
    agent: str | None = None,
    tenant: str | None = None,
    priority: Priority | str | None = None,
    parent_agent: str | None = None,
) -> Said:
    """What somebody says, checked.

    Raises:
        ConfigError: A name that is no string or empty, or a priority that is not one of the three.
    """
    named = (("agent", agent), ("tenant", tenant), ("parent_agent", parent_agent))
    for name, value in named:
        check_name(name, value, none=True)
    return Said(agent, tenant, parse_priority(priority), parent_agent)


def said_in(metadata: Mapping[str, Any]) -> Said:
    """Row 2: what a run's metadata says.

    Raises:
        ConfigError: One of our own words has a value that it cannot have.
    """
    return Said(
        named_in(metadata, _AGENT, strict=True),
        named_in(metadata, _TENANT, strict=True),
        _priority(metadata),
        named_in(metadata, _PARENT, strict=True),
    )


def named_in(
    metadata: Mapping[str, Any], names: tuple[str, ...] = _AGENT, *, strict: bool = False
) -> str | None:
    """The first of these keys whose value can be a name; by default the agent's.

    Args:
        metadata: A run's.
        names: The keys.
        strict: Whether one of our own keys must hold a name, or nothing.

    Raises:
        ConfigError: It does not, and `strict`.
    """
    for name in names:
        value = metadata.get(name)
        if isinstance(value, str):
            if value:
                return whole_text(str.__str__(value))  # of an enum's member its value
        elif isinstance(value, UUID):
            return str(value)
        elif isinstance(value, SupportsIndex) and not isinstance(value, bool):
            return str(index(value))  # numpy's too
        elif strict and value is not None and name.startswith("agentrm_"):
            way = "give a name (a text, a whole number or a UUID), or leave it out"
            raise ConfigError.of_kind(name, value, way)
    return None


def _priority(metadata: Mapping[str, Any]) -> Priority | None:
    given = metadata.get("agentrm_priority")
    if given is not None and given != "":
        return parse_priority(given, "agentrm_priority")
    plain = metadata.get("priority")
    if plain is None:
        return None
    try:
        return parse_priority(plain)
    except ConfigError:  # somebody else's word: plain metadata is not ours alone
        return None


def run_around(config: Mapping[str, Any] | None = None) -> RunInfo:
    """The LangChain or LangGraph run inside which the code that runs now is.

    Whoever has LangChain at work has imported it; nobody else pays for it or needs it.

    Args:
        config: The run's config, where it is at hand; None: it is looked up.
    """
    if config is None:
        module = sys.modules.get(_LANGCHAIN)
        variable = getattr(module, "var_child_runnable_config", None)
        config = variable.get() if variable is not None else None
    if not config:
        return NO_RUN
    metadata = config.get("metadata") or {}
    thread = (config.get("configurable") or {}).get("thread_id")
    if thread is None:
        thread = metadata.get("thread_id")
    if thread is None or thread == "":
        return RunInfo(metadata, None, _root_above(config.get("callbacks")))
    return RunInfo(metadata, thread)


def _root_above(callbacks: Any) -> str | None:
    """What names the root of the runs, as far as it is known to the callbacks of one of them.

    They know the run right above; the tree of runs is known to a handler of ours alone, which has
    `agentrm_root_of`.
    """
    run_id = getattr(callbacks, "parent_run_id", None)
    if run_id is None:
        return None
    for handler in getattr(callbacks, "handlers", ()):
        root = getattr(type(handler), "agentrm_root_of", _unknown)(handler, run_id)
        if root is not None:
            return str(root)
    return str(run_id)


def _unknown(_handler: Any, _run_id: Any) -> None:
    """What a handler of somebody else's knows of the tree of runs."""
