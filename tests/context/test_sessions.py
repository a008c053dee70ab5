from __future__ import annotations

import asyncio
import copy
import json
import random
import sqlite3
from operator import call

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import RECALL_TOOL, ContextLifecycle, fit
from agentrm_plugins.context.notes.summaries import LLMSummariser, SummaryRequest
from agentrm_plugins.context.plan.shares import MOST_RECALLED
from agentrm_plugins.context.stores import MemoryStore, SqliteStore
from agentrm_plugins.counting.encodings import counter_for
from agentrm_plugins.errors import BadMessage, BudgetTooSmall, ClosedError, ConfigError, StoreLocked
from agentrm_plugins.types.message import from_openai
from benchmarks.context.generate import session as generated
from benchmarks.context.grade import faults, request_tokens, text_of

SYSTEM = {"role": "system", "content": "You are an assistant."}


def user(text, **more):
    return {"role": "user", "content": text, **more}


def said(text):
    return {"role": "assistant", "content": text}


def step(number, output, name="search"):
    call = {"id": f"c{number}", "type": "function", "function": {"name": name, "arguments": "{}"}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"c{number}", "content": output},
    ]


def talk(turns, first="Please work on the report."):
    history = [SYSTEM, user(first)]
    for n in range(turns):
        history += step(n, f"line {n} of output: " + "lorem ipsum dolor " * 40)
    return history


@pytest.fixture
def manager():
    with ContextLifecycle(
        ContextConfig(budget_tokens=1500), submit=call, clock=lambda: 0.0
    ) as made:
        yield made


def test_a_short_history_passes_untouched(manager):
    """Below the marks the caller's own objects come back, and its list is not changed."""
    history = [SYSTEM, user("hello"), said("hi"), user("how are you?")]
    before = copy.deepcopy(history)
    view = manager.session("s").prepare(history)
    assert all(a is b for a, b in zip(view.messages, history, strict=True))
    assert history == before


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("budget", [1500, 4000])
def test_every_request_fits_is_valid_and_holds_the_task(seed, budget):
    """Over whole sessions with tool loops: never over budget, no orphan, the newest task there."""
    made = generated(seed + 500, 120, long_loops=seed % 2 == 1)
    config = ContextConfig(budget_tokens=budget)
    with ContextLifecycle(config, submit=call, clock=lambda: 0.0) as manager:
        session = manager.session("s")
        history = []
        for message in made.messages:
            if message["role"] == "assistant":
                before = copy.deepcopy(history)
                view = session.prepare(history)
                assert history == before
                assert request_tokens(view.messages) <= view.tokens <= budget
                assert faults(view.messages) == []
                task = [m for m in history if m["role"] == "user"][-1]
                assert task in view.messages
                assert view.recall_tokens <= MOST_RECALLED * budget
            history.append(message)
        assert session.last_error is None


def test_a_budget_below_system_prompt_and_task_is_an_error(manager):
    """The error names the parts and the budget; the session goes on when it is raised."""
    history = [SYSTEM, user("word " * 3000)]
    with pytest.raises(BudgetTooSmall, match="newest user message 30") as caught:
        manager.session("s").prepare(history)
    assert caught.value.budget_tokens == 1500
    assert manager.session("s").prepare([SYSTEM, user("short")]).tokens < 100


def test_a_result_larger_than_the_window_is_shortened_and_archived(manager):
    """The newest result keeps its head and tail, the rest is found by recall."""
    big = (
        "first words "
        + "filler " * 4000
        + " the build id is BLD-9921. "
        + "filler " * 4000
        + "last words"
    )
    history = [SYSTEM, user("read the log"), *step(1, big)]
    session = manager.session("s")
    view = session.prepare(history)
    assert view.tokens <= 1500
    assert "first words" in text_of(view.messages)
    assert "last words" in text_of(view.messages)
    assert "BLD-9921" in session.recall("what is the build id?")


