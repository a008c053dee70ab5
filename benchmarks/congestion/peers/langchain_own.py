"""What LangChain, LangGraph and the SDK bring along."""

from __future__ import annotations

from typing import Any, TypedDict

from benchmarks.congestion.peers.base import (
    ATTEMPTS,
    BACKOFF_CAP_S,
    BACKOFF_S,
    BUCKET_SHARE,
    NotForThis,
    Plain,
    Seen,
    Setting,
    chat_models,
    consume,
    consume_sync,
)
from benchmarks.congestion.workload import Agent, Turn


def sdk_2(setting: Setting) -> Plain:
    """`ChatOpenAI(max_retries=2)`: the default."""
    return Plain(setting, chat_models(setting, 2))


def sdk_10(setting: Setting) -> Plain:
    """`ChatOpenAI(max_retries=10)`."""
    return Plain(setting, chat_models(setting, 10))


def rate_limiter(setting: Setting) -> Plain:
    """`ChatOpenAI(rate_limiter=InMemoryRateLimiter(...))`, tuned to the limit.

    Its rate is that of the limit that binds, with the true mean size of a call; its bucket is
    nearly the server's. Polling is set to 10 ms (with the default of 100 ms it delivers a tenth of
    such a rate).
    """
    from langchain_core.rate_limiters import InMemoryRateLimiter

    rate = setting.calls_per_s
    if rate is None or setting.limits is None:
        raise NotForThis("needs a rate")
    limiters = {
        model: InMemoryRateLimiter(
            requests_per_second=rate,
            check_every_n_seconds=0.01,
            max_bucket_size=max(1.0, rate * setting.limits.bucket_s * BUCKET_SHARE),
        )
        for model in setting.scenario.models
    }
    models = chat_models(setting, ATTEMPTS - 1)
    for (name, _), model in models.items():
        model.rate_limiter = limiters[name]
    return Plain(setting, models)


def with_retry(setting: Setting) -> Plain:
    """`ChatOpenAI(max_retries=0).with_retry(...)`."""
    models = chat_models(setting, 0)
    jitter = {"initial": BACKOFF_S, "max": BACKOFF_CAP_S}
    return Plain(
        setting,
        {
            key: model.with_retry(
                stop_after_attempt=ATTEMPTS,
                wait_exponential_jitter=True,
                exponential_jitter_params=jitter,
            )
            for key, model in models.items()
        },
    )


class _State(TypedDict):
    job: Any
    answer: str


class GraphRetry(Plain):
    """A LangGraph node with `RetryPolicy` around `ChatOpenAI(max_retries=0)`."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, chat_models(setting, 0))
        self._graph = self._build(sync=False)
        self._graph_sync = self._build(sync=True)

    def _build(self, *, sync: bool) -> Any:
        from langgraph.graph import END, START, StateGraph
        from langgraph.types import RetryPolicy

        async def node(state: _State) -> dict[str, str]:
            agent, turn, seen = state["job"]
            model = self.models[agent.model, agent.kind.name]
            return {"answer": await consume(model, turn, self.streaming, seen)}

        def node_sync(state: _State) -> dict[str, str]:
            agent, turn, seen = state["job"]
            model = self.models[agent.model, agent.kind.name]
            return {"answer": consume_sync(model, turn, self.streaming, seen)}

        policy = RetryPolicy(
            max_attempts=ATTEMPTS, initial_interval=BACKOFF_S, max_interval=BACKOFF_CAP_S
        )
        graph = StateGraph(_State)
        graph.add_node("ask", node_sync if sync else node, retry_policy=policy)
        graph.add_edge(START, "ask")
        graph.add_edge("ask", END)
        return graph.compile()

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        state = await self._graph.ainvoke({"job": (agent, turn, seen), "answer": ""})
        return str(state["answer"])

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        state = self._graph_sync.invoke({"job": (agent, turn, seen), "answer": ""})
        return str(state["answer"])


class MiddlewareRetry(Plain):
    """`create_agent(..., middleware=[ModelRetryMiddleware(...)])`; failures are raised."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting, chat_models(setting, 0))
        from langchain.agents import create_agent
        from langchain.agents.middleware import ModelRetryMiddleware

        retry = ModelRetryMiddleware(
            max_retries=ATTEMPTS - 1,
            on_failure="error",
            initial_delay=BACKOFF_S,
            max_delay=BACKOFF_CAP_S,
        )
        self._agents = {
            key: create_agent(model, tools=[], middleware=[retry])
            for key, model in self.models.items()
        }

    async def ask(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        runnable = self._agents[agent.model, agent.kind.name]
        asked: Any = {"messages": [("user", turn.text)]}
        if not self.streaming:
            state = await runnable.ainvoke(asked)
            return str(state["messages"][-1].content)
        parts = []
        async for chunk, _ in runnable.astream(asked, stream_mode="messages"):
            if chunk.content:
                seen()
                parts.append(str(chunk.content))
        return "".join(parts)

    def ask_sync(self, agent: Agent, turn: Turn, seen: Seen) -> str:
        runnable = self._agents[agent.model, agent.kind.name]
        asked: Any = {"messages": [("user", turn.text)]}
        if not self.streaming:
            return str(runnable.invoke(asked)["messages"][-1].content)
        parts = []
        for chunk, _ in runnable.stream(asked, stream_mode="messages"):
            if chunk.content:
                seen()
                parts.append(str(chunk.content))
        return "".join(parts)
