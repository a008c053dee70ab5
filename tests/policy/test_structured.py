from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.structured import LONGEST, fields_of, listed
from agentrm_plugins.types.verdicts import ServerLimit

WALL_S = 1_790_000_000.0


@pytest.mark.parametrize(
    ("headers", "requests"),
    [
        (
            {"RateLimit-Policy": '"burst";q=100;w=60', "RateLimit": '"burst";r=50;t=30'},
            ServerLimit(100.0, 50.0, 30.0, per_s=60.0),
        ),
        (
            {"RateLimit-Policy": '"a";q=100;w=60,"d";q=1000;w=86400', "RateLimit": '"d";r=3;t=9'},
            ServerLimit(1000.0, 3.0, 9.0, per_s=86400.0),
        ),
        (
            {"RateLimit-Policy": '"x";q=100;w=60', "RateLimit": '"default";r=7'},
            ServerLimit(100.0, 7.0, per_s=60.0),
        ),
        ({"RateLimit": "default;r=7;t=2"}, ServerLimit(None, 7.0, 2.0)),
        (
            {"RateLimit-Policy": "100;w=60", "RateLimit": "limit=100, remaining=50, reset=5"},
            ServerLimit(100.0, 50.0, 5.0, per_s=60.0),
        ),
        (
            {"RateLimit-Limit": "100, 100;w=60", "RateLimit-Remaining": "9"},
            ServerLimit(100.0, 9.0, per_s=60.0),
        ),
        (
            {"x-ratelimit-limit": '10, 10;w=1;name="s", 900;w=60', "x-ratelimit-remaining": "4"},
            ServerLimit(10.0, 4.0, per_s=1.0),
        ),
        (
            {"x-ratelimit-limit": "60, 60", "x-ratelimit-remaining": "59, 59"},
            ServerLimit(60.0, 59.0),
        ),
        (
            {"x-ratelimit-limit": "1200, 60", "x-ratelimit-remaining": "1100, 59"},
            ServerLimit(60.0, 59.0),
        ),
        ({"x-ratelimit-limit": "60;w=30"}, ServerLimit(60.0, per_s=30.0)),
        ({"x-ratelimit-limit": "sixty, 60", "x-ratelimit-remaining": "?;"}, ServerLimit(60.0)),
        ({"RateLimit": '"a";r=0;t=-1'}, ServerLimit(None, 0.0, 0.0)),
        ({"RateLimit": '"a";r=1', "RateLimit-Policy": '"bytes";q=9;qu="content-bytes"'},
         ServerLimit(None, 1.0)),
        ({"RateLimit": '"unfinished;r=1'}, None),
        ({"RateLimit": "limit=, remaining=9"}, None),
        ({"RateLimit": "5, 6"}, None),
        ({"RateLimit-Policy": '"slots";q=5;qu="concurrent-requests"'}, None),
    ],
)  # fmt: skip
def test_reads_every_draft_and_lists(headers, requests):
    """The field of each draft, Envoy's and Kong's lists, two proxies' values in one header."""
    assert parse_report(headers, WALL_S).requests == requests


def test_reads_tokens_by_unit_or_name():
    """A policy says by its unit what it counts, or else its name does."""
    found = fields_of(
        '"t";q=900;w=60;qu="tokens", "input-tokens";q=5;w=60, "out";q=6;w=60;qu="output-tokens"',
        '"t";r=800, "input-tokens";r=4, "out";r=5',
    )
    assert set(found) == {"tokens", "input_tokens", "output_tokens"}
    assert found["tokens"] == [ServerLimit(900.0, 800.0, per_s=60.0)]


def test_no_list_is_none():
    """What is no list of numbers counts as not sent."""
    assert listed("") is None
    assert listed("a, b") is None
    assert listed("(1 2)") is None
    assert listed("1" * (LONGEST + 1)) is None
    assert listed("5;w=0").window_s is None


@pytest.mark.parametrize("text", ["1, " * 400_000, '"a";r=1,' * 100_000, "(" * 1_000_000])
def test_a_megabyte_of_anything_takes_no_time(text):
    """What is longer than any honest field is not parsed at all."""
    begin_s = time.process_time()
    for name in ("ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-remaining"):
        assert parse_report({name: text}, WALL_S).requests is None
    assert time.process_time() - begin_s < 0.5


@given(st.text(max_size=60), st.text(max_size=60))
def test_is_tolerant_of_garbage(policy, left):
    """Nothing makes it fail."""
    fields_of(policy, left)
    listed(policy)
