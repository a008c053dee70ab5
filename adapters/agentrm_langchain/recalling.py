"""The tool `recall`: the agent searches the archive of its own conversation, and of no other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.tools import StructuredTool

from agentrm_langchain.views import Views, conversation_of
from agentrm_plugins.integration import contexts

if TYPE_CHECKING:
    from agentrm_langchain.identity import Options
    from agentrm_plugins import AgentRM

__all__ = ["recall_tool"]

_NO_THREAD = (
    "There is no archive: this conversation has no thread id. "
    "(Run the agent with a config that has a thread_id.)"
)


def recall_tool(views: Views, rm: AgentRM | None, own: Options) -> StructuredTool:
    """Make the tool.

    Args:
        views: The sessions; the tool finds its own by the run that calls it.
        rm: The core, whose identity rules name the tenant.
        own: What the middleware or the hook was given.
    """

    def recall(**arguments: Any) -> str:
        session = views.session(conversation_of(rm, own))
        return _NO_THREAD if session is None else session.call_recall(arguments)

    function = contexts.RECALL_TOOL["function"]
    return StructuredTool.from_function(
        func=recall,
        name=function["name"],
        description=function["description"],
        args_schema=function["parameters"],
        infer_schema=False,
    )
