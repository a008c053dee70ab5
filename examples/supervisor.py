"""A supervisor with workers: each worker is an agent of its own, with the supervisor as parent.

OPENAI_API_KEY=... python examples/supervisor.py (or take the key that `agentrm provider` prints)
"""

import asyncio
import operator
import os
import sys
from typing import Annotated, TypedDict

from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import Send

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

JOBS = [Send("delegate", {"role": role}) for role in ("research", "writing", "review")]


class Team(TypedDict, total=False):
    role: str
    findings: Annotated[list[str], operator.add]
    answer: str


def team(rm: AgentRM, base_url: str | None):
    model = wrap_chat_model(ChatOpenAI(model="gpt-4o-mini", base_url=base_url), rm)

    async def work(state):
        return {"findings": [(await model.ainvoke(f"You do the {state['role']}. Why?")).text]}

    worker = manage_graph(StateGraph(Team).add_node(work).add_edge(START, "work"), rm).compile()

    async def delegate(state):
        thread = {"configurable": {"thread_id": f"worker {state['role']}"}}
        return {"findings": (await worker.ainvoke(state, thread))["findings"]}

    async def conclude(state):
        return {"answer": (await model.ainvoke(f"Sum up: {state['findings']}")).text}

    builder = StateGraph(Team).add_node("delegate", delegate).add_node("conclude", conclude)
    builder.add_conditional_edges(START, lambda _: JOBS, ["delegate"])
    return manage_graph(builder.add_edge("delegate", "conclude"), rm).compile()


async def main(base_url: str | None = None) -> dict:
    thread = {"configurable": {"thread_id": "supervisor"}}
    async with AgentRM(lanes=2) as rm:
        return {**await team(rm, base_url).ainvoke({}, thread), "agents": rm.statistics().agents}


if __name__ == "__main__":
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    for agent, seen in asyncio.run(main())["agents"].items():
        print(f"{agent}: {seen.calls} calls")
