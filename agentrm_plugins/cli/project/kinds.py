"""What a call makes, by the name and the origin of what is called."""

from __future__ import annotations

from agentrm_plugins.cli.project.modules import FRAMEWORKS

__all__ = ["GRAPH_ALONE", "MAKES_ANY", "MANAGERS", "MIDDLEWARE", "kind_of"]

_CLIENTS = {"OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"}
_AGENTS = {"create_agent", "create_react_agent", "create_deep_agent"}
_GRAPHS = {"StateGraph", "MessageGraph"}
_LIMITERS = {"InMemoryRateLimiter", "AsyncLimiter", "Semaphore", "BoundedSemaphore"}
MAKES_ANY = {"init_chat_model", "init_embeddings"}  # of whichever class a text names
# Of ours: what manages all that it is given; the nodes of a graph alone; an agent.
MANAGERS = {"manage", "manage_client", "wrap_chat_model", "ManagedEmbeddings"}
GRAPH_ALONE = {"manage_graph", "managed_node"}
MIDDLEWARE = "AgentRMMiddleware"


def kind_of(origin: str) -> str:
    """What is made: a kind of `Finding`, "ours" of something of AgentRM; "" of nothing known."""
    name = origin.rpartition(".")[2]
    if origin.startswith("agentrm"):
        return "ours"
    if name in _LIMITERS:
        return "limiter"
    if not origin.startswith(FRAMEWORKS):
        return ""
    if name in _CLIENTS and origin.startswith("openai"):
        return "client"
    for kind, names in (("agent", _AGENTS), ("graph", _GRAPHS)):
        if name in names:
            return kind
    if name == "init_embeddings" or name.endswith("Embeddings"):
        return "embeddings"
    is_model = name.startswith(("Chat", "AzureChat")) and "prompt" not in origin.lower()
    return "model" if name == "init_chat_model" or is_model else ""
