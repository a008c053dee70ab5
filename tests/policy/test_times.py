from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.times import (
    LONGEST_S,
    parse_duration_s,
    server_clock_s,
    time_left_s,
    wait_in_words_s,
)

WALL_S = 1_790_000_000.0  # 2026-09-21T14:13:20Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2 minutes", 120.0),
        ("1 minute and 30 seconds", 90.0),
        ("1h 5m", 3900.0),
        ("an hour", 3600.0),
        ("PT1M30S", 90.0),
        ("P1D", 86400.0),
        ("P", None),
        ("PT", None),
        ("00:01:30", 90.0),
        ("3 fortnights", None),
        ("5 s 3 s", None),
        ("1790000030", 30.0),
        ("1790000030000", 30.0),
        ("1790000030000000", 30.0),
        ("1790000030000000000", None),  # more digits than a number may have
        ("1600000000", 0.0),
        ("86400", 86400.0),
        ("99999999", LONGEST_S),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 2567680.0),
        ("2126-09-21T14:13:25Z", LONGEST_S),
        ("2026-09-21T14:13:25Z", 5.0),
        ("2026-09-21 14:13:25 UTC", 5.0),
        ("2026-09-21T16:13:25+02:00", 5.0),
        ("2026-02-31T16:13:25-02:00", 0.0),
        ("-1", None),
        ("soon", None),
        ("7,200", 7200.0),
        ("1,790,000,030", 30.0),
        ("120,120", 120.0),
        ("120, 300", 300.0),
        ("1e9", LONGEST_S),
        ("2e1", 20.0),
        ("1" + 30 * "0", LONGEST_S),
        ("inf", None),
        ("1e400", None),
        ("9" * 1000, None),
    ],
)
def test_reads_durations_and_moments(text, seconds):
    """A number beyond any duration is a moment; none is further away than a month."""
    assert time_left_s(text, WALL_S) == seconds


def test_reads_milliseconds():
    """Of a header that is called so; a moment in milliseconds is one all the same."""
    assert time_left_s("1500", WALL_S, milliseconds=True) == 1.5
    assert time_left_s("1790000030000", WALL_S, milliseconds=True) == 30.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Please wait 3 seconds before retrying.", 3.0),
        ("Rate limited. Please retry your request after 2s", 2.0),
        ("Please try again in 6m0s. Visit https://x", 360.0),
        ("Please try again in 20ms.", 0.02),
        ("try again in 120 milliseconds", 0.12),
        ("try again in 2 minutes", 120.0),
        ("Try again in 1 minute and 30 seconds", 90.0),
        ("Try again in a minute", 60.0),
        ("retry after 7", 7.0),
        ("cooldown: 30s", 30.0),
        ("try again in three seconds", 3.0),
        ("Please come back in 5 seconds", 5.0),
        ("next request allowed in 6 seconds", 6.0),
        ("wait 2.5 min before retrying", 150.0),
        ("seven attempts allowed", None),
        ("retry after 7 seconds", 7.0),
        ("wait for at least another 30 seconds", 30.0),
        ("Your quota will reset after 26s.", 26.0),
        ("Quota will be replenished in 02:10:23.", 7823.0),
        ("{'@type': 'x.RetryInfo', 'retryDelay': '34s'}", 34.0),
        ('{"retry_after": 3}', 3.0),
        ('{"retry_after_ms": 1500}', 1.5),
        ('{"retryAfterSeconds": 12}', 12.0),
        ("retry_delay {\n  seconds: 34\n}", 34.0),
        ("Limit resets at: 2026-09-21 14:13:30 UTC", 10.0),
        ("retry after 1790000030", 30.0),
        ("Try again in 400 days", LONGEST_S),
        ("Cooling down: 15 seconds remaining", 15.0),
        ("You can make another request in 14 seconds", 14.0),
        ("Back off for 10 seconds", 10.0),
        ("Allow 12s before retrying", 12.0),
        ("8 minutes left until your limit is back", 480.0),
        ("3 requests remaining", None),
        ("Retry 3 times", None),
        ("Please retry with 4096 tokens", None),
        ("Connection reset by peer", None),
        ("Try again later", None),
        ("Try again tomorrow", None),
        ("Your limit resets tomorrow at 00:00 UTC", 35200.0),
        ("Your limit resets at 00:00 UTC.", 35200.0),
        ("Limit resets at midnight UTC", 35200.0),
        ("try again at 3pm (UTC)", 2800.0),
        ("resets at 14:13 UTC", 0.0),
        ("resets tomorrow at 14:13:20 GMT", 86400.0),
        ("resets today at 14:30 UTC", 1000.0),
        ("retry at 27:00 UTC", None),
        ("wait 10 before that", None),
        ("", None),
    ],
)
def test_reads_waits_in_words(text, seconds):
    """What a message asks to wait, in the words of many providers; numbers of else are none."""
    assert wait_in_words_s(text, WALL_S) == seconds


