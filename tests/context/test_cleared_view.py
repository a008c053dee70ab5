"""What another middleware has cleared is not in view: recall shows it."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.types.message import read_openai
from tests.context.test_edits import step
from tests.context.test_hostile import said, user

TOLD = "The server listens on port 8472. The spare generator stands in Tromso."
ASKED = user("Where does the spare generator stand?")


def tales(count):
    return [
        message
        for n in range(count)
        for message in (
            user(f"Tell me a tale {n}. " + f"lorem{n} ipsum{n} dolor. " * 10),
            said(f"Story {n}: " + f"elit{n} sed{n} amet{n}. " * 25),
        )
    ]


def cleared(history):
    return [{**one, "content": "[cleared]"} if one["role"] == "tool" else one for one in history]


@pytest.fixture
def session():
    with ContextLifecycle(ContextConfig(budget_tokens=1_500), submit=lambda job: job()) as manager:
        yield manager.session("s")


@pytest.mark.parametrize("before", [step("c0", TOLD), []], ids=["said before", "said once"])
def test_a_cleared_result_is_recalled(session, before):
    """The newest copy stands in the part that is sent, but the caller shows nothing of it."""
    history = [user("Read the file."), *before, said("Read.")]
    for message in (*tales(8), user("Read it again."), *step("c1", TOLD), said("Read.")):
        history.append(message)
        if message["role"] in {"user", "tool"}:
            session.prepare(history)
    history.append(user("Go on."))
    session.prepare(history)
    history += [said("Sure."), ASKED]
    view = session.prepare(cleared(history))
    assert "Tromso" in str(view.messages)
    assert view.tokens <= 1_500


def test_a_result_that_is_shown_whole_again_is_in_view(session):
    history = [*tales(8), user("Read the file."), *step("c1", TOLD), said("Read."), user("Go on.")]
    session.prepare(history)
    session.prepare(cleared(history))
    history += [said("Sure."), ASKED]
    assert str(session.prepare(history).messages).count("Tromso") == 1


def test_a_moving_window_is_counted_as_it_is_shown(session):
    """In the same turn old results are cleared: each count is that of what is sent."""
    history, count = [user("Keep all boxes.")], counter_for("gpt-4o")
    for n in range(12):
        shown = cleared(history[:-2])[-6:] + history[-2:]
        view = session.prepare(shown)
        assert view.tokens == count.messages([read_openai(one) for one in view.messages])
        history += step(f"c{n}", f"The key of box{n} is PW-{n}99. " * 4)
