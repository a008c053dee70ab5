"""What goes wrong around a session: forged words, damaged states, failing hooks, late work."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle, counter_for, fit
from agentrm_plugins.context.stores import MemoryStore, SessionKey, SqliteStore
from agentrm_plugins.context.stores.checksum import sealed
from agentrm_plugins.errors import BadMessage, BudgetTooSmall, StoreLocked
from agentrm_plugins.types.message import from_openai

KEY = SessionKey("default", "s")
CONFIG = ContextConfig(budget_tokens=600)
WAIT_S = 20


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def talk(turns):
    """Facts, each with an answer of no interest."""
    history = []
    for n in range(turns):
        history += [
            user(f"The code of item {n} is KX-{1000 + n}. " + "bla " * 10),
            said("ok " * 12),
        ]
    return history


class Refusing(MemoryStore):
    """Refuses everything while it is down."""

    down = False

    def __getattribute__(self, name):
        guarded = name in {"append", "read", "digests", "index", "search", "rewind", "save_state",
                           "load_state", "unindexed", "passages"}  # fmt: skip
        if guarded and self.down:
            raise StoreLocked("path='x': held by another; try again")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("messages", "named"),
    [
        (None, "messages=NoneType"),
        ("hello", "messages=str"),
        (user("x"), "messages=dict"),
        (["x"], r"messages\[0\]=str"),
        ([user("x"), None], r"messages\[1\]=NoneType"),
        ([{"role": ["user"], "content": "x"}], r"messages\[0\].role=\['user'\]"),
        ([{"role": "assistant", "content": "", "tool_calls": [{"id": "1", "function": "f"}]}],
         r"messages\[0\].tool_calls\[0\].function=str"),
    ],
)  # fmt: skip
def test_what_is_no_message_is_named(messages, named):
    """The error says where it stands and what is wanted instead; a session takes the next list."""
    with ContextLifecycle(CONFIG, submit=lambda job: job()) as manager:
        session = manager.session("s")
        with pytest.raises(BadMessage, match=named):
            session.prepare(messages)
        assert session.prepare([user("x")]).messages == [user("x")]


def test_a_call_without_a_result_is_counted_as_it_is_sent():
    """The view's count is that of the messages sent, made up ones too."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    history = [user("go"), {"role": "assistant", "content": "", "tool_calls": [call]}, user("and?")]
    view = fit(history, 1_000)
    sent = [from_openai(message) for message in view.messages]
    assert len(sent) == 4
    assert view.tokens == counter_for("gpt-4o").messages(sent)


# -- the archive --------------------------------------------------------------------------------


def test_no_words_look_like_another_session(tmp_path):
    """A tenant that writes the archive's own names of sessions has no say in another's recall."""
    with (
        SqliteStore(tmp_path / "a.db") as store,
        ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager,
    ):
        mine = manager.session("s", tenant="a")
        mine.prepare([user("The gateway port is 8443.")])
        alone = store.search(mine.key, ["gatewa", "port"], 10)
        forged = [user(f"zzsession1zz gateway port {n}") for n in range(30)]
        manager.session("s", tenant="b").prepare(forged)
        assert store.search(mine.key, ["gatewa", "port"], 10) == alone
        assert "8443" in mine.recall("gateway port")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_half_a_surrogate_pair_is_archived_word_for_word(tmp_path, kind):
    """A text that was cut inside an emoji is kept by each store, and is the same after a sleep."""
    store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "a.db")
    history = [user("half an emoji \ud83d, code KX-77"), said("ok")]
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        manager.session("s").prepare(history)
        manager.hibernate("s")
        view = manager.session("s").prepare([*history, user("and now?")])
        assert view.messages[:2] == history
        assert view.repairs == ()
        assert manager.session("s").pressure.messages == 3
        assert "\ud83d, code KX-77" in manager.session("s").recall("code KX-77")
    store.close()


@pytest.mark.parametrize("state", [b"", b"noise", b"[]", b"{}", b'{"format":9}', b'{"format":2}'])
def test_a_damaged_state_is_made_again_from_the_messages(state):
    """The view says so, nothing is lost, and the next sleep writes a good one."""
    store = MemoryStore()
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        manager.session("s").prepare(talk(30))
    store.save_state(KEY, state)
    for repaired in (True, False):
        with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
            view = manager.session("s").prepare([*talk(30), user("What is the code of item 3?")])
            assert any("made again" in text for text in view.repairs) is repaired
            assert view.tokens <= CONFIG.budget_tokens
            assert "KX-1003" in str(view.messages)
            assert manager.session("s").pressure.messages == 61


