"""JSON that models and tools write without an end: deep, huge, and no JSON at all."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SqliteStore

CONFIG = ContextConfig(budget_tokens=600)


def user(text):
    return {"role": "user", "content": text}


def talk(turns):
    return [user(f"The code of item {n} is KX-{1000 + n}. " + "bla " * 10) for n in range(turns)]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"message": 10**22}, "There is no message 10000000000000000000"),
        ('{"message": 1e22}', "Give a query or the number of a message."),
        ({"message": -1}, "There is no message -1."),
        ({"message": True}, "Give a query or the number of a message."),
        ({"message": [1]}, "Give a query or the number of a message."),
        ('{"message": ' + "9" * 5_000 + "}", "Nothing in the archive matches."),
        ("[" * 100_000, "Nothing in the archive matches."),
        ('{"query":' * 2_000, "archive"),
        ("null", "archive"),
        ("", "Give a query or the number of a message."),
        ({"query": ["KX-1003"]}, "KX-1003"),
        ({"query": "KX-1003 " * 100_000}, "KX-1003"),
        ({"query": "\ud800"}, "archive"),
        ({"query": '\x00 OR 1=1 " NEAR *'}, "item 1 is"),
    ],
)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_hostile_arguments_of_the_recall_tool_get_a_clear_answer(kind, arguments, answer):
    """Whatever a model writes, it reads an answer; the session goes on."""
    store = MemoryStore() if kind == "memory" else SqliteStore(":memory:")
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(talk(10))
        assert answer in session.call_recall(arguments)
        assert session.prepare(talk(11)).repairs == ()
