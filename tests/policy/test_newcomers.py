"""Newcomers to the queue: what their first call asks for, and how long that counts."""

from __future__ import annotations

from math import log, log1p

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.order.mlfq import Mlfq
from agentrm_plugins.types.accounts import Account
from agentrm_plugins.types.calls import Priority
from tests.policy.test_mlfq import TENANT, mlfq, serve, waiting

pytestmark = pytest.mark.lowest


def newcomer(
    scheduler: Mlfq, name: str, output_tokens: int, hint: Priority | None = None
) -> Account:
    account = Account(name, TENANT, hint, 0.0)
    account.asks = log1p(output_tokens)
    scheduler.enter(account)
    return account


def test_newcomers_that_ask_for_little_go_first() -> None:
    """Before anything has ended, a sentence goes before pages, and pages as if nothing was said."""
    scheduler = mlfq()
    pages = [newcomer(scheduler, f"p{i}", 512) for i in range(8)]
    sentence = newcomer(scheduler, "s", 64)
    silent = newcomer(scheduler, "n", 0)
    for account in (*pages, sentence, silent):
        scheduler.look(account, 0.0)
    assert sentence.slope > silent.slope == pages[0].slope
    queue = scheduler.queue()
    for seq, account in enumerate((silent, *pages, sentence)):
        queue.add(waiting(account, 0.0, seq), 0.0)
    assert queue.best(1.0).account is sentence  # type: ignore[union-attr]


def test_asking_for_much_is_no_fault() -> None:
    """A maximum far above the others' says nothing of the answer's length."""
    scheduler = mlfq()
    for i in range(8):
        newcomer(scheduler, f"s{i}", 64)
    pages = newcomer(scheduler, "p", 1 << 20)
    scheduler.look(pages, 0.0)
    assert scheduler.expected.log_ratio(pages) == 0.0


def test_agents_that_ask_alike_are_alike() -> None:
    """One size for all changes nothing, whatever it is and whoever has ended."""
    scheduler = mlfq()
    agents = [newcomer(scheduler, f"a{i}", 700) for i in range(50)]
    serve(scheduler, agents[0], 3.0, 5.0)
    assert {scheduler.expected.log_ratio(account) for account in agents[1:]} == {0.0}


def test_sizes_that_nearly_agree_make_no_difference() -> None:
    """Estimates that flutter about a round number are one size."""
    scheduler = mlfq()
    agents = [newcomer(scheduler, f"a{i}", 505 + i % 15) for i in range(60)]
    for account in agents:
        scheduler.look(account, 0.0)
    assert len({account.slope for account in agents}) == 1


def test_hint_says_more_than_what_is_asked_for() -> None:
    """Who says what it is gains nothing by a small maximum."""
    scheduler = mlfq()
    newcomer(scheduler, "p", 4096)
    account = newcomer(scheduler, "b", 16, Priority.BATCH)
    assert scheduler.expected.log_ratio(account) == 0.0


def test_where_length_says_nothing_of_time_it_counts_for_nothing() -> None:
    """Calls of a second, whatever they ask for, teach that; true lengths teach that as well."""
    for true, wanted in (
        (False, pytest.approx(0.0, abs=0.05)),
        (True, pytest.approx(-0.95, abs=1)),
    ):
        scheduler = mlfq()
        for i in range(40):
            tokens = 64 << (i % 5)
            account = newcomer(scheduler, f"a{i}", tokens)
            serve(scheduler, account, tokens / 256 if true else 1.0)
        small = newcomer(scheduler, "s", 64)
        assert scheduler.expected.log_ratio(small) == wanted
        if true:
            assert scheduler.expected.log_ratio(small) < log(0.3)


def test_own_calls_soon_say_more_than_what_is_asked_for() -> None:
    """A small maximum beside long calls is forgotten once agents are told apart."""
    scheduler = mlfq()
    for i in range(12):
        serve(scheduler, newcomer(scheduler, f"q{i}", 512), *[0.2, 0.21, 0.19] * 3)
    liar = newcomer(scheduler, "liar", 16)
    before = scheduler.expected.log_ratio(liar)
    serve(scheduler, liar, *[4.0] * 6)
    assert before < 0.0
    assert scheduler.expected.log_ratio(liar) > 1.0


def test_first_question_is_no_privilege_for_life() -> None:
    """Agents that are alike stay so, though the first call of one was a title of a few words."""
    scheduler = mlfq()
    agents = [newcomer(scheduler, f"a{i}", 4096) for i in range(6)]
    title = newcomer(scheduler, "t", 16)
    for turn in range(20):
        for number, account in enumerate((*agents, title)):
            serve(scheduler, account, 1.0 + 0.1 * ((turn + number) % 5))
    assert abs(scheduler.expected.log_ratio(title)) < 0.02
    assert {account.slope for account in (*agents, title)} == {title.slope}


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.floats(0.002, 100.0), st.integers(0, 5000)), max_size=40
    )
)
def test_sums_by_size_are_of_the_agents_that_are_known(
    calls: list[tuple[int, float, int]],
) -> None:
    """However agents come, ask and go, the slope is that of a fresh reckoning."""
    scheduler = mlfq()
    known: dict[int, Account] = {}
    for name, seconds, tokens in calls:
        if name in known and tokens % 3 == 0:
            scheduler.leave(known.pop(name))
            continue
        if name not in known:
            known[name] = newcomer(scheduler, f"a{name}", tokens)
        serve(scheduler, known[name], seconds)
    sized = [(a.asks, a.log_sum, a.samples) for a in known.values()]
    sized = [entry for entry in sized if entry[0] and entry[2]]
    expected = scheduler.expected
    if not sized:
        assert expected._slope == 0.5
        return
    n = sum(weight for _, _, weight in sized)
    mean = sum(x * weight for x, _, weight in sized) / n
    spread = sum(weight * (x - mean) ** 2 for x, _, weight in sized)
    together = sum((x - mean) * total for x, total, _ in sized)
    shown = 4 * log(2) ** 2
    assert expected._slope == pytest.approx(
        min(1.0, max(0.0, (shown / 2 + together) / (shown + spread))), abs=1e-6
    )
