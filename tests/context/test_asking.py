"""How surely a sentence asks: a word that may ask does not make a statement a question."""

from __future__ import annotations

import pytest

from agentrm_plugins.context.notes.asking import asked_share, ends_asking
from agentrm_plugins.context.recall.query import query_of

ASKS = [
    "What is the locker number?", "what is the locker number", "and its port?",
    "Tell me the locker number.", "Please remind me of Lena's code.", "give me both codes!",
    "So, which one was it", "Where does she live", "wie heißt der Hund", "cuál es el código",
    "où est la clé", "где ключ", "密码是什么", "密码在哪儿",
    "保険の番号は何ですか", "鍵はどこですか。",
    "Ποιος είναι ο αριθμός για τον Νίκο;", "Πού μένει η Ελένη;", "ما هو الرقم", "코드가 무엇",
    "I wonder where it is, could you look it up?",
    "Do you remember the code of Ida's locker", "Can you still remember her code.",
    "I'd like to know what the code is.", "I want to know which one it was.",
    "Which code has Ida's locker.", "What was the code of the locker.", "Where is the key.",
    "Before we go on, the code of Ida's locker, what was it.",
    "Ich brauche den Code von Idas Schrank, welcher war das.", "Wo ist der Schlüssel.",
    "鍵の番号は何でしたか。", "どこへ行きましたか。", "誰が鍵を持っているのか。",
]  # fmt: skip
MAY_ASK = [
    "We saw how the train went, and where the film was.", "The man who owns the boat sold it.",
    "It was when the garden broke again.", "I know what the garden is, and where it ends.",
    "When the garden broke, we left.", "Der Zug kam, und wir sahen, wie und wo er hielt.",
    "Мы видели, как они шли, когда он пришел.", "Se rompió cuando llovía, donde siempre.",
    "我知道他在哪里。", "We agreed on the price earlier.",
    "My brother, who is a doctor, lives in Ghent.", "It rained, which was nice.",
    "She left, when the film was over.", "Which was what we wanted.",
    "I asked him, which has cost me a friend.", "We know what was said.",
]  # fmt: skip
SAYS = [
    "All right.", "My locker is 208.", "誰も気にしません。", "什么都没有变", "何も変わりません",
    "谁也不知道",
    "The code; it was long.", "",
]  # fmt: skip


@pytest.mark.parametrize("text", ASKS)
def test_a_question_asks(text):
    assert query_of(text).asks > 0.9


@pytest.mark.parametrize("text", MAY_ASK)
def test_a_statement_that_holds_a_word_that_may_ask_is_half_a_question(text):
    assert 0.4 <= query_of(text).asks <= 0.5


@pytest.mark.parametrize("text", SAYS)
def test_what_says_something_asks_nothing(text):
    assert asked_share(text.lower()) == 0


@pytest.mark.parametrize(
    "text", ["Why?", "Why? ", "なぜ？", "Γιατί;", "Γιατί\u037e", "لماذا؟", "Inchu\u055e"]
)
def test_a_mark_of_any_script_ends_a_question(text):
    assert ends_asking(text)


@pytest.mark.parametrize("text", ["Why.", "x = 1;", "Es ist so;", "", "; ?a"])
def test_another_end_does_not(text):
    assert not ends_asking(text)
