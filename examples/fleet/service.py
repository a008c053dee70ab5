"""A FastAPI service with several workers behind one API key.

    AGENTRM_COORDINATION=redis://localhost:6379/0 \
        uvicorn --app-dir examples/fleet service:app --workers 4

Each worker makes its own `AgentRM`; all of them share 32 lanes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request

from agentrm_plugins import AgentRM


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One core for this worker, which joins the fleet now and leaves it at the end."""
    async with AgentRM(lanes=32) as rm:
        app.state.rm = rm
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/ask")
async def ask(request: Request, question: str) -> dict[str, str]:
    """Answer in a lane of the fleet; a person waits, so it is interactive."""
    rm: AgentRM = request.app.state.rm
    async with rm.slot(agent="chat", priority="interactive"):
        return {"answer": f"you asked: {question}"}  # the model call would be here


@app.get("/fleet")
async def fleet(request: Request) -> dict[str, Any]:
    """What to watch."""
    seen = request.app.state.rm.statistics(agents=0).to_dict()["fleet"]
    return seen or {"state": "no fleet"}
