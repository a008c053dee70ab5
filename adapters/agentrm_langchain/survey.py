"""What calls models in an object, and whether it is managed. Nothing is changed, called or sent.

The same walk as `manage` makes, which changes nothing where nothing is replaced.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableBinding
from langchain_core.runnables.configurable import RunnableConfigurableFields

from agentrm_langchain.callbacks import AgentRMCallbackHandler
from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.configurable import is_configurable
from agentrm_langchain.embeddings import ManagedEmbeddings
from agentrm_langchain.model_facts import endpoint_of
from agentrm_langchain.rewrite import Rewriter
from agentrm_langchain.sdk import retries_of

__all__ = ["Survey", "managing_handler", "surveyed"]

_CLIENTS = {"OpenAI", "AsyncOpenAI"}


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that asks models: "model", "client", "embeddings" or "graph".

    Attributes:
        kind: What it is.
        name: Its class.
        path: Where it was found.
        managed: How: "wrapped", "callback", "middleware", "managed"; "" if not at all.
        retries: How often its SDK tries again by itself.
        endpoint: What it calls; None if that is not known.
        rate_limiter: Whether it has LangChain's own.
        rm: The core that manages it.
        what: Itself; of a wrapped one what is inside.
    """

    kind: str
    name: str
    path: str
    managed: str = ""
    retries: int = 0
    endpoint: str | None = None
    rate_limiter: bool = False
    rm: Any = field(default=None, repr=False)
    what: Any = field(default=None, repr=False)


class Survey:
    """A look at one object and all that is in it.

    Args:
        around: How everything in it is managed from outside, if it is.

    Attributes:
        found: What asks models, in the order of the walk.
    """

    def __init__(self, around: tuple[str, Any] | None = None) -> None:
        self.found: list[Found] = []
        self.contexts: list[Any] = []
        self._around = around
        self._middleware: Any = None
        self._rewriter = Rewriter(self._seen, self._unreached)

    def look(self, node: Any, path: str) -> None:
        """Walk through an object."""
        self._rewriter.visit(node, path)

    def _seen(self, node: Any, path: str) -> Any:
        if isinstance(node, AgentRMChatModel):
            self._managed_model(node, path)
        elif isinstance(node, BaseChatModel):
            self._bare(node, path)
        elif is_configurable(node):
            how = "wrapped" if hasattr(node, "_agentrm_manage") else ""
            self.found.append(Found("model", type(node).__name__, path, how, what=node))
        elif isinstance(node, RunnableConfigurableFields):
            self.look(node.default, f"{path}.default")
        elif isinstance(node, RunnableBinding) and (around := managing_handler(node.config)):
            self._inside(node.bound, f"{path}.bound", ("callback", around.rm))
        elif isinstance(node, Embeddings):
            self._embeddings(node, path)
        elif _is_client(node):
            self._client(node, path)
        elif type(node).__name__ == "AgentRMMiddleware":
            self._middleware = node
        elif _is_graph(node):
            self._graph(node, path)
        else:
            return None
        return node

    def _managed_model(self, node: AgentRMChatModel, path: str) -> None:
        retries = retries_of(node.inner)
        endpoint = endpoint_of(node.inner, {}, {})
        name = type(node.inner).__name__
        self.found.append(
            Found("model", name, path, "wrapped", retries, endpoint, rm=node.rm, what=node.inner)
        )
        context = getattr(node, "context", None)
        if context is not None:
            self.contexts.append(context)

    def _bare(self, node: BaseChatModel, path: str) -> None:
        how, rm = self._around or ("", None)
        handler = managing_handler({"callbacks": node.callbacks})
        if handler is not None:
            how, rm = "callback", handler.rm
        limiter = getattr(node, "rate_limiter", None) is not None
        self.found.append(
            Found(
                *("model", type(node).__name__, path, how, retries_of(node)),
                *(endpoint_of(node, {}, {}), limiter, rm, node),
            )
        )

    def _embeddings(self, node: Embeddings, path: str) -> None:
        managed = isinstance(node, ManagedEmbeddings)
        name = type(node.inner).__name__ if isinstance(node, ManagedEmbeddings) else ""
        how = "wrapped" if managed else ""
        inner = node.inner if isinstance(node, ManagedEmbeddings) else node
        self.found.append(Found("embeddings", name or type(node).__name__, path, how, what=inner))

    def _client(self, node: Any, path: str) -> None:
        managed = hasattr(type(node), "_is_managed")
        kept = managed and node._agentrm.keep_sdk_retries
        retries = node.max_retries if kept or not managed else 0
        rm = node._agentrm.rm if managed else None
        how = "managed" if managed else ""
        self.found.append(
            Found("client", type(node).__name__, path, how, retries, rm=rm, what=node)
        )

    def _graph(self, node: Any, path: str) -> None:
        manager = getattr(node, "agentrm_manager", None)
        how = "" if manager is None else "managed"
        rm = getattr(manager, "rm", None)
        self.found.append(Found("graph", type(node).__name__, path, how, rm=rm, what=node))
        inner = Survey(self._around)
        for name, part in node.nodes.items():
            inner.look(getattr(part, "runnable", getattr(part, "bound", part)), f"{path}.{name}")
            inner.look(getattr(part, "writers", None), f"{path}.{name}.writers")
        for name in ("branches", "channels"):
            inner.look(getattr(node, name, None), f"{path}.{name}")
        self._join(inner)

    def _inside(self, node: Any, path: str, around: tuple[str, Any]) -> None:
        inner = Survey(around)
        inner.look(node, path)
        self._join(inner)

    def _join(self, inner: Survey) -> None:
        """Take over what was found inside; a middleware there manages the models beside it."""
        middleware = inner._middleware
        for one in inner.found:
            theirs = middleware is not None and one.kind == "model" and not one.managed
            self.found.append(
                replace(one, managed="middleware", rm=middleware.rm, retries=0) if theirs else one
            )
        self.contexts += inner.contexts

    def _unreached(self, path: str, node: object) -> None:
        if isinstance(node, BaseChatModel) and not isinstance(node, AgentRMChatModel):
            self._bare(node, path)


def surveyed(node: Any, path: str) -> Survey:
    """All that asks models in an object, a list, a graph, or a module's own names."""
    survey = Survey()
    if isinstance(node, type(sys)):
        for name, value in list(vars(node).items()):
            own = not name.startswith("_") and not isinstance(value, type | type(sys))
            if own and (not callable(value) or hasattr(value, "invoke") or _is_client(value)):
                survey.look(value, f"{path}:{name}")
    else:
        survey.look(node, path)
    return survey


def managing_handler(config: Any) -> AgentRMCallbackHandler | None:
    """Our callback among those of a config; None if there is none."""
    callbacks = (config or {}).get("callbacks")
    handlers = getattr(callbacks, "handlers", callbacks)
    if not isinstance(handlers, list | tuple):
        return None
    return next((one for one in handlers if isinstance(one, AgentRMCallbackHandler)), None)


def _is_client(node: object) -> bool:
    return any(
        kind.__name__ in _CLIENTS and kind.__module__.partition(".")[0] == "openai"
        for kind in type(node).__mro__
    )


def _is_graph(node: object) -> bool:
    pregel = getattr(sys.modules.get("langgraph.pregel"), "Pregel", None)
    builder = getattr(sys.modules.get("langgraph.graph"), "StateGraph", None)
    return any(kind is not None and isinstance(node, kind) for kind in (pregel, builder))
