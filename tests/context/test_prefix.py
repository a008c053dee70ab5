"""What moves the prompt between two compactions, and what does not."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.plan.planning import changed_share
from benchmarks.context.grade import text_of


def user(text, **more):
    return {"role": "user", "content": text, **more}


def said(text):
    return {"role": "assistant", "content": text}


def talk(first):
    return [{"role": "system", "content": "You are an assistant."}, user(first)]


@pytest.fixture
def manager():
    with ContextLifecycle(
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


def grown(session, history, turns, words=40):
    """Play turns with a call and its result; give the share of what is sent that is no prefix."""
    sent, kept, before = 0, 0, []
    for n in range(turns):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        history += [
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{n}", "content": f"page {n}: " + "bla " * words},
            said(f"Page {n} is read."),
            user(f"Go on with page {n + 1}."),
        ]
        view = session.prepare(history).messages
        same = next((i for i, (a, b) in enumerate(zip(before, view, strict=False)) if a != b),
                    min(len(before), len(view)))  # fmt: skip
        sizes = [len(str(message)) for message in view]
        sent, kept, before = sent + sum(sizes), kept + sum(sizes[:same]), view
    return 1 - kept / sent


def test_the_goal_for_the_prefix_decides_how_deep_a_compaction_goes():
    """With a high goal more leaves at once and less of the prompt changes; with none as before."""
    changed = {}
    for goal in (0.0, 0.95):
        config = ContextConfig(budget_tokens=1_500, prefix_goal=goal, low_mark=0.6)
        with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: 0.0) as manager:
            changed[goal] = grown(manager.session("s"), talk("Read all pages."), 80)
    assert changed[0.95] < changed[0.0] - 0.01


def test_the_predicted_share_follows_its_law():
    """(n + r / k) / mean size: here k = (1000 - 500) / 50 = 10 requests of 750 tokens each."""
    assert changed_share(1_000, 50, 500, 0) == pytest.approx(50 / 750)
    assert changed_share(1_000, 50, 500, 200) == pytest.approx((50 + 200 / 10) / 750)


def test_a_correction_that_stands_behind_the_notes_leaves_them_as_they_are(manager):
    """Also after the correction itself became a note; choosing anew strikes the earlier value."""
    session = manager.session("s")
    history = talk("The staging port is 8443.")
    while session.pressure.compactions == 0:
        history += [said("ok " + "bla " * 30), user("Go on. " + "bla " * 30)]
        session.prepare(history)
    first = session.prepare(history).messages[1]
    assert "8443" in first["content"]
    history += [said("ok"), user("Actually, the staging port is now 9443.")]
    compactions = session.pressure.compactions
    while session.pressure.compactions == compactions:
        history += [said("ok " + "bla " * 30), user("Go on. " + "bla " * 30)]
        view = session.prepare(history)
    assert view.messages[1] == first
    text = text_of(view.messages)
    assert user("Actually, the staging port is now 9443.") not in view.messages
    assert text.rfind("9443") > text.rfind("8443") > 0


def test_recall_repeats_no_question_and_no_earlier_block(manager):
    """The same question asked again finds its answer in the prompt, not itself in the archive."""
    session = manager.session("s")
    history = talk("Hello.")
    for n in range(40):
        history += [said(f"Row {n} of the table reads zeta {n}. " + "bla " * 40), user("Go on.")]
    question = user("What does the table read in row seven, zeta?")
    for _ in range(2):
        history += [said("ok"), dict(question)]
        texts = [m["content"] for m in session.prepare(history).messages]
    blocks = [text for text in texts if text.startswith("[Recalled")]
    assert blocks
    assert not any(question["content"] in text for text in blocks)
    lines = [line for text in blocks for line in text.splitlines()[1:]]
    assert len(lines) == len(set(lines))
