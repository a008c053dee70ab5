"""Manage a chat model: wrap it, and use it as before, in any agent.

    OPENAI_API_KEY=... python examples/wrap_model.py

Without a key, run `agentrm provider` in another terminal and set the two variables that it prints.
"""

import asyncio
import os
import sys

from langchain.agents import create_agent
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM


@tool
def get_weather(city: str) -> str:
    """The weather of a city now."""
    return f"It is sunny in {city}."


async def main():
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    async with AgentRM(lanes=2) as rm:
        model = wrap_chat_model(ChatOpenAI(model="gpt-4o-mini", max_retries=0), rm)
        agent = create_agent(model, [get_weather])

        async def ask(name, priority, question):
            # Who asks, and how urgent it is: in the config's metadata.
            metadata = {"agentrm_agent": name, "agentrm_priority": priority}
            answer = await agent.ainvoke({"messages": [("user", question)]}, {"metadata": metadata})
            print(f"{name}: {answer['messages'][-1].text}")

        await asyncio.gather(
            *(ask(f"report-{n}", "batch", f"Report {n} on the weather.") for n in range(3)),
            ask("chat", "interactive", "How is the weather in Paris?"),
        )
        for name, seen in rm.statistics().agents.items():
            print(f"{name}: {seen.calls} calls, {seen.service_s:.2f} s on a lane")


if __name__ == "__main__":
    asyncio.run(main())
