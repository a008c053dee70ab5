"""`manage`: every chat model inside an existing chain, agent or graph, put under management.

Models are found in sequences, branches, fallbacks, bindings, retries, configurable fields,
functions and tools alike. A graph's nodes are managed as `agentrm_langgraph.manage_graph` does it.
What was given stays as it was. Each model that is now managed is told by an INFO of the logger
"agentrm.langchain", each that could not be reached by a WARNING.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Callable
from types import AsyncGeneratorType, CoroutineType, GeneratorType, NoneType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.runnables.configurable import RunnableConfigurableFields

from agentrm_langchain.chat_model import AgentRMChatModel
from agentrm_langchain.configurable import is_configurable
from agentrm_langchain.rewrite import Rewriter
from agentrm_langchain.touchy import asked, is_a
from agentrm_langchain.wrap import OPTIONS, managed_model
from agentrm_plugins import AgentRM, ConfigError
from agentrm_plugins.integration import check_one_core, checked, core_of, suggesting

if TYPE_CHECKING:
    from agentrm_plugins import RetryPolicy
    from agentrm_plugins.integration import Priority, PriorityName

__all__ = ["manage"]

_NOT_RUN = {"builder", "agentrm_manager"}  # of a compiled graph
_LOG = logging.getLogger("agentrm.langchain")
R = TypeVar("R")


@suggesting
def manage(
    runnable: R,
    rm: AgentRM,
    *,
    tell: Callable[[str], object] | None = None,
    agent: str | None = None,
    tenant: str | None = None,
    priority: Priority | PriorityName | None = None,
    group: str = "model",
    retry: RetryPolicy | Literal["default"] | None = "default",
    keep_sdk_retries: bool = False,
    abandon_hung: bool = True,
    wait_timeout_s: float | None = None,
    first_token_timeout_s: float | None = None,
    silence_timeout_s: float | None = None,
    total_timeout_s: float | None = None,
    hedge: bool = True,
    adaptive: bool | None = None,
    on_stall: Literal["error", "restart"] = "error",
) -> R:
    """Put every chat model inside a chain, an agent, a graph or a tool under management.

    What comes back is a copy in which managed models stand in the place of the bare ones.

    Args:
        runnable: A runnable, a graph (compiled or not), an agent, a tool, a model or a function.
        rm: The core.
        tell: Called with each line of what was managed and what was not, instead of the logger.
        agent: For whom each model, node and tool call of it is; None: as for `wrap_chat_model`.
        tenant: Who pays.
        priority: Where the agent starts.
        group: The group of lanes. This and what follows is for each model.
        retry: Which failures go again.
        keep_sdk_retries: Whether the provider's SDK may retry by itself.
        abandon_hung: Whether a sync call that hangs is left behind.
        wait_timeout_s: Seconds that a call may wait for a lane.
        first_token_timeout_s: Seconds of silence before the first chunk or the answer.
        silence_timeout_s: Seconds of silence between two chunks.
        total_timeout_s: Seconds for which a call may hold a lane.
        hedge: Whether a second request may be sent when a call is late.
        adaptive: Whether what is learnt may make a call late; None: the core's setting.
        on_stall: "error" or "restart": what becomes of a stream that breaks off in the middle.

    Raises:
        ConfigError: No chat model was found, one is managed by another core, or a bad value.
        ClosedError: The core is closed.
    """
    options = {name: value for name, value in locals().items() if name in OPTIONS}
    checked(rm, options)
    return cast("R", _Management(rm, {**OPTIONS, **options}, tell).of(runnable))


class _Management:
    """What is done with each part of one object."""

    def __init__(
        self, rm: AgentRM, options: dict[str, Any], tell: Callable[[str], object] | None
    ) -> None:
        if tell is not None and not callable(tell):
            raise ConfigError("tell", tell, "give a function of one line, such as print, or None")
        self.rm = rm
        self.options = options
        self.found = 0
        self.missed: list[str] = []
        self.rewriter = Rewriter(self._replaced, self._unreached)
        self._say = tell
        self._models: dict[int, tuple[Any, Any]] = {}  # bare and managed

    def of(self, runnable: Any) -> Any:
        """The copy in which models are managed."""
        managed = self.rewriter.rewritten(runnable, type(runnable).__name__)
        if not self.found:
            way = _way_out(runnable)
            if self.missed:
                way += ". It holds, out of reach: " + ", ".join(self.missed[:3])
            raise ConfigError.of_kind("runnable", runnable, way)
        return managed

    def _replaced(self, node: Any, path: str) -> Any:
        if isinstance(node, BaseChatModel) or is_configurable(node):
            _, managed = self._models.get(id(node), (None, None))
            if managed is None:
                managed = self._model(node, path)
                self._models[id(node)] = node, managed
            return managed
        if isinstance(node, RunnableConfigurableFields) and isinstance(node.default, BaseChatModel):
            made = self.rewriter.visit(node.default, f"{path}.default").configurable_fields(
                **node.fields
            )
            own = type(node).model_fields.keys() - {"default", "fields"}  # its config, its name
            kept = {name: self.rewriter.visit(getattr(node, name), path) for name in own}
            return made.model_copy(update=kept)
        return self._graph(node, path)

    def _model(self, node: Any, path: str) -> Any:
        if isinstance(node, AgentRMChatModel):
            check_one_core(self.rm, node.rm)
            if node.rm is self.rm:
                self._managed(path, node.inner, "already")
                return node
        managed = managed_model(node, self.rm, self.options)
        self._managed(path, node, "now")
        return managed

    def _graph(self, node: Any, path: str) -> Any:
        """A graph whose nodes' models and nodes are managed; None if it is no graph."""
        pregel = getattr(sys.modules.get("langgraph.pregel"), "Pregel", None)
        builder = getattr(sys.modules.get("langgraph.graph"), "StateGraph", None)
        if pregel is None or not isinstance(node, (pregel, builder) if builder else pregel):
            return None
        from agentrm_langgraph import manage_graph

        known = getattr(node, "agentrm_manager", None)
        if known is not None and known.rm is not self.rm:
            node, known = known.released(node, self.rm), None
        made = self._parts(node, path)
        if known is not None:
            return made
        who = {name: self.options[name] for name in ("agent", "tenant", "priority")}
        return manage_graph(made, self.rm, **who)

    def _parts(self, graph: Any, path: str) -> Any:
        """The graph with its nodes, edges, channels and policies rewritten."""
        made = copy.copy(graph)
        builder = getattr(graph, "builder", graph)
        for channel in builder.channels.values():
            self.rewriter.looker.leave_out(getattr(channel, "operator", None))
        for schema in getattr(builder, "schemas", ()):
            self.rewriter.looker.look_at_class(schema, f"{path}.{schema.__name__}")
        if isinstance(builder.__dict__.get("context_schema"), type):
            self.rewriter.looker.look_at_class(builder.context_schema, f"{path}.context_schema")
        same = True
        for name, part in vars(graph).items():
            new = part if name in _NOT_RUN else self.rewriter.visit(part, f"{path}.{name}")
            if new is not part:
                setattr(made, name, new)
                same = False
        return graph if same else made

    # -- what is said of it -----------------------------------------------------------------

    def _managed(self, path: str, model: object, when: str) -> None:
        self.found += 1
        line = f"managed {when}: {type(model).__name__} at {path}"
        (self._say or _LOG.info)(line)

    def _unreached(self, path: str, model: object) -> None:
        if isinstance(model, AgentRMChatModel):
            return
        kind = model if isinstance(model, type) else type(model)
        self.missed.append(f"{kind.__name__} at {path}")
        line = (
            f"not managed: {kind.__name__} at {path}: wrap it with wrap_chat_model(model, "
            f"rm) where it is made"
        )
        (self._say or _LOG.warning)(line)
        if self._say is None:
            core_of(self.rm).warned.once("unmanaged model", line, stacklevel=6)


_UNREACHED = "there is no chat model in it that could be reached; wrap it where it is made"
_BEGUN = "it is a call that has begun already; give the function itself, without the ()"
_WAYS: tuple[tuple[Any, str], ...] = (
    (str, "a name becomes a model with langchain's init_chat_model(name): manage what that gives"),
    (NoneType, "give what holds the chat model; does the function that builds it return it?"),
    ((CoroutineType, GeneratorType, AsyncGeneratorType), _BEGUN),
    (AgentRM, "what is managed comes first: manage(runnable, rm)"),
)


def _way_out(runnable: Any) -> str:
    """What to give in the place of something that holds no chat model."""
    for kinds, way in _WAYS:
        if is_a(runnable, kinds):
            return way
    if is_a(runnable, type):
        return f"this is a class; give an object of it: {runnable.__name__}(...)"
    if type(runnable).__module__.startswith("openai"):
        return "agentrm_openai.manage_client(client, rm) manages a client of the OpenAI SDK"
    if asked(runnable, "nodes", None) is not None:
        return f"{_UNREACHED}; manage_graph(graph, rm) manages the nodes alone"
    return f"{_UNREACHED}: wrap_chat_model(model, rm)"
