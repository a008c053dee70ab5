"""Celery or RQ workers that fork: the core is made once, each child joins as a member of its own.

    AGENTRM_COORDINATION=redis://localhost:6379/0 rq worker            # enqueue tasks.summarise
    AGENTRM_COORDINATION=redis://localhost:6379/0 celery -A tasks worker

For Celery, decorate `summarise` with ``@app.task``; nothing else changes.
"""

from __future__ import annotations

from agentrm_plugins import AgentRM

rm = AgentRM(lanes=16)  # made in the parent: a child that a worker forks joins with its first call


def summarise(text: str) -> str:
    """One task: its model call goes in a lane of the fleet, behind whoever is interactive."""
    with rm.slot(agent="summaries", priority="batch"):
        return text[:80]  # the model call would be here


if __name__ == "__main__":
    print(summarise("A worker of a fleet does this."))
    rm.close()
