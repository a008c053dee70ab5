from __future__ import annotations

from math import inf

import pytest

from agentrm_plugins.policy.endpoint.amounts import Wait, amounts_of
from agentrm_plugins.policy.endpoint.breaker import BreakerState
from agentrm_plugins.policy.endpoint.endpoint import Endpoint
from agentrm_plugins.types.verdicts import LimitReport, ServerLimit
from tests.kernel.told import advanced, limited, reported, told

SMALL = amounts_of(50, 50)
NOTHING = LimitReport()


def test_a_call_takes_of_each_resource():
    """One request, its tokens, and where input is limited apart only what is not cached."""
    assert amounts_of(100, 20, cached=60) == {
        "requests": 1.0,
        "tokens": 120,
        "input_tokens": 40,
        "output_tokens": 20,
    }


def test_reserves_and_settles():
    """What was reserved is not there for others; what was not used comes back."""
    endpoint = Endpoint("e", told(tpm=600))
    assert endpoint.wait(amounts_of(500, 100), 0.0) == Wait(0.0, "")
    endpoint.sent(1, amounts_of(500, 100), 0.0)
    assert endpoint.wait(SMALL, 0.0) == Wait(10.0, "tokens")
    endpoint.ended(1, amounts_of(200, 0), 0.0)
    assert endpoint.wait(SMALL, 0.025).seconds == 0.0
    endpoint.sent(2, SMALL, 0.025)
    endpoint.ended(2, None, 0.025)
    assert endpoint.wait(amounts_of(301, 0), 0.05).cause == "tokens"
    endpoint.ended(99, None, 0.0)
    assert endpoint.wait(amounts_of(301, 0), 0.05).cause == "tokens"


def test_a_call_larger_than_the_limit_is_named():
    """By the user's word or the server's; a limit found by probing refuses nothing."""
    endpoint = Endpoint("e", told(tpm=600))
    assert endpoint.too_large(amounts_of(601, 0)) == "tokens"
    assert endpoint.too_large(amounts_of(600, 0)) is None
    endpoint.sent(1, SMALL, 0.0)
    limited(endpoint, 1, LimitReport(resource="tokens"), 0.1)
    assert endpoint.too_large(amounts_of(601, 0)) is None
    assert endpoint.wait(amounts_of(5000, 0), 0.1).seconds < inf


def test_one_storm_is_one_cut():
    """Of five calls refused in one window the first cuts the rate, the others do not."""
    endpoint = Endpoint("e", told(tpm=60_000, rpm=600))
    for ticket in range(5):
        endpoint.sent(ticket, SMALL, 0.0)
    report = LimitReport(resource="requests", retry_after_s=2.0)
    cuts = [limited(endpoint, ticket, report, 0.1) for ticket in range(5)]
    assert cuts == [["requests"], [], [], [], []]
    assert endpoint.meters["requests"].controller.rate_per_s == pytest.approx(7.0)
    assert endpoint.wait(SMALL, 0.2) == Wait(pytest.approx(1.9), "closed")
    assert limited(endpoint, 1, report, 0.3) == []


def test_a_closed_endpoint_drips():
    """After its time calls go one by one at the paced rate."""
    endpoint = Endpoint("e", told(rpm=600))
    endpoint.sent(1, SMALL, 0.0)
    limited(endpoint, 1, LimitReport(retry_after_s=5.0, resource="requests"), 0.0)
    now_s, gone = 5.0, []
    for ticket in range(2, 6):
        now_s += endpoint.wait(SMALL, now_s).seconds
        endpoint.sent(ticket, SMALL, now_s)
        gone.append(now_s)
    assert gone == pytest.approx([5.0, 5.0 + 1 / 7, 5.0 + 2 / 7, 5.0 + 3 / 7])


def test_the_servers_figures_say_which_limit_refused():
    """Headers that show too few tokens left put the blame on tokens."""
    endpoint = Endpoint("e", told(tpm=60_000, rpm=600))
    endpoint.sent(1, SMALL, 0.0)
    report = LimitReport(requests=ServerLimit(600, 500, 10.0), tokens=ServerLimit(60_000, 3, 60.0))
    assert limited(endpoint, 1, report, 0.1) == ["tokens"]


def test_without_a_word_the_resource_most_used_is_blamed():
    """Of two known limits the one that came nearer to being used up; of unknown ones both."""
    endpoint = Endpoint("e", told(tpm=6_000_000, rpm=600))
    for ticket in range(20):
        endpoint.sent(ticket, SMALL, ticket / 20)
    assert limited(endpoint, 19, NOTHING, 1.0) == ["requests"]
    assert limited(endpoint, 18, NOTHING, 1.1) == []
    endpoint.sent(30, SMALL, 1.2)
    assert limited(endpoint, 30, NOTHING, 1.3) == ["requests"]
    unknown = Endpoint("e", told())
    unknown.sent(1, SMALL, 0.0)
    assert limited(unknown, 1, NOTHING, 0.1) == ["requests", "tokens"]


