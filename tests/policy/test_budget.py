from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.spending.budget import Budget, Resource, first_refusal


def test_a_hard_budget_refuses_what_does_not_fit():
    """Reserved and settled count together; settling corrects the reserve."""
    budget = Budget("agent a, tokens", Resource.TOKENS, 100.0)
    assert budget.allows(100.0, 0.0)
    budget.reserve(60.0)
    assert not budget.allows(41.0, 0.0)
    assert budget.time_until(41.0, 0.0) == inf
    budget.reserve(5.0)
    budget.settle(60.0, 25.0, 0.0)
    assert budget.spent(0.0) == 30.0
    assert budget.time_until(70.0, 0.0) == 0.0


def test_a_soft_budget_slows_down():
    """Nothing below the mark; beyond it the delay grows to the pace that the window allows."""
    budget = Budget("tenant t, calls", Resource.CALLS, 60.0, soft=0.5, window_s=60.0)
    assert budget.delay_s(1.0, 0.0) == 0.0
    budget.reserve(29.0)
    assert budget.delay_s(1.0, 0.0) == 0.0
    budget.reserve(15.0)
    assert budget.delay_s(1.0, 0.0) == 0.5
    budget.reserve(50.0)
    assert budget.delay_s(1.0, 0.0) == 1.0
    assert budget.delay_s(1000.0, 0.0) == 30.0


def test_a_soft_total_budget_and_none_at_all():
    """Without a window the longest delay is shared out; without a soft mark there is none."""
    total = Budget("t", Resource.COST, 10.0, soft=0.8, most_delay_s=20.0)
    total.reserve(9.0)
    assert total.delay_s(0.0, 0.0) == pytest.approx(10.0)
    hard = Budget("t", Resource.COST, 10.0)
    hard.reserve(50.0)
    assert hard.delay_s(1.0, 0.0) == 0.0


def test_a_window_frees_what_is_old():
    """What was settled longer ago than the window is free again, never sooner."""
    budget = Budget("t", Resource.TOKENS, 100.0, window_s=60.0)
    budget.reserve(80.0)
    budget.settle(80.0, 50.0, 10.0)
    budget.reserve(30.0)
    budget.settle(30.0, 30.0, 10.5)
    budget.reserve(10.0)
    budget.settle(10.0, 10.0, 30.0)
    budget.settle(0.0, 0.0, 30.0)
    assert budget.time_until(20.0, 30.0) == 41.0
    assert budget.time_until(95.0, 30.0) == 61.0
    assert budget.time_until(101.0, 30.0) == inf
    assert budget.spent(70.5) == 90.0
    assert budget.spent(71.0) == 10.0
    assert budget.spent(200.0) == 0.0


def test_parents_are_asked_too():
    """The first ledger without room refuses, the child's before its parent's."""
    child = Budget("child", Resource.TOKENS, 50.0)
    parent = Budget("parent", Resource.CALLS, 1.0)
    amounts = {Resource.TOKENS: 40.0, Resource.CALLS: 1.0}
    assert first_refusal([child, parent], amounts, 0.0) is None
    parent.reserve(1.0)
    assert first_refusal([child, parent], amounts, 0.0) is parent
    child.reserve(20.0)
    assert first_refusal([child, parent], amounts, 0.0) is child
    assert first_refusal([Budget("x", Resource.COST, 0.0)], amounts, 0.0) is None


@given(
    st.lists(
        st.tuples(st.floats(0.0, 9.0), st.floats(0.0, 20.0), st.floats(0.0, 20.0)), max_size=40
    )
)
def test_reserves_that_fit_never_exceed_the_budget(steps):
    """If each call uses at most its reserve, no window ever holds more than the budget."""
    budget = Budget("t", Resource.TOKENS, 50.0, window_s=30.0)
    now_s, used_at = 0.0, []
    for pause_s, amount, used in steps:
        now_s += pause_s
        if not budget.allows(amount, now_s):
            assert budget.time_until(amount, now_s) > 0
            continue
        budget.reserve(amount)
        used = min(used, amount)
        budget.settle(amount, used, now_s)
        used_at.append((now_s, used))
        recent = sum(part for at_s, part in used_at if at_s > now_s - 30.0)
        assert recent <= 50.0 + 1e-6
        assert budget.spent(now_s) >= recent - 1e-6
