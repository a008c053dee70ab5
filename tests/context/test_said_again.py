"""What is said again in the same words, and what a talk is full of, moves little of the prompt."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from benchmarks.context.grade import text_of

PHRASES = (
    "How does the kiln behave when the clay is still damp",
    "The choir sang on the stairs and nobody wanted to go home",
    "What would you change in the second verse to make it lighter",
    "My aunt keeps bees behind the orchard and talks to them",
    "Which of both drafts sounds more honest to you",
    "Why do the gulls follow the ferry even in winter",
    "The market was crowded and the cheese was gone by ten",
    "Put the last paragraph in plainer words for the children",
    "Somebody painted the bridge green and the town argued for weeks",
    "Who taught the baker to whistle like that in the morning",
)


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def chat(rng, turns):
    """Three phrases a message, some of them questions; nothing that was told is asked for."""
    for _ in range(turns):
        asks = ". ".join(rng.choice(PHRASES) for _ in range(3)) + rng.choice("?...")
        yield [user(asks)], said(". ".join(rng.choice(PHRASES) for _ in range(3)) + ".")


def loops(rng, turns):
    """A phrase as a question, and calls whose results hold phrases that no full stop parts."""
    for n in range(turns):
        steps = [user(rng.choice(PHRASES) + "?")]
        for k in range(rng.randrange(1, 3)):
            call = {"name": "run", "arguments": f'{{"text": "{rng.choice(PHRASES)}"}}'}
            steps += [
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": f"c{n}-{k}", "type": "function", "function": call}],
                },
                {
                    "role": "tool",
                    "tool_call_id": f"c{n}-{k}",
                    "content": " ".join(rng.choice(PHRASES) for _ in range(rng.randrange(2, 12))),
                },
            ]
        yield steps, said(rng.choice(PHRASES) + ".")


def unchanged(made, budget):
    """Give the share of all that was sent that was an unchanged prefix, by characters."""
    config, kept, sent, before, history = ContextConfig(budget_tokens=budget), 0, 0, [], []
    with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: 0.0) as manager:
        session = manager.session("s")
        for asked, answer in made:
            history += asked
            view = session.prepare(history).messages
            sizes = [len(str(message)) for message in view]
            same = 0
            for old, new, size in zip(before, view, sizes, strict=False):
                if old != new:
                    break
                same += size
            kept, sent, before = kept + same, sent + sum(sizes), view
            history.append(answer)
    return kept / sent


@pytest.mark.parametrize(("talk", "least"), [(chat, 0.8), (loops, 0.74)])
def test_a_talk_that_repeats_itself_keeps_its_prefix(talk, least):
    """At 4,000 tokens; it was 75 and 51 %, for blocks of what stood in view or in half the talk."""
    assert unchanged(talk(random.Random(5), 150), 4_000) > least


def told(first, *, budget=4_000, then=()):
    """Play some messages, 150 turns of small talk after them, and give the session's view."""
    config = ContextConfig(budget_tokens=budget)
    with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: 0.0) as manager:
        session, history = manager.session("s"), []
        for asked, answer in [([user(one)], said("All right.")) for one in first]:
            history += [*asked, answer]
        for asked, answer in chat(random.Random(8), 150):
            history += [*asked, answer]
        session.prepare([*history, user("Go on.")])
        history += [*map(user, then)]
        return text_of(session.prepare(history).messages), session.recall(then[-1])


def test_a_fact_is_found_in_a_talk_that_repeats_itself():
    asked = "Which tuning did Ingrid want for the harpsichord?"
    shown, _ = told(["Ingrid wants the harpsichord in mean tone, a little flat."], then=[asked])
    assert "mean tone" in shown


def test_of_what_was_said_again_the_newest_stands():
    """First and last alike, another between: the block may not end with the one between."""
    lines = ["The gate of the depot is gate 14.", "Now the gate of the depot is gate 52."]
    _, found = told([*lines, lines[0]], then=["Which gate has the depot?"])
    assert found.rfind("gate 14") > found.rfind("gate 52") > 0


def test_asked_for_when_each_time_counts():
    """The same words on two days are two facts."""
    line = "Ingrid tuned the harpsichord today."
    _, found = told([line, "We had soup.", line], then=["When did Ingrid tune the harpsichord?"])
    assert found.count(line) == 2


def test_the_same_words_are_shown_once_in_a_block():
    line = "Ingrid keeps the harpsichord in the chapel."
    again = [line, "We had soup.", line]
    _, found = told(again, then=["Tell me about the harpsichord that Ingrid keeps."])
    assert found.count(line) == 1


@pytest.mark.parametrize(
    "asked",
    [
        "How many times did Ingrid tune the harpsichord?",
        "Wie oft: Ingrid tuned the harpsichord?",
        "What happens every time that Ingrid tuned the harpsichord?",
    ],
)
def test_asked_how_often_each_time_counts(asked):
    line = "Ingrid tuned the harpsichord again."
    _, found = told([line, "We had soup.", line], then=[asked])
    assert found.count(line) == 2


@pytest.mark.parametrize("asked", ["What about the harpsichord last week?", "And on Jan 6, tuned?"])
def test_of_a_time_that_is_named_the_message_of_that_time_stands(asked):
    """The same was said again later: the newest copy tells nothing of the day that is asked for."""
    line, day, now_s = "Ingrid tuned the harpsichord again.", 86_400.0, 1_800_000_000.0
    with ContextLifecycle(ContextConfig(budget_tokens=2_000), submit=lambda job: job()) as manager:
        session, history = manager.session("s"), []
        for at, text in enumerate([line, *(f"Soup {n}. " * 60 for n in range(12)), line]):
            history += [user(text), said("All right.")]
            session.prepare(history[:-1], now_s=now_s - (9 if at == 0 else 3) * day)
        view = session.prepare([*history, user(asked)], now_s=now_s)
        block = [item.message.content for item in view.items if item.kind == "recall"]
        assert f"[2027-01-06]\n0 user: {line}" in block[-1]


@pytest.mark.parametrize("budget", [700, 1_100])
def test_in_a_short_talk_a_question_keeps_its_room(budget):
    """Three messages of fifteen are no share of a talk that tells nothing: all of them answer."""
    rest = "We talked with the caterer and the florist on all of that and it went well. " * 5
    told = ["Anna decided the tent is white", "Ben decided the music is jazz"]
    history = []
    for text in [*(f"About the garden wedding plan: {one}. {rest}" for one in told),
                 *(f"Tell me a tale {n}. " + f"The lorem{n} ipsum{n} dolor. " * 20
                   for n in range(6))]:  # fmt: skip
        history += [user(text), said("All right.")]
    with ContextLifecycle(ContextConfig(budget_tokens=budget), submit=lambda job: job()) as manager:
        session = manager.session("s")
        for at in range(1, len(history), 2):
            session.prepare(history[:at])
        asked = user("What was decided for the garden wedding plan?")
        view = session.prepare([*history, asked])
    assert view.recall_tokens > 200
    assert all(one in text_of(view.messages) for one in told)
