"""A history that was edited: what was not changed is archived once, and is sent as it is."""

from __future__ import annotations

import random

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.plan.align import align
from agentrm_plugins.context.stores import MemoryStore, SessionKey
from tests.context.test_hostile import said, user

KEY = SessionKey("default", "s")
NAMES = ["ash", "birch", "cedar", "dogwood", "elm", "fir", "ginkgo", "hazel", "ivy", "juniper"]


def talk(turns):
    history = []
    for name in NAMES[:turns]:
        history += [user(f"The {name} stands behind mill {len(name)}."), said(f"Seen the {name}.")]
    return history


def step(number, text):
    call = {"id": number, "type": "function", "function": {"name": "look", "arguments": "{}"}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": number, "content": text},
    ]


@pytest.fixture
def session():
    store = MemoryStore()
    config = ContextConfig(budget_tokens=8_000)
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        yield manager.session("s"), store


def bodies(store):
    places = [place for place, _ in store.digests(KEY)]
    return [row.body for row in store.read(KEY, places).values()]


def test_one_message_edited_in_the_middle_stores_no_other_twice(session):
    """The archive holds what the caller shows, each message once; the old wording is set aside."""
    live, store = session
    history = talk(8)
    live.prepare(history)
    edited = [*history]
    edited[6] = user("The dogwood stands behind the church.")
    view = live.prepare([*edited, user("go on")])
    assert view.messages == [*edited, user("go on")]
    assert live.pressure.messages == len(edited) + 1
    archived = bodies(store)
    assert len(archived) == len(set(archived)) == len(edited) + 1
    assert any("1 archived messages after it are set aside" in text for text in view.repairs)
    found = live.recall("where does the dogwood stand?")
    assert "church" in found
    assert "mill 7" not in found
    assert found.count("The hazel stands") <= 1


def test_a_message_put_in_between_stores_no_other_twice(session):
    """Nothing that was known is set aside."""
    live, store = session
    history = talk(8)
    live.prepare(history)
    longer = [*history[:5], said("And a note."), *history[5:], user("go on")]
    view = live.prepare(longer)
    assert view.messages == longer
    assert len(bodies(store)) == len(set(bodies(store))) == len(longer)
    assert not any("set aside" in text for text in view.repairs)


def test_results_that_a_middleware_cleared_stay_findable(session):
    """Placeholders are sent as the caller has them; the archive keeps what the tools gave."""
    live, store = session
    history = [user("look")]
    for n, name in enumerate(NAMES):
        history += [*step(f"c{n}", f"The {name} is {n + 3} metres high."), said("Next one.")]
    live.prepare(history)
    cleared = [dict(m, content="[cleared]") if m["role"] == "tool" else m for m in history[:9]]
    cleared += [*history[9:], user("how high is the ash?")]
    view = live.prepare(cleared)
    assert view.messages == cleared
    assert len(bodies(store)) == len(cleared)
    assert "The ash is 3 metres high." in live.recall("how high is the ash?")
    again = live.prepare([*cleared, said("3 m")])
    assert again.messages == [*cleared, said("3 m")]
    assert not again.repairs


def test_any_edit_gives_places_for_all_that_is_shown():
    """Whatever was put in, changed or cut, each handed-over message has one place, in order."""
    rng = random.Random(3)
    for _ in range(3_000):
        known = [rng.randrange(30) for _ in range(rng.randint(0, 12))]
        incoming = list(known)
        for _ in range(rng.randint(0, 3)):
            at = rng.randint(0, len(incoming))
            incoming[at : at + rng.randint(0, 2)] = rng.choices(range(40), k=rng.randint(0, 2))
        where = align(known, incoming, 0)
        assert 0 <= where.keep <= len(known)
        assert 0 <= where.new_from <= len(incoming)
        rest = incoming[where.skip : where.new_from]
        first = where.skip + where.shift
        assert known[first : first + len(rest)] == rest
        if where.edited:
            assert where.keep == where.edited[0]
            assert len(incoming) >= len(known)


def test_a_message_of_another_role_in_a_results_place_is_no_cleared_result(session):
    """It is archived and found, and the call before it gets a result that says there is none."""
    live, _ = session
    history = [user("look"), *step("c1", "The ash is 3 metres high."), said("ok"), user("next")]
    live.prepare(history)
    edited = [*history]
    edited[2] = user("Never mind: the code word is ZULU-7741.")
    view = live.prepare([*edited, said("fine"), user("go on")])
    assert view.messages[2]["role"] == "tool"
    assert view.messages[2]["tool_call_id"] == "c1"
    assert edited[2] in view.messages
    assert "ZULU-7741" in live.recall("what is the code word?")


def test_a_result_of_another_call_is_no_cleared_result(session):
    """One without its call is not sent."""
    live, _ = session
    history = [user("look"), *step("c1", "The ash is 3 metres high."), said("ok"), user("next")]
    live.prepare(history)
    edited = [*history]
    edited[2] = {**edited[2], "tool_call_id": "c9"}
    view = live.prepare([*edited, said("fine"), user("go on")])
    assert [m["tool_call_id"] for m in view.messages if m["role"] == "tool"] == ["c1"]


@pytest.mark.parametrize("before", ["pending", "Job 4711 waits in the queue; poll it with status."])
def test_a_result_that_comes_late_is_archived(session, before):
    """A placeholder that the real result takes the place of was no more than a placeholder."""
    live, _ = session
    history = [
        user("Start the build"),
        *step("c1", before),
        said("It runs."),
        user("ok"),
        said("-"),
    ]
    live.prepare(history)
    edited = [*history]
    edited[2] = {**edited[2], "content": "Build 8841 failed at gate QX-309."}
    view = live.prepare([*edited, user("go on")])
    assert view.messages == [*edited, user("go on")]
    assert "QX-309" in live.recall("which gate did the build fail at?")


def test_a_result_that_is_shown_whole_again_after_a_wake_is_counted():
    """It was counted as it was shown last, cleared; the budget holds for what is sent."""
    store = MemoryStore()
    config = ContextConfig(budget_tokens=3_000)
    long = " ".join(f"w{n}" for n in range(900))
    history = [user("look"), *step("c1", long), said("ok"), user("next"), said("fine")]
    cleared = [*history]
    cleared[2] = {**history[2], "content": "[cleared]"}
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        whole = manager.session("s").prepare(history).tokens
        small = manager.session("s").prepare([*cleared, user("go on")]).tokens
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        view = manager.session("s").prepare([*history, user("go on")])
        assert small < 200
        assert 1_000 < whole <= view.tokens


def test_all_results_cleared_at_once_store_nothing_twice(session):
    """Half of a list may be results; after a wake all that were cleared differ at once."""
    live, store = session
    history = [user("look")]
    for n, name in enumerate(NAMES):
        history += step(f"c{n}", f"The {name} is {n + 3} metres high.")
    history.append(said("All seen."))
    live.prepare(history)
    cleared = [dict(m, content="[cleared]") if m["role"] == "tool" else m for m in history]
    view = live.prepare([*cleared, user("go on")])
    assert view.messages == [*cleared, user("go on")]
    assert len(bodies(store)) == len(cleared) + 1
    assert "The ash is 3 metres high." in live.recall("how high is the ash?")
