"""Hundreds of branches over one rate limit: eight lanes for all, and whoever asks last still soon.

`OPENAI_API_KEY=... python examples/map_reduce.py`; without a key, run `agentrm provider` in another
terminal first, and set the two variables that it prints.
"""

import asyncio
import operator
import os
import sys
from typing import Annotated

from langchain_openai import ChatOpenAI
from langgraph.graph import START, StateGraph
from langgraph.types import RetryPolicy, Send
from typing_extensions import TypedDict

from agentrm_langchain import wrap_chat_model
from agentrm_langgraph import manage_graph
from agentrm_plugins import AgentRM

BRANCHES = 300


class Work(TypedDict, total=False):
    part: int
    parts: Annotated[list[str], operator.add]
    total: int


def fan_out(rm: AgentRM, base_url: str | None):
    bare = ChatOpenAI(model="gpt-4o-mini", base_url=base_url, max_tokens=8, max_retries=0)
    model = wrap_chat_model(bare, rm)

    async def branch(state: Work):
        return {"parts": [(await model.ainvoke(f"Part {state['part']}")).text]}

    builder = StateGraph(Work)
    # A 429 is tried again by the graph's own policy. Meanwhile the branch holds no lane.
    builder.add_node("branch", branch, retry_policy=RetryPolicy(max_attempts=20))
    builder.add_node("total", lambda state: {"total": len(state["parts"])})
    jobs = [Send("branch", {"part": part}) for part in range(BRANCHES)]
    builder.add_conditional_edges(START, lambda _: jobs, ["branch"])
    return manage_graph(builder.add_edge("branch", "total"), rm).compile()


async def main(base_url: str | None = None) -> dict:
    async with AgentRM(lanes=8) as rm:
        thread = {"configurable": {"thread_id": "books"}}
        result = await fan_out(rm, base_url).ainvoke({}, thread)
        return {"total": result["total"], "lanes_peak": rm.statistics().lanes_peak}


if __name__ == "__main__":
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    done = asyncio.run(main())
    print(f"{done['total']} calls, at most {done['lanes_peak']} at once")
