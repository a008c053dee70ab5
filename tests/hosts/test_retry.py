"""`RetryPolicy`: any of tenacity's objects, alone and combined, and the total deadline."""

from __future__ import annotations

import itertools
import socket
from types import SimpleNamespace

import httpx2
import openai
import pytest
import tenacity
import tenacity.asyncio

from agentrm_plugins.errors import CallReaped, ConfigError
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.hosts.retry import RetryPolicy, within


class Answered(Exception):
    """A provider's error, with its status and headers."""

    def __init__(self, status_code=500, **headers):
        super().__init__(f"status {status_code}")
        self.status_code = status_code
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.response = SimpleNamespace(headers=named)


def wrapped(error):
    """An error as an SDK raises it: its own, from the HTTP library's, from the socket's."""
    try:
        try:
            raise error
        except OSError as cause:
            raise httpx2.ConnectError("no connection") from cause
    except httpx2.ConnectError as cause:
        own = openai.APIConnectionError(request=httpx2.Request("POST", "http://nowhere"))
        own.__cause__ = cause
        return own


def asked(policy, error, *times, paced):
    """What the policy says to an error, judged as the flow does it."""
    return policy.wait_s(error, judge(error), *times, paced=paced)


def attempts(policy, error, *, each_s=1.0, most=100, paced=False):
    """The waits before each further attempt, each of which takes `each_s`, until it gives up."""
    now_s, waits = 0.0, []
    for attempt in range(1, most):
        now_s += each_s
        wait_s = asked(policy, error, attempt, 0.0, now_s, paced=paced)
        if wait_s is None:
            return waits
        waits.append(wait_s)
        now_s += wait_s
    raise AssertionError("it never gives up")


def test_by_default_sixteen_attempts_or_ten_minutes():
    """Whichever comes first; a server's time that lies beyond the deadline is not waited for.

    A provider that answers 500 each time is given up after eight, and so is one to which there is
    no connection; one without room after five: a fallback can act within seconds.
    """
    policy = RetryPolicy()
    assert len(attempts(policy, ConnectionResetError())) == 15
    assert len(attempts(policy, ConnectionResetError(), each_s=100.0)) == 5
    assert len(attempts(policy, Answered())) == 7
    assert len(attempts(policy, Answered(503))) == 4
    assert len(attempts(policy, ConnectionRefusedError())) == 7
    assert len(attempts(policy, wrapped(socket.gaierror("no such host")))) == 7
    assert asked(policy, Answered(429, retry_after="500"), 1, 0.0, 1.0, paced=True) == 0.0
    assert asked(policy, Answered(429, retry_after="3600"), 1, 0.0, 1.0, paced=True) is None
    assert asked(policy, Answered(429, retry_after="500"), 1, 0.0, 101.0, paced=True) is None
    for nonsense in ("-7", "soon", ""):
        error = Answered(429, retry_after=nonsense)
        assert asked(policy, error, 1, 0.0, 1.0, paced=True) == 0.0


@pytest.mark.parametrize("written", [3, 30])
@pytest.mark.parametrize(
    "error", [ConnectionResetError(), Answered(), Answered(503), ConnectionRefusedError()]
)
def test_a_number_of_attempts_that_is_written_holds_for_every_failure(written, error):
    """More than the policy's own limits, or fewer; the total time bounds it still."""
    assert len(attempts(within(written, 600.0, 8.0), error)) == written - 1
    assert len(attempts(within(written, 2.5, 8.0), error)) == 2


def test_who_writes_another_bound_keeps_the_policy_s_attempts():
    """A longer time or pause alone makes no call go more often."""
    usual = within(None, 900.0, 60.0)
    assert len(attempts(usual, ConnectionResetError())) == 15
    assert len(attempts(usual, Answered())) == 7
    assert len(attempts(usual, Answered(503))) == 4


@pytest.mark.parametrize(
    ("stop", "waits"),
    [
        (tenacity.stop_never | tenacity.stop_after_attempt(3), 2),
        (tenacity.stop_after_attempt(3) & tenacity.stop_after_delay(5), 4),
        (tenacity.stop_any(tenacity.stop_after_attempt(9), tenacity.stop_after_delay(2)), 1),
        (tenacity.stop_all(tenacity.stop_after_attempt(2), tenacity.stop_after_delay(3)), 2),
        (lambda state: state.attempt_number >= 4, 3),
    ],
)
def test_stops_alone_and_combined(stop, waits):
    """Each sees the attempt's number and the time since the first."""
    policy = RetryPolicy(stop=stop, wait=tenacity.wait_none())
    assert attempts(policy, Answered()) == [0.0] * waits


