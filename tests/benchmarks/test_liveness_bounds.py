"""What must hold of hung calls is judged by the worst of our own rows, and can be missed."""

from __future__ import annotations

import pytest

from benchmarks.liveness.bounds import BOUNDS, judged

GOOD = {
    "failed": 0,
    "requests_mean": [1.02, 1.04],
    "requests_max": 2,
    "mostly_lost": True,
    "x_clairvoyant": [1.1, 1.3],
    "excess_percent": [3.0, 4.0],
    "charged_less_billed": 0,
}
CASES = [
    ("hang5", {"failed": 1}, "calls that failed", 1.0),
    ("waves", {"requests_mean": [1.2, 1.2]}, "requests per healthy call, mean", 1.2),
    ("slow2", {"requests_max": 4}, "requests of one call, where second attempts mostly lose", 4.0),
    ("hang40", {"x_clairvoyant": [1.5, 1.5]}, "wall time over the clairvoyant, on 8 lanes", 1.5),
    ("cold", {"excess_percent": [6.0, 6.0]}, "excess tokens % where nothing hangs", 6.0),
    ("slow100", {"excess_percent": [16.0, 16]}, "excess tokens % with hidden calls of 100x", 16.0),
    ("quick", {"charged_less_billed": -9},
     "tokens charged but not billed, or billed but not charged", 9.0),
]  # fmt: skip


def row(situation, way="ours", **figures):
    return {"situation": situation, "way": way, **GOOD, **figures}


def rows(situation, way, figures):
    """Good rows of all situations that any bound names, and one that is none."""
    named = sorted({name for bound in BOUNDS for name in bound.where})
    return [*map(row, named), row(situation, way, **figures)]


def test_good_rows_meet_every_bound():
    """Each is judged, by as many rows as there are situations where it holds."""
    found = list(judged(rows("quick", "ours", {})))
    assert [one["bound"] for one in found] == [bound.title for bound in BOUNDS]
    assert all(one["met"] and not one["missed_in"] for one in found)
    assert all(
        one["rows"] in {len(bound.where), len(bound.where) + 1}
        for one, bound in zip(found, BOUNDS, strict=True)
    )


@pytest.mark.parametrize(("situation", "figures", "bound", "worst"), CASES)
def test_one_bad_row_of_ours_misses_its_bound_alone(situation, figures, bound, worst):
    """The worst row is named, be it with or without the timeout; a peer's is nobody's bound."""
    for way in ("ours", "ours, with the timeout"):
        missed = [one for one in judged(rows(situation, way, figures)) if not one["met"]]
        assert [one["bound"] for one in missed] == [bound]
        assert missed[0]["worst"] == worst
        assert (missed[0]["missed_in"], missed[0]["way"]) == ([situation], way)
    assert all(one["met"] for one in judged(rows(situation, "bare", figures)))


def test_every_bound_can_be_missed():
    """None stands there that no row ever breaks."""
    assert sorted(case[2] for case in CASES) == sorted(bound.title for bound in BOUNDS)


def test_requests_of_one_call_do_not_count_where_second_attempts_win():
    """Then they are what brings the answer."""
    good = rows("slow2", "ours", {"requests_max": 9, "mostly_lost": False})
    assert all(one["met"] for one in judged(good))
