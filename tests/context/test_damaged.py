"""Archives that rot: whatever bit flips, the session is told so and is right, or is as it was."""

from __future__ import annotations

import json
import random
import sqlite3

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SessionKey, SqliteStore
from agentrm_plugins.context.stores.checksum import opened, sealed
from agentrm_plugins.errors import StoreLocked

KEY = SessionKey("default", "s")
CONFIG = ContextConfig(budget_tokens=600)


def talk(turns):
    return [
        {"role": "user", "content": f"The code of item {n} is KX-{1000 + n}. " + "bla " * 10}
        for n in range(turns)
    ]


def manager_on(store):
    return ContextLifecycle(CONFIG, store=store, submit=lambda job: job(), clock=lambda: 5.0)


@pytest.fixture(scope="module")
def saved():
    """A hibernated session: its archive, its sealed state, its bytes."""
    store = MemoryStore()
    with manager_on(store) as manager:
        manager.session("s").prepare(talk(30))
        dumped = manager.session("s").dump()
    return store, store.load_state(KEY), dumped


@pytest.mark.parametrize("seed", range(4))
def test_no_flipped_bit_of_a_state_is_taken_for_a_good_one(saved, seed):
    """Of 152 flips none is accepted; the state is made again from the messages, and told."""
    store, state, _ = saved
    rng = random.Random(seed)
    for _ in range(38):
        at = rng.randrange(8 * len(state))
        broken = bytearray(state)
        broken[at // 8] ^= 1 << at % 8
        with pytest.raises(ValueError, match="checksum"):
            opened(bytes(broken))
    store.save_state(KEY, bytes(broken))
    with manager_on(store) as manager:
        view = manager.session("s").prepare([*talk(30), talk(31)[-1]])
        assert any("made again from the archived messages" in text for text in view.repairs)
        assert view.tokens <= CONFIG.budget_tokens
        assert "KX-1003" in manager.session("s").recall("code of item 3")
    store.rewind(KEY, 30)
    store.save_state(KEY, state)


@pytest.mark.parametrize("kept", [0, 1, 20, 47, 48, 500])
def test_a_cut_state_is_known(saved, kept):
    """However much of it is left."""
    with pytest.raises(ValueError, match="checksum"):
        opened(saved[1][:kept])


def test_a_good_state_comes_back_byte_for_byte(saved):
    """What was sealed is what is opened, also where it holds line ends."""
    assert opened(saved[1]) == saved[2]
    assert opened(sealed(b"a\nb\n")) == b"a\nb\n"


def test_a_message_whose_text_was_changed_is_told(saved):
    """Its digest is not that of what was archived: it is not passed on as if it were."""
    store = MemoryStore()
    with manager_on(store) as manager:
        manager.session("s").prepare(talk(3))
    rows = store._sessions[KEY].rows
    body = json.loads(rows[1].body)
    body["content"] = body["content"].replace("KX-1001", "KX-9999")
    object.__setattr__(rows[1], "body", json.dumps(body))
    with manager_on(store) as manager:
        view = manager.session("s").prepare(talk(3)[2:])
        assert any("message 1: its text is not what" in text for text in view.repairs)
        assert "KX-9999" not in str(view.messages)


@pytest.fixture
def rotten(tmp_path):
    """An archive file of thirty items, and a way to change it behind the session's back."""
    path = tmp_path / "a.db"
    with SqliteStore(path) as store, manager_on(store) as manager:
        manager.session("s").prepare(talk(30))

    def changed(statement, *given):
        other = sqlite3.connect(path)
        other.execute(statement, given)
        other.commit()
        other.close()
        return SqliteStore(path)

    return changed


def test_a_changed_message_that_is_looked_up_is_left_out_and_told(rotten):
    """By a question, by the search and by its number; told once."""
    how = "UPDATE messages SET body=replace(body, 'KX-1003', 'KX-9999') WHERE seq=3"
    with rotten(how) as store, manager_on(store) as manager:
        session = manager.session("s")
        asked = [*talk(30), {"role": "user", "content": "What is the code of item 3?"}]
        view = session.prepare(asked)
        assert "KX-9999" not in str(view.messages)
        assert sum("message 3 is damaged" in text for text in view.repairs) == 1
        assert "KX-9999" not in session.recall("code of item 3")
        assert "damaged" in session.read(3)
        assert session.prepare([*asked, *talk(1)]).repairs == ()


@pytest.mark.parametrize("column", ["messages SET body", "passages SET terms"])
def test_one_bad_byte_costs_no_other_message(rotten, column):
    """A byte that is no text, in a message or in its words: what else is there is found."""
    name = column.split()[-1]
    how = f"UPDATE {column}=CAST(replace(CAST({name} AS BLOB), X'62', X'ff') AS TEXT) WHERE seq=3"
    with rotten(how) as store, manager_on(store) as manager:
        session = manager.session("s")
        asked = [*talk(30), {"role": "user", "content": "What is the code of item 5?"}]
        assert "KX-1005" in str(session.prepare(asked).messages[:-1])
        assert "KX-1007" in session.recall("code of item 7")


@pytest.mark.parametrize("column", ["messages SET role", "passages SET role"])
@pytest.mark.parametrize("seq", [3, 29])
def test_a_flipped_speaker_is_told_and_costs_nothing(rotten, column, seq):
    """One that was compacted, and one in view: what was said is read from the message itself."""
    with rotten(f"UPDATE {column}='usdr' WHERE seq={seq}") as store, manager_on(store) as manager:
        session = manager.session("s")
        asked = [*talk(30), {"role": "user", "content": f"What is the code of item {seq}?"}]
        view = session.prepare(asked)
        assert "usdr" not in {message["role"] for message in view.messages}
        assert f"KX-{1000 + seq}" in str(view.messages[:-1])
        assert f"{seq} user: The code" in session.recall(f"code of item {seq}")
        told = [text for text in view.repairs if f"message {seq}: its speaker" in text]
        assert len(told) == column.startswith("messages")


def test_a_flipped_speaker_is_told_where_no_state_was_saved(rotten):
    """After a kill the session is made of the rows: the roles are those of the messages."""
    with rotten("UPDATE messages SET role='usdr' WHERE seq=7") as store:
        store.save_state(KEY, b"")
        with manager_on(store) as manager:
            view = manager.session("s").prepare([*talk(30), talk(31)[-1]])
            assert sum("message 7: its speaker" in text for text in view.repairs) == 1
            assert {message["role"] for message in view.messages} == {"user"}


class Refusing(MemoryStore):
    """Refuses to keep states while it is down."""

    down = True

    def save_state(self, key, state, fence=None):
        if self.down:
            raise StoreLocked("path='x': held by another; try again")
        super().save_state(key, state, fence)


def test_closing_can_be_tried_again():
    """What the store refused stays in memory; the next `close` writes it, a third does nothing."""
    store = Refusing()
    manager = manager_on(store)
    for name in ("s", "t"):
        manager.session(name).prepare(talk(3))
    for _ in range(2):
        with pytest.raises(StoreLocked):
            manager.close()
    assert len(manager.statistics()) == 2
    store.down = False
    manager.close()
    manager.close()
    assert manager.statistics() == {}
    assert store.load_state(KEY) is not None
    assert store.owned(KEY).until_s == 0
