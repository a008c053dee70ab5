"""A supervisor with workers: each worker has a thread of its own, and the supervisor is its parent.

Who waits is served by the service its agent has received, so a new question to the supervisor is
not held up by workers that have been busy for long.
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated

from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM, LaneGroup
from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import Send
from typing_extensions import TypedDict

WORKERS = ("research", "writing", "review")


class Team(TypedDict):
    question: str
    findings: Annotated[list[str], operator.add]
    answer: str


def team(rm: AgentRM, model: ChatOpenAI):
    async def work(state):
        async with rm.slot(label=state["role"]) as lease:
            said = await model.ainvoke(f"{state['role']}: {state['question']}")
            lease.beat()
        return {"text": f"{state['role']}: {said.text}"}

    worker = StateGraph(dict).add_node("work", work).add_edge(START, "work")
    worker = manage_graph(worker.compile(), rm)

    async def delegate(state):
        thread = {"configurable": {"thread_id": f"worker-{state['role']}"}}
        return {"findings": [(await worker.ainvoke(state, thread))["text"]]}

    async def conclude(state: Team):
        async with rm.slot(label="conclude"):
            said = await model.ainvoke(f"Sum up: {state['findings']}")
        return {"answer": said.text}

    builder = StateGraph(Team).add_node("delegate", delegate)
    builder.add_node("conclude", conclude, defer=True).add_edge("delegate", "conclude")
    builder.add_conditional_edges(
        START, lambda s: [Send("delegate", {**s, "role": role}) for role in WORKERS], ["delegate"]
    )
    return manage_graph(builder, rm).compile()


async def main(base_url: str) -> dict:
    model = ChatOpenAI(model="demo", base_url=base_url, api_key="test-key", max_tokens=20)
    async with AgentRM(lanes=4, groups=(LaneGroup("model", 2), LaneGroup("node", 4))) as rm:
        thread = {"configurable": {"thread_id": "supervisor"}}
        result = await team(rm, model).ainvoke({"question": "Why?"}, thread)
        agents = rm.statistics().agents
        return {"answer": result["answer"], "parents": {n: a.parent for n, a in agents.items()}}
