"""A wait in a field of a refusal's body is the header that was not sent."""

from __future__ import annotations

import json

import httpx
import openai
import pytest

from agentrm_plugins.hosts.judgement import judge, judge_response
from agentrm_plugins.policy.endpoint.body_waits import MOST_NODES, waits_of

INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
EXHAUSTED = {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "x", "details": [INFO]}
BODIES = [
    ({"error": EXHAUSTED}, 37.0),
    ([{"error": EXHAUSTED}], 37.0),
    ({"error": {"message": "slow down", "retry_after": 12}}, 12.0),
    ({"error": {"message": "slow", "retry_after_ms": 1500}}, 1.5),
    ({"error": {"message": "slow", "metadata": {"retry_after_seconds": 9}}}, 9.0),
    ({"error": {"message": "slow"}, "retry_after": 5}, 5.0),
    ({"detail": {"message": "slow", "retry_after": 4}}, 4.0),
    ({"retryAfter": 8, "message": "x"}, 8.0),
    ({"parameters": {"retry_after": 5.5}, "description": "slow"}, 5.5),
    ({"error": {"message": "x", "resets_in_seconds": 20}}, 20.0),
    ({"error": {"message": "x", "retry_delay": {"seconds": 34}}}, 34.0),
    ({"error": {"message": "x", "retryDelayMillis": "250"}}, 0.25),
    ({"error": {"message": "x", "retry_after": None, "wait_time": 3}}, 3.0),
    ({"error": {"message": "x", "retry_after": True}}, None),
    ({"error": {"message": "x", "retry": 3}}, None),
    ({"error": {"message": "x", "retries": 3, "retry_count": 2, "wait": "soon"}}, None),
    ({"error": {"message": "x"}}, None),
]


def raised(body, **headers):
    """The real SDK's exception for that body."""
    answer = httpx.Response(429, json=body, headers=headers)
    http = httpx.Client(transport=httpx.MockTransport(lambda request: answer))
    with openai.OpenAI(api_key="k", max_retries=0, http_client=http) as client:
        with pytest.raises(openai.RateLimitError) as caught:
            client.models.list()
    return caught.value


@pytest.mark.parametrize(("body", "wait_s"), BODIES)
def test_it_is_read_at_both_doors(body, wait_s):
    """From an SDK's exception, whose text no longer holds the body, and from a response."""
    assert judge(raised(body))[1].retry_after_s == wait_s
    assert judge_response(429, {}, json.dumps(body).encode())[1].retry_after_s == wait_s


def test_a_header_counts_more():
    """It is the one that HTTP has for this."""
    body = {"error": {"message": "x", "retry_after": 12}}
    assert judge(raised(body, **{"retry-after": "3"}))[1].retry_after_s == 3.0


def test_it_makes_a_limit_of_a_quota():
    """As a header does: a quota that comes back is no empty account."""
    error = {"message": "You exceeded your current quota", "details": [INFO]}
    verdict, report = judge(raised({"error": error}))
    assert (verdict.retryable, report.retry_after_s) == (True, 37.0)


def test_an_error_without_a_response_is_asked_itself():
    """Libraries that keep the parsed body alone."""
    error = RuntimeError("x")
    error.status_code, error.details = 429, {"error": EXHAUSTED}
    assert judge(error)[1].retry_after_s == 37.0


def test_only_so_much_of_a_body_is_looked_at():
    """What is wrapped in more is not found, and takes no time."""
    deep = {"retry_after": 5}
    for _ in range(2 * MOST_NODES):
        deep = {"a": deep}
    assert waits_of([deep]) == {}
    assert waits_of([[{}] * 10 * MOST_NODES]) == {}
