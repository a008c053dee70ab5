"""Never run: each line here is wrong, and must stay an error for the type checker.

`make types` counts an ignore that is not needed as a fault, so a line that passes fails the check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import agentrm_langchain
import agentrm_plugins
from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMChatModel,
    AgentRMMiddleware,
    chat_summariser,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph, managed_node
from agentrm_openai import manage_client, managed_async_http_client, managed_http_client
from agentrm_plugins import (
    AgentRM,
    BudgetConfig,
    ContextConfig,
    Coordination,
    EndpointConfig,
    SchedulerConfig,
    ShareConfig,
    SqliteStore,
)
from agentrm_plugins.testing.provider import SimulatedProvider

if TYPE_CHECKING:
    import openai
    from langchain_core.language_models import BaseChatModel
    from langgraph.graph import StateGraph


def typos(rm: AgentRM, model: BaseChatModel, graph: StateGraph, client: openai.OpenAI) -> None:  # type: ignore[type-arg]
    """A name that no door takes."""
    AgentRM(lane=4)  # type: ignore[call-arg]
    rm.slot(agnet="a")  # type: ignore[call-arg]
    rm.identity(agnet="a")  # type: ignore[call-arg]
    wrap_chat_model(model, rm, agnet="a")  # type: ignore[call-arg]
    AgentRMChatModel(model, rm, agnet="a")  # type: ignore[call-arg]
    AgentRMCallbackHandler(rm, agnet="a")  # type: ignore[call-arg]
    AgentRMMiddleware(rm, agnet="a")  # type: ignore[call-arg]
    manage_graph(graph, rm, lanes="node")  # type: ignore[call-arg]
    managed_node(typos, rm, lanes="node")  # type: ignore[call-arg]
    manage_client(client, rm, agnet="a")  # type: ignore[call-arg]
    AgentRM.from_config(lane=4)  # type: ignore[call-arg]
    AgentRM.from_config(config=rm.config)  # type: ignore[call-arg]
    managed_http_client(rm, agnet="a")  # type: ignore[call-arg]
    managed_async_http_client(rm, agnet="a")  # type: ignore[call-arg]
    chat_summariser(model, rm, agnet="a")  # type: ignore[call-arg]
    SimulatedProvider(rmp=2)  # type: ignore[call-arg]
    SimulatedProvider().reconfigure(rmp=2)  # type: ignore[call-arg]


def words(rm: AgentRM, model: BaseChatModel, graph: StateGraph, client: openai.OpenAI) -> None:  # type: ignore[type-arg]
    """A word that is none of those that are taken."""
    AgentRM(order="filo")  # type: ignore[arg-type]
    SchedulerConfig(order="filo")  # type: ignore[arg-type]
    rm.slot(priority="urgent")  # type: ignore[arg-type]
    rm.identity(priority="urgent")  # type: ignore[arg-type]
    wrap_chat_model(model, rm, priority="urgent")  # type: ignore[arg-type]
    wrap_chat_model(model, rm, retry="always")  # type: ignore[arg-type]
    AgentRMCallbackHandler(rm, priority="urgent")  # type: ignore[arg-type]
    AgentRMMiddleware(rm, priority="urgent")  # type: ignore[arg-type]
    AgentRMMiddleware(rm, tools=True)  # type: ignore[arg-type]
    manage_graph(graph, rm, hint="width")  # type: ignore[arg-type]
    manage_client(client, rm, priority="urgent")  # type: ignore[arg-type]
    AgentRM.from_config(order="filo")  # type: ignore[arg-type]
    BudgetConfig(limit=2, resource="call")  # type: ignore[arg-type]
    ShareConfig(share=0.5, resource="cost")  # type: ignore[arg-type]
    ShareConfig(share=0.5, over="stop")  # type: ignore[arg-type]
    EndpointConfig(reserve="most")  # type: ignore[arg-type]
    Coordination("", on_outage="fail")  # type: ignore[arg-type]
    SqliteStore("a", durability="powr")  # type: ignore[arg-type]
    ContextConfig(unknown_blocks="eror")  # type: ignore[arg-type]
    ContextConfig(on_store_error="rais")  # type: ignore[arg-type]
    ContextConfig(summary_role="assistant")  # type: ignore[arg-type]
    SimulatedProvider(window="hour")  # type: ignore[arg-type]


def kinds(rm: AgentRM, model: BaseChatModel) -> None:
    """A value of another kind, and what is not a user's."""
    AgentRM(lanes="four")  # type: ignore[arg-type]
    wrap_chat_model(model, rm, wait_timeout_s="5 s")  # type: ignore[arg-type]
    wrap_chat_model(rm, model)  # type: ignore[arg-type]
    print(agentrm_plugins.RetryPolcy, agentrm_langchain.AgentRMMiddlware)  # type: ignore[attr-defined]
    print(rm.admit, rm.observe, rm.lease_of)  # type: ignore[attr-defined]
