"""Recall by meaning: in the background, in batches, kept in the archive, and never in the way."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import replace

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import MemoryStore, SqliteStore
from agentrm_plugins.errors import ConfigError
from tests.context.test_hostile import talk, user
from tests.stores.test_stores import on_langgraph

CONFIG = ContextConfig(budget_tokens=1_500)
TOPICS = (("car", "automobile", "vehicle"), ("dog", "puppy", "pet"), ("doctor", "physician"))


class Hashed:
    """Embeds by hashed words, with words of one topic at one place; counts what it was asked."""

    model = "hashed-64"

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.asked: list[str] = []
        self.broken = False

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        if self.broken:
            raise ConnectionError("no network")
        self.calls.append(list(texts))
        return [self._vector(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        self.asked.append(text)
        return self._vector(text)

    @staticmethod
    def _vector(text: str) -> list[float]:
        made = [0.0] * 64
        for word in text.lower().replace("?", " ").replace(".", " ").split():
            topic = next((t[0] for t in TOPICS if word in t), word)
            place = hashlib.blake2b(topic.encode(), digest_size=2).digest()
            made[int.from_bytes(place) % 64] += 3.0 if topic != word or word in str(TOPICS) else 1.0
        return made

    @property
    def seen(self) -> list[str]:
        return [text for call in self.calls for text in call]


def lifecycle(store, embeddings, jobs=None):
    config = replace(CONFIG, embeddings=embeddings)
    submit = (lambda job: job()) if jobs is None else jobs.append
    return ContextLifecycle(config, store=store, submit=submit, clock=lambda: 0.0)


@pytest.fixture(params=["memory", "sqlite", "langgraph"])
def store(request, tmp_path):
    with ExitStack() as stack:
        made = {
            "memory": MemoryStore,
            "sqlite": lambda: SqliteStore(tmp_path / "a.db"),
            "langgraph": lambda: stack.enter_context(on_langgraph()),
        }[request.param]()
        yield made
        made.close()


def test_meaning_finds_what_words_do_not(store):
    """Another word for the same thing is found; without embeddings it is not."""
    history = [user("her automobile stands behind the mill"), user("trees grow slowly here")]
    for embeddings, found in ((Hashed(), True), (None, False)):
        with lifecycle(store, embeddings) as manager:
            session = manager.session("s")
            session.prepare(history)
            assert ("behind the mill" in session.recall("which vehicle?")) is found


def test_vectors_are_kept_in_the_archive(store):
    """After a wake nothing is embedded again; a question is embedded once."""
    first, second = Hashed(), Hashed()
    with lifecycle(store, first) as manager:
        manager.session("s").prepare(talk(12))
    assert len(first.seen) == len(set(first.seen)) > 12
    with lifecycle(store, second) as manager:
        session = manager.session("s")
        assert "KX-1003" in session.recall("What is the code of item 3?")
        assert second.calls == []
        assert second.asked == ["What is the code of item 3?"]


def test_vectors_of_two_models_stand_side_by_side(store):
    """Another model's are not taken for this one's, and a second batch loses none of the first."""
    from agentrm_plugins.context.stores import Row, SessionKey

    key = SessionKey("acme", "s")
    store.append(key, [Row(n, "user", f"m{n}", f"d{n}", 3, 1.0) for n in range(3)])
    store.save_vectors(key, "small", {(0, 0): b"a", (1, 0): b"b"})
    store.save_vectors(key, "large", {(0, 0): b"A"})
    store.save_vectors(key, "small", {(1, 40): b"c", (2, 0): b"d"})
    assert store.vectors(key, "small") == {(0, 0): b"a", (1, 0): b"b", (1, 40): b"c", (2, 0): b"d"}
    assert store.vectors(key, "large") == {(0, 0): b"A"}
    store.rewind(key, 1)
    assert store.vectors(key, "small") == {(0, 0): b"a"}
    store.forget(key)
    assert store.vectors(key, "small") == {}


def test_an_archive_from_before_vectors_gets_their_table(tmp_path):
    """Its format is raised when it is opened; nothing else in it changes."""
    import sqlite3

    path = tmp_path / "a.db"
    with SqliteStore(path) as made, lifecycle(made, None) as manager:
        manager.session("s").prepare([user("the physician was late"), user("rain all day")])
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE vectors")
        connection.execute("PRAGMA user_version=2")
    connection.close()
    with SqliteStore(path) as old, lifecycle(old, Hashed()) as manager:
        session = manager.session("s")
        session.recall("doctor?")
        session.maintain()
        assert "physician" in session.recall("doctor?")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == 3
    connection.close()


def test_passages_are_embedded_in_batches_and_behind_the_turn():
    """A turn embeds nothing; the background sends few calls of many passages."""
    embeddings, jobs = Hashed(), []
    with lifecycle(MemoryStore(), embeddings, jobs) as manager:
        session = manager.session("s")
        session.prepare(talk(60))
        assert embeddings.calls == []
        while jobs:
            jobs.pop()()
        assert len(embeddings.seen) >= 60
        assert len(embeddings.calls) <= 4


def test_an_archive_made_without_embeddings_gets_them(store):
    """Who switches them on later finds the old messages by meaning too."""
    with lifecycle(store, None) as manager:
        manager.session("s").prepare([user("the physician was late"), user("rain all day")])
    embeddings = Hashed()
    with lifecycle(store, embeddings) as manager:
        session = manager.session("s")
        session.recall("doctor?")
        session.maintain()
        assert "physician" in session.recall("doctor?")


def test_what_was_taken_back_is_found_no_more(store):
    """A branch that the conversation left is gone from the vectors as well."""
    with lifecycle(store, Hashed()) as manager:
        session = manager.session("s")
        session.prepare([user("hello"), user("the puppy is called Bolt")])
        session.prepare([user("hello"), user("we talk of something else")])
        assert "Bolt" not in session.recall("which pet?")


def test_an_embedder_that_fails_ends_no_turn():
    """Recall goes on by words, the view says so, and what waited is embedded later."""
    embeddings = Hashed()
    embeddings.broken = True
    with lifecycle(MemoryStore(), embeddings) as manager:
        session, view = manager.session("s"), None
        for turns in range(1, 41):
            history = [*talk(turns), user(f"What is the code of item {turns // 2}?")]
            view = session.prepare(history)
            assert f"KX-{1000 + turns // 2}" in str(view.messages)
        assert any("by words alone" in text for text in view.repairs)
        assert isinstance(session.last_error, ConnectionError)
        embeddings.broken = False
        session.maintain()
        seen = embeddings.seen
        assert all(any(f"KX-{1000 + n}." in text for text in seen) for n in range(40))


def test_what_a_turn_indexes_by_itself_is_embedded_too():
    """The background comes late: no passage is missing from the vectors afterwards."""
    embeddings, jobs = Hashed(), []
    with lifecycle(MemoryStore(), embeddings, jobs) as manager:
        session = manager.session("s")
        for turns in range(1, 31):
            session.prepare(talk(turns))
        session.maintain()
        assert all(any(f"KX-{1000 + n}." in text for text in embeddings.seen) for n in range(30))


def test_a_function_will_do_and_anything_else_is_named():
    """A local model's function from texts to vectors can stand there."""
    with lifecycle(MemoryStore(), Hashed().embed_documents) as manager:
        session = manager.session("s")
        session.prepare([user("her automobile stands behind the mill")])
        assert "mill" in session.recall("vehicle?")
    with pytest.raises(ConfigError, match="embeddings"):
        ContextConfig(embeddings=7)
    assert ContextConfig().embeddings is None


