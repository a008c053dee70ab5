"""Limits that a refusal names by its words alone: read, and believed as windows."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.quota_words import quota_in
from agentrm_plugins.policy.endpoint.reports import plain_report, report_of
from agentrm_plugins.testing.provider.limits import Quota
from agentrm_plugins.types.verdicts import ServerLimit
from benchmarks.congestion.window_world import AGENTS, Row, play

XAI = "Too many requests for team t and model m. Your team's rate limit is - {}. See the console."
SHARE = "per Minute (actual/limit):"
WALL_S = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "limit", "window_s"),
    [
        ('{"error": "Rate limit exceeded: 5 per 1 minute"}', 5.0, 60.0),
        ("Rate limit exceeded: 60 per 60 seconds", 60.0, 60.0),
        ("<h1>Too Many Requests</h1>\n<p>2 per 1 minute</p>", 2.0, 60.0),
        ("AI21 error: 50 per 1 minute", 50.0, 60.0),
        ("8 per 1 second", 8.0, 1.0),
        ("1,200 requests per 30 secs", 1200.0, 30.0),
        (XAI.format("Requests per Second (actual/limit): 2/2"), 2.0, 1.0),
        (XAI.format("Requests per Minute (actual/limit): 80/60"), 60.0, 60.0),
        (
            XAI.format(
                "Requests per Second (actual/limit): 1/2, Requests per Minute (actual/limit): 60/60"
            ),
            60.0,
            60.0,
        ),
    ],
)
def test_reads_a_limit_and_its_window(text, limit, window_s):
    """As the libraries and the providers word it."""
    said = ServerLimit(limit, firm=False, per_s=window_s)
    assert quota_in(text) == said
    report = parse_report({}, WALL_S, text)
    assert (report.worded, report.resource, report.limits()) == (said, None, {})
    assert report_of(plain_report(report)) == report


@pytest.mark.parametrize(
    "text",
    [
        "0 per 1 minute",
        "0 requests per minute",
        "40 requests per second",
        "40 requests per hour",
        "40 requests per month",
        "Too many requests per minute",
        "429 Requests per minute limit exceeded.",
        "You have exceeded the gpt-4 requests per minute limit",
        "Tier 1 RPM limit reached for gpt-5",
        "Quota for project 12345 requests per minute exceeded",
        "Current requests per minute: 12, limit: 60",
        "You sent 100 requests per minute, which exceeds the limit of 60",
        "You have 2 requests per minute left",
        *("RPM 3/60", "RPM: 3 used of 60", "TPM limit of 40000 reached (RPM: 3)"),
        "Limit on requests per minute (RPM) 2024-06-01",
        "in 40 minutes",
        "1 per 1 day",
        "50 per 1 hour",
        "5 per 5 minutes",
        "it costs $5 per 1 minute",
        "version 1.5 per 1 minute",
        "40,000 tokens per 1 minute",
        "40,000 tokens per minute",
        "Token rate limit exceeded: 40000 per 1 minute",
        "Token limit exceeded: 40000 per 60 seconds",
        XAI.format("Tokens per Minute (actual/limit): 65605/16000"),
        XAI.format("Requests per Minute (actual/limit): 3/60"),
        "per 1 minute" * 1000,
        "9" * 4000 + " per 1 minute",
    ],
)
def test_reads_no_other_words(text):
    """Other times than minutes, prices, tokens, names, what was not passed, used or left."""
    assert quota_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Rate limit exceeded: 40 requests per minute.",
        "You have exceeded the rate limit of 40 requests per minute.",
        "Max 40 requests per minute",
        "Max 40 requests/min",
        "(40 requests/min)",
        "Limited to 40 calls per minute",
        "Quota: 40 queries per minute",
        "limit 40 per minute",
        "Limit 40/min reached",
        "40 req / min",
        "up to 40 API requests a minute",
        "Rate limit of 40 RPM exceeded",
        "40rpm",
        "RPM limit of 40 exceeded",
        "RPM: 40",
        "requests per minute (RPM) limit: 40",
        "Rate limit reached for m in organization o on requests per min (RPM): Limit 40",
        "You made 55 requests per minute, the limit is 40 requests per minute",
        "Free plans have 3 requests per minute. Your plan's limit is 40 requests per minute",
        "请求过于频繁，每分钟最多40次",
        "40次/分钟",
    ],
)
def test_reads_so_many_a_minute(text):
    """However it is put; whether that is a window or a bucket's rate nobody can say."""
    said = ServerLimit(40.0, firm=False)
    report = parse_report({}, WALL_S, text)
    assert (report.worded, report.resource, report.limits()) == (said, None, {})
    assert report_of(plain_report(report)) == report


