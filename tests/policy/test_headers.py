from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.headers import (
    LimitReport,
    ServerLimit,
    parse_duration_s,
    parse_report,
)
from agentrm_plugins.policy.endpoint.times import LONGEST_S

WALL_S = 1_790_000_000.0  # 2026-09-21T13:33:20Z


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1.0),
        ("6m0s", 360.0),
        ("120ms", 0.12),
        ("8.64s", 8.64),
        ("1h2m3s", 3723.0),
        ("1d2h", 93600.0),
        ("17", 17.0),
        (" 0.5 ", 0.5),
        ("6m", 360.0),
        ("1m30.951s", 90.951),
        ("0s", 0.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("nan", None),
        ("1e9", None),
        ("5s later", None),
        ("1" * 50 + "s", None),
    ],
)
def test_reads_durations(text, seconds):
    """Go's durations, plain seconds, and None for anything else."""
    assert parse_duration_s(text) == (None if seconds is None else pytest.approx(seconds))


def test_reads_openais_headers():
    """Limit, remaining and reset of requests and tokens; names in any case."""
    report = parse_report(
        {
            "X-RateLimit-Limit-Requests": "60",
            "x-ratelimit-remaining-requests": "59",
            "x-ratelimit-reset-requests": "1s",
            "x-ratelimit-limit-tokens": "150000",
            "x-ratelimit-remaining-tokens": "149984",
            "x-ratelimit-reset-tokens": "6m0s",
        },
        WALL_S,
    )
    assert report.requests == ServerLimit(60.0, 59.0, 1.0)
    assert report.tokens == ServerLimit(150000.0, 149984.0, 360.0)
    assert set(report.limits()) == {"requests", "tokens"}
    assert report.retry_after_s is None


def test_reads_anthropics_headers():
    """Input and output apart, resets as times; the tighter of both, `tokens`, is left out."""
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-09-21T14:13:30Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": "2026-09-21T16:13:21.5+02:00",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "8000",
        "anthropic-ratelimit-output-tokens-reset": "2026-09-21T13:13:20-01:00",
        "anthropic-ratelimit-tokens-limit": "48000",
        "anthropic-ratelimit-tokens-remaining": "47000",
        "retry-after": "12",
    }
    report = parse_report(headers, WALL_S)
    assert report.requests == ServerLimit(50.0, 49.0, 10.0, step_s=1.0)
    assert report.input_tokens == ServerLimit(40000.0, 39000.0, 1.5)
    assert report.output_tokens == ServerLimit(8000.0, 8000.0, 0.0, step_s=1.0)
    assert report.tokens is None
    assert report.retry_after_s == 12.0


def test_reads_azures_and_gateways_forms():
    """Only `remaining`, resets in plain seconds, and requests without a resource's name."""
    azure = parse_report(
        {"x-ratelimit-remaining-requests": "9", "x-ratelimit-remaining-tokens": "400"}, WALL_S
    )
    assert azure.requests == ServerLimit(None, 9.0, None)
    assert azure.tokens == ServerLimit(None, 400.0, None)
    plain = {"ratelimit-limit": "100", "ratelimit-remaining": "20", "ratelimit-reset": "30"}
    assert parse_report(plain, WALL_S).requests == ServerLimit(100.0, 20.0, 30.0)
    epoch = {"x-ratelimit-limit": "20", "x-ratelimit-reset": str(int((WALL_S + 7) * 1000))}
    assert parse_report(epoch, WALL_S).requests == ServerLimit(20.0, None, 7.0)
    epoch["x-ratelimit-reset"] = str(int(WALL_S + 7))
    assert parse_report(epoch, WALL_S).requests == ServerLimit(20.0, None, 7.0, step_s=1.0)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"retry-after": "Mon, 21 Sep 2026 14:13:40 GMT"}, 20.0),
        ({"retry-after": "Mon, 21 Sep 2026 10:00:00 GMT"}, 0.0),
        ({"retry-after": "2026-09-21T14:13:25Z"}, 5.0),
        ({"retry-after": "2026-99-99T99:99:99Z"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "3600"}, 3600.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, LONGEST_S),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "-1", "retry-after": "-1"}, None),
        ({"retry-after": "Mon, 99 Foo 99999999 14:13:40 GMT"}, None),
        ({}, None),
    ],
)
def test_reads_retry_after(headers, seconds):
    """Milliseconds first, then seconds, a date, a time; None if nothing can be read."""
    assert parse_report(headers, WALL_S).retry_after_s == seconds


def test_reads_should_retry():
    """The server's own opinion, where it has one."""
    assert parse_report({"x-should-retry": "true"}, WALL_S).should_retry is True
    assert parse_report({"x-should-retry": "False"}, WALL_S).should_retry is False
    assert parse_report({"x-should-retry": "?"}, WALL_S).should_retry is None


def test_reads_openais_refusal():
    """The text names the resource, the limit, what is used, and (with the wait) the rate."""
    text = (
        "Rate limit reached for m in organization o on tokens per min (TPM): Limit 30,000, "
        "Used 29500, Requested 1000. Please try again in 1s."
    )
    report = parse_report({}, WALL_S, text)
    assert report.resource == "tokens"
    assert report.retry_after_s == 1.0
    assert report.tokens == ServerLimit(30000.0, 500.0, 59.0, firm=False)
    assert report.tokens.window_s() == 60.0
    headers = {"x-ratelimit-limit-tokens": "5", "retry-after": "3"}
    beside = parse_report(headers, WALL_S, text)
    assert (beside.tokens, beside.retry_after_s) == (ServerLimit(5.0), 3.0)


