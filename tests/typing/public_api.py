"""Never run: `make types` checks here that the public API types a user's program as promised."""

from __future__ import annotations

from typing import Any, assert_type

import openai
from langchain_core.language_models import BaseChatModel
from langgraph.graph import StateGraph

from agentrm_langchain import (
    AgentRMCallbackHandler,
    AgentRMChatModel,
    AgentRMMiddleware,
    wrap_chat_model,
)
from agentrm_langgraph import manage_graph
from agentrm_openai import manage_client
from agentrm_plugins import (
    AgentRM,
    AgentRMError,
    CallReaped,
    CallRefused,
    ClosedError,
    Config,
    ConfigError,
    ContextConfig,
    ContextLifecycle,
    EndpointConfig,
    LaneGroup,
    Lease,
    LeaseConfig,
    RetryPolicy,
    SchedulerConfig,
    SqliteStore,
    Statistics,
    TenantConfig,
    Usage,
)
from agentrm_plugins.events import Granted


def configure() -> AgentRM:
    """Every part of the configuration, by name."""
    config = Config(
        lanes=4,
        groups=(LaneGroup("model", 3, guaranteed=1), LaneGroup("tools", 2, per_agent=1)),
        scheduler=SchedulerConfig(order="hrrn", boost_interval=50),
        leases=LeaseConfig(silence_timeout_s=5.0, total_timeout_s=None),
        tenants={"gold": TenantConfig(weight=3.0)},
    )
    assert_type(config.groups, tuple[LaneGroup, ...])
    with AgentRM(lanes=2, order="fifo") as shortcut:
        assert_type(shortcut, AgentRM)
    return AgentRM(config)


def work(rm: AgentRM) -> int:
    """A thread's call."""
    with (
        rm.identity(agent="writer", tenant="gold", priority="batch"),
        rm.slot(agent="writer", group="model") as lease,
    ):
        assert_type(lease, Lease)
        assert_type(lease.ticket, int)
        assert_type(lease.waited_s, float)
        assert_type(lease.reaped, bool)
        lease.beat(tokens=3)
        lease.settle(Usage(input_tokens=10, output_tokens=3), outcome="ok")
        lease.raise_if_reaped()
    return Usage(input_tokens=1).input_tokens


async def work_async(rm: AgentRM) -> None:
    """A task's call."""
    async with rm.slot(agent="reader", priority="interactive") as lease:
        assert_type(lease, Lease)
        lease.on_reap(lambda reaped: print(reaped.cause, reaped.held_s))


def observe(rm: AgentRM) -> Statistics:
    """Readers get frozen copies."""
    rm.end_agent("writer")
    stream = rm.events(capacity=100)
    assert_type(stream.dropped, int)
    stream.close()
    statistics = rm.statistics()
    assert_type(statistics, Statistics)
    rm.close(drain_s=1.0)
    return statistics


def doors(model: BaseChatModel, graph: StateGraph[Any], client: openai.OpenAI) -> None:
    """What each plugin takes by name, and gives back."""
    config = ContextConfig(budget_tokens=8000)
    with (
        AgentRM(
            lanes=8,
            order="mlfq",
            groups=[LaneGroup("model", 8)],
            endpoints={"api.openai.com/*": EndpointConfig(rpm=60)},
            endpoint_wait_timeout_s=None,
        ) as rm,
        ContextLifecycle(config, store=SqliteStore("archive.db")) as context,
    ):
        wrapped = wrap_chat_model(
            model,
            rm,
            agent="writer",
            tenant="acme",
            priority="batch",
            context=context,
            retry=RetryPolicy(),
            wait_timeout_s=5.0,
        )
        assert_type(wrapped, AgentRMChatModel)
        AgentRMCallbackHandler(rm, agent="writer", priority="interactive", group="model")
        AgentRMMiddleware(rm, context=context, tools=False, retry=None, abandon_hung=False)
        assert_type(manage_graph(graph, rm, lane=None, hint="depth"), StateGraph[Any])
        assert_type(manage_client(client, rm, retry="default", priority="batch"), openai.OpenAI)
        assert_type(rm.statistics().agent("writer", tenant="acme").calls, int)
        with rm.events() as stream:
            assert_type([event for event in stream if isinstance(event, Granted)], list[Granted])


def errors() -> str:
    """Each error tells what a program needs, by attribute."""
    try:
        configure()
    except ConfigError as error:
        assert_type(error.field, str)
        return error.remedy
    except CallRefused as error:
        assert_type(error.ticket, int)
        return error.cause
    except CallReaped as error:
        assert_type(error.held_s, float)
        return error.agent
    except (ClosedError, AgentRMError):
        return "closed"
    return ""