@pytest.mark.parametrize(
    ("wait", "expected"),
    [
        (tenacity.wait_fixed(2) + tenacity.wait_fixed(1), [3.0, 3.0, 3.0]),
        (tenacity.wait_chain(*(tenacity.wait_fixed(n) for n in (1, 5))), [1.0, 5.0, 5.0]),
        (tenacity.wait_exponential(multiplier=1, max=3), [1.0, 2.0, 3.0]),
        (tenacity.wait_incrementing(start=1, increment=2), [1.0, 3.0, 5.0]),
        (sum([tenacity.wait_fixed(1), tenacity.wait_fixed(4)]), [5.0, 5.0, 5.0]),
        (lambda state: 10.0 * state.attempt_number, [10.0, 20.0, 30.0]),
        (tenacity.wait_fixed(-1), [0.0, 0.0, 0.0]),
    ],
)
def test_waits_alone_and_combined(wait, expected):
    """Each is asked once a failure; less than nothing is nothing."""
    assert attempts(RetryPolicy(stop=tenacity.stop_after_attempt(4), wait=wait), Answered()) == (
        expected
    )


@pytest.mark.parametrize(
    ("retry", "curable", "final"),
    [
        (tenacity.retry_if_exception_type(KeyError), KeyError(), ValueError()),
        (tenacity.retry_if_not_exception_type(KeyError), ValueError(), KeyError()),
        (tenacity.retry_if_exception_message(match="again"), ValueError("again"), ValueError("no")),
        (
            tenacity.retry_if_exception_type(KeyError)
            | tenacity.retry_if_exception_message("again"),
            ValueError("again"),
            ValueError("no"),
        ),
        (
            tenacity.retry_if_exception_type(ValueError)
            & tenacity.retry_if_exception_message("again"),
            ValueError("again"),
            KeyError("again"),
        ),
        (
            tenacity.retry_any(tenacity.retry_never, tenacity.retry_if_exception_type(KeyError)),
            KeyError(),
            ValueError(),
        ),
        (lambda state: "x" in str(state.outcome.exception()), ValueError("x"), ValueError("y")),
    ],
)
def test_retries_alone_and_combined(retry, curable, final):
    """They replace our own judgement: what they say goes, for better or worse."""
    policy = RetryPolicy(retry=retry, wait=tenacity.wait_none())
    assert asked(policy, curable, 1, 0.0, 1.0, paced=False) == 0.0
    assert asked(policy, final, 1, 0.0, 1.0, paced=False) is None


def test_a_retrys_own_words_are_those_of_tenacity():
    """The state has what tenacity's own loop would show, of this attempt."""
    seen = []

    def wait(state):
        seen.append(state)
        return 0.0

    error = Answered()
    asked(RetryPolicy(wait=wait), error, 3, 10.0, 17.0, paced=False)
    (state,) = seen
    assert (state.attempt_number, state.seconds_since_start) == (3, 7.0)
    assert state.outcome.failed
    assert state.outcome.exception() is error


def test_the_wait_is_not_asked_where_the_core_knows_better():
    """After a limit or a hang at a known endpoint; else it is, and never for what is no error."""
    times = itertools.count()
    policy = RetryPolicy(wait=lambda _: float(next(times)))
    assert asked(policy, Answered(429), 1, 0.0, 0.0, paced=True) == 0.0
    assert asked(policy, CallReaped("silent"), 1, 0.0, 0.0, paced=True) == 0.0
    assert next(times) == 0
    assert asked(policy, Answered(500), 1, 0.0, 0.0, paced=True) == 1.0
    assert asked(policy, Answered(429), 1, 0.0, 0.0, paced=False) == 2.0
    assert asked(policy, KeyboardInterrupt(), 1, 0.0, 0.0, paced=False) is None


async def _later(_):
    return True


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("stop", 3, "stop_after_attempt"),
        ("wait", "a while", "wait_exponential_jitter"),
        ("retry", KeyError(), "retry_if_exception_type"),
        ("retry", tenacity.asyncio.retry_if_exception(_later), "awaited"),
        ("stop", _later, "awaited"),
    ],
)
def test_what_is_no_policy_is_refused_at_once(name, given, words):
    """Before the first failure, with the field and the way out; also what must be awaited."""
    with pytest.raises(ConfigError, match=words) as error:
        RetryPolicy(**{name: given})
    assert error.value.field == name


def test_a_wait_that_the_server_names_is_the_least_after_any_failure():
    """An SDK obeys it at 500, 502 or 409 as well; only the core waits for it at a limit."""
    policy = RetryPolicy(wait=tenacity.wait_none())
    for status in (500, 502, 504, 408, 409, 425):
        assert asked(policy, Answered(status, retry_after="2"), 1, 0.0, 1.0, paced=True) == 2.0
    assert asked(policy, Answered(500, retry_after=None), 1, 0.0, 1.0, paced=True) == 0.0
