"""What came later than a passage: the newest is named, however often it changed."""

from __future__ import annotations

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
