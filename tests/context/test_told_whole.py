"""A note may stand for a message only where it tells all of it."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from benchmarks.context.grade import text_of

FACTS = [
    # what has a value and is noted, then what has none and is the answer
    ("Ticket OPS-4471 has a root cause now. It was the clock drift of the second node.", "",
     "the clock drift", "What was the root cause of ticket OPS-4471?"),
    ("Customer C-3302 complained by letter. The handle came off when she lifted the pot.", "",
     "The handle came off", "What did customer C-3302 complain about?"),
    ("El tren LX318 llegó tarde. Faltaba una rueda nueva.", "",
     "una rueda nueva", "¿Por qué llegó tarde el tren LX318?"),
    # a question that is noted for its value, then its answer in another message
    ("What did the vet say about Bruno, my dog of 9 years?",
     "No chicken and no rice for a month.",
     "No chicken", "What did the vet say about Bruno, my dog of 9 years?"),
]  # fmt: skip
SMALL = ("gate", "lamp", "choir", "river", "piano", "bakery", "forest")


def _talk(turns: int) -> list[dict[str, str]]:
    def padding(many: int, shift: int) -> list[dict[str, str]]:
        return [
            {"role": role, "content": f"A {SMALL[(n * n + shift) % 7]} stood by the "
             f"{SMALL[(3 * n + shift) % 7]}, and nobody {('minded', 'saw', 'sang')[n % 3]}."}
            for n in range(many) for role in ("user", "assistant")
        ]  # fmt: skip

    history = padding(3, 0)
    for number, (said, answered, _, _) in enumerate(FACTS):
        history += [{"role": "user", "content": f"It rained again. {said} We went home."}
                    if not answered else {"role": "user", "content": said},
                    {"role": "assistant", "content": answered or "I see."}]  # fmt: skip
        history += padding(3, number)
    return history + padding(turns, 5)


@pytest.mark.parametrize("budget", [2_000, 4_000])
def test_the_sentence_beside_a_noted_one_is_recalled(budget):
    """Where the note has the question's words and the next sentence has the answer, it is shown."""
    with ContextLifecycle(ContextConfig(budget_tokens=budget), submit=lambda job: job()) as manager:
        session, history = manager.session("s"), _talk(budget // 25)
        session.prepare(history)
        for *_, answer, question in FACTS:
            view = session.prepare([*history, {"role": "user", "content": question}])
            assert answer in text_of(view.messages[:-1])


def test_what_the_notes_tell_wholly_is_not_paged_in():
    """A message that is one noted sentence needs no block: the prompt's head stays as it was."""
    history = [{"role": "user", "content": "The port of the Turin gateway is 9917."}, *_talk(80)]
    with ContextLifecycle(ContextConfig(budget_tokens=2_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(history)
        asked = [*history, {"role": "user", "content": "Which port has the Turin gateway?"}]
        view = session.prepare(asked)
        assert "9917" in text_of(view.messages)
        assert not view.recall_tokens