def test_parallel_calls_stay_with_their_results(manager):
    """Three calls and their results leave together or stay together."""
    calls = [
        {"id": f"p{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for n in range(3)
    ]
    history = talk(2)
    history.append({"role": "assistant", "content": None, "tool_calls": calls})
    history += [{"role": "tool", "tool_call_id": f"p{n}", "content": "x " * 900} for n in (2, 0, 1)]
    view = manager.session("s").prepare(history)
    assert faults(view.messages) == []
    assert view.tokens <= 1500


def test_broken_transcripts_are_mended_and_said(manager):
    """Orphans, unanswered calls, late and second results, empty answers: repaired, reported."""
    history = [
        SYSTEM, {"role": "tool", "tool_call_id": "gone", "content": "orphan WXY-1"}, user("go"),
        *step(1, "one")[:1], user("meanwhile"), step(1, "one")[1], step(1, "again")[1],
        said(""), *step(2, "two")[:1],
    ]  # fmt: skip
    session = manager.session("s")
    view = session.prepare(history)
    assert faults(view.messages) == []
    assert len(view.repairs) == 4
    assert "WXY-1" in session.recall("orphan WXY-1")


def test_an_unknown_block_is_kept_or_refused():
    """By default it is passed on and named; on request it is an error that names its place."""
    odd = [user([{"type": "hologram", "data": "x"}, {"type": "text", "text": "look"}])]
    view = fit(odd, 500)
    assert view.messages == odd
    assert "hologram" in view.repairs[0]
    with pytest.raises(BadMessage, match=r"messages\[0\].content\[0\].type='hologram'"):
        fit(odd, 500, config=ContextConfig(unknown_blocks="error"))
    with pytest.raises(BadMessage, match="role='boss'"):
        fit([{"role": "boss", "content": "x"}], 500)


def test_messages_come_back_as_they_were():
    """An OpenAI dict with keys that we do not know survives the round trip."""
    data = {
        "role": "assistant",
        "content": [{"type": "odd", "x": [1, {"y": None}]}],
        "refusal": None,
        "tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "n", "input": "i"}}],
    }
    message = from_openai(data)
    assert message.to_openai() == data
    assert message.tool_calls[0].name == "n"


def test_recall_pages_in_what_is_asked_with_its_source(manager):
    """A fact told long ago stands word for word before the question, with who said it."""
    history = talk(0, "The locker code of the Oslo office is KX-7741. Remember it.")
    for n in range(25):
        history += [said("ok " + "bla " * 30), user(f"step {n} " + "bla " * 30)]
    history += [said("done"), user("What is the locker code of the Oslo office?")]
    session = manager.session("s")
    session.prepare(history[:-2])
    view = session.prepare(history)
    assert "KX-7741" in text_of(view.messages)
    assert session.call_recall('{"query": "Oslo locker"}').count("KX-7741") == 1
    assert "KX-7741" in session.call_recall({"message": 0})
    assert "no message" in session.call_recall({"message": 999})
    assert RECALL_TOOL["function"]["name"] == "recall"


def test_a_corrected_value_is_not_recalled_as_current(manager):
    """Recall hides nothing: behind what was corrected stands what came later, and where."""
    history = talk(0, "The staging port is 8443.")
    history += [said("ok"), user("Actually, the staging port is now 9443."), said("ok")]
    for n in range(25):
        history += [user(f"step {n} " + "bla " * 30), said("ok " + "bla " * 30)]
    history.append(user("Which port does staging use?"))
    view = manager.session("s").prepare(history)
    text = text_of(view.messages)
    assert text.rfind("9443") > text.rfind("8443")
    assert all("later: message 2" in line for line in text.splitlines() if "8443" in line)


def test_the_prefix_holds_between_compactions(manager):
    """As long as nothing is compacted a request begins with the one before it."""
    session = manager.session("s")
    before, kept, history = [], 0, [SYSTEM, user("go")]
    compactions = 0
    for n in range(40):
        history += step(n, "short output " * 10)
        view = session.prepare(history)
        if view.pressure.compactions == compactions:
            assert view.messages[: len(before)] == before
            kept += 1
        compactions = view.pressure.compactions
        before = view.messages
    assert kept >= 30
    assert 1 <= compactions <= 8


def test_edits_and_shorter_histories_are_followed(manager):
    """A regenerated turn replaces the branch; a cut history is taken as it is."""
    session = manager.session("s")
    history = talk(12)
    session.prepare(history)
    edited = [*history[:7], *step(90, "another way XYZ-5")]
    view = session.prepare(edited)
    assert faults(view.messages) == []
    assert "XYZ-5" in text_of(view.messages)
    assert session.pressure.messages == len(edited) - 1
    slid = [SYSTEM, *edited[3:], user("next")]
    view = session.prepare(slid)
    assert session.pressure.messages == len(edited)
    assert faults(view.messages) == []
    rewritten = [SYSTEM, user("summary by someone else"), *slid[-3:], said("ok"), user("more")]
    view = session.prepare(rewritten)
    assert view.messages == rewritten or faults(view.messages) == []
    assert user("more") in view.messages


def test_sessions_hibernate_and_come_back_to_the_byte(tmp_path):
    """Another manager on the same file gives the same bytes and the same next request."""
    history = generated(7, 100).messages
    path = tmp_path / "a.db"
    config = ContextConfig(budget_tokens=3000)

    def run(manager, messages):
        return manager.session("s").prepare(messages, now_s=5.0).messages

    with SqliteStore(path) as store, ContextLifecycle(config, store=store, submit=call) as m:
        for end in range(2, 80, 2):
            run(m, history[:end])
        frozen = m.session("s").dump()
        m.hibernate("s")
        awake = m.session("s").dump()
        assert awake == frozen
    with SqliteStore(path) as store, ContextLifecycle(config, store=store, submit=call) as m:
        assert m.session("s").dump() == frozen
        thawed = run(m, copy.deepcopy(history[:84]))
    with ContextLifecycle(config, store=MemoryStore(), submit=call) as m:
        for end in range(2, 80, 2):
            run(m, history[:end])
        assert run(m, history[:84]) == thawed


def test_a_store_that_refuses_loses_nothing(tmp_path):
    """The turn goes on and says so; when the store takes writes again everything is archived."""
    store = SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01)
    with ContextLifecycle(ContextConfig(budget_tokens=1500), store=store, submit=call) as m:
        session = m.session("s")
        history = talk(3)
        session.prepare(history)
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        history = talk(12)
        view = session.prepare(history)
        assert "tried again" in view.repairs[0]
        assert session.durable == 7
        assert view.tokens <= 1500
        other.execute("ROLLBACK")
        other.close()
        session.prepare(history)
        assert session.durable == 25
    with SqliteStore(tmp_path / "a.db") as again:
        assert len(again.digests(("default", "s"))) == 25
    store.close()