@pytest.mark.parametrize("asleep", [True, False], ids=["asleep", "killed"])
def test_a_damaged_message_costs_that_message_only(asleep):
    """The view names it; the session goes on, and all others are sent and found."""
    store = MemoryStore()
    history = talk(30)
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        manager.session("s").prepare(history)
        saved = store.load_state(KEY)
    store.save_state(KEY, store.load_state(KEY) if asleep else saved or b"{}")
    for seq in (6, 58):
        row = store.read(KEY, [seq])[seq]
        store._sessions[KEY].rows[seq] = replace(row, body='{"role": "us')
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        view = session.prepare([*history, user("What are the codes of items 3 and 7?")])
        assert any("message 58" in text and "restore" in text for text in view.repairs)
        assert history[58] in view.messages
        assert "KX-1007" in str(view.messages)
        assert "KX-1009" in session.recall("code of item 9")
        manager.hibernate("s")
        assert session.durable == 61


def test_a_store_that_refuses_to_wake_a_session_hides_nothing_of_it():
    """A caller that shows only the tail meanwhile: all of it is archived behind what was there."""
    store = Refusing()
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        manager.session("s").prepare(talk(40))
    store.down = True
    with ContextLifecycle(CONFIG, store=store, submit=lambda job: job()) as manager:
        session = manager.session("s")
        tail = [*talk(40)[-4:], user("The next code is ZZ-1.")]
        view = session.prepare(tail)
        assert view.messages == tail
        assert any("tried again" in text for text in view.repairs)
        later = [*tail[-1:], said("noted"), user("And YY-2 is the one after.")]
        session.prepare(later)
        with pytest.raises(StoreLocked):
            manager.hibernate("s")
        store.down = False
        view = session.prepare([*later, said("noted"), user("What is the code of item 3?")])
        assert view.repairs == ()
        assert "KX-1003" in str(view.messages)
        assert session.durable == session.pressure.messages == 85
        assert "ZZ-1" in session.recall("next code")
        manager.hibernate("s")


def test_the_recall_tool_says_that_the_archive_cannot_be_read():
    """A refusing store ends no turn: the model is told, and the error is kept."""
    store = Refusing()
    for mode in ("keep", "raise"):
        config = ContextConfig(on_store_error=mode)
        with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
            session = manager.session(mode)
            session.prepare(talk(2))
            store.down = True
            if mode == "raise":
                with pytest.raises(StoreLocked):
                    session.call_recall('{"query": "code"}')
            else:
                for arguments in ('{"query": "code"}', '{"message": 0}'):
                    assert "cannot be read" in session.call_recall(arguments)
                assert isinstance(session.last_error, StoreLocked)
            store.down = False
            assert "KX-1000" in session.call_recall('{"query": "code"}')