def blamed(quota, calls, seconds, amounts=SMALL):
    """What a refusal that names nothing cuts, after so many calls in so many seconds."""
    endpoint = Endpoint("e", quota)
    for ticket in range(calls):
        endpoint.sent(ticket, amounts, seconds * (ticket + 1) / calls)
    return sorted(limited(endpoint, calls - 1, NOTHING, seconds))


def test_of_a_known_limit_and_an_unknown_one_the_known_one_must_be_in_use_to_be_blamed():
    """Told 600 requests a minute and 60 used: it was the tokens. 550 used: it may be either."""
    assert blamed(told(rpm=600), 10, 10.0) == ["tokens"]
    assert blamed(told(rpm=600), 92, 10.0) == ["requests", "tokens"]
    heavy = amounts_of(1000.0, 0.0)
    assert blamed(told(tpm=600_000), 10, 10.0, heavy) == ["requests"]
    assert blamed(told(tpm=600_000), 92, 10.0, heavy) == ["requests", "tokens"]
    assert blamed(told(), 10, 10.0) == ["requests", "tokens"]


def test_limits_of_input_and_of_output_are_blamed_by_their_use():
    """Where they are known, tokens together are no question; the one that was used up is cut."""
    apart = told(rpm=6000, input_tpm=60_000, output_tpm=60_000)
    assert blamed(apart, 20, 1.0, amounts_of(900.0, 20.0)) == ["input_tokens"]
    assert blamed(apart, 20, 1.0, amounts_of(20.0, 900.0)) == ["output_tokens"]
    assert blamed(apart, 90, 1.0, amounts_of(1.0, 1.0)) == ["requests"]
    alike = amounts_of(800.0, 800.0)
    assert blamed(apart, 20, 1.0, alike) == ["input_tokens", "output_tokens"]
    assert blamed(told(input_tpm=60_000), 20, 1.0, amounts_of(900.0, 20.0)) == [
        "input_tokens",
        "requests",
    ]


def test_headers_set_the_rate_and_the_level():
    """The limit is the rate at once, and what remains is the level."""
    endpoint = Endpoint("e", told())
    report = LimitReport(requests=ServerLimit(60, 60, 0.0), tokens=ServerLimit(600, 50, None))
    assert reported(endpoint, report, 0.0) == ["requests", "tokens"]
    assert reported(endpoint, report, 0.0) == []
    assert endpoint.meters["tokens"].controller.rate_per_s == 10.0
    assert endpoint.wait(SMALL, 0.0) == Wait(5.0, "tokens")
    assert reported(endpoint, LimitReport(tokens=ServerLimit(None, 20)), 0.0) == []
    assert endpoint.wait(SMALL, 0.0).seconds == pytest.approx(7.9)
    for _ in range(8):  # more than we thought counts only when it is said again and again
        assert endpoint.wait(SMALL, 0.0).seconds > 0.0
        assert reported(endpoint, LimitReport(tokens=ServerLimit(None, 200)), 0.0) == []
    assert endpoint.wait(SMALL, 0.0).seconds == 0.0
    assert reported(endpoint, LimitReport(output_tokens=ServerLimit(None, 5)), 0.0) == []


def test_the_first_report_leaves_out_what_went_later():
    """Calls sent after the one that it answers are not in its figure yet; earlier ones are."""
    endpoint = Endpoint("e", told())
    for ticket, at_s in enumerate((0.0, 1.0, 2.0)):
        endpoint.sent(ticket, SMALL, at_s)
    endpoint.reported(LimitReport(tokens=ServerLimit(60_000, 500, 1.0)), 3.0, 1.0)
    assert endpoint.meters["tokens"].bucket.level(3.0) == pytest.approx(400.0)


def test_what_an_empty_bucket_took_back_is_not_given_back_again():
    """A call refused after the cut that emptied the bucket brings nothing: it had been counted."""
    endpoint = Endpoint("e", told(tpm=60_000))
    endpoint.sent(1, SMALL, 0.0)
    endpoint.sent(2, SMALL, 0.0)
    empty = LimitReport(resource="tokens")
    assert limited(endpoint, 1, empty, 0.1) == ["tokens"]
    assert endpoint.meters["tokens"].bucket.level(0.1) == 0.0
    assert limited(endpoint, 2, empty, 0.1) == []
    assert endpoint.meters["tokens"].bucket.level(0.1) == 0.0


