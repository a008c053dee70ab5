"""A value that was corrected is never offered without the one that holds, whatever stands beside.

Facts and corrections in several languages, among any number of sentences that use the same words,
with and without values of their own, before, between and behind; at any budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from tests.effort import effort


@dataclass(frozen=True)
class Told:
    """A fact, ways to correct it and to ask for it, and what sounds like it; {v} is its value."""

    fact: str
    values: tuple[str, str]
    fixes: tuple[str, ...]
    asks: tuple[str, ...]
    alike: tuple[str, ...]
    others: tuple[str, ...]


FACTS = {
    "port": Told(
        "The gateway listens on port {v}.",
        ("8443", "9100"),
        (
            "We moved the gateway over to port {v} last night.",
            "Correction: the gateway listens on port {v}.",
            "The gateway now listens on port {v}.",
        ),
        (
            "Which port does the gateway listen on?",
            "What about the gateway port?",
            "Can I still reach the gateway on {old}?",
        ),
        (
            "Somebody still talks of the gateway port of the old lab.",
            "The gateway port came up in the meeting again.",
            "I do not get why a gateway listens on any port.",
        ),
        (
            "The gateway of lab {n} listens on port {w}.",
            "The gateway port of building {n} is {w}.",
        ),
    ),
    "date": Told(
        "The deadline for the tax return is {v}.",
        ("31 July 2026", "15 May 2026"),
        (
            "The deadline for the tax return was moved to {v}.",
            "Actually, the tax return is due on {v}.",
        ),
        ("When is the tax return due?", "What is the deadline for the tax return?"),
        ("The tax return and its deadline make me tired.", "A deadline for a tax return, again."),
        ("The deadline for the tax form of firm {n} is {n} June 2027.",),
    ),
    "code": Told(
        "Der Code für das Archiv lautet {v}.",
        ("KX-4471", "TB-9020"),
        (
            "Korrektur: Der Code für das Archiv lautet {v}.",
            "Der Code für das Archiv lautet jetzt {v}.",
        ),
        ("Wie lautet der Code für das Archiv?", "Gilt {old} noch für das Archiv?"),
        ("Vom Code für das Archiv war wieder die Rede.", "Das Archiv und sein Code, ein Thema."),
        ("Der Code für das Archiv in Haus {n} lautet QZ-{w}.",),
    ),
    "rent": Told(
        "Le loyer du garage est de {v} euros.",
        ("900", "1150"),
        (
            "En fait, le loyer du garage est de {v} euros.",
            "Le loyer du garage est désormais de {v} euros.",
        ),
        ("Combien coûte le loyer du garage ?", "Quel est le loyer du garage ?"),
        ("On parle encore du loyer du garage.", "Le garage et son loyer, toujours."),
        ("Le loyer du garage de la rue {n} est de {w} euros.",),
    ),
    "zh": Told(
        "仓库的门禁代码是{v}。",
        ("AB-1771", "CD-2662"),
        ("更正：仓库的门禁代码是{v}。", "仓库的门禁代码改成{v}了。"),
        ("仓库的门禁代码是什么？", "{old}还能打开仓库吗？"),
        ("大家又说起仓库的门禁代码。", "仓库的门禁代码真难记。"),
        ("{n}号仓库的门禁代码是EF-{w}。",),
    ),
    "ja": Told(
        "倉庫の契約番号は{v}です。",
        ("77120", "88341"),
        ("訂正：倉庫の契約番号は{v}です。", "倉庫の契約番号は今は{v}です。"),
        ("倉庫の契約番号は何ですか？",),
        ("また倉庫の契約番号の話になった。",),
        ("{n}番倉庫の契約番号は{w}です。",),
    ),
}


def played(told: Told, plan: list[str], fix: str, budget: int):
    """Play a talk; give each prompt from the correction on, then what asking and searching give."""
    old, new = told.values
    alike, others, fixed, number = cycle(told.alike), cycle(told.others), False, 0
    history: list[dict] = [{"role": "system", "content": "You are an assistant."}]
    config = ContextConfig(budget_tokens=budget)
    with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: 0.0) as manager:
        session = manager.session("s")
        for kind in plan:
            number += 1
            said = {
                "fact": lambda: told.fact.format(v=old),
                "fix": lambda: fix.format(v=new),
                "alike": lambda: next(alike),
                "other": lambda number=number: next(others).format(n=number, w=3000 + 7 * number),
                "talk": lambda number=number: f"Soup again this evening, round {number}.",
            }[kind]()
            fixed = fixed or kind == "fix"
            history.append({"role": "user", "content": said})
            sent = session.prepare(history, now_s=1.0).messages
            if fixed:
                yield kind, " ".join(str(m["content"]) for m in sent)
            history.append({"role": "assistant", "content": "Fine, go on."})
        for ask in told.asks:
            asked = {"role": "user", "content": ask.format(old=old)}
            sent = session.prepare([*history, asked], now_s=1.0).messages
            yield ask, " ".join(str(m["content"]) for m in sent if m != asked)
            yield f"search: {ask}", session.recall(asked["content"])
            yield f"small: {ask}", session.recall(asked["content"], max_tokens=90)


def check(name: str, fix: int, before: str, between: str, after: str, budget: int) -> None:
    """No text that the model gets has the old value and lacks the new one."""
    told = FACTS[name]
    old, new = told.values
    plan = [*before, "fact", *between, "fix", *after]
    for when, text in played(told, plan, told.fixes[fix % len(told.fixes)], budget):
        assert old not in text or new in text, f"{when}\n{text}"


sentences = st.lists(st.sampled_from(["alike", "other", "talk"]), max_size=4).flatmap(
    lambda kinds: st.integers(0, 40).map(lambda n: list(islice(cycle(kinds or ["talk"]), n)))
)


@effort(40)
@given(
    st.sampled_from(sorted(FACTS)),
    st.integers(0, 2),
    sentences,
    sentences,
    sentences,
    st.sampled_from([300, 500, 700, 900, 1_400, 2_200]),
)
@example("port", 0, [], [], ["alike"] * 12, 700)
@example("port", 0, [], ["other"] * 14, ["talk"] * 20, 700)
@example("zh", 0, [], ["talk"] * 6, ["alike"] * 24, 500)
def test_an_old_value_never_stands_alone(name, fix, before, between, after, budget):
    """In no turn's prompt, in no answer to a question, in no search of the model's."""
    check(name, fix, before, between, after, budget)


@pytest.mark.parametrize("name", sorted(FACTS))
@pytest.mark.parametrize("budget", [400, 700, 1_200])
@pytest.mark.parametrize("kind", ["alike", "other"])
def test_a_dozen_look_alikes_behind_the_correction_hide_nothing(name, budget, kind):
    """Newer sentences of the same words do not push the correction out."""
    check(name, 0, ["talk"] * 2, ["talk"] * 3, [kind] * 12 + ["talk"] * 20, budget)
