"""What the tool `recall` was asked and gave is archived, and answers no later look-up."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores.base import SessionKey
from agentrm_plugins.context.stores.memory import MemoryStore

CONFIG = ContextConfig(budget_tokens=1_200)
KEY = SessionKey("default", "talk")


def opened(store):
    return ContextLifecycle(CONFIG, store=store, submit=lambda job: job())


def called(number, name, arguments):
    call = {"id": f"c{number}", "type": "function"}
    call["function"] = {"name": name, "arguments": arguments}
    return call


def talked(session, named):
    """Tell a code, look it up four times, and go on until only the archive has all of that."""
    history = [{"role": "user", "content": "The locker code in Oslo is KX-7741."}]
    history.append({"role": "assistant", "content": "Noted."})
    for n in range(4):
        history.append({"role": "user", "content": f"Question {n}: which code has the locker?"})
        session.prepare(history, now_s=1.0)
        query = '{"query": "zebrafinch locker code Oslo"}'
        calls = [called(f"{n}a", "recall", query), called(f"{n}b", "find", f'{{"path": "/o/{n}"}}')]
        history.append({"role": "assistant", "content": "", "tool_calls": calls})
        given = session.call_recall(query)
        result = {"role": "tool", "tool_call_id": f"c{n}a", "content": given}
        if named:
            result["name"] = "recall"
        history += [result, {"role": "tool", "tool_call_id": f"c{n}b", "content": f"FOUND-{n}"}]
        session.prepare(history, now_s=1.0)
        history.append({"role": "assistant", "content": "As above."})
    for n in range(30):
        history.append({"role": "user", "content": f"Tell me more of the weather, part {n}. " * 4})
        session.prepare(history, now_s=1.0)
        history.append({"role": "assistant", "content": "It rains, as ever. " * 5})
    return history


def is_clean(session, history):
    """Look everywhere where an earlier look-up could come back."""
    found = session.recall("zebrafinch locker code Oslo", max_tokens=800)
    assert "The locker code in Oslo is KX-7741." in found
    history.append({"role": "user", "content": "Which code has the locker in Oslo? zebrafinch?"})
    sent = str([m["content"] for m in session.prepare(history, now_s=1.0).messages[:-1]])
    assert "KX-7741" in sent
    for text in (found, sent):
        assert text.count("[Recalled from") <= 1
        assert "zebrafinch" not in text
        assert "tool: 0 user" not in text
    assert "FOUND-2" in session.recall("FOUND-2")
    assert "/o/2" in session.recall("/o/2")


@pytest.mark.parametrize("named", [True, False])
def test_a_look_up_finds_no_earlier_one(named):
    """Neither passages, nor notes, nor what is named as later quote an earlier look-up."""
    with opened(MemoryStore()) as manager:
        session = manager.session("talk")
        is_clean(session, talked(session, named))


@pytest.mark.parametrize("whole", [True, False])
def test_it_finds_none_after_a_wake_or_from_the_messages_alone(whole):
    """The saved state tells what was looked up; without it the messages do."""
    store = MemoryStore()
    with opened(store) as manager:
        history = talked(manager.session("talk"), named=False)
    if not whole:
        store.save_state(KEY, b"noise")
    with opened(store) as manager:
        is_clean(manager.session("talk"), history)


def test_look_ups_are_archived_as_all_messages_are():
    """Nothing is lost: each stands in the archive word for word and is read by its number."""
    store = MemoryStore()
    with opened(store) as manager:
        session = manager.session("talk")
        history = talked(session, named=False)
        assert len(store.digests(KEY)) == len(history) - 1
        assert "zebrafinch" in session.read(3)
        assert "KX-7741" in session.read(4)
        assert store.unindexed(KEY, 1_000) == []
