"""Metrics of a wrapped model for Prometheus, scraped once by the program itself.

    OPENAI_API_KEY=... python examples/metrics.py

Without a key, run `agentrm provider` in another terminal and set the two variables that it prints.
Point Prometheus at the address that it prints; `agentrm dashboard` prints a dashboard for Grafana.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from langchain_openai import ChatOpenAI

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM
from agentrm_plugins.telemetry import serve_metrics

SHOWN = ("agentrm_calls_settled", "agentrm_tokens", "agentrm_endpoint_sent", "agentrm_pressure")


def main() -> None:
    if "OPENAI_API_KEY" not in os.environ:
        sys.exit(__doc__)
    with AgentRM(lanes=2) as rm, serve_metrics(rm, port=0) as server:
        model = wrap_chat_model(ChatOpenAI(model="demo", max_tokens=20), rm, agent="ada")
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(model.invoke, [f"question {number}" for number in range(6)]))
        request = urllib.request.Request(server.url)
        request.add_header("Authorization", f"Bearer {server.token}")
        with urllib.request.urlopen(request) as response:
            lines = response.read().decode().splitlines()
    print(f"{rm.statistics().settled} calls; a scrape of {server.url} says, among others:")
    print("\n".join(line for line in lines if line.startswith(SHOWN)))


if __name__ == "__main__":
    main()
