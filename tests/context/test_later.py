"""What came later than a passage: the newest is named, however often it changed."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes


def changed(times):
    notes = Notes()
    for n in range(times):
        text = f"Correction: the port of the gateway is {1000 + n}."
        notes.add(n, "user", find(text, "user"))
    return notes


def test_the_newest_of_hundreds_of_corrections_is_named_behind_the_first():
    """A walk that is bounded ends at what holds now, for certain and for what may replace it."""
    notes = changed(400)
    text = notes.at(0)[0].text
    for certain in (True, False):
        place, said = notes.later(0, text, certain)[-1]
        assert place == 399
        assert "1399" in said


def test_what_was_taken_back_is_named_no_more():
    """The way to the end that was remembered goes with the notes that it went over."""
    notes = changed(60)
    text = notes.at(0)[0].text
    notes.later(0, text, False)
    notes.drop_from(40)
    assert notes.later(0, text, False)[-1][0] == 39


def noted(*said):
    notes = Notes()
    for seq, text in enumerate(said):
        notes.add(seq, "user", find(text, "user"))
    return notes


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("Now cancel the booking of ada_berg_2886.", "Now cancel the booking of tom_ito_4417."),
        ("Now open ticket KX-17 in the board.", "And now open ticket KX-52 in the board."),
        ("Jetzt storniere die Buchung KX-17.", "Jetzt storniere die Buchung KX-52."),
        ("Ahora cancela la reserva KX-17.", "Ahora cancela la reserva KX-52."),
    ],
)
def test_one_command_after_another_corrects_nothing(first, then):
    """What comes next is no other value of what came before: both stand as they were said."""
    notes = noted(first, then)
    assert [note.struck for note in notes.by_id.values()] == [()] * len(notes.by_id)
    assert [note.corrects for note in notes.by_id.values()] == [False] * len(notes.by_id)


@pytest.mark.parametrize(
    "then", ["Now the port of the gateway is 9100.", "The port of the gateway is now 9100."]
)
def test_what_holds_now_corrects_what_held_before(then):
    """A state that is announced by the same word replaces the value."""
    notes = noted("The port of the gateway is 8443.", then)
    assert notes.at(0)[0].struck == ("8443",)


def test_what_a_question_names_has_no_later_form():
    """Who else said hello is not what came later of the one who is asked about."""
    notes = noted("Hello, I am ada_berg_2886.", "Hello, I am tom_ito_4417.")
    text = notes.at(0)[0].text
    assert notes.later(0, text, False, "cancel the booking of ada_berg_2886") == []
    assert [place for place, _ in notes.later(0, text, False, "who said hello first?")] == [1]


def test_many_orders_of_one_form_are_found_by_their_own_name():
    """A tool's output that holds the one id that is asked for is shown, among dozens alike."""
    config = ContextConfig(budget_tokens=3_000)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session, history = manager.session("desk"), []
        for n in range(24):
            call = {"id": f"c{n}", "type": "function"}
            call["function"] = {"name": "get_user", "arguments": f'{{"user": "guest_{n}x{n * 7}"}}'}
            seats = ", ".join(f'{{"seat": "{row}{letter}"}}' for row in range(9) for letter in "AC")
            result = f'{{"user": "guest_{n}x{n * 7}", "booking": "QX{n:02}ZT", "seats": [{seats}]}}'
            history += [
                {"role": "user", "content": f"Hello, this is guest_{n}x{n * 7}. Please help me."},
                {"role": "assistant", "content": "", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": f"c{n}", "content": result},
                {"role": "assistant", "content": "I see it. Which day suits you?"},
                {"role": "user", "content": f"Now cancel the order of guest_{n}x{n * 7}."},
            ]
            session.prepare(history, now_s=1.0)
            history.append({"role": "assistant", "content": "It is cancelled."})
        for n in (0, 5, 11):
            asked = f"Now refund the order of guest_{n}x{n * 7} to the card on file."
            history.append({"role": "user", "content": asked})
            sent = str(session.prepare(history, now_s=1.0).messages)
            assert f"QX{n:02}ZT" in sent
            history.append({"role": "assistant", "content": "Done."})
