"""JSON that models and tools write without an end: deep, huge, and no JSON at all."""

from __future__ import annotations

import json

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SqliteStore
from agentrm_plugins.errors import BadMessage
from agentrm_plugins.types.message import Message
from agentrm_plugins.types.plain import DEEPEST, json_text, plain, text_of

CONFIG = ContextConfig(budget_tokens=600)


def user(text):
    return {"role": "user", "content": text}


def talk(turns):
    return [user(f"The code of item {n} is KX-{1000 + n}. " + "bla " * 10) for n in range(turns)]


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ({"message": 10**22}, "There is no message 10000000000000000000"),
        ('{"message": 1e22}', "Give a query or the number of a message."),
        ({"message": -1}, "There is no message -1."),
        ({"message": True}, "Give a query or the number of a message."),
        ({"message": [1]}, "Give a query or the number of a message."),
        ('{"message": ' + "9" * 5_000 + "}", "Nothing in the archive matches."),
        ("[" * 100_000, "Nothing in the archive matches."),
        ('{"query":' * 2_000, "archive"),
        ("null", "archive"),
        (None, "Nothing in the archive matches."),
        (5, "item 5 is"),
        ([], "Nothing in the archive matches."),
        ("", "Give a query or the number of a message."),
        ({"query": ["KX-1003"]}, "KX-1003"),
        ({"query": "KX-1003 " * 100_000}, "KX-1003"),
        ({"query": "\ud800"}, "archive"),
        ({"query": '\x00 OR 1=1 " NEAR *'}, "item 1 is"),
    ],
)
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_hostile_arguments_of_the_recall_tool_get_a_clear_answer(kind, arguments, answer):
    """Whatever a model writes, it reads an answer; the session goes on."""
    store = MemoryStore() if kind == "memory" else SqliteStore(":memory:")
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(talk(10))
        assert answer in session.call_recall(arguments)
        assert session.prepare(talk(11)).repairs == ()


def nested(levels, kind=list):
    """Lists or dicts in one another."""
    value = "deep KX-77"
    for _ in range(levels):
        value = [value] if kind is list else {"a": value}
    return value


def calling(arguments):
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": "", "tool_calls": [call]}


class Rude:
    """An object that has no text."""

    def __str__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "message",
    [
        {"role": "assistant", "content": "[" * 1_100},
        {"role": "assistant", "content": '{"a":' * 3_000},
        calling("[" * 1_100),
        calling('{"a":' * 1_100 + "1" + "}" * 1_100),
        calling(nested(1_100)),
        calling(nested(150, dict)),
        {**user("x"), "metadata": nested(1_100, dict)},
        {**user("x"), "extra": nested(20_000)},
        {"role": "assistant", "content": [{"type": "tool_result", "content": nested(1_100)}]},
        {"role": "assistant", "content": [{"type": "odd", "data": nested(400, dict)}]},
        {**user("x"), "extra": {("a", 1): 2, None: 3}},
        {**user("x"), "extra": [object, {1, 2}, b"x", float("nan"), 10**5_000, Rude()]},
        Message("assistant", ({"type": "odd", "data": nested(400, dict)},)),
        Message("user", "x", raw={"role": "user", "content": "x", "extra": nested(1_100)}),
    ],
)
def test_deep_and_odd_data_breaks_no_session(message):
    """The turn goes on, every message is archived, `durable` says so, and a sleep changes nothing.

    The second process reads them back, and the caller's own objects are what is sent.
    """
    store = SqliteStore(":memory:")
    config = ContextConfig(budget_tokens=200_000)  # what stands under unknown keys is counted
    history = [user("The code is KX-1."), message, user("and?")]
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        for end in (1, 3):
            view = session.prepare(history[:end])
            assert session.durable == end == len(store.digests(session.key))
        assert any(item.source is message for item in view.items)
        session.maintain()
        assert session.last_error is None
        manager.hibernate("s")
        history.append(user("go on"))
        session = manager.session("s")
        assert not any("archive" in text for text in session.prepare(history).repairs)
        assert session.durable == 4
        assert "KX-1" in session.recall("what is the code KX-1")