def test_moments_need_a_clock():
    """Without the time of day a moment says nothing."""
    assert wait_in_words_s("resets at 2026-09-21 14:13:30 UTC") is None
    assert wait_in_words_s("retry after 1790000030") is None
    assert wait_in_words_s("retry after 5") == 5.0


@pytest.mark.parametrize(
    "text",
    [
        "wait " * 200_000,
        "retry in " * 100_000,
        "retry after 1 minute and " * 40_000,
        "retry after" + " " * 1_000_000,
        "9" * 1_000_000,
        "a " * 500_000,
        '{"retry_after' * 80_000,
        "resets at 2026-" * 70_000,
    ],
)
def test_a_megabyte_of_anything_takes_no_time(text):
    """No pattern goes back over what it has read."""
    begin_s = time.process_time()
    wait_in_words_s(text, WALL_S)
    time_left_s(text, WALL_S)
    parse_duration_s(text)
    assert time.process_time() - begin_s < 0.5


@given(st.text(max_size=80))
def test_is_tolerant_of_garbage(text):
    """Nothing makes it fail, and nothing that it gives is negative or longer than a month."""
    for seconds in (time_left_s(text, WALL_S), wait_in_words_s(f"retry after {text}", WALL_S)):
        assert seconds is None or 0 <= seconds <= LONGEST_S


def test_a_wait_that_came_twice_is_the_longer_one():
    """A proxy adds its own header to the server's."""
    assert time_left_s("2, 2", 0.0) == 2.0
    assert time_left_s("2, 5s", 0.0) == 5.0
    assert time_left_s("2, soon", 0.0) is None
    assert time_left_s("Thu, 01 Jan 1970 00:00:07 GMT", 0.0) == 7.0


def test_a_moment_is_one_of_the_clock_of_who_says_it():
    """Where an answer's date shows that ours is another; the same second shows nothing."""
    date = "Thu, 01 Jan 2026 00:00:30 GMT"
    sent_s = 1_767_225_630.0
    for wall_s in (sent_s, sent_s + 0.9, sent_s + 1.2):
        assert server_clock_s(date, wall_s) == wall_s
    for wall_s in (sent_s - 7.0, sent_s + 2.5, sent_s + 7200.0, sent_s - 86400.0):
        assert server_clock_s(date, wall_s) == sent_s
        assert server_clock_s(date, wall_s + 600.0, "600") == sent_s + 600.0  # a cache kept it
    for unreadable in (None, "", "yesterday", "x" * 1000):
        assert server_clock_s(unreadable, sent_s + 9.0) == sent_s + 9.0


def test_a_reset_is_as_far_away_as_the_server_says():
    """By its own clock, of which ours may be ahead or behind."""
    headers = {
        "Date": "Thu, 01 Jan 2026 00:00:30 GMT",
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1767225660",
    }
    for skew_s in (-7200.0, -7.0, 0.0, 1.0, 40.0, 1800.0, 86400.0):
        report = parse_report(headers, 1_767_225_630.0 + skew_s)
        assert 28.9 <= report.requests.reset_s <= 30.0
        words = "Rate limit exceeded. Try again at 2026-01-01T00:01:00Z."
        assert 28.9 <= parse_report(headers, 1_767_225_630.0 + skew_s, words).retry_after_s <= 30.0
