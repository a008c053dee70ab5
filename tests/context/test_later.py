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
    "told",
    [
        "Story number {} was long.",
        "Turn {} is done.",
        "The ticket KX-{} is closed.",
        "Das Kapitel {} war langweilig.",
        "La page {} est vide.",
    ],
)
def test_the_same_told_of_another_thing_corrects_nothing(told):
    """Events that differ in their number are so many things, all of which hold."""
    notes = noted(told.format(5), told.format(8), told.format(13))
    assert [note.struck for note in notes.by_id.values()] == [()] * 3


def test_a_value_that_is_told_or_announced_is_corrected_all_the_same():
    """Without a word that announces it where the value is what is told; with one in any place."""
    told = ("The port is 5.", "The port is 8.", "Gate 5 is ours.", "No, actually gate 8 is ours.")
    assert [note.struck for note in noted(*told).by_id.values()] == [("5",), (), ("5",), ()]


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


@pytest.mark.parametrize(
    ("first", "then", "asked"),
    [
        ("The gateway listens on port 8443.", "We moved the gateway to port 9100.", "gateway 8443"),
        ("The rent is 900 EUR.", "The landlord raised the rent to 950 EUR.", "rent 900 eur"),
        ("The retry limit is 5.", "Raise the retry limit of all to 8.", "retry limit of 15 may"),
    ],
)
def test_an_announced_correction_follows_a_value_that_is_named(first, then, asked):
    """Whoever names the old value gets the new one too; "5" is not named by "15"."""
    notes = noted(first, then)
    assert [place for place, _ in notes.later(0, first, False, asked)] == [1]


def test_what_only_speaks_of_the_same_takes_no_value_s_place():
    """Capitals make names of German nouns: a dozen sentences on the dentist are no other date."""
    first = "Der Termin beim Zahnarzt ist am 12. März 2026."
    beside = [
        "Der Termin beim Zahnarzt kam wieder zur Sprache.",
        "Wegen dem Zahnarzt Termin ging's.",
    ]
    moved = "Der Zahnarzt hat angerufen, der Termin ist erst am 19. März 2026."
    notes = noted(first, moved, *(beside * 12))
    woken = Notes.load(notes.next_id, notes.dump())
    for one in (notes, woken):
        named = one.later(0, first, False)
        assert 1 in [place for place, _ in named]
        assert len(named) <= 2


@pytest.fixture
def rivals():
    """A session where the old and the new port stand behind forty messages of the same words."""
    talk = [
        "The gateway listens on port 8443.",
        "We moved the gateway over to port 9100 last night.",
    ]
    for n in range(40):
        talk += ["Somebody still talks of the gateway port of the old lab.", f"Soup, evening {n}."]
    history = []
    with ContextLifecycle(ContextConfig(budget_tokens=900), submit=lambda job: job()) as manager:
        session = manager.session("s")
        for text in talk:
            history.append({"role": "user", "content": text})
            session.prepare(history, now_s=1.0)
            history.append({"role": "assistant", "content": "Fine."})
        yield session, history


def test_a_question_that_names_the_old_value_gets_the_new_one(rivals):
    """To ask "is it still 8443?" is to check a value: what may have replaced it is named."""
    session, history = rivals
    asked = "Can I reach the gateway on 8443 from the lab?"
    view = session.prepare([*history, {"role": "user", "content": asked}], now_s=1.0)
    for offered in (str(view.messages[:-1]), session.recall(asked)):
        assert "8443" in offered
        assert "9100" in offered


def test_a_model_that_searches_with_the_question_is_not_given_the_question(rivals):
    """The question stands in the prompt already, and would outweigh all that answers it."""
    session, history = rivals
    asked = "How much soup, and whereabouts, did the gateway port get?"
    session.prepare([*history, {"role": "user", "content": asked}], now_s=1.0)
    found = session.recall(asked)
    assert "whereabouts" not in found
    assert "8443" in found or "soup" in found
