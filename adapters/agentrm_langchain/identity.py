"""For whom a model call of LangChain is made: what the run tells, for the one table of all doors.

The table is that of `agentrm_plugins.hosts.identity`. Here is only how LangChain tells its part: a
run's metadata, the thread id in ``configurable``, and the run at the root.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from langchain_core.language_models import BaseChatModel

from agentrm_langchain.noting import thread_of
from agentrm_plugins.integration import Priority, asking, check_group

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins import AgentRM

__all__ = [
    "Caller",
    "Options",
    "agent_of",
    "caller_of_callback",
    "declared",
    "identify",
    "lane_of",
]


@dataclass(frozen=True, slots=True)
class Options:
    """What a handler, a middleware or a model was given for all its calls."""

    said: asking.Said
    group: str = "model"


_NEAR = 24
"""Frames between a model's `invoke` and its handler's start event: 8 to 14 have been seen."""


def declared(
    agent: str | None, tenant: str | None, priority: Priority | str | None, group: str
) -> Options:
    """Check what a user declares for a handler or a model.

    Raises:
        ConfigError: A name that is no string or empty, or a priority that is not one of the three.
    """
    return Options(asking.say(agent, tenant, priority), group)


def agent_of(metadata: Mapping[str, Any]) -> str | None:
    """The agent that this metadata or the thread names, or None."""
    thread = thread_of(metadata)
    return asking.named_in(metadata) or (None if thread is None else asking.whole_text(str(thread)))


def lane_of(metadata: Mapping[str, Any], group: str, rm: AgentRM) -> str:
    """The lane group of a call: metadata ``agentrm_lane``, or what the plugin was given.

    Raises:
        ConfigError: ``agentrm_lane`` is none of the core's groups.
    """
    named = metadata.get("agentrm_lane")
    if named is None or named == "":
        return group
    return cast("str", check_group("agentrm_lane", named, rm.config.groups))


def identify(
    core: int,
    own: Options,
    metadata: Mapping[str, Any],
    *,
    root: str | None = None,
    above: str | None = None,
    thread: object = None,
) -> asking.Identity:
    """Say for whom one call is made.

    Args:
        core: The number of the core.
        own: What the plugin was given.
        metadata: The run's metadata.
        root: The id of the run at the root; None where nothing is known of it.
        above: The agent of an outer run, if the run tree knows one.
        thread: The thread id, if it is known already.

    Raises:
        ConfigError: ``agentrm_priority`` is not one of the three.
    """
    if thread is None:
        thread = thread_of(metadata)
    return asking.resolve(core, own=own.said, run=asking.RunInfo(metadata, thread, root, above))


class Caller(NamedTuple):
    """What a callback may know of the model that starts, beyond what LangChain tells it."""

    model: BaseChatModel | None
    thread: Any


def _codes(*names: str) -> frozenset[Any]:
    return frozenset(getattr(BaseChatModel, name).__code__ for name in names)


_INVOKED = _codes("invoke", "ainvoke", "stream", "astream")
_GENERATED = _codes("generate", "agenerate")


def caller_of_callback() -> Caller:
    """The model that is starting, and the thread id in the config that it was called with.

    LangChain tells a callback the metadata of a run, neither its config nor its model. So they are
    looked up where they are: in the model's own `invoke`, a few frames up.
    """
    model, frame = None, sys._getframe(1)
    for _ in range(_NEAR):
        above = frame.f_back
        if above is None:
            break
        frame = above
        if frame.f_code in _GENERATED:
            model = frame.f_locals.get("self")
        elif frame.f_code in _INVOKED:
            config = frame.f_locals.get("config")
            thread = (config.get("configurable") or {}).get("thread_id") if config else None
            return Caller(frame.f_locals.get("self"), thread)
    return Caller(model, None)
