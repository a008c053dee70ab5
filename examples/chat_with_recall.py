"""A chat that outlives its process and its window: what was said weeks ago is found again.

`OPENAI_API_KEY=... python examples/chat_with_recall.py`; without a key, run `agentrm provider` in
another terminal first, and set the two variables that it prints.
"""

import os
import sys
import tempfile
from pathlib import Path

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.sqlite import SqliteSaver

from agentrm_langchain import AgentRMMiddleware
from agentrm_plugins import AgentRM, ContextConfig, ContextLifecycle, SqliteStore

THREAD = {"configurable": {"thread_id": "ada"}, "metadata": {"tenant": "acme"}}
SMALL = ContextConfig(budget_tokens=900, model="gpt-4o-mini")


def process(folder, *said):
    """What one process does: open the files, talk, close them."""
    with (
        AgentRM(lanes=2) as rm,
        SqliteSaver.from_conn_string(str(folder / "threads.db")) as saver,
        SqliteStore(folder / "archive.db") as archive,
        ContextLifecycle(SMALL, store=archive) as context,
    ):
        agent = create_agent(
            ChatOpenAI(model="gpt-4o-mini"),
            system_prompt="You are an assistant with a long memory.",
            middleware=[AgentRMMiddleware(rm, context=context)],
            checkpointer=saver,
        )
        for text in said:
            agent.invoke({"messages": [("user", text)]}, THREAD)
        session = context.session("ada", tenant="acme")
        full = session.pressure
        print(rm.statistics().settled, f"calls; window {full.utilisation:.0%} full, archived:")
        print(f"{full.archived} of {full.messages} messages")
        return session.recall("vault code")


def main():
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    chatter = [f"Tell me about topic {n}. " + "And more. " * 120 for n in range(4)]
    with tempfile.TemporaryDirectory() as folder:
        process(Path(folder), "The vault code is ZX-4471.", *chatter)
        print(process(Path(folder), "What was the vault code?"))


if __name__ == "__main__":
    main()
