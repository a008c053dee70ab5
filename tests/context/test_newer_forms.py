"""Notes of which parts were corrected: each newer form is named, and no value is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from agentrm_plugins.context.notes import notes as book
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.recall.paging import _dropped, _Line


def told(*texts):
    notes = Notes()
    for seq, text in enumerate(texts):
        notes.add(seq, "user", find(text, "user"))
    return notes


def loaded(notes):
    return Notes.load(notes.next_id, notes.dump())


@pytest.mark.parametrize("again", [lambda notes: notes, loaded])
def test_two_corrections_of_one_sentence_are_both_named(again):
    """One is of its host, one of its port; neither takes the other's place."""
    first = "The host is alpha-1.example.org and the port is 8080."
    notes = again(told(first, "Correction: the host is beta-2.example.org.",
                       "Correction: the port is 9090."))  # fmt: skip
    assert [place for place, _ in notes.later(0, first, certain=False)] == [1, 2]


def test_two_corrections_in_one_message_are_both_quoted():
    """They stand in one place, and are two notes."""
    first = "The host is alpha-1.example.org. The port of the gateway is 8080."
    notes = told(first, "Correction: the host is beta-2.example.org. "
                        "Correction: the port of the gateway is 9090.")  # fmt: skip
    ((place, words),) = notes.later(0, first, certain=False)
    assert place == 1
    assert "beta-2" in words
    assert "9090" in words


def test_a_correction_of_many_words_is_found_by_those_that_were_said_before():
    """Words that nobody said yet are the rarest of all, and lead nowhere."""
    first = "Settings: the mail host is alpha-1.example.org."
    fix = "Correction: the mail host is beta-2.example.org, as agreed in the long meeting with "
    notes = told(
        first, f"{fix}everybody from operations, finance, legal, two vendors and the consultants."
    )
    assert notes.by_id[2].follows == (1,)
    assert [place for place, _ in notes.later(0, first, certain=False)] == [1]


def test_a_struck_value_takes_no_part_of_one_that_holds():
    """The limit 5 is none of the 5 in port 5432."""
    notes = told("The retry limit is 5 and the port is 5432.", "Correction: the retry limit is 6.")
    assert notes.by_id[1].shown == "The retry limit is [corrected later] and the port is 5432."


def test_what_one_correction_struck_stays_struck_when_another_is_taken_back():
    """Each had struck another value of the same sentence."""
    fixes = "Correction: the retry limit is 6.", "Correction: the server port is 9090."
    notes = told("The retry limit is 5 and the server port is 5432.", *fixes)
    assert notes.by_id[1].struck == ("5", "5432")
    notes.drop_from(2)
    assert notes.by_id[1].struck == ("5",)
    assert notes.by_id[1].superseded_by == 2


def test_a_chain_holds_when_its_middle_is_shed(monkeypatch):
    """The old note names what holds now, also after a look and after something was taken back."""
    monkeypatch.setattr(book, "MAX_NOTES", 16)
    first = "The retry limit is 5 and the port is 5432."
    notes = told(first, "Correction: the retry limit is 6.")
    assert notes.later(0, first, certain=False)
    notes.add(2, "user", find("Correction: the retry limit is 7.", "user"))
    for seq in range(3, 17):
        low = [replace(f, score=0.1) for f in find(f"House h{seq} has {seq * 7} rooms.", "user")]
        notes.add(seq, "user", low)
    assert 2 not in notes.by_id
    assert {1, 3} <= notes.by_id.keys()
    for _ in range(2):
        assert notes.later(0, first, certain=False) == [(2, "Correction: the retry limit is 7.")]
        assert "[corrected later]" in notes.by_id[1].shown
        notes.drop_from(16)


_MANY = """
import random, sys
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes
rng, notes = random.Random(1), Notes()
words = ("server gateway backup primary region north south limit cluster window batch queue alpha "
         "report budget project invoice order deadline release version night cache index").split()
for seq in range(200):
    said = " ".join(rng.sample(words, rng.choice([4, 6, 10])))
    cue = "Correction: the" if rng.random() < 0.1 else "The"
    notes.add(seq, "user", find(f"{cue} {said} is {rng.randrange(10000)}.", "user"))
print(notes.dump())
"""


def test_notes_are_the_same_in_each_process():
    """Whatever order a set has there."""
    made = set()
    for seed in ("0", "1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", _MANY], env=env, capture_output=True, check=True
        )
        made.add(done.stdout)
    assert len(made) == 1


def test_a_line_goes_with_the_very_line_that_it_names():
    """Another part of that message does not say what the named one said."""
    old = _Line("the port is 8080 [later: message 5]", frozenset({(5, 360)}))
    lines = {(0, 0): old, (5, 0): _Line("a"), (5, 360): _Line("the port is 9090")}
    _dropped(lines, (5, 360))
    assert list(lines) == [(5, 0)]