def test_a_refusing_store_may_be_an_error(tmp_path):
    """With on_store_error="raise" the turn ends with the store's error, and can be repeated."""
    config = ContextConfig(budget_tokens=1500, on_store_error="raise")
    store = SqliteStore(tmp_path / "a.db", busy_timeout_s=0.01)
    with ContextLifecycle(config, store=store, submit=call) as m:
        session = m.session("s")
        other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked):
            session.prepare(talk(2))
        other.execute("ROLLBACK")
        other.close()
        session.prepare(talk(2))
        assert session.durable == 5
    store.close()


def test_tenants_are_apart():
    """One tenant's session is never recalled by another's, same id or not."""
    with ContextLifecycle(submit=call) as manager:
        manager.session("s", tenant="a").prepare([user("the word is marzipan")])
        other = manager.session("s", tenant="b")
        other.prepare([user("hello")])
        assert "marzipan" not in other.recall("what is the word marzipan")
        assert "marzipan" in manager.session("s", tenant="a").recall("the word")


def test_a_failing_summariser_never_ends_the_turn():
    """The notes stand in for a model that raises; a working one's text is added to them."""

    def broken(prompt):
        raise RuntimeError("no model today")

    count = counter_for("gpt-4o").text
    for ask, wanted in ((broken, None), (lambda p: "the user wants a report ZZ-1", "ZZ-1")):
        made = LLMSummariser(ask, count=count)
        config = ContextConfig(budget_tokens=1500)
        with ContextLifecycle(config, summariser=made, submit=call) as manager:
            session = manager.session("s")
            history = talk(0, "File it under INV-2231.")
            texts = ""
            for n in range(30):
                history += [said("ok " + "bla " * 20), user(f"step {n} " + "bla " * 20)]
                texts += text_of(session.prepare(history).messages)
            assert "INV-2231" in text_of(session.prepare(history).messages)
            assert (wanted in texts) if wanted else isinstance(session.last_error, RuntimeError)


def test_a_summarisers_input_is_split_to_fit():
    """No prompt is longer than the model takes, and no message is skipped."""
    count = counter_for("gpt-4o").text
    seen = []
    made = LLMSummariser(lambda p: seen.append(p) or "x", count=count, max_input_tokens=600)
    lines = (
        *tuple(f"{n} user: mark-{n} " + "word " * 200 for n in range(9)),
        "9 tool: " + "z " * 5000,
    )
    made.summarise(SummaryRequest(lines, 100))
    assert all(count(prompt) <= 620 for prompt in seen)
    assert all(any(f"mark-{n} " in prompt for prompt in seen) for n in range(9))


