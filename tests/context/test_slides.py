"""Callers that show a part of a talk and change it in one turn: nothing known is taken back."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from tests.context.test_edits import step
from tests.context.test_hostile import said, user

TAKEN_BACK = "the history was taken back to message"
TASK = user("Do the long task with the code ZX-077.")
SHOTS = [user("Case 1?"), said("A."), user("Case 2?"), said("B."), user("Case 3?"), said("C.")]
AGAIN = [user("Any news?"), said("None.")] * 10
TALK = [
    make(f"The {who} stores crate {n} in hall {n + 30}.")
    for n in range(10)
    for who, make in (("keeper", user), ("clerk", said))
]
MORE = [said("Noted."), user("Go on with the list.")]
BEGUN = {
    "examples are kept": ([*SHOTS, *TALK], [*SHOTS, *TALK[6:]]),
    "few examples, few messages": ([*SHOTS[:3], *TALK], [*SHOTS[:3], *TALK[-5:]]),
    "a note is put in": (TALK, [*TALK[2:10], said("Note: be short."), *TALK[10:]]),
    "one is rewritten": (TALK, [*TALK[2:10], user("[masked]"), *TALK[11:]]),
    "a window in what is said again": ([*AGAIN, *TALK], [*AGAIN[2:], *TALK]),
}


@pytest.fixture
def session():
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=lambda job: job()) as manager:
        yield manager.session("s")


@pytest.mark.parametrize("name", BEGUN)
def test_a_part_of_a_talk_is_no_edit_of_it(session, name):
    """Whatever the caller leaves out or changes while its window moves, the rest stays found."""
    known, shown = BEGUN[name]
    session.prepare(known)
    view = session.prepare([*shown, *MORE])
    assert not any(TAKEN_BACK in text for text in view.repairs)
    assert view.messages[-1] == MORE[-1]
    assert "hall 31" in session.recall("In which hall is crate 1?")


def test_a_summary_of_little_before_a_known_result_takes_nothing_back(session):
    """A call's id is no chance, however few messages the summary stands for."""
    known = [*TALK[:4], *step("c1", "The gate is open.")]
    session.prepare(known)
    view = session.prepare([user("Summary: halls."), *known[3:], said("Good."), user("And now?")])
    assert not any(TAKEN_BACK in text for text in view.repairs)
    assert "hall 30" in session.recall("In which hall is crate 0?")


@pytest.mark.parametrize("window", [5, 6, 8, 9, 13, 99])
@pytest.mark.parametrize("full", [1, 2])
def test_a_window_that_moves_while_old_results_are_cleared_takes_nothing_back(
    session, window, full
):
    """A loop shows its newest messages, and of its results the newest one or two in full.

    With one, the last message that was known is cleared each time.
    """
    history = [TASK]
    for n in range(14):
        shown = list(history)
        results = [at for at, message in enumerate(shown) if message["role"] == "tool"]
        for at in results[:-full]:
            shown[at] = {**shown[at], "content": "[cleared]"}
        view = session.prepare(shown[-window:])
        assert not any(TAKEN_BACK in text for text in view.repairs)
        history += step(f"c{n}", f"The key of box{n} is PW-{n}99.")
    assert "PW-099" in session.recall("what is the key of box0?")
    assert session.pressure.messages == len(history) - 2


@pytest.mark.parametrize("window", [6, 99])
def test_a_result_that_comes_late_is_another_one(session, window):
    """The last call was pending, and its result comes with the next step, as the window moves."""
    history = [*TALK, *step("c1", "pending"), *step("c2", "pending")]
    session.prepare(history[-window:])
    history[-1] = {**history[-1], "content": "The key of the safe is PW-411."}
    history += step("c3", "The gate is open.")
    view = session.prepare(history[-window:])
    assert [text for text in view.repairs if TAKEN_BACK in text]
    assert view.messages[-4:] == history[-4:]
    session.prepare([*history[-4:], said("Good."), user("Go on.")])
    assert "PW-411" in session.recall("What is the key of the safe?")
