"""How far a call goes through the code: what `benchmarks.walks` counts does not grow unseen."""

from __future__ import annotations

from benchmarks.walks.ways import WAYS

MOST_CALLS, MOST_FILES = 255, 50
MOST_REFUSED = 440
JUDGES = ("judgement.py:judge", "retry_class.py:examine", "evidence.py:evidence_of")


def test_an_uncontended_call_stays_short() -> None:
    """A wrapped `ainvoke` takes so many Python calls in so many files."""
    walk = WAYS["a"].walk()
    assert 100 < len(walk.calls) <= MOST_CALLS
    assert walk.files <= MOST_FILES


def test_an_error_is_judged_once() -> None:
    """A refusal is read, judged and searched for limits once; the call goes again in few calls."""
    walk = WAYS["c"].walk()
    assert 300 < len(walk.calls) <= MOST_REFUSED
    calls = [*walk.calls, *walk.elsewhere]
    for function in JUDGES:
        assert sum(call.endswith(function) for call in calls) == 1
