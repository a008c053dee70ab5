"""Whether an agent's tools ask models that its middleware does not manage: that is said once.

A middleware stands around the agent's own model alone. What a tool holds (another model, an agent)
would slip past the core in silence.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import ensure_config
from langchain_core.tools import BaseTool

from agentrm_plugins.integration import core_of

if TYPE_CHECKING:
    from agentrm_plugins import AgentRM

__all__ = ["ToolModels"]

_CAUSE = "unmanaged model"  # as of managed nodes: one core says it once
_TOOLS = 256
"""Tools that are looked at; an agent with more makes them anew for each call. Guessed."""


class ToolModels:
    """Looks once at each tool that an agent has.

    Args:
        rm: The core of the agent's middleware.
    """

    def __init__(self, rm: AgentRM) -> None:
        self._rm = rm
        self._seen: dict[int, BaseTool] = {}

    def look(self, tools: Iterable[Any]) -> None:
        """Warn of the first tool that holds a bare model. It changes and calls none."""
        warned = core_of(self._rm).warned
        for tool in tools:
            if not isinstance(tool, BaseTool) or self._seen.get(id(tool)) is tool:
                continue
            if _CAUSE in warned or len(self._seen) >= _TOOLS:
                return
            self._seen[id(tool)] = tool
            name = _bare(tool)
            if name:
                warned.once(
                    _CAUSE,
                    f"the tool {tool.name!r} holds {name}, which AgentRMMiddleware does not "
                    "manage: no limit, retry or token count of this core holds for its calls. "
                    "Give the whole agent to agentrm_langchain.manage(agent, rm), or "
                    "wrap_chat_model(model, rm) where it is made",
                )


def _bare(tool: BaseTool) -> str:
    """The class of a model in the tool that nothing manages; "" if there is none."""
    from agentrm_langchain.survey import managing_handler, surveyed

    if managing_handler(dict(ensure_config())) is not None:
        return ""
    found = surveyed(tool, tool.name).found
    return next((one.name for one in found if one.kind == "model" and not one.managed), "")
