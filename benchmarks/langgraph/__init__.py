"""What managing a graph costs, and what it buys: `python -m benchmarks.langgraph`."""
