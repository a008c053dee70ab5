from __future__ import annotations

from agentrm_plugins.policy.endpoint.amounts import OutputEstimator


def test_knows_nothing_at_first():
    """Without history the call's maximum is reserved, or the default."""
    estimator = OutputEstimator(default=500)
    assert estimator.output_tokens("a", 2000) == 2000
    assert estimator.output_tokens("a", None) == 500
    assert estimator.cached_tokens("a", 100) == 0


def test_learns_from_the_agent_then_from_the_endpoint():
    """An agent's own outputs count once it has five; before that, all of the endpoint's."""
    estimator = OutputEstimator()
    for tokens in (10, 20, 30, 40):
        estimator.used("a", 0, tokens, 0)
    assert estimator.output_tokens("a", None) == 1024
    estimator.used("b", 0, 1000, 0)
    assert estimator.output_tokens("a", None) == 40
    estimator.used("a", 0, 50, 0)
    assert estimator.output_tokens("a", None) == 40
    assert estimator.output_tokens("a", 25) == 25
    assert estimator.output_tokens("new", None) == 50


def test_reserves_the_maximum_where_the_provider_does():
    """A provider that counts max_tokens itself would refuse what was reserved with less."""
    estimator = OutputEstimator()
    for _ in range(10):
        estimator.used("a", 0, 10, 0)
    assert estimator.output_tokens("a", 2000, reserve="max") == 2000
    assert estimator.output_tokens("a", None, reserve="max") == 10


def test_counts_on_the_smallest_recent_share_of_cached_input():
    """Only what was cached in each of the last five calls is sure to be again."""
    estimator = OutputEstimator()
    for cached in (0, 50, 60, 70, 80, 90):
        estimator.used("a", 100, 1, cached)
    assert estimator.cached_tokens("a", 1000) == 500


def test_forgets_the_agent_unheard_of_longest():
    """Memory is bounded by 1,024 names."""
    estimator = OutputEstimator()
    for index in range(1100):
        for _ in range(5):
            estimator.used(f"agent {index}", 10, index, 0)
    assert len(estimator._outputs) == 1024
    assert estimator.output_tokens("agent 1099", None) == 1099
    assert estimator.output_tokens("agent 0", None) != 0
