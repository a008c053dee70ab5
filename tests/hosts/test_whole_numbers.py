"""What Python takes for an index is a whole number at every door, and is kept as Python's own."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest

from agentrm_plugins import AgentRM, Config, LaneGroup, LeaseConfig, Usage
from agentrm_plugins.config import BreakerConfig, EndpointConfig, RetryConfig, SchedulerConfig
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.types.calls import Call


class Whole:
    """A whole number of another library."""

    def __init__(self, value):
        self.value = value

    def __index__(self):
        return self.value


class Truth:
    """A truth of another library, which is no number: numpy's says so when it is asked."""

    def __index__(self):
        raise TypeError


DOORS = {
    "usage": lambda n: Usage(n, n, n).input_tokens,
    "most output": lambda n: Call("ada", max_output_tokens=n).max_output_tokens,
    "lanes": lambda n: Config(lanes=n).lanes,
    "max_waiting": lambda n: Config(max_waiting=n).max_waiting,
    "group": lambda n: LaneGroup("tools", n, per_agent=n).capacity,
    "queues": lambda n: SchedulerConfig(boost_interval=n).boost_interval,
    "start level": lambda n: SchedulerConfig(start_levels={"batch": n}).start_levels["batch"],
    "concurrency": lambda n: EndpointConfig(concurrency=n).concurrency,
    "attempts": lambda n: RetryConfig(attempts=n).attempts,
    "breaker": lambda n: BreakerConfig(least_calls=n).least_calls,
}


@pytest.mark.parametrize("door", DOORS)
def test_it_is_taken_and_kept_as_a_plain_number(door):
    """So it can be written as JSON, and no step behind the door meets a stranger."""
    kept = DOORS[door](Whole(3))
    assert (type(kept), json.dumps(kept)) == (int, "3")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("given", [True, Truth(), 3.0, "3", Whole(-1)])
def test_what_is_none_is_refused(door, given):
    """Truths, floats and words are no counts; neither is one that nothing can have."""
    with pytest.raises(ConfigError):
        DOORS[door](given)


def test_a_call_tells_of_itself_in_numbers_of_numpy():
    """Beats and usage are charged; what the core is asked for is answered."""
    numpy = pytest.importorskip("numpy")
    with AgentRM(lanes=numpy.int32(2)) as rm:
        with rm.slot(agent="ada") as lease:
            lease.beat(numpy.int64(4))
            for wrong in (numpy.bool_(1), numpy.float64(4)):
                with pytest.raises(ConfigError):
                    lease.beat(wrong)
            lease.settle(Usage(numpy.uint8(7), numpy.int64(5)))
        seen = rm.statistics(agents=numpy.int64(1))
        assert (seen.input_tokens, seen.output_tokens, list(seen.agents)) == (7, 5, ["ada"])


SECONDS = {
    "patience": lambda n: Call("ada", wait_timeout_s=n).wait_timeout_s,
    "lease": lambda n: LeaseConfig(total_timeout_s=n).total_timeout_s,
    "core": lambda n: Config(endpoint_wait_timeout_s=n).endpoint_wait_timeout_s,
    "rate": lambda n: EndpointConfig(rpm=n).rpm,
    "retries": lambda n: RetryConfig(total_s=n).total_s,
    "breaker": lambda n: BreakerConfig(share=n / 10).share,
}


@pytest.mark.parametrize("door", SECONDS)
@pytest.mark.parametrize("kind", ["int16", "uint8", "float32", "float64"])
def test_numbers_of_numpy_are_numbers_wherever_pythons_are(door, kind):
    """Seconds, rates and shares may be whole or not; Python's own number is kept."""
    numpy = pytest.importorskip("numpy")
    kept = SECONDS[door](getattr(numpy, kind)(5))
    assert type(kept) in {int, float}
    assert kept == SECONDS[door](5)


@pytest.mark.parametrize("door", SECONDS)
def test_a_fraction_beyond_all_floats_is_refused_politely(door):
    """As a whole number of that size is; another fraction is kept as Python's own number."""
    assert type(SECONDS[door](Fraction(10, 3))) is float
    with pytest.raises(ConfigError):
        SECONDS[door](Fraction(10**400, 3))


@pytest.mark.parametrize("given", ["nan", "inf", "-1"])
def test_what_is_no_number_of_seconds_is_refused(given):
    """As Python's own is; nor is a truth a number."""
    numpy = pytest.importorskip("numpy")
    for wrong in (numpy.float32(given), numpy.bool_(1), numpy.array([5.0])):
        with pytest.raises(ConfigError):
            SECONDS["lease"](wrong)
