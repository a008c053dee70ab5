"""Ordinary errors in which a word of money or of length stands by chance.

Each is judged by its status, as it was before anything was read into the words of strangers. A
timeout that is taken for a long prompt would cost a conversation; a rate limit that is taken for an
empty account, the work.
"""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.evidence import Evidence
from agentrm_plugins.policy.endpoint.retry_class import classify_status, judge_evidence
from agentrm_plugins.types.verdicts import Kind

ORDINARY = [
    (500, Kind.TRANSIENT, "context deadline exceeded"),
    (500, Kind.TRANSIENT, "rpc error: code = DeadlineExceeded desc = context deadline exceeded"),
    (
        500,
        Kind.TRANSIENT,
        'Post "http://10.0.0.7:8000/v1/chat": context deadline exceeded (Client.Timeout)',
    ),
    (500, Kind.TRANSIENT, "context canceled: request exceeded its timeout"),
    (500, Kind.TRANSIENT, "context deadline exceeded: maximum length of the wait"),
    (504, Kind.TRANSIENT, "context deadline exceeded"),
    (503, Kind.OVERLOADED, "rpc error: code = Unavailable desc = context deadline exceeded"),
    (400, Kind.PERMANENT, "context deadline exceeded"),
    (500, Kind.TRANSIENT, "input tokens: more than one worker timed out"),
    (500, Kind.TRANSIENT, "messages queue: consumer exceeded its lease"),
    (500, Kind.TRANSIENT, "conversation store: more than one row"),
    (422, Kind.PERMANENT, "Input should be greater than or equal to 0"),
    (400, Kind.PERMANENT, "Input should be greater than or equal to 0"),
    (400, Kind.PERMANENT, "Invalid input: n must be greater than 0"),
    (422, Kind.PERMANENT, "temperature: Input should be less than or equal to 2"),
    (
        422,
        Kind.PERMANENT,
        "body.max_tokens: Input should be greater than 0, input: -5, type: greater_than",
    ),
    (422, Kind.PERMANENT, "ensure this value is greater than 0"),
    (422, Kind.PERMANENT, "Input should be a valid integer, unable to parse string as an integer"),
    (422, Kind.PERMANENT, "messages: Input should be a valid list"),
    (422, Kind.PERMANENT, "Unable to parse input string as an integer, exceeded maximum size"),
    (400, Kind.PERMANENT, "input.top_k must be larger than 0"),
    (400, Kind.PERMANENT, "messages: more than one system message is not supported"),
    (400, Kind.PERMANENT, "Invalid input: more than one tool choice was given"),
    (400, Kind.PERMANENT, "Expected input with more than 0 items"),
    (400, Kind.PERMANENT, "input only accepts text"),
    (400, Kind.PERMANENT, "conversation has more than one owner"),
    (400, Kind.PERMANENT, "context must be strictly greater than zero"),
    (400, Kind.PERMANENT, "max_tokens must be greater than the prompt length"),
    (422, Kind.PERMANENT, "Invalid input: top_logprobs exceeds 20"),
    (502, Kind.TRANSIENT, "payment gateway health check failed"),
    (502, Kind.TRANSIENT, "Bad Gateway"),
    (502, Kind.TRANSIENT, "upstream billing service: invoice lookup failed"),
    (502, Kind.TRANSIENT, "load balancer: backend pool is empty"),
    (503, Kind.OVERLOADED, "upstream load balance pool is empty"),
    (503, Kind.OVERLOADED, "Model is overloaded. Please top up or retry to proceed"),
    (503, Kind.OVERLOADED, "no healthy upstream"),
    (503, Kind.OVERLOADED, "credit service: zero replicas"),
    (
        503,
        Kind.OVERLOADED,
        "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    ),
    (504, Kind.TRANSIENT, "upstream request timeout"),
    (504, Kind.TRANSIENT, "The wallet service failed: timed out, funds empty reply"),
    (500, Kind.TRANSIENT, "load balance failed: zero workers"),
    (500, Kind.TRANSIENT, "payment failed to load"),
    (500, Kind.TRANSIENT, "no quota manager is running"),
    (529, Kind.OVERLOADED, "Overloaded: load balance zero workers"),
    (529, Kind.OVERLOADED, "Overloaded. Upgrade your plan to continue"),
    (429, Kind.LIMIT, "Rate limit exceeded. Please wait, or upgrade your plan to continue."),
    (429, Kind.LIMIT, "Token bucket balance is negative"),
    (429, Kind.LIMIT, "Too many requests. Slow down, or upgrade to continue"),
    (
        429,
        Kind.LIMIT,
        "Rate limit reached for requests per minute. Add credits to continue faster.",
    ),
    (429, Kind.LIMIT, "Request balance is zero, try again in 20s"),
    (429, Kind.LIMIT, "load balance: zero slots"),
    (429, Kind.LIMIT, "Too Many Requests"),
    (408, Kind.TRANSIENT, "context deadline exceeded"),
]
WAITED_FOR = [
    "Rate limit exceeded. Please wait, or upgrade your plan to continue.",
    "Your request credits are used up",
    "Request balance is zero",
    "Upgrade to continue at once",
]
EMPTY = [
    (400, "Your wallet is empty"),
    (402, "Add funds to continue"),
    (403, "No active subscription found for this key"),
    (429, "Your prepaid balance has been depleted"),
    (503, "Insufficient balance"),
]
LONG = [
    (400, "Your conversation exceeds the limit"),
    (400, "context limit exceeded"),
    (400, "Input exceeds the maximum of 4096 tokens"),
    (400, "The messages are more than the window of 8192"),
    (413, "Request Entity Too Large"),
    (422, "Conversation length 9000 exceeds 8192"),
    (500, "prompt is too long: 9000 tokens"),
]


@pytest.mark.parametrize(("status", "kind", "text"), ORDINARY)
def test_an_ordinary_error(status, kind, text):
    """Neither an account nor a length."""
    verdict = classify_status(status, "", text)
    assert (verdict.kind, verdict.why) == (kind, "")


@pytest.mark.parametrize("text", WAITED_FOR)
def test_a_limit_that_names_its_wait(text):
    """Is no empty account, whatever is offered for sale beside it."""
    verdict = judge_evidence(Evidence(status=429, text=text, headers={"retry-after": "20"}))
    assert verdict is not None
    assert (verdict.kind, verdict.why) == (Kind.LIMIT, "")


@pytest.mark.parametrize(("status", "text"), EMPTY)
def test_an_account_that_is_empty(status, text):
    """Is read where a status allows it; a provider's own words, at any."""
    assert classify_status(status, "", text).why == "billing"


@pytest.mark.parametrize(("status", "text"), LONG)
def test_a_prompt_that_is_long(status, text):
    """A word of length beside it tells; a provider's own words need none."""
    assert classify_status(status, "", text).why == "too_long"