async def test_async_turns_and_background_work():
    """The same views on an event loop; an asynchronous summariser runs in the background."""

    async def tell(prompt):
        await asyncio.sleep(0)
        return "narrative QQ-9"

    made = LLMSummariser(None, tell, count=counter_for("gpt-4o").text)
    with ContextLifecycle(ContextConfig(budget_tokens=1500), summariser=made) as manager:
        session = manager.session("s")
        texts, history = "", [SYSTEM, user("go")]
        for n in range(40):
            history += [said("ok " + "bla " * 20), user(f"step {n} " + "bla " * 20)]
            view = await session.aprepare(history)
            assert view.tokens <= 1500
            while session._upkeep.tasks:
                await asyncio.gather(*session._upkeep.tasks)
            texts += text_of(view.messages)
        assert "QQ-9" in texts
        assert "step" in await session.arecall("step 3")


def test_memory_is_bounded_and_idle_sessions_sleep():
    """Bodies leave memory once archived; beyond max_live the oldest session hibernates."""
    with ContextLifecycle(
        ContextConfig(budget_tokens=1500), submit=call, max_live=2, clock=lambda: 9.0
    ) as manager:
        session = manager.session("s")
        history = [SYSTEM, user("go")]
        for n in range(60):
            history += step(n, "lorem " * 100)
            session.prepare(history)
        held = sum(entry.message is not None for entry in session._shared.transcript.entries)
        assert held < 40
        assert session.pressure.archived > 80
        assert 0 < session.pressure.utilisation <= 1
        manager.session("t")
        manager.session("u")
        assert len(manager.statistics()) == 2
        assert len(manager.hibernate_idle(1.0, now_s=99.0)) == 2
        assert manager.session("s").pressure.messages == len(history) - 1
    with pytest.raises(ClosedError):
        manager.session("s")


def test_the_pressure_line_is_one_line_within_the_budget():
    """On request the model reads how full its window is."""
    config = ContextConfig(budget_tokens=800, pressure_line=True)
    view = fit([SYSTEM, user("a " * 300), said("b"), user("c")], 800, config=config)
    assert "% full" in text_of(view.messages)
    assert request_tokens(view.messages) <= view.tokens <= 800


def test_settings_are_checked_when_made():
    """A bad setting names its field, its value and the way out."""
    for bad in (
        {"budget_tokens": 10},
        {"soft_mark": 2.0},
        {"low_mark": 0.99},
        {"model": ""},
        {"summary_role": "tool"},
        {"recall_share": "x"},
        {"warm_share": 0.8},
    ):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            ContextConfig(**bad)
    with pytest.raises(ConfigError, match="no such setting"):
        ContextConfig.of({"budget": 1})
    with pytest.raises(ConfigError, match="session"):
        ContextLifecycle().session("")


def test_random_histories_never_break_a_rule():
    """Random transcripts, broken ones too: under budget, valid, or a clear error."""
    rng = random.Random(4)
    for _ in range(60):
        history = [SYSTEM]
        for n in range(1, rng.randint(2, 26)):
            history += rng.choice([
                [user(rng.choice(["", "go", "x " * 300]))],
                [said(rng.choice(["", "ok", "y " * 200]))],
                step(n, "z " * rng.randint(0, 2000)),
                step(n, "q")[:1],
                step(rng.randint(1, n), "r")[1:],
            ])  # fmt: skip
        try:
            view = fit(history, 900)
        except BudgetTooSmall:
            continue
        assert request_tokens(view.messages) <= view.tokens <= 900, json.dumps(history)[:500]
        assert [f for f in faults(view.messages) if "start" not in f and f != "empty"] == []


@pytest.mark.parametrize("last", ["go on", "What else?"])
def test_the_last_message_may_be_said_anew_though_it_was_said_before(last):
    """To edit a "go on" that stands earlier in the talk as well takes back that one message."""
    talk = []
    for n in range(20):
        talk.append({"role": "user", "content": "go on" if n % 6 == 2 else f"item {n}, please"})
        talk.append({"role": "assistant", "content": f"answer {n}"})
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([*talk, {"role": "user", "content": last}])
        edited = [*talk, {"role": "user", "content": "Rather tell me why."}]
        assert session.prepare(edited).messages == edited
        assert session.pressure.messages == 41