@pytest.mark.parametrize(
    ("spoilt", "named"),
    [
        (lambda vector, _: [float("nan")] * len(vector), "no direction"),
        (lambda vector, _: [float("inf"), *vector[1:]], "no direction"),
        (lambda vector, _: [0.0] * len(vector), "no direction"),
        (lambda vector, _: [], "no direction"),
        (lambda vector, at: vector[: 62 + at % 3], "several lengths"),
        (lambda vector, _: [*vector[:9], 1.0], "and no passage's has"),
        (lambda vector, at: [float("nan")] * 64 if at == 1 else vector, "no direction"),
    ],
    ids=["nan", "inf", "zeros", "empty", "ragged", "short", "one"],
)
def test_vectors_that_nothing_can_be_found_by_are_told(spoilt, named):
    """Recall goes on by words and the view says why; the good ones of a batch are kept."""

    class Spoilt(Hashed):
        def embed_documents(self, texts):
            made = super().embed_documents(texts)
            return [spoilt(vector, len(self.calls) + at) for at, vector in enumerate(made)]

    told = []
    with lifecycle(MemoryStore(), Spoilt()) as manager:
        session = manager.session("s")
        for turns in range(1, 41):
            history = [*talk(turns), user(f"What is the code of item {turns // 2}?")]
            view = session.prepare(history)
            told += view.repairs
            assert f"KX-{1000 + turns // 2}" in str(view.messages)
        session.maintain()
    assert any("by words alone" in text and named in text for text in told), told


def test_huge_vectors_are_found_by():
    """A length whose square is beyond all floats is brought to one as well."""

    class Huge(Hashed):
        def embed_documents(self, texts):
            return [[1e300 * x for x in vector] for vector in super().embed_documents(texts)]

    with lifecycle(MemoryStore(), Huge()) as manager:
        session = manager.session("s")
        session.prepare([user("her automobile stands behind the mill"), user("trees grow slowly")])
        assert "behind the mill" in session.recall("which vehicle?")
