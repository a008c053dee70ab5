"""With little room a passage is not lost to later ones that do not replace it."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.recall.found import Found
from agentrm_plugins.context.recall.query import query_of
from agentrm_plugins.context.recall.rank import Candidate, Hit
from agentrm_plugins.context.recall.rivals import Rivals

TALK = (
    "I have been reading about how the garden grows in spring and what people say about soil and "
    "rain, and there is a lot to think about. "
)
TOWNS = ("Lyon", "Porto", "Turin", "Graz", "Basel", "Malmo")


def _session(first: str, others: list[str]):
    said = [first, *(f"{TALK} {n}" for n in range(40)), *others]
    said += [f"{TALK} Idea {n}." for n in range(30)]
    history = [
        {"role": role, "content": text}
        for content in said
        for role, text in (("user", content), ("assistant", "I see, go on."))
    ]
    manager = ContextLifecycle(ContextConfig(budget_tokens=1_500), submit=lambda job: job())
    session = manager.session("s")
    session.prepare([*history, {"role": "user", "content": "Go on."}])
    return manager, session


def _doings(town: str) -> str:
    return f"Nadia went to the market in {town} on a Sunday. {TALK * 4}"


@pytest.mark.parametrize("towns", [[f"Lyon{n}" for n in range(4)], TOWNS[:4]])
@pytest.mark.parametrize("room", [60, 80, 120, 160, 200, 300])
def test_where_somebody_lives_is_not_lost_to_where_she_went(room, towns):
    manager, session = _session("My sister Nadia lives in Ghent.", [_doings(at) for at in towns])
    with manager:
        assert "Ghent" in session.recall("Where does my sister Nadia live?", max_tokens=room)


@pytest.mark.parametrize("towns", [[f"Lyon{n}" for n in range(4)], TOWNS[:4]])
@pytest.mark.parametrize("room", [120, 160, 200, 300, 499])
def test_a_passage_of_two_words_in_common_keeps_its_room(room, towns):
    """Less of the question tells her apart here: what may be newer stands there as well."""
    manager, session = _session("My sister Nadia lives in Ghent.", [_doings(at) for at in towns])
    with manager:
        assert "Ghent" in session.recall("Where does Nadia live?", max_tokens=room)


@pytest.mark.parametrize("form", [
    "The invoice of {} is number {}, sent on 3 May 2024.",
    "{}'s invoice is number {}, sent on 3 May 2024.",
])  # fmt: skip
@pytest.mark.parametrize("room", [120, 160, 200, 300, 499])
def test_what_is_told_of_one_is_not_lost_to_what_is_told_of_others(room, form):
    others = [
        f"{form.format(f'Baker{n}', 77_000 + n).replace('3 May', f'{n + 4} June')} {TALK * 3}"
        for n in range(6)
    ]
    manager, session = _session(form.format("Miller", 88_213), others)
    with manager:
        asked = session.recall("What is the number of the invoice of Miller?", max_tokens=room)
        assert "88213" in asked
        asked = session.recall("When was the invoice of Miller sent?", max_tokens=room)
        assert "3 May 2024" in asked


def test_a_newer_form_is_shown_among_what_is_told_of_others():
    others = [f"The invoice of Baker{n} is number {77_000 + n}. {TALK * 3}" for n in range(6)]
    others.insert(2, f"Miller wrote that the right number is 90417. {TALK * 3}")
    manager, session = _session("The invoice of Miller is number 88213.", others)
    with manager:
        for room in (60, 90, 120, 160, 200, 300, 499, 500, 600, 800, 1_000, 1_500):
            asked = session.recall("What is the number of Miller's invoice?", max_tokens=room)
            assert ("90417" in asked) == ("88213" in asked), "the old one never stands alone"
            assert ("90417" in asked) == (room >= 160)


@pytest.mark.parametrize("room", [None, 60, 70, 80, 90, 100, 120])
def test_the_older_form_is_never_shown_without_the_newer_one(room):
    """Where both do not fit, the older one is not shown."""
    manager, session = _session(
        "Nadia lives in Ghent.", [f"{TALK} Nadia has moved to Bruges. {TALK * 3}"]
    )
    with manager:
        asked = "Where does Nadia live?"
        if room is None:
            told = session.call_recall(json.dumps({"query": asked}))
        else:
            told = session.recall(asked, max_tokens=room)
        assert "Bruges" in told or "Ghent" not in told
        if room is None or room > 100:
            assert "Bruges" in told
            assert "Ghent" in told


def _found(seq: int, text: str) -> Found:
    return Found(
        Hit(Candidate(seq, 0, len(text), "user", ()), 1.0, 1.0), text, len(text) // 4, (seq, 0)
    )


@pytest.mark.parametrize(("asked", "older", "newer", "sure"), [
    ("Where does Nadia live?", "Nadia lives in Ghent.", "Nadia has moved to Bruges.", True),
    ("Where does my sister Nadia live?", "My sister Nadia lives in Ghent.",
     "Nadia went to the market in Porto.", False),
    ("Where does Nadia live?", "Nadia lives in Ghent.", "Nadia called on Sunday.", None),
    ("What is the number of the invoice of Miller?", "The invoice of Miller is number 88213.",
     "The invoice of Baker is number 77001.", None),
    ("What is Miller's invoice number?", "Miller's invoice number is 88213.",
     "Baker's invoice number is 77001.", None),
    ("What does node 3 run?", "Here node 3 runs Debian.", "Here node 4 runs Ubuntu.", None),
    ("What is the code of the east gate?", "The code of the east gate is 4471.",
     "The code of the west gate is 5512.", False),
    ("When does Zoe speak with the bank?", "Zoe speaks with the bank on Monday.",
     "Zoe's bank talk slipped to Friday.", True),
])  # fmt: skip
def test_what_may_replace_a_passage_is_of_its_subject_and_kind(asked, older, newer, sure):
    talk = f"It rained. {newer} It rained again."
    found = Rivals(query_of(asked), [_found(2, talk)]).of(_found(1, older))
    assert [rival.sure for rival in found] == ([] if sure is None else [sure])
    assert all(rival.found.text == newer for rival in found)
