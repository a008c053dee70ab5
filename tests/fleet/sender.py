"""A process of a fleet that says when it is about to send a request, and lingers there.

Run as a script: it takes a task as JSON, makes one call, and prints one JSON line for each event.
A test stops it between its grant and its request.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

LINGERS_S = 0.5
ASK = {"model": "m", "messages": [{"role": "user", "content": "word"}], "max_tokens": 8}


def say(what, **facts):
    print(json.dumps({"what": what, **facts}), flush=True)


def about():
    """The request is made, and not on its way yet."""
    say("about")
    time.sleep(LINGERS_S)


async def about_async(_):
    about()


async def ask_async(rm, task):
    import httpx2
    from openai import AsyncOpenAI

    from agentrm_openai import manage_client

    http = httpx2.AsyncClient(event_hooks={"request": [about_async]})
    bare = AsyncOpenAI(base_url=task["url"], api_key="k", http_client=http)
    async with manage_client(bare, rm, retry=None) as client:
        await client.chat.completions.create(**ASK)


def ask(rm, task):
    import httpx2
    from openai import OpenAI

    from agentrm_openai import manage_client

    http = httpx2.Client(event_hooks={"request": [lambda _: about()]})
    bare = OpenAI(base_url=task["url"], api_key="k", http_client=http)
    with manage_client(bare, rm, retry=None) as client:
        client.chat.completions.create(**ASK)


def main():
    from agentrm_plugins import AgentRM, Coordination

    task = json.loads(sys.argv[1])
    terms = Coordination(task["server"], task["namespace"], lease_s=task["lease_s"])
    with AgentRM(lanes=task["lanes"], coordination=terms) as rm:
        if task["is_async"]:
            asyncio.run(ask_async(rm, task))
        else:
            ask(rm, task)
        say("ended", requeues=rm.statistics().tenants["default"].requeues)


if __name__ == "__main__":
    main()
