"""A FastAPI service with one core for all requests; a client that goes away leaves nothing held.

`uvicorn --factory examples.fastapi_service:service`, with OPENAI_BASE_URL and OPENAI_API_KEY set.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM


def chat(rm: AgentRM) -> Any:
    model = wrap_chat_model(ChatOpenAI(model="demo", max_tokens=20), rm)

    async def answer(state: MessagesState):
        return {"messages": [await model.ainvoke(state["messages"])]}

    builder = StateGraph(MessagesState).add_node("answer", answer).add_edge(START, "answer")
    return manage_graph(builder, rm).compile(checkpointer=InMemorySaver())


def service(lanes: int = 8) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AgentRM(lanes=lanes) as rm:
            app.state.rm, app.state.graph = rm, chat(rm)
            yield
            await rm.aclose(drain_s=5)

    app = FastAPI(lifespan=lifespan)

    @app.post("/threads/{thread}")
    async def ask(thread: str, text: str) -> StreamingResponse:
        async def tokens() -> AsyncIterator[str]:
            config = {"configurable": {"thread_id": thread}}
            given = {"messages": [("user", text)]}
            async for chunk, _ in app.state.graph.astream(given, config, stream_mode="messages"):
                yield chunk.text

        return StreamingResponse(tokens(), media_type="text/plain")

    @app.get("/health")
    async def health() -> dict[str, int]:
        seen = app.state.rm.statistics(agents=False)
        return {"running": seen.running, "waiting": seen.waiting, "peak": seen.lanes_peak}

    return app
