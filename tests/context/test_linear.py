"""Whatever a text is made of, reading it costs time in proportion to its size."""

from __future__ import annotations

import json
import time

import pytest

from agentrm_plugins.context.notes.facts import find, flattened, skeleton
from agentrm_plugins.context.notes.notes import Notes
from agentrm_plugins.context.notes.text import date_terms, sentences, terms
from agentrm_plugins.context.notes.values import values_of
from agentrm_plugins.context.recall.query import query_of
from tests.pace import slowness

SIZE = 1_000_000
MOST_S = 0.5
EVIL = {
    "one letter": "a", "one digit": "0", "hex": "deadbeef", "letters and a digit": "aaaaaaaaa1",
    "open brackets": "[", "open braces": '{"a":', "blanks": " ", "line ends": "\n",
    "question marks": "? ", "short words": "a b ", "capitals": "Aa ", "one name": "Ab",
    "dashes": "a-", "dots": "a.", "slashes": "a/", "backslashes": "\\a", "at signs": "a@",
    "quotes": '"a ', "backticks": "`", "colons": "a:", "one number": "1,", "groups": "111 ",
    "dates": "1 ", "months": "12 may ", "money": "$1 ", "euro": "1 € ", "underscores": "a_",
    "full stops": "1. ", "chinese": "汉", "japanese": "の。", "arabic": "ا", "cyrillic": "Аб",
    "combining": "e\u0301", "emoji": "\U0001f600", "fillers": "ok ", "cues": "actually ",
    "semicolons": "{;  ", "keys": "k = ", "equals": "=", "uuid": "12345678-1234-",
    "links": "http://a", "not": "not ",
}  # fmt: skip
READERS = {
    "find": lambda text: find(text, "tool"),
    "values": values_of,
    "skeleton": skeleton,
    "flattened": flattened,
    "sentences": sentences,
    "dates": date_terms,
    "query": query_of,
}


def cpu_s(read, text) -> float:
    """Give the least CPU time of two runs."""
    least = float("inf")
    for _ in range(2):
        begun = time.thread_time()
        read(text)
        least = min(least, time.thread_time() - begun)
        if least < MOST_S / 4:
            break
    return least


@pytest.mark.parametrize("name", EVIL)
def test_a_megabyte_of_anything_is_read_quickly(name):
    """Each reader takes less than half a second of CPU for a megabyte, on a common machine."""
    text = (EVIL[name] * (SIZE // len(EVIL[name]) + 1))[:SIZE]
    slow = {reader: cpu_s(read, text) for reader, read in READERS.items()}
    if max(slow.values()) > MOST_S:
        slow = {reader: took / slowness() for reader, took in slow.items()}
    assert {reader: took for reader, took in slow.items() if took > MOST_S} == {}


@pytest.mark.parametrize("name", EVIL)
def test_twice_the_text_takes_at_most_about_twice_the_time(name):
    """No reader is quadratic: four times the text takes less than ten times the time."""
    small = (EVIL[name] * (10_000 // len(EVIL[name]) + 1))[:10_000]
    for reader, read in {**READERS, "terms": terms}.items():
        one, four = cpu_s(read, small), cpu_s(read, small * 4)
        for _ in range(3):  # a busy machine, or a collection of garbage, may hit one reading
            if four >= 10 * one + 0.02:
                one, four = max(one, cpu_s(read, small)), min(four, cpu_s(read, small * 4))
        assert four < 10 * one + 0.02, f"{reader}: {one:.3f} s, then {four:.3f} s"


@pytest.mark.parametrize("deep", ["[" * 100_000, '{"a":' * 50_000, "[" * 900 + "]" * 900])
def test_deep_json_is_text_or_lines_and_no_error(deep):
    """However deep it is nested, a tool's output is read."""
    assert isinstance(find(deep, "tool"), list)


def test_json_without_an_end_gives_bounded_lines():
    """A large document gives its first lines."""
    assert flattened(json.dumps({str(n): n for n in range(15_000)})).count("\n") < 20_000


def test_a_note_costs_the_same_in_a_long_session():
    """Three thousand notes of one subject: the last hundred cost about what the first did."""
    notes, costs = Notes(), []
    for n in range(3_100):
        found = find(f"The port of gateway {n % 40} in hall {n % 7} is {n + 1000}.", "user")
        begun = time.thread_time()
        notes.add(n, "user", found)
        costs.append(time.thread_time() - begun)
    early, late = sorted(costs[200:400]), sorted(costs[-200:])
    assert late[100] < 3 * early[100] + 1e-4
