"""What a turn takes over from the one before: the same result as if it were made anew."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.facts import find
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.notes.text import Passage, passages
from agentrm_plugins.context.plan.align import Marks, mark_of
from agentrm_plugins.context.plan.groups import grouped
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.rank import bm25, weights_of
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.types.message import Message


def user(text):
    return {"role": "user", "content": text}


def step(number, name="look"):
    call = {"id": number, "type": "function", "function": {"name": name, "arguments": "{}"}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


def result(number):
    return {"role": "tool", "content": f"seen {number}", "tool_call_id": number}


def rename(message):
    message["tool_calls"][0]["function"]["name"] = "other"


CHANGES = {
    "a text": (lambda: user("one"), lambda m: m.update(content="two")),
    "a call": (lambda: step("c1"), rename),
    "a block": (
        lambda: {"role": "user", "content": [{"type": "text", "text": "one"}]},
        lambda m: m["content"][0].update(text="two"),
    ),
    "a key": (lambda: user("one"), lambda m: m.update(name="ada")),
    "a block deep down": (
        lambda: {"role": "user", "content": [{"a": {"b": {"c": {"d": {"e": ["one"]}}}}}]},
        lambda m: m["content"][0]["a"]["b"]["c"]["d"]["e"].append("two"),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_caller_changes_in_its_place_is_another_message(name):
    """Fingerprints are remembered by what was said, not by the object that said it."""
    make, change = CHANGES[name]
    marks, listed = Marks(), [user("before"), make(), user("behind")]
    assert marks.of(listed) == [mark_of(one) for one in listed]
    assert marks.of(listed) == [mark_of(one) for one in listed]
    change(listed[1])
    assert marks.of(listed) == [mark_of(one) for one in listed]
    again = [user("before"), make(), user("behind"), user("more")]
    assert marks.of(again) == [mark_of(one) for one in again]


def test_fingerprints_follow_a_history_that_goes_back_and_on():
    """Any list after any other gives what each message gives by itself."""
    rng = random.Random(5)
    marks = Marks()
    pool = [user(str(n)) for n in range(6)] + [step("a"), step("b"), Message("user", "x")]
    listed: list = []
    for _ in range(300):
        listed = listed[: rng.randint(0, len(listed))] + rng.choices(pool, k=rng.randint(0, 4))
        assert marks.of(listed) == [mark_of(one) for one in listed]


def test_groups_grow_as_if_they_were_made_at_once():
    """Whatever order calls, results, second results and strays come in."""
    rng = random.Random(6)
    for _ in range(60):
        session = Transcript(ContextConfig(), counter_for("gpt-4o"))
        history: list = []
        for _ in range(30):
            number = rng.choice("abc")
            history.append(rng.choice([user("hm"), step(number), result(number), result("z")]))
            session.take(history, 0.0)
            if rng.random() < 0.1 and session.first_hot < len(session.entries):
                session.first_hot += 1
            made, whole = session.grouping, grouped(session.hot)
            assert [[e.seq for e in g.members] for g in made.groups] == [
                [e.seq for e in g.members] for g in whole.groups
            ]
            assert [g.unanswered for g in made.groups] == [g.unanswered for g in whole.groups]
            assert made.left_out == whole.left_out


def spread_index(size):
    index = Index()
    for n in range(size):
        said = f"the port of gateway {n} is {9000 + n}" + (" in hamburg" if n % 50 == 7 else "")
        index.add(n, "user", passages(said))
    return index


def test_common_words_cost_no_look_at_every_passage_and_decide_all_the_same():
    """With few steps the rarest words find, and the common ones choose between what they found."""
    index = spread_index(3_000)
    few, _ = index.search(["hambur", "port", "gatewa"], 10, steps=100)
    all_, _ = index.search(["hambur", "port", "gatewa"], 10)
    assert [one.seq for one in few] == [one.seq for one in all_]
    assert [one.score for one in few] == pytest.approx([one.score for one in all_])


def test_words_that_stand_everywhere_find_the_newest():
    """Where nothing is rare, the newest passages stand for all that say the same."""
    found, corpus = spread_index(3_000).search(["port", "gatewa"], 5, steps=50)
    assert [one.seq for one in found] == [2999, 2998, 2997, 2996, 2995]
    assert corpus.containing == {"port": 3_000, "gatewa": 3_000}


def test_an_index_knows_the_words_of_a_message_in_slices_and_after_a_rewind():
    """Terms of one message, whatever was added or cut meanwhile."""
    index = Index()
    index.add(0, "user", [Passage(0, 3, ("one",))])
    assert index.terms_of(0) == {"one"}
    index.add(0, "user", [Passage(3, 6, ("two",))], more=True)
    assert index.terms_of(0) == {"one", "two"}
    index.cut(0)
    assert index.terms_of(0) == frozenset()
    index.add(0, "user", [Passage(0, 5, ("three",))])
    assert index.terms_of(0) == {"three"}


def test_messages_told_again_after_a_rewind_are_found():
    """What is settled is forgotten with what was taken back."""
    with ContextLifecycle(ContextConfig(budget_tokens=2_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        history = [m for n in range(30) for m in (user(f"item {n} is K-{n}"), user("hm"))]
        session.prepare(history)
        session.prepare(history[:20])
        session.prepare([*history[:20], user("The harbour master is called Solveig.")])
        assert "Solveig" in session.recall("harbour master")


def walked(book, note):
    while note.superseded_by in book.by_id:
        note = book.by_id[note.superseded_by]
    return note


def test_ways_that_are_remembered_are_those_that_are_walked():
    """To what holds now, after corrections of corrections, rewinds and a wake."""
    rng, book, seq = random.Random(8), Notes(), 0
    for step in range(400):
        if rng.random() < 0.05:
            seq = rng.randint(seq // 2, seq)
            book.drop_from(seq)
        thing, value = rng.choice(["gateway", "ledger", "kiosk"]), rng.randint(1000, 1400)
        said = f"Correction: the port of the {thing} is {value}."
        book.add(seq, "user", find(said if step % 3 else said[12:].capitalize(), "user"))
        seq += rng.randint(0, 1)
        if rng.random() < 0.05:
            again = Notes.load(book.next_id, book.dump())
            for note in book.by_id.values():
                other = again.by_id[note.id]
                assert [one.id for one in again.with_heirs(other)] == [
                    one.id for one in book.with_heirs(note)
                ]
                assert again.later(note.seq, note.text, certain=False) == book.later(
                    note.seq, note.text, certain=False
                )
            book = again if rng.random() < 0.5 else book
        for note in book.by_id.values():
            assert book.latest(note) is walked(book, note)


def test_heirs_are_those_that_are_found_anew_when_the_least_were_let_go(monkeypatch):
    """An heir that is left stays one, and is held against those that come later."""
    monkeypatch.setattr("agentrm_plugins.context.notes.notes.MAX_NOTES", 160)
    rng, book = random.Random(3), Notes()
    for seq in range(900):
        thing, hall, value = rng.choice(["gateway", "kiosk"]), seq % 9, rng.randint(1000, 9999)
        said = f"The {thing} in hall {hall} listens on port {value}."
        book.add(seq, "user", find(said if seq % 4 else f"Correction: {said}", "user"))
        for note in list(book.by_id.values())[-3:]:
            book.with_heirs(note)
    kept = {i: [n.id for n in book.with_heirs(note)] for i, note in book.by_id.items()}
    book._lineage.mend()
    assert kept == {i: [n.id for n in book.with_heirs(note)] for i, note in book.by_id.items()}


@pytest.mark.parametrize("size", [40, 900])
def test_a_look_up_scores_as_bm25_does(size):
    """Passages that are alike are reckoned once: the same as each by itself."""
    rng, index, said = random.Random(9), Index(), []
    for n in range(size):
        words = rng.choices(["port", "hall", "gatewa", "kiosk", "beacon"], k=rng.randint(1, 9))
        said.append(Passage(0, 9, tuple(words)))
        index.add(n, "user", [said[-1]])
    found, corpus = index.search(["port", "kiosk", "gatewa"], size)
    weights = weights_of(["port", "kiosk", "gatewa"], corpus)
    for one in found:
        score, covered = bm25(weights, one, corpus.mean_terms)
        assert one.score == pytest.approx(score)
        assert one.covered == pytest.approx(covered)
    assert len(found) == sum(not weights.keys().isdisjoint(piece.terms) for piece in said)
