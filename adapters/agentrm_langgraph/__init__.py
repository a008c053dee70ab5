"""AgentRM for LangGraph: every node and model call of a graph goes through one shared core.

`manage_graph` puts a whole graph under management, `managed_node` one node or task.
`LangGraphColdStore` archives conversations in any LangGraph store, and `pre_model_hook` is the node
that keeps a model's messages within their budget.
"""

from typing import TYPE_CHECKING, Any

try:
    import langgraph.types  # noqa: F401 - the namespace alone may come from another package
except ModuleNotFoundError as error:
    if error.name not in {"langgraph", "langgraph.types", "langchain_core"}:
        raise
    msg = "agentrm_langgraph needs langgraph: pip install 'agentrm-plugins[langgraph]'"
    raise ModuleNotFoundError(msg, name=error.name) from None

from agentrm_langgraph.functions import managed_node
from agentrm_langgraph.graph import manage_graph

if TYPE_CHECKING:
    from agentrm_langchain import pre_model_hook
    from agentrm_langgraph.cold_store import LangGraphColdStore

__all__ = ["LangGraphColdStore", "manage_graph", "managed_node", "pre_model_hook"]


if not TYPE_CHECKING:  # else a name that does not exist would pass the type checker

    def __getattr__(name: str) -> Any:
        """Import the context lifecycle's parts when they are first asked for."""
        if name == "LangGraphColdStore":
            from agentrm_langgraph.cold_store import LangGraphColdStore

            return LangGraphColdStore
        if name == "pre_model_hook":
            from agentrm_langchain import pre_model_hook

            return pre_model_hook
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)

    def __dir__() -> list[str]:
        """What completion offers."""
        return sorted(__all__)
