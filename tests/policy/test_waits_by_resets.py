"""A refusal that tells by a reset alone when it is over, and by no wait."""

from __future__ import annotations

import json
import time
from email.utils import formatdate

import pytest

from agentrm_plugins.hosts.judgement import judge_response
from agentrm_plugins.policy.endpoint.headers import parse_report, report_of
from agentrm_plugins.types.verdicts import Kind, LimitReport, ServerLimit
from tests.kernel.test_closed import ask, core

WALL_S = 1_790_000_000.0
DAY_S = 86_400.0
EMPTY = {"x-ratelimit-remaining": "0"}
FORMS = {
    "IETF, no policy": {"RateLimit": '"burst";r=0;t=3'},
    "IETF, no quotes": {"RateLimit": "burst;r=0;t=3"},
    "IETF, nothing of what is left": {"RateLimit": '"burst";t=3'},
    "IETF, one of two": {"RateLimit": '"daily";r=90;t=9000, "burst";r=0;t=3'},
    "IETF, both are empty": {"RateLimit": '"burst";r=0;t=1, "longer";r=0;t=3'},
    "IETF, of tokens": {"RateLimit": '"tokens";r=0;t=3, "requests";r=9;t=60'},
    "IETF, a moment": {"RateLimit": '"burst";r=0;t=1790000003'},
    "IETF, older": {"RateLimit": "remaining=0, reset=3"},
    "IETF, older, a reset": {"RateLimit": "reset=3"},
    "IETF, older, a moment": {"RateLimit": "remaining=0, reset=1790000003"},
    "seconds": {"x-ratelimit-reset": "3", **EMPTY},
    "less than none": {"x-ratelimit-reset": "3", "x-ratelimit-remaining": "-1"},
    "a reset alone": {"x-ratelimit-reset": "3"},
    "parts of seconds": {"x-ratelimit-reset": "3.0", **EMPTY},
    "milliseconds": {"x-ratelimit-reset": "3000ms", **EMPTY},
    "milliseconds by name": {"x-ratelimit-reset-ms": "3000", **EMPTY},
    "epoch": {"x-ratelimit-reset": "1790000003", **EMPTY},
    "epoch in ms": {"x-ratelimit-reset": "1790000003000", **EMPTY},
    "a date": {"x-ratelimit-reset": formatdate(WALL_S + 3, usegmt=True), **EMPTY},
    "RFC 3339": {"x-ratelimit-reset": "2026-09-21T14:13:23Z", **EMPTY},
    "a list": {"x-ratelimit-reset": "3, 3600", **EMPTY},
    "after": {"x-ratelimit-reset-after": "3"},
    "after, with the rest": {"x-ratelimit-reset-after": "3.0", "x-ratelimit-reset": "1799999999",
                             **EMPTY},
    "after, in ms": {"x-ratelimit-reset-after-ms": "3000"},
    "other names": {"x-rate-limit-reset": "3", "x-rate-limit-remaining": "0"},
    "the older draft's": {"ratelimit-reset": "3", "ratelimit-remaining": "0"},
    "of tokens": {"x-ratelimit-reset-tokens": "3s", "x-ratelimit-remaining-tokens": "0"},
    "Anthropic's": {"anthropic-ratelimit-requests-reset": "2026-09-21T14:13:23Z"},
    "one of two": {"x-ratelimit-reset-requests": "60", "x-ratelimit-remaining-requests": "9",
                   "x-ratelimit-reset-tokens": "3", "x-ratelimit-remaining-tokens": "0"},
    "a limit, nothing of what is left": {"x-ratelimit-limit": "10", "x-ratelimit-reset": "3"},
}  # fmt: skip
NONE = {
    "a limit in full, of which there is some": {
        "x-ratelimit-limit": "10", "x-ratelimit-remaining": "5", "x-ratelimit-reset": "3"},
    "a limit in full": {
        "x-ratelimit-limit": "10", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"},
    "another one is empty, in full": {
        "x-ratelimit-limit-requests": "10", "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "3", "x-ratelimit-reset-tokens": "1"},
    "there is some": {"RateLimit": '"burst";r=7;t=3'},
    "it has passed": {"x-ratelimit-reset": "0", **EMPTY},
    "0 of 0 is no limit": {
        "x-ratelimit-limit": "0", "x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"},
    "not to be read": {"x-ratelimit-reset": "soon", **EMPTY},
    "nothing of when": {"RateLimit": '"burst";r=0'},
}  # fmt: skip


def lower(headers):
    return {name.lower(): text for name, text in headers.items()}


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_a_refusal_is_over_then(headers):
    """However it is said; of several limits when those that are empty are whole again."""
    assert report_of(lower(headers), WALL_S, refused=True).retry_after_s == pytest.approx(3.0)


@pytest.mark.parametrize("headers", NONE.values(), ids=NONE)
def test_what_an_account_knows_better_is_no_wait(headers):
    """Nor what is no limit, not empty, or over."""
    assert report_of(lower(headers), WALL_S, refused=True).retry_after_s is None


@pytest.mark.parametrize("headers", FORMS.values(), ids=FORMS)
def test_a_good_answer_asks_nobody_to_wait(headers):
    """It may name its resets in the same headers."""
    assert parse_report(headers, WALL_S).retry_after_s is None


def test_a_reset_alone_names_no_limit():
    """Whoever says nothing else keeps silent about limits."""
    for headers in ({"x-ratelimit-reset": "3"}, {"RateLimit": '"burst";t=3'}):
        assert parse_report(headers, WALL_S).limits() == {}
        worded = report_of(lower(headers), WALL_S, "Max 40 requests per minute", refused=True)
        assert worded.worded == ServerLimit(40.0, firm=False)


def test_what_is_said_of_the_wait_counts_more():
    """Be it in a header or in words."""
    told = {"x-ratelimit-reset": "60", **EMPTY}
    assert report_of({**told, "retry-after": "3"}, WALL_S, refused=True).retry_after_s == 3.0
    assert report_of(told, WALL_S, "Try again in 4s.", refused=True).retry_after_s == 4.0


@pytest.mark.parametrize(("status", "wait_s"), [(429, 3.0), (503, None), (400, None)])
def test_only_a_limit_is_over_at_a_reset(status, wait_s):
    """What has no room has another time."""
    body = json.dumps({"error": {"message": "no"}}).encode()
    _, report = judge_response(status, {"x-ratelimit-reset": "3", **EMPTY}, body)
    assert report.retry_after_s == wait_s


def test_the_endpoint_is_closed_until_then():
    """For the call that met it and for all others."""
    body = json.dumps({"error": {"message": "Too many requests"}}).encode()
    for headers in ({"RateLimit": '"burst";r=0;t=3'}, {"x-ratelimit-reset-after": "3"}):
        _, report = judge_response(429, headers, body)
        world = core()
        number = ask(world)
        world.requeue(number, Kind.LIMIT, 0.0, report)
        other = ask(world, "b")
        world.wait(2.9)
        assert number not in world.running
        assert other not in world.running
        world.wait(0.2)
        assert number in world.running


def test_a_moment_is_one_of_the_server_s_clock():
    """Which its date names, be it off by an hour."""
    ahead_s = time.time() + 3600.0
    headers = {"date": formatdate(ahead_s, usegmt=True), "x-ratelimit-reset": f"{ahead_s + 3:.0f}"}
    wait_s = judge_response(429, {**headers, **EMPTY}, b"{}")[1].retry_after_s
    assert 1.0 <= wait_s <= 5.0
    field = {"date": headers["date"], "ratelimit": f'"b";r=0;t={ahead_s + 3:.0f}'}
    assert 1.0 <= judge_response(429, field, b"{}")[1].retry_after_s <= 5.0


def test_one_that_is_empty_is_shown_before_one_that_is_not():
    """Of two that name no size."""
    report = parse_report({"RateLimit": '"daily";r=90;t=9000, "burst";r=0;t=3'}, WALL_S)
    assert report == LimitReport(requests=ServerLimit(None, 0.0, 3.0))
