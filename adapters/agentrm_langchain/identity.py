"""For whom a model call of LangChain is made: what the run tells, for the one table of all doors.

The table is that of `agentrm_plugins.hosts.identity`. Here is only how LangChain tells its part: a
run's metadata, the thread id in ``configurable``, and the run at the root.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables.config import var_child_runnable_config

from agentrm_plugins.integration import Priority, asking

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Token

__all__ = [
    "Caller",
    "Options",
    "agent_of",
    "caller_of_callback",
    "declared",
    "identify",
    "lane_of",
    "noted_thread",
    "thread_of",
]


@dataclass(frozen=True, slots=True)
class Options:
    """What a handler, a middleware or a model was given for all its calls."""

    said: asking.Said
    group: str = "model"


class _Direct(NamedTuple):
    """The thread id in the config of a model that is called directly, and where that was."""

    thread: Any
    around: Any


# A model that is called directly hands its config to nobody: its thread id is noted here.
_DIRECT: ContextVar[_Direct | None] = ContextVar("agentrm_langchain_direct", default=None)
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


def lane_of(metadata: Mapping[str, Any], own: Options) -> str:
    """The lane group of a call: metadata ``agentrm_lane``, or what the plugin was given."""
    return metadata.get("agentrm_lane") or own.group


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


def thread_of(metadata: Mapping[str, Any]) -> Any:
    """The thread id of the run that runs now.

    A model that is called directly has it in its own config; a chain and a graph have it in theirs,
    which the runnables inside see. LangGraph copies it into the metadata too, where a graph inside
    another one may still have the outer one's.
    """
    direct, around = _DIRECT.get(), var_child_runnable_config.get()
    if direct is not None and direct.around is around:
        return direct.thread
    thread = (around.get("configurable") or {}).get("thread_id") if around else None
    return metadata.get("thread_id") if thread is None else thread


class noted_thread:  # noqa: N801 - it reads as a verb, and a generator costs three times as much
    """A model is called directly with this config: its thread id is known inside the block."""

    __slots__ = ("_direct", "_token")

    def __init__(self, config: Any) -> None:
        thread = (config.get("configurable") or {}).get("thread_id") if config else None
        self._direct = None if thread is None else _Direct(thread, var_child_runnable_config.get())
        self._token: Token[_Direct | None] | None = None

    def __enter__(self) -> None:
        if self._direct is not None:
            self._token = _DIRECT.set(self._direct)

    def __exit__(self, *exc: object) -> None:
        if self._token is not None:
            _DIRECT.reset(self._token)


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