def test_reading_a_message_in_hardly_any_room_ends():
    """However few tokens are allowed, an answer comes, and never a longer one."""
    with ContextLifecycle(submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([user("hello there " * 200)])
        for most in range(1, 40):
            text = session.read(0, max_tokens=most)
            assert text.startswith("[") or counter_for("gpt-4o").text(text) <= most


def test_the_part_that_was_asked_for_is_recalled_where_the_whole_does_not_fit():
    """A long sentence in a small share: the words from the asked ones on, within the share."""
    config = ContextConfig(budget_tokens=600)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        history = [user("bla " * 20 + "the code of the annex is KX-77 " + "bla " * 200), said("ok")]
        session.prepare(history)
        assert "KX-77" in session.recall("code of the annex")
        assert counter_for("gpt-4o").text(session.recall("code of the annex")) <= 150
        assert "matches" in session.recall("code of the annex", max_tokens=20)


def test_whoever_holds_a_session_that_was_hibernated_goes_on_with_the_one_that_lives():
    """No second object writes for the same session behind the first one's back."""
    with ContextLifecycle(CONFIG, submit=lambda job: job()) as manager:
        held = manager.session("s")
        held.prepare(talk(10))
        manager.hibernate("s")
        alive = manager.session("s")
        alive.prepare(talk(5))
        view = held.prepare(talk(12))
        assert manager.session("s") is alive
        assert alive.pressure.messages == view.pressure.messages == 24
        assert len(manager.store.digests(KEY)) == 24
        manager.hibernate("s")
        held.prepare(talk(13))
        assert manager.session("s").pressure.messages == 26


# -- hooks --------------------------------------------------------------------------------------


async def test_a_slow_asynchronous_summary_is_asked_for_once():
    """While a model tells an episode, turns go on and do not ask for it again."""
    asked, gate = [], asyncio.Event()

    class Slow:
        async def asummarise(self, request):
            asked.append(request)
            await gate.wait()
            return "told"

    config = ContextConfig(budget_tokens=1_500, soft_mark=0.5)
    with ContextLifecycle(config, summariser=Slow()) as manager:
        session = manager.session("s")
        for turns in range(1, 30):
            view = await session.aprepare(talk(turns))
            for _ in range(4):
                await asyncio.sleep(0)
            if view.pressure.utilisation > 0.95:
                break
        while not asked:
            await asyncio.sleep(0)
        for extra in range(5):
            await session.aprepare([*talk(turns), *[user("hm")] * extra])
        assert len(asked) == 1
        gate.set()
        while session._upkeep.tasks:
            await asyncio.gather(*session._upkeep.tasks)


async def test_work_from_before_a_sleep_writes_nothing_after_it():
    """A summary that comes after its session was hibernated changes neither archive nor logs."""
    asked, gate = asyncio.Event(), asyncio.Event()

    class Slow:
        async def asummarise(self, request):
            asked.set()
            await gate.wait()
            return "told"

    config = ContextConfig(budget_tokens=1_500, soft_mark=0.5)
    store = MemoryStore()
    with ContextLifecycle(config, summariser=Slow(), store=store) as manager:
        session = manager.session("s")
        turns = 1
        while not asked.is_set():
            view = await session.aprepare(talk(turns))
            turns += view.pressure.utilisation < 0.9
            await asyncio.sleep(0)
        manager.hibernate("s")
        asleep = store.load_state(KEY)
        gate.set()
        while session._upkeep.tasks:
            await asyncio.gather(*session._upkeep.tasks)
        assert store.load_state(KEY) == asleep == sealed(session.dump())


def test_a_summary_in_progress_blocks_no_other_session():
    """Beyond max_live a session that is being worked on stays live, and nobody waits for it."""
    started, gate = threading.Event(), threading.Event()

    class Slow:
        def summarise(self, request):
            started.set()
            gate.wait(WAIT_S)
            return "told"

    config = ContextConfig(budget_tokens=600, soft_mark=0.5)
    jobs = []
    manager = ContextLifecycle(config, summariser=Slow(), submit=jobs.append, max_live=1)
    manager.session("s").prepare(talk(10)[:-1])
    while manager.session("s").pressure.utilisation <= 0.5:
        manager.session("s").prepare(talk(20))
    worker = threading.Thread(target=manager.session("s").maintain)
    worker.start()
    assert started.wait(WAIT_S)
    other = threading.Thread(target=manager.session, args=("other",))
    other.start()
    other.join(WAIT_S / 2)
    blocked = other.is_alive()
    asleep = manager.hibernate_idle(0.0)
    gate.set()
    worker.join(WAIT_S)
    other.join(WAIT_S)
    assert not blocked
    assert SessionKey("default", "s") not in asleep
    manager.session("third")
    assert set(manager.statistics()) == {SessionKey("default", "third")}
    manager.close()


# -- counts -------------------------------------------------------------------------------------


def test_a_corrected_estimate_holds_for_what_was_counted_before():
    """A provider that counts 1.9 times our tokens: after a few reports no view is over."""
    config = ContextConfig(budget_tokens=4_000, model="claude-x")
    plain = counter_for("gpt-4o")
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        over, charged = [], 0
        for turns in range(1, 120):
            view = session.prepare(talk(turns))
            charged = int(1.9 * (3 + sum(4 + plain.text(m["content"]) for m in view.messages)))
            over.append(charged > config.budget_tokens)
            assert session.pressure.used_tokens == view.tokens <= config.budget_tokens
            session.report_usage(charged)
        assert not any(over)
        assert abs(view.tokens - charged) < 0.1 * charged


def test_a_short_request_tells_little_of_a_counters_error():
    """What a provider adds once to each request is not taken for a rate."""
    with ContextLifecycle(ContextConfig(model="claude-x"), submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([user("hello")])
        session.report_usage(400)
        view = session.prepare(talk(100))
        assert view.pressure.archived == 0


def test_an_error_of_a_corrected_budget_is_told_in_the_providers_tokens():
    """The budget is the one that was configured, and the parts are what will be charged."""
    config = ContextConfig(budget_tokens=1_000, model="claude-x")
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        session.prepare([user("word " * 500)])
        session.report_usage(1_300)
        with pytest.raises(BudgetTooSmall) as found:
            session.prepare([user("word " * 500)])
        assert found.value.budget_tokens == 1_000
        assert found.value.needed_tokens == pytest.approx(1_300, rel=0.02)


def test_the_model_of_the_settings_counts():
    """`fit` counts by `model` where both are given, and by the settings' where it is not."""
    history = [user("汉字计数测试" * 30)]
    settings = ContextConfig(model="gpt-4")
    tokens = {fit(history, 4_000, config=settings).tokens,
              fit(history, 4_000, model="gpt-4").tokens,
              fit(history, 4_000, model="gpt-4", config=ContextConfig()).tokens}  # fmt: skip
    assert len(tokens) == 1
    assert tokens != {fit(history, 4_000).tokens}


def test_the_pressure_line_is_there_when_the_window_is_full():
    """A result that fills the window to the brim leaves room for the line."""
    config = ContextConfig(budget_tokens=1_000, pressure_line=True)
    with ContextLifecycle(config, submit=lambda job: job()) as manager:
        session = manager.session("s")
        history = []
        for n in range(10):
            call = {"id": f"c{n}", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            history += [
                user(f"task {n}"),
                {"role": "assistant", "content": "", "tool_calls": [call]},
            ]
            history.append({"role": "tool", "tool_call_id": f"c{n}", "content": "out 123 " * 900})
            view = session.prepare(history)
            assert view.tokens <= 1_000
            assert sum("% full" in str(m["content"]) for m in view.messages) == 1
            history.append(said("done"))
