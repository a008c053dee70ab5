"""Asked at the end of a long talk: what was said of one is found, whatever was said of another."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle

FILLING = [
    "That sounds fine.", "We had rain all morning.", "Let us go on.", "The lift is slow today.",
]  # fmt: skip
FOUND = [
    (["My passport number is X4471190.", "My wife's passport number is Y9982001."],
     "What is my passport number?", "X4471190"),
    (["I never said that I like jazz; I like blues.", "My cousin likes jazz."],
     "Do I like jazz?", "I like blues"),
    (["I am allergic to penicillin.", "Actually the dog is not allergic to penicillin."],
     "Am I allergic to penicillin?", "I am allergic to penicillin"),
    (["Paula does not eat fish.", "Paul eats fish every Friday."],
     "Does Paula eat fish?", "does not eat fish"),
    (["El puerto de la base de datos es 5432.", "El puerto de la caché es ahora 6379."],
     "¿Cuál es el puerto de la base de datos?", "5432"),
    (["我的车牌号是京A12345。", "我妻子的车牌号是京B67890。"], "我的车牌号是多少?", "京A12345"),
    (["駐車場の番号は17です。", "ロッカーの番号は今は23です。"],
     "駐車場の番号は何番ですか？", "17"),
    (["รหัสประตูคือ 4455", "รหัสตู้เซฟคือ 8899"], "รหัสประตูคืออะไร?", "4455"),
    (["मेरा कमरा नंबर 12 है।", "मेरे भाई का कमरा नंबर अब 15 है।"], "मेरा कमरा नंबर क्या है?", "12"),
    (["رقم الغرفة هو 404.", "رقم الطاولة هو 12."], "ما هو رقم الغرفة؟", "404"),
    (["Пароль от сейфа 7781.", "Пароль от почты теперь 1234."], "Какой пароль от сейфа?", "7781"),
]  # fmt: skip
REPLACED = [
    (["Our meeting is in room 12.", "No, wait, our meeting is in room 21."],
     "In which room is our meeting?", "21", "12."),
    (["Rent is due on the 5th.", "Actually, rent is due on the 1st from now on."],
     "When is rent due?", "1st", "5th"),
    (["Die Miete beträgt 900 Euro.", "Ab sofort beträgt die Miete 950 Euro."],
     "Wie hoch ist die Miete?", "950", "900"),
    (["My locker is 208.", "Forget what I said, my locker is 311."],
     "What is my locker?", "311", "208"),
]  # fmt: skip


def prompt(facts, question):
    """Tell the facts among small talk, ask at the end; give what is sent before the question."""
    config = ContextConfig(budget_tokens=700)
    with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: 0.0) as manager:
        session, history = manager.session("s"), []

        def say(text, n):
            history.append({"role": "user", "content": text})
            history.append({"role": "assistant", "content": FILLING[(n + 1) % 4]})
            session.prepare(history)

        for fact in facts:
            for n, text in enumerate([fact, *FILLING]):
                say(text, n)
        for n in range(40):
            say(f"{FILLING[n % 4]} Round {n}.", n)
        view = session.prepare([*history, {"role": "user", "content": question}])
        assert view.tokens <= config.budget_tokens
        return "\n".join(message["content"] for message in view.messages[:-1])


@pytest.mark.parametrize(("facts", "question", "answer"), FOUND)
def test_what_was_said_of_one_is_found_beside_the_other(facts, question, answer):
    """A note that tells of somebody else is no answer, and small talk before it hides nothing."""
    assert answer in prompt(facts, question)


@pytest.mark.parametrize(("facts", "question", "now", "before"), REPLACED)
def test_an_old_value_never_stands_there_alone(facts, question, now, before):
    """The new one stands behind it, or beside it."""
    text = prompt(facts, question)
    assert now in text
    last = text.rfind(before)
    assert text.rfind(now) > last or now in text[max(0, last - 200) : last + 200]
