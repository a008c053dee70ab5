"""How far a call goes through the code: what `benchmarks.walks` counts does not grow unseen."""

from __future__ import annotations

from benchmarks.walks.ways import WAYS

MOST_CALLS, MOST_FILES = 245, 40
MOST_REFUSED = 400
JUDGES = ("judgement.py:judge", "retry_class.py:examine", "evidence.py:evidence_of")


def test_an_uncontended_call_stays_short() -> None:
    """A wrapped `ainvoke` takes so many Python calls in so many files.

    The shortest of at most nine: on a busy machine a second may end in the middle of one.
    """
    shortest = WAYS["a"].walk()
    for _ in range(8):
        if shortest.files <= MOST_FILES:
            break
        shortest = min(shortest, WAYS["a"].walk(), key=lambda walk: walk.files)
    assert shortest.files <= MOST_FILES
    assert 100 < len(shortest.calls) <= MOST_CALLS


def test_an_error_is_judged_once() -> None:
    """A refusal is read, judged and searched for limits once; the call goes again in few calls.

    Few in the shortest of three, as above; once in each.
    """
    walks = [WAYS["c"].walk() for _ in range(3)]
    assert 300 < min(len(walk.calls) for walk in walks) <= MOST_REFUSED
    for walk in walks:
        calls = [*walk.calls, *walk.elsewhere]
        for function in JUDGES:
            assert sum(call.endswith(function) for call in calls) == 1
