"""Whether a bare model is called inside a managed node: that is said once.

A node's gate cannot see what its function calls. So for its first runs a callback is there that
looks at each model call below: one that manages itself, that a callback of this core holds, or that
runs inside a managed call is fine; another slips past the core, which then knows nothing of its
endpoint's limits. After so many runs without one the callback stays away, and costs nothing.
"""

from __future__ import annotations

import sys
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.tracers.context import register_configure_hook

from agentrm_plugins.integration import asking, core_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from agentrm_plugins import AgentRM, Lease

__all__ = ["CAUSE", "LOOKS", "Looking", "Watch", "look", "look_away"]

CAUSE = "unmanaged model"
LOOKS = 20
"""Runs of a node that are looked at. Guessed: what a node calls shows in its first runs."""


class Watch(BaseCallbackHandler):
    """Looks at the model calls of one run of a node. It changes none and can fail none.

    Args:
        rm: The core.
        node: The node's name.
        lease: The node's own, if it holds a lane.
    """

    agentrm_only_counts = True  # it shows no token to anybody
    run_inline = True  # last of all handlers: those that manage are asked before
    ignore_chain = ignore_retriever = ignore_agent = True

    def __init__(self, rm: AgentRM, node: str, lease: Lease | None) -> None:
        self._rm = rm
        self._node = node
        self._around = lease or core_of(rm).lease_around()

    def on_chat_model_start(
        self, serialized: Any, messages: Any, *, run_id: UUID, **kwargs: Any
    ) -> None:
        """A model is called."""
        del messages
        self._look(serialized, run_id, kwargs)

    def on_llm_start(self, serialized: Any, prompts: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """The same for models of text in, text out."""
        del prompts
        self._look(serialized, run_id, kwargs)

    def _look(self, serialized: Any, run_id: UUID, kwargs: Mapping[str, Any]) -> None:
        core = core_of(self._rm)
        if CAUSE in core.warned or getattr(serialized, "agentrm_core", None) is not None:
            return
        if core.lease_around() is not self._around or _is_held(self._rm, run_id):
            return
        name = kwargs.get("name") or (serialized or {}).get("name") or "a model"
        core.warned.once(
            CAUSE,
            f"{name} is called in the managed node {self._node!r} and is not managed itself: no "
            "limit, retry or token count of this core holds for it. Give the graph to "
            "agentrm_langchain.manage(graph, rm), or wrap_chat_model(model, rm) where it is made",
        )


def _is_held(rm: AgentRM, run_id: UUID) -> bool:
    """Whether a callback of this core holds a lane for the call."""
    registers = sys.modules.get("agentrm_langchain.call_register")
    return registers is not None and run_id.int in registers.register_of(rm).held


_WATCH: ContextVar[Watch | None] = ContextVar("agentrm_langgraph_watch", default=None)
register_configure_hook(_WATCH, inheritable=True)
Looking = Token["Watch | None"]


def look(rm: AgentRM, node: str, lease: Lease | None) -> Looking | None:
    """From here on look at the model calls below; None: it was warned of one already."""
    return None if CAUSE in core_of(rm).warned else _WATCH.set(Watch(rm, node, lease))


def look_away(looking: Looking | None) -> None:
    """The node's run is over."""
    if looking is not None:
        asking.restore(_WATCH, looking)
