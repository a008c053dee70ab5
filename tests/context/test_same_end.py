"""Histories that end in the message they ended in before: edits, windows, summaries."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore
from tests.context.test_edits import step, talk
from tests.context.test_hostile import said, user

OLD, NEW = user("The vault number is V0-9000."), user("The vault number is W1-1234.")
HELLO = [user("Hello."), said("Hi.")]
ASKED = user("What is the vault number?")
GO_ON = user("Continue.")
TAKEN_BACK = "the history was taken back to message"


@pytest.fixture
def session(tmp_path):
    config = ContextConfig(budget_tokens=8_000)
    store = SqliteStore(tmp_path / "a.db")
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        yield manager.session("s")


EDITS = {
    "another answer": ([OLD, said("Noted.")], [NEW, said("Fine, W1.")]),
    "the same answer": ([OLD, said("Noted.")], [NEW, said("Noted.")]),
    "fewer before": ([*HELLO, OLD, said("Noted.")], [NEW, said("Noted.")]),
    "one pair out, one in": (
        [*HELLO, user("Nice day."), said("Yes."), OLD, said("Noted.")],
        [*HELLO, NEW, said("Noted.")],
    ),
    "a pair in the middle gone": ([*HELLO, OLD, said("Noted.")], HELLO),
    "late in a talk": ([*talk(8), OLD, said("Noted.")], [*talk(7), NEW, said("Noted.")]),
    "further back": ([*talk(8), OLD, said("Noted.")], [*talk(3), NEW, said("So.")]),
    "followed alike": (
        [*talk(5), OLD, said("Noted."), *HELLO, *HELLO],
        [*talk(4), NEW, said("Noted."), *HELLO, *HELLO],
    ),
}


@pytest.mark.parametrize("last", [ASKED, GO_ON, user("yes")])
@pytest.mark.parametrize("name", EDITS)
def test_an_edit_that_ends_in_the_same_question_is_an_edit(session, name, last):
    """What was taken back is told, and neither shown nor found."""
    before, after = EDITS[name]
    session.prepare([*before, last])
    view = session.prepare([*after, last])
    assert view.messages == [*after, last]
    assert any(TAKEN_BACK in text for text in view.repairs)
    assert "V0-9000" not in session.recall("vault number")


def test_branches_that_ask_the_same_show_nothing_of_the_others(tmp_path):
    """Each goes back further; what it left is in no note, no block and no answer of the tool."""
    config = ContextConfig(budget_tokens=1_000)
    store = SqliteStore(tmp_path / "a.db")
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        history = []
        for n in range(40):
            history += [user(f"Part {n} of the tale of the mill and the sea."), said("And then?")]
            session.prepare(history)
        for branch, cut in enumerate((60, 44, 20, 6)):
            told = user(f"Branch {branch}: the vault number is V{branch}-9000.")
            history = [*history[:cut], told, said("ok"), *talk(3), GO_ON]
            view = session.prepare(history)
            assert any(TAKEN_BACK in text for text in view.repairs)
            found = str(view.messages) + session.recall("the vault number")
            assert f"V{branch}-9000" in found
            assert not any(f"V{left}-9000" in found for left in range(branch))


@pytest.mark.parametrize("size", [2, 3, 6, 15])
def test_a_moving_window_takes_nothing_back_whatever_is_said_again(session, size):
    """A caller that shows its newest messages only; "yes" is said at every other turn."""
    rng = random.Random(size)
    session.prepare([user("The locker code is 5512."), said("ok")])
    history = [user("The locker code is 5512."), said("ok")]
    for n in range(30):
        history += [user(rng.choice(["yes", "Continue.", f"Part {n}."])), said(f"Done {n}.")]
        history.append(user(rng.choice(["yes", "Continue.", f"More of {n}."])))
        view = session.prepare(history[-size - 4 :])
        assert not any(TAKEN_BACK in text for text in view.repairs)
        history.append(said(rng.choice(["ok", f"So {n}."])))
    assert "5512" in session.recall("the locker code")
    assert session.pressure.messages < len(history) + 1


def test_a_window_that_keeps_the_task_is_told_once(session):
    """The first message and the newest ones: what lies between is found, and is told."""
    history = [user("Keep the garden book."), said("ok"), *talk(8)]
    session.prepare([*history, GO_ON])
    history += [GO_ON, said("Going on."), GO_ON]
    view = session.prepare([history[0], *history[-6:]])
    assert any("leaves out messages 1 to" in text for text in view.repairs)
    assert not any(TAKEN_BACK in text for text in view.repairs)
    assert "mill" in session.recall("where does the birch stand?")
    history += [said("Further."), GO_ON]
    assert not session.prepare([history[0], *history[-6:]]).repairs


def test_a_loops_window_ends_in_its_last_result(session):
    """A call's result is said once: where it stands, the history is the same one."""
    history = [user("look"), said("Looking."), user("at all of them")]
    for n in range(6):
        history += step(f"c{n}", f"The elm number {n} is {n + 3} metres high.")
    session.prepare(history)
    view = session.prepare([*history[:3], *history[-2:], *step("c9", "No more.")])
    assert not any(TAKEN_BACK in text for text in view.repairs)
    assert "5 metres" in session.recall("how high is elm number 2?")


def test_summaries_that_follow_each_other_take_nothing_back(session):
    """A summary in place of most messages, then one of it and more: all that was known is found."""
    history = talk(8)
    session.prepare([*history, ASKED])
    history += [ASKED, said("No idea.")]
    shown = [user("Summary: trees and mills."), *history[-8:], GO_ON]
    view = session.prepare(shown)
    assert any("shortened, by a summary perhaps" in text for text in view.repairs)
    shown = [user("Summary: trees, mills, more."), *shown[3:], said("Going on."), user("And?")]
    view = session.prepare(shown)
    assert not any(TAKEN_BACK in text for text in view.repairs)
    for name in ("ash", "dogwood", "fir"):
        assert "mill" in session.recall(f"where does the {name} stand?")
