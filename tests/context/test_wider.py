"""Beyond the words of a question: when it asks about, and what the first look has found."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.recall.days import LAST_DAY, civil, day_of, weekday
from agentrm_plugins.context.recall.when import stretch_of
from benchmarks.context.asking import played
from benchmarks.context.kinds import hops

DAY_S = 86_400.0
NOW_S = datetime(2026, 11, 29, 13, tzinfo=UTC).timestamp()  # a Sunday
SAID = {
    "What did I say yesterday?": ("2026-11-28", 1),
    "was habe ich gestern gesagt": ("2026-11-28", 1),
    "昨天说了什么？": ("2026-11-28", 1),
    "вчера": ("2026-11-28", 1),
    "the day before yesterday we met": ("2026-11-27", 1),
    "what did we agree on Friday?": ("2026-11-27", 1),
    "What happened last Sunday?": ("2026-11-22", 1),
    "qu'ai-je dit la semaine dernière ?": ("2026-11-16", 7),
    "my plan of last week": ("2026-11-16", 7),
    "上周的会议": ("2026-11-16", 7),
    "two weeks ago": ("2026-11-12", 7),
    "vor 3 Tagen": ("2026-11-26", 1),
    "3日前": ("2026-11-26", 1),
    "the last 14 days": ("2026-11-15", 15),
    "what did we do last month?": ("2026-10-01", 31),
    "in March I bought something": ("2026-03-01", 31),
    "in March 2024": ("2024-03-01", 31),
    "and on 3 December?": ("2025-12-03", 1),
    "the status of 2026-11-04": ("2026-11-04", 1),
}


@pytest.mark.parametrize("text", SAID)
def test_words_for_a_time_name_a_stretch_of_days(text):
    """Relative to the day of the question, in several languages; a future one is of last year."""
    first, days = SAID[text]
    stretch = stretch_of(text, NOW_S)
    start_s = datetime.fromisoformat(first).replace(tzinfo=UTC).timestamp()
    assert (stretch.start_s, stretch.stop_s) == (start_s, start_s + days * DAY_S)


@pytest.mark.parametrize(
    "text",
    ["", "What is my port?", "march on", "99999 years ago", "31 February 2020", "last",
     "in 12 days", "ago", "9 " * 5_000, "one two three four " * 500],
)  # fmt: skip
def test_what_names_no_time_has_none(text):
    """Nor is there an error where a number leads beyond the calendar."""
    assert stretch_of(text, NOW_S) is None


@pytest.mark.parametrize("now_s", [0.0, -5.0, 1e18, float("inf"), float("nan"), DAY_S])
def test_a_clock_that_cannot_be_is_no_error(now_s):
    """A message's time may be anything."""
    stretch_of("yesterday, and three years ago", now_s)


def test_the_calendar_is_that_of_the_library():
    """Each day from 1970 on, and what is no date."""
    for day in range(0, LAST_DAY, 997):
        known = date(1970, 1, 1) + timedelta(day)
        assert civil(day) == (known.year, known.month, known.day)
        assert day_of(*civil(day)) == day
        assert weekday(day) == known.weekday()
    for wrong in ((2026, 2, 29), (2026, 13, 1), (2026, 0, 1), (0, 1, 1), (2026, 1, 0)):
        with pytest.raises(ValueError, match=str(wrong[0])):
            day_of(*wrong)


def at(day, text):
    return {"role": "user", "content": text, "metadata": {"timestamp": NOW_S - day * DAY_S}}


def talk_of_days():
    """The same words on forty days, with another thing each day."""
    messages = []
    for day in range(40, 0, -1):
        messages.append(at(day, f"We talked about the garden and thing{day} for a long while."))
        messages.append({"role": "assistant", "content": "I see."})
    return messages


@pytest.mark.parametrize(
    ("question", "things"),
    [
        ("What did we talk about regarding the garden three days ago?", {3}),
        ("What about the garden last week?", set(range(7, 14))),
        ("And 30 days ago?", {30}),
    ],
)
def test_what_was_said_then_comes_first(question, things):
    """Of messages with the same words, and of those with none of them, the time decides."""
    config = ContextConfig(budget_tokens=1_200)
    with ContextLifecycle(config, submit=lambda job: job(), clock=lambda: NOW_S) as manager:
        session = manager.session("s")
        history = talk_of_days()
        session.prepare(history, now_s=NOW_S)
        view = session.prepare([*history, at(0, question)], now_s=NOW_S)
        text = " ".join(str(message["content"]) for message in view.messages)
        assert all(f"thing{day} " in text for day in things)


def test_a_time_hides_nothing():
    """Who asks for yesterday and means something older finds it by its words."""
    with ContextLifecycle(ContextConfig(budget_tokens=1_200), clock=lambda: NOW_S) as manager:
        session = manager.session("s")
        session.prepare([at(9, "The zeppelin is moored at Friedrichshafen."), at(1, "Nice day.")])
        assert "Friedrichshafen" in session.recall("where is the zeppelin since yesterday?")


def test_a_second_fact_is_found_by_what_the_first_one_says():
    """The question shares no word with it but small ones."""
    for seed in (11, 12):
        result = played(hops(seed), ContextConfig(budget_tokens=1_500))
        assert result.kept >= 0.9 * result.asked
        assert result.over_budget == result.invalid == result.task_lost == 0


def test_a_note_that_tells_of_something_else_is_no_answer():
    """It holds the only word of the question that was ever said, and the rest is asked for too."""
    with ContextLifecycle(ContextConfig(budget_tokens=600), submit=lambda job: job()) as manager:
        session = manager.session("s")
        history = [
            {"role": "user", "content": "The warden of the orchard is Dagny Holm since 2019."},
            {"role": "user", "content": "the orchard went to somebody nice, a florist of ours"},
        ]
        for n in range(40):
            history.append({"role": "user", "content": f"And now for something else, number {n}."})
            session.prepare(history)
        asked = {"role": "user", "content": "Which profession has whoever got our orchard?"}
        view = session.prepare([*history, asked])
        assert "florist" in " ".join(message["content"] for message in view.messages[:-1])