@pytest.mark.parametrize(
    ("text", "report"),
    [
        ("Please retry after 7 seconds.", LimitReport(retry_after_s=7.0)),
        ("Please retry after 500 milliseconds.", LimitReport(retry_after_s=0.5)),
        ("Please try again in 1m2.5s.", LimitReport(retry_after_s=62.5)),
        ("try again in h.", LimitReport()),
        ("You exceeded it. Please retry in 34.07s.", LimitReport(retry_after_s=34.07)),
        ('{"@type": "RetryInfo", "retryDelay": "34s"}', LimitReport(retry_after_s=34.0)),
        ("'retryDelay': '34s'", LimitReport(retry_after_s=34.0)),
        (
            "would exceed the rate limit for your organization of 40,000 input tokens per minute",
            LimitReport(resource="input_tokens"),
        ),
        ("Retry after sunset", LimitReport()),
        ("on requests per min: Limit ,", LimitReport(resource="requests")),
        (
            "on requests per min: Limit 5",
            LimitReport(worded=ServerLimit(5.0, firm=False)),
        ),
        (
            "on requests per min: Limit 5, Used 5",
            LimitReport(resource="requests", requests=ServerLimit(5.0, 0.0, firm=False)),
        ),
        ("on input tokens per day: Limit 5", LimitReport(resource="input_tokens")),
    ],
)
def test_reads_other_refusals(text, report):
    """Azure's wait, waits in all units, and texts that say less."""
    assert parse_report({}, WALL_S, text) == report


WORDS = "on {} per min: Limit {}, Used {}, Requested {}. Please try again in {}."


@pytest.mark.parametrize(
    ("said", "header_s", "limit"),
    [
        # A bucket's wait is what is missing at the minute's rate.
        (("tokens", 6000, 5900, 300, "2s"), None, (5900 * 2 / 200, None)),
        # One of another rate: a model minute of three seconds.
        (("tokens", 6000, 5900, 300, "100ms"), None, (5900 * 0.1 / 200, None)),
        # One that is missing may be a part of one, so that the wait says little.
        (("requests", 60, 60, 1, "400ms"), None, (None, None)),
        (("requests", 60, 60, 1, "50ms"), None, (60 * 0.05, None)),
        # Much longer than the minute's rate explains: it is a window, which ends then.
        (("requests", 60, 60, 1, "41.5s"), None, (None, 41.5)),
        (("tokens", 6000, 5900, 300, "31s"), None, (None, 31.0)),
        (("requests", 60, 60, 1, "a moment"), 41.0, (None, 41.0)),
        # A header in whole seconds may be rounding.
        (("tokens", 6000, 5960, 60, "a moment"), 1.0, (5960 / 20, None)),
        # No minute lasts ten: what it says of the rate is all that there is.
        (("requests", 60, 60, 1, "10m0s"), None, (60 * 600.0, None)),
    ],
)
def test_a_wait_that_no_bucket_asks_for_is_a_windows_end(said, header_s, limit):
    """What is missing and for how long says how the limit comes back."""
    headers = {} if header_s is None else {"retry-after": f"{header_s:g}"}
    found = parse_report(headers, WALL_S, WORDS.format(*said)).limits()[said[0]]
    reset_s, ends_s = limit
    assert found.reset_s == (None if reset_s is None else pytest.approx(reset_s))
    assert found.ends_s == ends_s
    assert found.per_s == (60.0 if reset_s is None else None)


@pytest.mark.parametrize(
    ("limit", "window_s"),
    [
        (ServerLimit(60.0, 30.0, 30.0), 60.0),
        (ServerLimit(200.0, 198.0, 864.0), 86400.0),
        (ServerLimit(60.0, 30.0, 5.0), 10.0),
        (ServerLimit(60.0, 59.0, 30.0), 60.0),
        (ServerLimit(60.0, 30.0, None), 60.0),
        (ServerLimit(60.0, None, 1.0), 60.0),
        (ServerLimit(None, 5.0, 1.0), 60.0),
        (ServerLimit(60.0, 30.0, 0.01), 60.0),
    ],
)
def test_tells_a_limit_per_day_from_one_per_minute(limit, window_s):
    """The window follows from what is gone and when it is back; a minute where that is unknown."""
    assert limit.window_s() == pytest.approx(window_s)


NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "x-ratelimit-limit-requests",
        "x-ratelimit-remaining-tokens",
        "x-ratelimit-reset-tokens",
        "anthropic-ratelimit-requests-reset",
        "anthropic-ratelimit-input-tokens-limit",
        "x-should-retry",
    ]
)


@given(st.dictionaries(NAMES, st.text(max_size=40)), st.text(max_size=200))
def test_is_tolerant_of_garbage(headers, text):
    """No header and no text makes it fail, and no number in the report is negative."""
    report = parse_report(headers, WALL_S, text)
    assert report.retry_after_s is None or report.retry_after_s >= 0
    for limit in report.limits().values():
        for value in (limit.limit, limit.remaining, limit.reset_s):
            assert value is None or value >= 0
        assert limit.window_s() > 0


def test_keeps_no_text():
    """A key in a header or a body is nowhere in the report."""
    headers = {"authorization": "Bearer test-key", "retry-after": "test-key"}
    report = parse_report(headers, WALL_S, "Incorrect API key provided: test-key")
    assert "test-key" not in repr(report)
