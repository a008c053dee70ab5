"""The long talk: a fact early, many turns, and at the end a question for the fact."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider import ProviderRequest

__all__ = ["BUDGET_TOKENS", "TALK_TURNS", "WINDOW_TOKENS", "answer", "code_of", "line"]

TALK_TURNS = 14
WINDOW_TOKENS = 1_400  # of the talk's model, in the simulated provider's count
BUDGET_TOKENS = 900  # of the managed side: the window, less the answer and a difference in counting
_TOLD = re.compile(r"door code is ([A-Z]+-\d+)")
_QUESTION = "Which door code did I tell you at the beginning?"
_SUBJECTS = (
    *("the roof", "the garden", "the old boiler", "the neighbours", "the paint", "the bills"),
    *("the windows", "the cellar", "the insurance", "the fence", "the attic", "the mail"),
)


def code_of(name: str) -> str:
    """The code that this talk's person tells."""
    digits = sum(ord(letter) * (n + 1) for n, letter in enumerate(name)) % 9000 + 1000
    return f"KITE-{digits}"


def line(name: str, turn: int) -> str:
    """What the person says in this turn, from 0."""
    if turn == 0:
        return f"Please remember: my door code is {code_of(name)}."
    if turn == TALK_TURNS - 1:
        return _QUESTION
    subject = _SUBJECTS[turn % len(_SUBJECTS)]
    return (
        f"Now about {subject}: what would you do first, what can wait until spring, and what does "
        f"it cost in all? Mind that {subject} was last looked at {turn + 3} years ago, and that I "
        "would rather do the work by hand than pay somebody for it."
    )


def answer(request: ProviderRequest) -> Any:
    """What the model of a talk answers to the question: what its prompt holds, and no more."""
    if request.user_text != _QUESTION and _QUESTION not in request.user_text:
        return None
    told = _TOLD.search(json.dumps(request.body.get("messages", ())))
    return f"You told me {told[1]}." if told else "You did not tell me one."
