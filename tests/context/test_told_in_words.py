"""A newer form in words, in a request, in a tool's result: the old one never stands alone."""

from __future__ import annotations

import json
from operator import call as at_once

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.notes.worded import in_words

SAID = [
    ("The choir has 24 singers.", "The choir has thirty-one singers.",
     "How many singers has the choir?", "24", "thirty-one"),
    ("The choir has 24 singers.", "Thirty-one singers in the choir after the auditions!",
     "How many singers has the choir?", "24", "hirty-one"),
    ("The patient takes 20 mg of lisinopril.", "Dose doubled to forty milligrams for the patient.",
     "How much lisinopril does the patient take?", "20 mg", "forty"),
    ("Our standup is at 9.", "Our standup is at half past ten.", "When is our standup?", "at 9.",
     "half past ten"),
    ("The speed limit in the yard is 20 km/h.", "The speed limit in the yard is walking pace.",
     "What is the speed limit in the yard?", "20 km/h", "walking pace"),
    ("Unsere Besprechung ist um 9 Uhr.", "Unsere Besprechung ist um halb elf.",
     "Wann ist unsere Besprechung?", "um 9", "halb elf"),
    ("La chorale a 24 chanteurs.", "La chorale a trente et un chanteurs.",
     "Combien de chanteurs a la chorale ?", "24", "trente"),
    ("El coro tiene 24 cantantes.", "El coro tiene treinta y un cantantes.",
     "¿Cuántos cantantes tiene el coro?", "24", "treinta"),
    ("合唱团有24名歌手。", "合唱团有三十一名歌手。", "合唱团有多少名歌手？", "24", "三十一"),
    ("朝会は9時です。", "朝会は十時半です。", "朝会は何時ですか？", "9時", "十時半"),
    ("В хоре 24 певца.", "В хоре тридцать один певец.", "Сколько певцов в хоре?", "24", "тридцать"),
    ("Book seat 12A for me.", "Can I have 27F rather than 12A?", "Which seat have I booked?",
     "seat 12A", "27F"),
    ("Please order 40 tiles.", "Can we make it 55 tiles?", "How many tiles?", "40", "55"),
    ("The dentist is on Tuesday at 10:40.", "Could we do 15:20 for the dentist?",
     "When is the dentist?", "10:40", "15:20"),
    ("Mon vol est le AF123.", "Puis-je avoir le AF999 au lieu du AF123 ?", "Quel est mon vol ?",
     "vol est le AF123", "AF999"),
    ("我的航班是CA981。", "能不能把CA981改成CA983？", "我的航班是什么？", "班是CA981", "CA983"),
    ("My sister lives in Graz.", "She moved to Ljubljana last week.",
     "Where does my sister live?", "Graz", "Ljubljana"),
    ("I work at Hexaplan.", "I quit Hexaplan and started at Dromedar.", "Where do I work?",
     "work at Hexaplan", "Dromedar"),
]  # fmt: skip
GIVEN = [
    ('{"id": "ZX81", "seat": "12A"}', '{"id": "ZX81", "seat": "27F"}', "Which seat has ZX81?",
     "12A", "27F"),
    ("| sku | qty |\n| K-100 | 240 |\n| K-200 | 13 |",
     "| sku | qty |\n| K-100 | 185 |\n| K-200 | 13 |", "What is the qty of K-100?", "240", "185"),
    ("port = 7443\nworkers = 4", "port = 9177\nworkers = 4", "Which port?", "7443", "9177"),
]  # fmt: skip
TALK = "We walked along the river and spoke of the garden and of books. " * 2


def _result(call: str, text: str, arguments: dict | None = None) -> list[dict]:
    calls = {"name": "look", "arguments": json.dumps(arguments or {"q": "it"})}
    return [
        {"role": "assistant", "content": None,
         "tool_calls": [{"id": call, "type": "function", "function": calls}]},
        {"role": "tool", "tool_call_id": call, "content": text},
    ]  # fmt: skip


