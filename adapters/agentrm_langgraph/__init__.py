"""AgentRM for LangGraph: every node and model call of a graph goes through one shared core.

`manage_graph` puts a whole graph under management, `managed_node` one node or task.
"""

from agentrm_langgraph.functions import managed_node
from agentrm_langgraph.graph import manage_graph

__all__ = ["manage_graph", "managed_node"]
