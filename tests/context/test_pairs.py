"""Facts that share words and are not about the same thing: both are found, everywhere."""

from __future__ import annotations

from operator import call as at_once

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes
from benchmarks.context.grade import text_of

PAIRS = [
    ("The billing gateway listens on port 8443 in staging.", "8443",
     "We moved the billing gateway dashboard to port 9100.", "9100"),
    ("The deadline for the tax return is 31 July 2026.", "31 July 2026",
     "The deadline for the tax office survey was moved to 15 May 2026.", "15 May 2026"),
    ("We bought the red bicycle for 450 EUR.", "450 EUR",
     "Actually we sold the red bicycle helmet for 20 EUR.", "20 EUR"),
    ("My daughter cannot stand cilantro. My gym locker is number 208.", "cilantro",
     "Correction: my gym locker is number 311.", "311"),
    ("My locker at the gym is number 5512.", "5512",
     "Actually, her locker at the gym is number 7731.", "7731"),
    ("The train to Oslo leaves at 09:40.", "09:40",
     "Correction: the train from Oslo leaves at 17:25.", "17:25"),
    ("The invoice from Brandt is INV-2231.", "INV-2231",
     "The invoice to Brandt is now INV-8890.", "INV-8890"),
    ("Room 12 is booked for the board on 4 March 2027.", "4 March 2027",
     "Room 14 is now booked for the board on 9 March 2027.", "9 March 2027"),
    ("The staging database password hint is KX-4471.", "KX-4471",
     "I changed the staging database port, it is 5433 now.", "5433"),
    ("Dr. Weber said the dose is 40 mg in the morning.", "40 mg",
     "Dr. Weber corrected the dose in the evening to 15 mg.", "15 mg"),
    ("The first draft is due on 2026-08-01.", "2026-08-01",
     "The second draft is now due on 2026-09-15.", "2026-09-15"),
    ("Anna's badge is number 20114.", "20114", "Update: Bea's badge is number 20887.", "20887"),
    ("Der Schlüssel für das Archiv liegt in Fach 118.", "118",
     "Der Schlüssel für das Labor liegt jetzt in Fach 442.", "442"),
    ("Le code du garage est GA-301.", "GA-301",
     "En fait, le code du portail est PO-977.", "PO-977"),
    ("深圳仓库的订单编号是AB-1771。", "AB-1771", "更正：上海仓库的订单编号是CD-2662。", "CD-2662"),
    ("大阪支店の契約番号は77120です。", "77120", "訂正：京都支店の契約番号は88341です。", "88341"),
    ("رقم الخزانة في المكتب هو 4417.", "4417", "تصحيح: رقم الخزانة في المستودع هو 9920.", "9920"),
    ("The old printer on floor 3 uses toner T-55A.", "T-55A",
     "We replaced the new printer on floor 3, it uses toner T-90C.", "T-90C"),
    ("Send the contract to legal@north.example.", "legal@north.example",
     "Instead, send the invoice to legal@south.example.", "legal@south.example"),
    ("The limit for uploads is 250 MB per user.", "250 MB",
     "The limit for uploads per team is now 900 MB.", "900 MB"),
]  # fmt: skip


def played(first: str, second: str, manager: ContextLifecycle, role: str = "user"):
    session = manager.session("s")
    history = [{"role": "system", "content": "You are an assistant."}]
    for n in range(40):
        if n in {3, 9}:
            said = first if n == 3 else second
            history += [{"role": role, "content": said}]
            if role != "assistant":
                history += [{"role": "assistant", "content": "Noted."}]
        history += [
            {"role": "user", "content": f"Go on with part {n}. " + "bla " * 25},
            {"role": "assistant", "content": "Done with it. " + "bla " * 25},
        ]
    session.prepare(history)
    return session, history


@pytest.mark.parametrize(("first", "value", "second", "other"), PAIRS)
def test_neither_of_two_facts_hides_the_other(first, value, second, other):
    """In the notes, in the prompt of a question, in the tool's answer: both, in their words."""
    notes = Notes()
    notes.add(0, "user", find(first, "user"))
    notes.add(2, "user", find(second, "user"))
    config = ContextConfig(budget_tokens=1_200)
    with ContextLifecycle(config, submit=at_once, clock=lambda: 0.0) as manager:
        session, history = played(first, second, manager)
        for fact, said in ((value, first), (other, second)):
            if fact != "cilantro":
                assert any(fact in note.shown and note.live for note in notes.by_id.values())
            assert fact in session.recall(said)
            asked = [*history, {"role": "user", "content": said.rstrip(".。") + "?"}]
            text = text_of(session.prepare(asked).messages[:-1])
            assert fact in text


@pytest.mark.parametrize(("first", "value", "second", "other"), PAIRS[:4])
def test_what_an_assistant_said_is_not_struck_by_the_user(first, value, second, other):
    """Another role corrects nothing for certain: both are found."""
    notes = Notes()
    notes.add(0, "assistant", find(first, "assistant"))
    notes.add(2, "user", find(second, "user"))
    assert not any(note.struck for note in notes.by_id.values())


def test_a_tools_line_corrects_nothing():
    """Two commits of one component in a log are two facts."""
    log = "a1b2c3 parser: fix the date on 2026-03-01\n9f8e7d parser: now fix the date on 2026-04-02"
    notes = Notes()
    notes.add(0, "tool", find(log, "tool"))
    notes.add(1, "tool", find("0badcafe parser: changed the date on 2026-05-05", "tool"))
    assert not any(note.struck or note.follows for note in notes.by_id.values())


def test_a_corrected_value_hides_nothing_beside_it_and_names_what_came_later():
    """The passage stands word for word, and behind it what came later and where."""
    first, _, second, _ = PAIRS[3]
    config = ContextConfig(budget_tokens=1_200)
    with ContextLifecycle(config, submit=at_once, clock=lambda: 0.0) as manager:
        session, _ = played(first, second, manager)
        found = session.recall("what can my daughter not stand, and my gym locker?")
        assert first in found
        line = next(line for line in found.splitlines() if first in line)
        assert "later: message" in line
        assert "311" in line