def _check(first: list[dict], then: list[dict], question: str, old: str, new: str, budget: int):
    """In each prompt from the newer form on, in the question's, in what a search gives."""
    talk = [{"role": r, "content": TALK} for _ in range(12) for r in ("user", "assistant")]
    system = {"role": "system", "content": "You are an assistant."}
    history = [system, *talk[:4], *first, *talk[:6], *then]
    start = len(history)
    history += talk
    config = ContextConfig(budget_tokens=budget)
    with ContextLifecycle(config, submit=at_once, clock=lambda: 0.0) as manager:
        session = manager.session("s")
        asked = [*history, {"role": "user", "content": question}]
        for end in [*range(start + 1, len(history) + 1, 2), len(asked)]:
            sent = session.prepare(asked[:end]).messages
            text = json.dumps(sent[:-1] if end == len(asked) else sent, ensure_ascii=False)
            assert old not in text or new in text, (end, text)
        for room in (None, 60, 90, 120, 200, 400):
            text = session.recall(question, max_tokens=room)
            assert old not in text or new in text, (room, text)
        assert new in session.recall(question)


@pytest.mark.parametrize("budget", [450, 700, 1_500])
@pytest.mark.parametrize(("first", "then", "question", "old", "new"), SAID)
def test_what_was_said_of_old_never_stands_alone(first, then, question, old, new, budget):
    answer = {"role": "assistant", "content": "Fine."}
    said = [[{"role": "user", "content": text}, answer] for text in (first, then)]
    _check(*said, question, old, new, budget)


@pytest.mark.parametrize("budget", [450, 700, 1_500])
@pytest.mark.parametrize(("first", "then", "question", "old", "new"), GIVEN)
def test_what_a_tool_gave_before_never_stands_alone(first, then, question, old, new, budget):
    asks = {"role": "user", "content": "Please look."}
    given = [[asks, *_result(f"c{n}", text)] for n, text in enumerate((first, then))]
    _check(*given, question, old, new, budget)


def test_what_was_written_is_the_newer_form_of_what_was_read():
    asks = {"role": "user", "content": "Please look."}
    first = [asks, *_result("c0", "[server]\nport = 7443\nworkers = 4", {"path": "app.toml"})]
    wrote = {"path": "app.toml", "content": "[server]\nport = 9177\nworkers = 4"}
    _check(first, [asks, *_result("c1", "written", wrote)], "Which port?", "7443", "9177", 700)


def told(*texts: str, role: str = "user") -> Notes:
    notes = Notes()
    for seq, text in enumerate(texts):
        notes.add(seq, role, find(text, role))
    return notes


def test_prose_that_is_no_newer_form_makes_no_note():
    """It shares words with a noted sentence, and neither a figure nor the place of one."""
    first = "The gateway listens on port 8443."
    notes = told(first, "Somebody spoke of the gateway and its port again.", "Nice weather, is it?")
    assert [note.text for note in notes.by_id.values()] == [first]


def test_rows_of_two_things_are_no_newer_forms_of_each_other():
    """Each row's key tells of what it is; a third record's field is no newer form of the first."""
    notes = told("| K-100 | 240 |", "| K-200 | 185 |", role="tool")
    assert not any(note.follows for note in notes.by_id.values())
    records = [f"id: ZX{n}1\nseat: 1{n}A" for n in range(4)]
    assert not any(note.follows for note in list(told(*records, role="tool").by_id.values())[4:])


@pytest.mark.parametrize(
    "text",
    ["forty milligrams", "halb elf", "trente et un", "treinta y un", "三十一名", "十時半",
     "тридцать", "서른한 명", "ثلاثون", "चालीस", "trinta", "einunddreißig", "the twentieth"],
)  # fmt: skip
def test_a_figure_in_words_is_known(text):
    assert in_words(text) is not None


@pytest.mark.parametrize("text", ["the month of health", "with both of them", "einzig", "oncemore"])
def test_a_word_that_looks_like_one_is_none(text):
    assert in_words(text) is None
