"""A long session with its archive in a file: what stays in memory."""

from __future__ import annotations

import gc
import tracemalloc

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore

SHOWN = 40
"""Messages that the caller keeps itself."""
MOST_BYTES = 700
"""Of one archived message: its place, count, digest, and no text. Measured: about 400."""


def test_archived_messages_leave_memory(tmp_path):
    """Over hundreds of messages each of 3 kB costs some hundred bytes, and few are held.

    Without facts in them and without questions: notes are bounded by their number, and what recall
    remembers of texts by the size of its caches.
    """
    body = "some words that tell nothing in particular " * 70
    history = []
    config = ContextConfig(budget_tokens=2_000, recall_share=0.0)
    with (
        SqliteStore(tmp_path / "a.db") as store,
        ContextLifecycle(config, store=store, submit=lambda job: job()) as manager,
    ):
        session = manager.session("s")

        def play(turns):
            for _ in range(turns):
                at = "".join("abcdefghij"[int(n)] for n in str(session.pressure.messages))
                history.append({"role": "user", "content": f"go on {at} {body}"})
                history.append({"role": "assistant", "content": f"went on {at} {body}"})
                del history[:-SHOWN]
                session.prepare(history, now_s=1.0)
            gc.collect()

        play(100)
        tracemalloc.start()
        try:
            play(50)
            before = tracemalloc.get_traced_memory()[0]
            play(150)
            grown = tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
        assert session.pressure.messages == session.durable == 600
        assert grown / 300 < MOST_BYTES
        held = [entry for entry in session._shared.transcript.entries if entry.message is not None]
        assert len(held) < 10
