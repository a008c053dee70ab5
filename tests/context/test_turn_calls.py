"""What a turn does by itself: its Python calls, counted, whatever the number of notes."""

from __future__ import annotations

import random
import sys

import pytest

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.notes.text import passages
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.recall.index import Index
from agentrm_plugins.context.recall.times import Times
from agentrm_plugins.context.stores.memory import MemoryStore

THINGS = [
    "gateway", "ledger", "printer", "kiosk", "tunnel", "broker", "scanner", "furnace", "turbine",
    "beacon",
]  # fmt: skip


def same(n, rng):
    return f"The port of gateway {n % 40} in hall {n % 7} is {n + 1000}."


def mixed(n, rng):
    one, other = rng.sample(THINGS, 2)
    return rng.choice([
        f"The {one} {other} listens on port {rng.randint(1000, 9999)} in hall {n % 61}.",
        f"Correction: the {one} {other} listens on port {rng.randint(1000, 9999)}.",
        f"We decided to use {one}-{other}-{n} for the deployment.",
    ])  # fmt: skip


def calls_of(work):
    """Count the Python functions that are entered."""
    made = [0]

    def entered(frame, event, argument):
        made[0] += event == "call"

    sys.setprofile(entered)
    try:
        work()
    finally:
        sys.setprofile(None)
    return made[0]


def asked(n, rng):
    one, other = rng.sample(THINGS, 2)
    return f"Which port does the {one} {other} listen on in hall {n % 61}?"


def turns(say, sizes, of=21, then=None):
    """Give the median of a turn's calls at each number of messages with a note.

    Args:
        say: Gives what is said.
        sizes: How often it was said before turns are counted.
        of: How many turns are counted.
        then: Gives what is said in them, where that is something else.
    """
    rng, jobs, medians, said = random.Random(4), [], [], 0
    with ContextLifecycle(ContextConfig(budget_tokens=8_000), submit=jobs.append) as manager:
        session, history = manager.session("s"), []

        def turn():
            history.append({"role": "user", "content": (then or say)(said, rng)})
            made = calls_of(lambda: session.prepare(history))
            while jobs:
                jobs.pop(0)()
            history.append({"role": "assistant", "content": "Noted."})
            return made

        for size in sizes:
            while said < size:
                history += [
                    {"role": "user", "content": say(said, rng)},
                    {"role": "assistant", "content": "Noted."},
                ]
                said += 1
            session.prepare(history)
            while jobs:
                jobs.pop(0)()
            counted = []
            for _ in range(of):
                counted.append(turn())
                said += 1
            medians.append(sorted(counted)[of // 2])
        jobs.clear()
    return medians


def test_waking_costs_so_many_calls_a_message_and_no_more():
    """A session of 300 notes, all of it still sent: 30 calls for each of its 600 messages."""
    store, rng, history = MemoryStore(), random.Random(7), []
    config = ContextConfig(budget_tokens=20_000)
    for n in range(300):
        history += [
            {"role": "user", "content": same(n, rng)},
            {"role": "assistant", "content": "Noted."},
        ]
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        manager.session("s").prepare(history)
    with ContextLifecycle(config, store=store, submit=lambda job: job()) as manager:
        assert calls_of(lambda: manager.session("s")) < 30 * len(history)


@pytest.mark.parametrize("say", [same, mixed])
def test_a_turn_calls_no_more_with_twice_the_notes(say):
    """From 3,000 notes to 6,000 the calls of a turn grow by less than a third, and stay bounded.

    They grow until there are as many candidates as a look-up reads, which is so at some 3,000.
    """
    few, many = turns(say, [3_000, 6_000], of=11)
    assert many < 4 * few / 3
    assert few < 3_600
    assert many < 4_200


def test_a_turn_that_asks_calls_so_much_and_no_more():
    """With 3,000 notes and a question each turn, for which up to 64 messages are read.

    The questions before took their room, so each has its share (7,372 calls; 3,374 where it had but
    what was earned since, and kept less); of passages that do not fit with what may be newer few
    are tried. It was 11,716.
    """
    [made] = turns(mixed, [3_000], of=11, then=asked)
    assert made < 8_000


def test_common_words_are_not_looked_at_where_rarer_ones_decide():
    """What is left out cannot be among the best: the same as with every place looked at."""
    rng, index = random.Random(5), Index()
    for n in range(3_000):
        rare = rng.choice(THINGS) if n % 9 == 0 else ""
        index.add(n, "user", passages(f"the port of {rare} hall {n % 50} is {9000 + n}"))
    words = ["gatewa", "port", "hall"]
    looked = []
    add = index._add
    index._add = lambda scores, term, weight, places: (
        looked.append((term, len(list(places)))),
        add(scores, term, weight, places),
    )
    found, _ = index.search(words, 10)
    assert max(count for _, count in looked) < 100
    index._add = add
    each, _ = index.search(words, 3_000)
    assert [one.seq for one in found] == [one.seq for one in each[:10]]
    assert [one.score for one in found] == pytest.approx([one.score for one in each[:10]])
    assert [one.covered for one in found] == [one.covered for one in each[:10]]


def test_times_give_what_was_said_in_a_stretch_after_any_rewind():
    """The same as if each message were looked at."""
    rng, times, entries = random.Random(6), Times(), []
    for _ in range(200):
        keep = rng.randint(max(0, len(entries) - 3), len(entries))
        del entries[keep:]
        times.cut(keep)
        for _ in range(rng.randint(0, 5)):
            role = rng.choice(["user", "assistant", "tool"])
            at_s = float(rng.randint(0, 40))
            entries.append(Entry(len(entries), role, 1, "", 0, at_s, None))
        times.take(entries)
        said = [e for e in entries if e.role != "tool"]
        start, stop = sorted(rng.sample(range(41), 2))
        assert sorted(seq for _, seq in times.between(start, stop)) == [
            e.seq for e in said if start <= e.at_s < stop
        ]
        end = rng.randint(0, len(entries))
        assert times.before(end) == sum(e.seq < end for e in said)
