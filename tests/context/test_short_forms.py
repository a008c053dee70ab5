"""A stop behind a short form ends no sentence: the value stands behind it."""

from __future__ import annotations

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.text import sentences
from benchmarks.context.grade import text_of

FACTS = [
    ("Kira's teacher is Mrs. Holm.", "Who is Kira's teacher?"),
    ("The gate badge of Bela is No. 4471.", "Which gate badge has Bela?"),
    ("Our contract partner in Ohio is Vance Inc. of Toledo.", "Where is our partner in Ohio?"),
    ("Ines moved to St. Gallen.", "Where did Ines move to?"),
    ("Die Adresse von Greta ist Lindenstr. 48.", "Was ist die Adresse von Greta?"),
    ("La profesora de Lucas es la Sra. Medina.", "¿Quién es la profesora de Lucas?"),
    ("The shelter of Otto is the Bhf. Altona.", "Which shelter has Otto?"),  # on no list
]


@pytest.mark.parametrize("said", [fact for fact, _ in FACTS[:-1]])
def test_a_short_form_ends_no_sentence(said):
    """Neither a title before a name nor what goes on with a small letter or a number."""
    assert [text for _, text in sentences(f"{said} It rained.")] == [said, "It rained."]


@pytest.mark.parametrize(
    "said",
    ["Send it to Bldg. 14.", "Msgr. Doyle has the key.", "Hqtrs. of Vane are in Ft. Collins.",
     "See Sec. 4.2 of the memo.", "Der Schlüssel liegt bei Fr. Dr. Vogt.", "У г. Иванова ключ."],
)  # fmt: skip
def test_no_list_need_know_a_short_form(said):
    """One without a vowel stands before a name; a number or a small letter behind one goes on."""
    assert [text for _, text in sentences(f"{said} It rained.")] == [said, "It rained."]


@pytest.mark.parametrize(
    "both",
    [
        "The price is 5. We go.",
        "We hired Vance Inc. The price is 5.",
        "I said no. We go.",
        "You and I. We go.",
        "We watched TV. It rained.",
        "why not try. we go.",
        "It cost money. 48 came.",
    ],
)
def test_a_sentence_still_ends(both):
    """Also behind a short form, where another sentence begins."""
    assert len(sentences(both)) == 2


@pytest.mark.parametrize("budget", [1_000, 4_000])
def test_what_stands_behind_a_short_form_is_kept(budget):
    """Each fact stands in the prompt word for word when it is asked for."""
    config = ContextConfig(budget_tokens=budget)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session, history = manager.session("s"), []
        for said, _ in FACTS:
            history += [{"role": "user", "content": f"{said} It rained all the day."}]
            history += [{"role": "assistant", "content": "I see, that is well."}] * 2
        for n in range(budget // 12):
            said = f"We walked along the river and talked about tale {n % 7} of the sea."
            history += [{"role": "user", "content": said}, {"role": "assistant", "content": "Ah."}]
        session.prepare(history)
        for said, question in FACTS:
            view = session.prepare([*history, {"role": "user", "content": question}])
            assert said in text_of(view.messages)
