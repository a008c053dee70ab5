"""What recalled blocks take over time: a talk in which each message asks keeps its prefix."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.plan.recalls import allowed_tokens, owe, pay_back
from agentrm_plugins.context.plan.shares import recall_room
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.stores.memory import MemoryStore
from agentrm_plugins.counting.encodings import counter_for
from tests.context.test_said_again import PHRASES, said, unchanged, user

ASKED = "Why do the gulls follow the ferry even in winter?"
WORDS = sorted({word for phrase in PHRASES for word in phrase.split() if len(word) > 4})


def varied(rng):
    """A phrase of which two words are others: no two say the same, and all of them sound alike."""
    words = rng.choice(PHRASES).split()
    for _ in range(2):
        words[rng.randrange(len(words))] = rng.choice(WORDS)
    return " ".join(words)


def chat(rng, turns):
    for _ in range(turns):
        asks = ". ".join(varied(rng) for _ in range(3)) + rng.choice("?...")
        yield [user(asks)], said(". ".join(varied(rng) for _ in range(3)) + ".")


def tutor(rng, turns):
    """Each message is a question on something new."""
    for _ in range(turns):
        answer = ". ".join(varied(rng) for _ in range(rng.randint(2, 8)))
        yield [user(varied(rng) + "?")], said(answer + ".")


def loops(rng, turns):
    """A question, then calls: a request before each of them, and before the answer."""
    for n in range(turns):
        new = [user(varied(rng) + "?")]
        for k in range(rng.randint(1, 3)):
            call = {"name": "run", "arguments": f'{{"text": "{varied(rng)}"}}'}
            number = f"c{n}-{k}"
            called = {"id": number, "type": "function", "function": call}
            yield new, {"role": "assistant", "content": None, "tool_calls": [called]}
            output = " ".join(varied(rng) for _ in range(rng.randint(2, 13)))
            new = [{"role": "tool", "tool_call_id": number, "content": output}]
        yield new, said(varied(rng) + ".")


@pytest.mark.parametrize(("talk", "least"), [(chat, 0.95), (loops, 0.89), (tutor, 0.85)])
def test_a_talk_of_which_no_two_messages_are_alike_keeps_its_prefix(talk, least):
    """At 8,000 tokens, each user message a new look-up; it was 83, 85 and 76 % of 180 turns.

    A plain question has its share in any case, so a talk of nothing else keeps the least.
    """
    assert unchanged(talk(random.Random(5), 130), 8_000) > least


@pytest.fixture
def play():
    """Play a talk of 200 turns; then give what a question recalls after some more messages."""
    store = MemoryStore()
    config = ContextConfig(budget_tokens=8_000)

    def played(questions, quiet=0, *, asleep=False):
        rng, history, recalled = random.Random(3), [], []
        for asked, answer in tutor(rng, 200):
            history += [user(asked[0]["content"].replace("?", ".")), answer]
        more = [user(f"{varied(rng)}?") for _ in range(questions)]
        more += [user("Go on.") for _ in range(quiet)]
        with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
            session = manager.session("s")
            session.prepare(history[:-1])
            for one in [*more, user(ASKED)]:
                history.append(one)
                recalled.append(session.prepare(history).recall_tokens)
                history.append(said("All right."))
                if asleep:
                    manager.hibernate("s")
                    session = manager.session("s")
        return recalled

    return played


def test_a_question_after_none_has_all_of_the_room(play):
    """The first question has more than its share; after many it has what they earned."""
    [first] = play(0)
    assert first > 2_000


def test_after_many_questions_one_has_its_share_and_no_more(play):
    first, *_, last = play(12)
    assert 1_500 < last <= 2_000 < first


def test_what_is_owed_is_known_after_a_sleep(play):
    assert 1_500 < play(6, asleep=True)[-1] <= 2_000


def test_who_asks_once_more_has_the_room_that_it_had():
    """A question that is edited takes back its block, and what that took."""
    rng, history = random.Random(3), []
    for asked, answer in tutor(rng, 200):
        history += [*asked, answer]
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(history[:-1])
        rooms = [
            session.prepare([*history, user(f"{varied(rng)}, {n}?")]).recall_tokens
            for n in range(6)
        ]
    assert min(rooms[1:]) > rooms[0] > 0


def test_the_law_of_what_is_owed():
    """Half of what may change of all that was sent, or 400 tokens a message, is paid back."""
    session = Transcript(ContextConfig(budget_tokens=8_000), counter_for("gpt-4o"))
    most = allowed_tokens(session)
    assert most == (8_000 - 3) // 2
    session.owed, session.sent = 2_200, 20_010
    pay_back(session)
    assert (session.owed, session.sent) == (1_200, 0)
    assert allowed_tokens(session) == most - 1_200
    pay_back(session)
    assert session.owed == 800
    session.owed = 10_000
    assert allowed_tokens(session) == recall_room(session) == 1_999


def test_what_a_hundred_questions_owe_is_paid_back_by_some_messages():
    """It was owed without an end: 78 messages later a question had no more than its share."""
    state = Transcript(ContextConfig(budget_tokens=4_000), counter_for("gpt-4o"))
    full = allowed_tokens(state)
    for _ in range(100):
        pay_back(state)
        owe(state, recall_room(state))
    assert allowed_tokens(state) == recall_room(state) < full
    for _ in range(12):
        pay_back(state)
    assert allowed_tokens(state) == full
