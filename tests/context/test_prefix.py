"""What moves the prompt between two compactions, and what does not."""

from __future__ import annotations

import pytest

from agentrm_plugins.context.config import ContextConfig
from agentrm_plugins.sessions import ContextManager
from benchmarks.context.grade import text_of


def user(text, **more):
    return {"role": "user", "content": text, **more}


def said(text):
    return {"role": "assistant", "content": text}


def talk(first):
    return [{"role": "system", "content": "You are an assistant."}, user(first)]


@pytest.fixture
def manager():
    with ContextManager(
        ContextConfig(budget_tokens=1500), submit=lambda job: job(), clock=lambda: 0.0
    ) as made:
        yield made


def test_a_correction_in_view_breaks_no_prefix(manager):
    """The notes are struck at the next compaction; until then the correction stands after them."""
    session = manager.session("s")
    history = talk("The staging port is 8443.")
    for n in range(25):
        history += [said("ok " + "bla " * 30), user(f"step {n} " + "bla " * 30)]
    before = session.prepare(history).messages
    compactions = session.pressure.compactions
    history += [said("ok"), user("Actually, the staging port is now 9443.")]
    after = session.prepare(history).messages
    assert session.pressure.compactions == compactions > 0
    assert after[: len(before)] == before
    text = text_of(after)
    assert text.rfind("9443") > text.rfind("8443") > 0


def test_what_the_notes_tell_is_not_paged_in_as_well(manager):
    """A question whose answer stands in the notes moves nothing in the prompt."""
    session = manager.session("s")
    history = talk("The locker code of the Oslo office is KX-7741.")
    for n in range(25):
        history += [said("ok " + "bla " * 30), user(f"step {n} " + "bla " * 30)]
    session.prepare(history)
    history += [said("ok"), user("What is the locker code of the Oslo office?")]
    view = session.prepare(history)
    assert view.recall_tokens == 0
    assert text_of(view.messages).count("KX-7741") == 1
