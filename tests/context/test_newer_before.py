"""An old value that is recalled is never read last while its newer form stands further up."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle

PAIRS = [
    ("Nadia lives in Ghent.", "Nadia has moved to Bruges.", "Where does Nadia live?", "Ghent",
     "Bruges"),
    ("The gala costs 80 EUR a head.", "Gala price per head went up to 95 EUR.",
     "How much does the gala cost a head?", "80 EUR", "95 EUR"),
    ("Zoe speaks with the bank on Monday.", "Zoe's bank talk slipped to Friday.",
     "When does Zoe speak with the bank?", "Monday", "Friday"),
    ("Bei Druckerei gilt Auftrag QO40808-24.",
     "Ich habe mich bei Druckerei vertan, der Auftrag lautet QA76950-15.",
     "Welcher Auftrag gilt bei Druckerei?", "QO40808-24", "QA76950-15"),
    ("杭州机房的门禁代码是WE22178-91，负责人是Jorge Ruiz D.。",
     "杭州机房换了负责人：Bohdan Kovalenko M.。",
     "杭州机房的负责人是谁？", "Jorge Ruiz D.", "Bohdan Kovalenko M."),
]  # fmt: skip
WORDS = ("slow", "harbour", "reading", "glass", "keeps", "minor", "drift", "stated", "band")


def _talk(rng: random.Random, tokens: int) -> list[dict[str, str]]:
    """Make up talk that holds no value and no word of the pairs."""
    return [
        {"role": role, "content": f"{' '.join(rng.choice(WORDS) for _ in range(20))}."}
        for _ in range(tokens // 50) for role in ("user", "assistant")
    ]  # fmt: skip


def _asked(budget: int, history: list[dict[str, str]], question: str) -> str:
    """Give the prompt of a talk that grew, when a question is asked at its end."""
    with ContextLifecycle(ContextConfig(budget_tokens=budget), submit=lambda job: job()) as manager:
        session = manager.session("s")
        for at in range(40, len(history) + 1, 40):
            session.prepare(history[:at])
        view = session.prepare([*history, {"role": "user", "content": question}])
        return "\n".join(str(message["content"]) for message in view.messages[:-1])


@pytest.mark.parametrize("behind", [200, 600, 1_200, 8_000])
@pytest.mark.parametrize(("first", "then", "question", "old", "new"), PAIRS)
def test_the_newer_form_in_view_or_in_the_notes_is_read_after_the_older(
    first, then, question, old, new, behind
):
    """The older one is shown for a sentence that no note tells, and the newer one is not: it stands
    in view, or a note tells all of it.
    """
    rng = random.Random(behind)
    answered = {"role": "assistant", "content": "Done."}
    history = [{"role": "user", "content": f"I will be back soon. {first}"}, answered]
    history += _talk(rng, 8_000)
    history += [{"role": "user", "content": then}, answered, *_talk(rng, behind)]
    prompt = _asked(4_000, history, question)
    assert new in prompt
    assert prompt.rfind(new) > prompt.rfind(old)