@pytest.mark.parametrize("text", ["40 requests in 60 seconds", "Max 40 requests per 1m"])
def test_a_window_in_other_words(text):
    """It says of itself that it is one."""
    assert quota_in(text) == ServerLimit(40.0, firm=False, per_s=60.0)


def test_words_that_say_more_count_as_before():
    """What is used and missing tells a bucket from a window."""
    text = "on requests per min (RPM): Limit 40, Used 40, Requested 1."
    report = parse_report({}, WALL_S, text)
    assert (report.worded, report.resource) == (None, "requests")
    assert report.requests == ServerLimit(40.0, 0.0, firm=False)


@pytest.mark.parametrize(
    ("text", "resource"),
    [
        ("Token rate limit exceeded: 40000 per 1 minute", "tokens"),
        (XAI.format("Tokens per Minute (actual/limit): 65605/16000"), "tokens"),
        (XAI.format(f"Requests {SHARE} 3/60, Tokens {SHARE} 90000/50000"), "tokens"),
        (XAI.format(f"Tokens {SHARE} 3/60, Requests {SHARE} 61/60"), None),  # the window says it
    ],
)
def test_a_limit_of_tokens_is_one_of_tokens(text, resource):
    """Of several shares the one that was passed names the resource."""
    report = parse_report({}, WALL_S, text)
    assert report.resource == resource
    assert (report.worded is None) is (resource == "tokens")


def test_headers_and_waits_count_more():
    """Then nothing is left for words to say."""
    text = "Rate limit exceeded: 5 per 1 minute"
    assert parse_report({"x-ratelimit-limit": "7"}, WALL_S, text).worded is None
    assert parse_report({"retry-after": "7"}, WALL_S, text).worded is None


@pytest.mark.parametrize("kind", ["fixed", "clock"])
@pytest.mark.parametrize(("requests", "window_s"), [(60, 60.0), (30, 10.0)])
def test_a_window_that_words_name_is_believed(kind, requests, window_s):
    """No probe is needed to find it, also one of ten seconds by the clock."""
    row = Row(Quota(requests, window_s=window_s, kind=kind), style="limiter")
    for seed, phase_s in ((1, 3.0), (1, 25.0), (2, 45.0)):
        ours = play(row, "ours", seed=seed, phase_s=phase_s)
        assert ours.finished == AGENTS
        assert ours.first <= 3
        assert ours.later <= 1
        best = play(row, "oracle", seed=seed, phase_s=phase_s)
        assert ours.wall_s <= 1.06 * best.wall_s


@pytest.mark.parametrize("kind", ["sliding", "bucket"])
def test_words_that_are_wrong_hold_nobody_up(kind):
    """A server that counts otherwise refutes them."""
    row = Row(Quota(60, kind=kind), style="limiter")
    ours = play(row, "ours", seed=1, phase_s=25.0)
    best = play(row, "oracle", seed=1, phase_s=25.0)
    assert ours.finished == AGENTS
    assert ours.later <= 3
    assert ours.wall_s <= 1.1 * best.wall_s


@pytest.mark.parametrize("kind", ["fixed", "clock", "sliding", "bucket"])
@pytest.mark.parametrize("requests", [40, 120])
def test_so_many_a_minute_is_believed_by_whatever_account(kind, requests):
    """One call finds out whether that is a bucket; none goes slower than the words say."""
    words = "Rate limit exceeded: {limit} requests per minute."
    row = Row(Quota(requests, kind=kind), style="none", words=words)
    turns = 2 * requests // AGENTS
    for seed, phase_s in ((1, 3.0), (2, 25.0)):
        ours = play(row, "ours", seed=seed, phase_s=phase_s, turns=turns)
        best = play(row, "oracle", seed=seed, phase_s=phase_s, turns=turns)
        assert ours.finished == AGENTS
        assert ours.first <= 5
        assert ours.later <= 1
        assert ours.wall_s <= 1.1 * best.wall_s