def test_a_measured_refill_replaces_the_minute():
    """From remaining and reset the window and the size of the bucket are found."""
    endpoint = Endpoint("e", told())
    for left in range(120, 0, -10):
        limit = ServerLimit(600, left, (120 - left) / 60 + 0.0001)
        endpoint.reported(LimitReport(tokens=limit), 0.0)
    meter = endpoint.meters["tokens"]
    assert meter.window_s == pytest.approx(10.0, rel=0.01)
    assert meter.controller.rate_per_s == pytest.approx(60.0, rel=0.01)
    assert meter.bucket.capacity == pytest.approx(120.0, rel=0.05)


def test_a_fixed_window_is_waited_for():
    """Where all comes back at once at the end of the window, that is when the next call goes."""
    endpoint = Endpoint("e", told())
    for passed_s in range(50):
        limit = ServerLimit(100, max(0, 100 - 2 * passed_s), 60 - passed_s)
        endpoint.reported(LimitReport(requests=limit), float(passed_s))
    assert endpoint.wait(SMALL, 50.0).seconds < 10.0
    assert endpoint.meters["requests"].bucket.level(60.5) == 100.0


def test_what_only_a_text_says_counts_if_it_gives_the_rate():
    """A limit "per min" without what is missing is less than what was measured."""
    endpoint = Endpoint("e", told())
    bare = ServerLimit(60, 0, None, firm=False)
    assert reported(endpoint, LimitReport(requests=bare), 0.0) == []
    full = ServerLimit(6000, 0, 10.0, firm=False)
    assert reported(endpoint, LimitReport(tokens=full), 0.0) == ["tokens"]
    assert endpoint.meters["tokens"].controller.rate_per_s == 600.0


def test_a_full_endpoint_lets_as_many_in_as_fitted():
    """A 503 while three of ours are served means three; the next goes when one is done."""
    endpoint = Endpoint("e", told(rpm=60_000))
    for ticket in range(4):
        endpoint.sent(ticket, SMALL, 0.0)
    assert endpoint.overloaded(3, NOTHING, 0.1) is True
    assert endpoint.overloaded(3, NOTHING, 0.1) is False
    assert endpoint.wait(SMALL, 0.2) == Wait(inf, "concurrency")
    endpoint.ended(0, SMALL, 0.3)
    assert endpoint.wait(SMALL, 0.3).seconds == 0.0


def test_an_endpoint_that_serves_nobody_is_backed_off_from_and_breaks():
    """503 with none of ours inside: wait, longer each time, and at last open the breaker."""
    endpoint = Endpoint("e", told())
    now_s, waits = 0.0, []
    for ticket in range(9):
        wait_s = endpoint.wait(SMALL, now_s).seconds
        waits.append(wait_s)
        now_s += wait_s
        endpoint.sent(ticket, SMALL, now_s)
        endpoint.overloaded(ticket, NOTHING, now_s + 0.01)
        now_s += 0.01
    assert waits == pytest.approx([0.0, 0.5, 1.0, 2.0, 4.0, 10.0, 10.0, 10.0, 10.0])
    assert endpoint.retry_after.closed_for_s(now_s) == pytest.approx(8.0)  # its longest
    endpoint.sent(50, SMALL, now_s)
    endpoint.overloaded(50, LimitReport(retry_after_s=1.0), now_s)


def test_hung_calls_open_the_breaker_only_if_nobody_was_served():
    """A fifth of the calls hanging is no dead endpoint; all of them are."""
    alive, dead = Endpoint("a", told()), Endpoint("d", told())
    for ticket in range(100):
        now_s = ticket / 10
        alive.sent(ticket, SMALL, now_s)
        alive.sent(ticket + 1000, SMALL, now_s)
        alive.ended(ticket + 1000, SMALL, now_s + 0.05)
        alive.ended(ticket, None, now_s + 0.06, failed=True, hung=True)
        dead.sent(ticket, SMALL, now_s)
        dead.ended(ticket, None, now_s + 0.06, failed=True, hung=True)
        if dead.breaker.state is BreakerState.OPEN:
            break
    assert alive.breaker.state is BreakerState.CLOSED
    assert dead.breaker.state is BreakerState.OPEN
    assert dead.wait(SMALL, 2.0).cause == "breaker"


def test_time_passing_lets_a_rate_grow():
    """`next_s` says when, and `advance` says which."""
    endpoint = Endpoint("e", told())
    assert endpoint.next_s() == inf
    endpoint.sent(1, SMALL, 0.0)
    endpoint.sent(2, SMALL, 0.0)
    wait = endpoint.wait(SMALL, 0.0)
    assert wait.cause == "requests"
    assert endpoint.next_s() == inf  # to ask changes nothing; that somebody is held up does
    endpoint.held_up(SMALL, wait, 0.0)
    at_s = endpoint.next_s()
    assert advanced(endpoint, at_s) == ["requests"]
    assert advanced(endpoint, at_s) == []
