from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.lateness import LatencySketch


@given(st.lists(st.floats(0.001, 100.0), min_size=1, max_size=200), st.floats(0.0, 1.0))
def test_a_quantile_is_right_within_its_error(times, share):
    """With nothing forgotten, the quantile is within 2.5 % of a sample of that rank."""
    sketch = LatencySketch(half_life=1e12)
    for seconds in times:
        sketch.add(seconds)
    ordered = sorted(times)
    rank = share * len(ordered)
    low, high = ordered[max(0, int(rank - 1e-6) - 1)], ordered[min(len(ordered) - 1, int(rank))]
    assert low * 0.974 <= sketch.quantile(share) <= high * 1.026


def test_is_empty_and_clamped():
    """No sample is 0; what is beyond the range counts as its end."""
    sketch = LatencySketch()
    assert sketch.quantile(0.99) == 0.0
    sketch.add(0.0)
    sketch.add(1e9)
    assert sketch.quantile(0.0) == pytest.approx(1e-4, rel=0.06)
    assert sketch.quantile(1.0) == pytest.approx(3600.0, rel=0.06)
    assert sketch.quantile(2.0) == pytest.approx(3600.0, rel=0.06)


def test_forgets_what_is_old_in_bounded_memory():
    """After a few half-lives only the new times matter, and weights never overflow."""
    sketch = LatencySketch(half_life=50.0)
    for index in range(5000):
        sketch.add(10.0 if index < 2500 else 1.0)
    assert sketch.quantile(0.99) == pytest.approx(1.0, rel=0.03)
    assert len(sketch._bins) <= 2