def test_data_without_an_end_is_refused_and_changes_nothing():
    """A list that holds itself can be sent by nobody: the error says so, the session goes on."""
    endless = []
    endless.append(endless)
    with ContextLifecycle(CONFIG, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(talk(2))
        with pytest.raises(BadMessage, match="no end"):
            session.prepare([*talk(2), {**user("x"), "extra": endless}])
        assert session.durable == 2
        assert session.prepare(talk(3)).repairs == ()


def test_a_message_that_cannot_be_noted_is_archived_all_the_same(monkeypatch):
    """An error in reading it for notes costs the notes of that message, not one row of the step."""

    def fails(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("agentrm_plugins.context.plan.transcript.findings_of", fails)
    with ContextLifecycle(CONFIG, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare(talk(5))
        assert session.durable == 5 == len(manager.store.digests(session.key))
        assert isinstance(session.last_error, ZeroDivisionError)


def test_tools_of_any_depth_are_counted():
    """A schema that refers to itself a thousand levels down ends no turn."""
    tool = {"type": "function", "function": {"name": "f", "parameters": nested(1_100, dict)}}
    with ContextLifecycle(submit=lambda job: job()) as manager:
        view = manager.session("s").prepare(talk(2), tools=[tool])
        assert view.tokens > 1_000


def test_deep_data_keeps_every_word():
    """Below `DEEPEST` levels data is as it was; what is deeper is its JSON text."""
    flat = nested(DEEPEST - 2, dict)
    assert plain(flat) == flat
    assert "deep KX-77" in json_text(nested(5_000, dict))
    assert json.loads(json_text(plain(nested(5_000)))) is not None
    assert text_of({"a": [1, None, True, "x"], 2: {}}) == '{"a": [1, null, true, "x"], "2": {}}'


@pytest.mark.parametrize("key", ["timestamp", "created_at"])
@pytest.mark.parametrize(
    "time",
    [float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), True, "now", [1], None],
    ids=lambda time: str(time)[:9],
)
def test_a_time_that_is_none_stops_no_archive(time, key):
    """It counts as none: the message has the clock's, and all that comes later is archived."""
    store = SqliteStore(":memory:")
    history = [user("The code is KX-1."), {**user("hello"), "metadata": {key: time}}, user("and?")]
    with ContextLifecycle(
        CONFIG, store=store, submit=lambda job: job(), clock=lambda: 5.0
    ) as manager:
        session = manager.session("s")
        for end in (1, 2, 3):
            assert session.prepare(history[:end]).repairs == ()
            assert session.durable == end
        assert [row.at_s for row in store.read(session.key, range(3)).values()] == [5.0] * 3
        manager.hibernate("s")
        session = manager.session("s")
        assert session.prepare([*history, user("What was it yesterday?")]).repairs == ()
        assert session.durable == 4


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 10**400, 2**64, -0.0, True],
                         ids=lambda number: str(number)[:9])  # fmt: skip
def test_odd_numbers_anywhere_in_a_message_stop_no_archive(number):
    """In sizes, places, counts and arguments: archived, counted, and read again."""
    parts = [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}, "width": number},
        {"type": "input_audio", "input_audio": {"data": "AA", "format": "wav", "s": number}},
        {"type": "text", "text": "KX-1", "index": number, "start": number},
    ]
    history = [
        {"role": "user", "content": parts, "tokens": number, "index": number},
        {**calling({"a": number}), "usage": {"input_tokens": number, "total_tokens": number}},
        user("and?"),
    ]
    with ContextLifecycle(CONFIG, store=SqliteStore(":memory:"), submit=lambda job: job()) as made:
        made.session("s").prepare(history)
        made.hibernate("s")
        session = made.session("s")
        assert not any("archive" in text for text in session.prepare(history).repairs)
        assert session.durable == 3
        assert "KX-1" in session.recall("KX-1")
