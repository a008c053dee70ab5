"""A search with little room never gives an old value without the new one."""

from __future__ import annotations

import json
import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for

PAIRS = [
    ("Nadia lives in Ghent.", "Nadia has moved to Bruges.", "Where does Nadia live?", "Ghent",
     "Bruges"),
    ("Kira's teacher is Ulla Holm.", "Kira's class was given to Jan Brandt.",
     "Who is Kira's teacher?", "Holm", "Brandt"),
    ("The gala costs 80 EUR a head.", "Gala price per head went up to 95 EUR.",
     "How much does the gala cost a head?", "80 EUR", "95 EUR"),
    ("Zoe speaks with the bank on Monday.", "Zoe's bank talk slipped to Friday.",
     "When does Zoe speak with the bank?", "Monday", "Friday"),
    ("Iris fährt einen Volvo.", "Iris hat ihn gegen einen Skoda getauscht.",
     "Welches Auto fährt Iris?", "Volvo", "Skoda"),
]  # fmt: skip
SMALL = ("gate", "lamp", "choir", "river", "piano", "bakery", "forest")


def _padding(many: int, shift: int) -> list[dict[str, str]]:
    return [
        {"role": role, "content": f"The teacher saw a {SMALL[(n * n + shift) % 7]} by the "
         f"{SMALL[(3 * n + shift) % 7]}, and nobody {('minded', 'saw', 'sang')[n % 3]}."}
        for n in range(many) for role in ("user", "assistant")
    ]  # fmt: skip


@pytest.mark.parametrize("room", [100, 150, 200, 300, None])
@pytest.mark.parametrize("budget", [1_000, 4_000])
def test_the_newer_form_comes_before_what_stands_around_the_older(budget, room):
    """Whatever room there is: where both have none, the older one is not shown."""
    history = []
    for form in (0, 1):
        for number, pair in enumerate(PAIRS):
            said = f"The teacher saw a lamp. {pair[form]}"
            history += [{"role": "user", "content": said}, *_padding(2, number)[1:]]
    history += _padding(60, 3)
    with ContextLifecycle(ContextConfig(budget_tokens=budget), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([*history, {"role": "user", "content": "Go on."}])
        for *_, question, _, new in PAIRS:
            if room is None:
                told = session.call_recall(json.dumps({"query": question}))
            else:
                told = session.recall(question, max_tokens=room)
            assert new in told, question


@pytest.mark.parametrize("room", [300, 600, 1_200])
def test_a_block_fills_its_room(room):
    """Lines are taken for as long as they are: what was found and fits is shown."""
    words = [
        "quiet",
        "brass",
        "lantern",
        "over",
        "seven",
        "narrow",
        "bridges",
        "near",
        "our",
        "old",
        "harbour",
        "wall",
    ]
    rng, count = random.Random(3), counter_for("gpt-4o")
    said = [f"The lantern of Ida: {' '.join(rng.sample(words, 9))}." for _ in range(120)]
    history = [
        {"role": role, "content": text}
        for content in said
        for role, text in (("user", content), ("assistant", "I see."))
    ]
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(history)
        found = session.recall("Which lantern has Ida, near which harbour?", max_tokens=room)
        assert 0.93 * room <= count.text(found) <= room


@pytest.mark.parametrize("room", range(150, 700, 50))
def test_what_does_not_fit_with_what_is_newer_hides_no_other_passage(room):
    """The best six are too long with what may be newer than they are; there are others that fit."""
    rng = random.Random(3)
    words = ["शांत", "पीतल", "ऊपर", "संकरे", "पुल", "पास", "हमारे", "पुराने", "बंदरगाह", "दीवार"]
    history = []
    for n in range(160):
        text = f"इदा की लालटेन {' '.join(rng.sample(words, 9))} {n}."
        history += [{"role": "user", "content": text}, {"role": "assistant", "content": "I see."}]
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(history)
        assert "user: इदा की लालटेन" in session.recall("इदा की लालटेन कहाँ है?", max_tokens=room)
