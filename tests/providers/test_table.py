"""The table of `docs/providers.md`: each cell, with the provider's own package on loopback."""

from __future__ import annotations

import asyncio

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config, RetryPolicy
from agentrm_plugins.policy.endpoint.retry_class import classify
from agentrm_plugins.types.verdicts import Kind
from tests.providers.models import PACKAGES, good, model_of
from tests.providers.shapes import SHAPES

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
TWICE = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
NAMES = list(PACKAGES)


def call(model, rm):
    return wrap_chat_model(model, rm, retry=TWICE).invoke("hi")


def refused(name, loopback, answer):
    """What the wrapped model raises where the provider always answers so."""
    status, headers, body = answer
    loopback.always(status, body, **headers)
    with AgentRM(Config(lanes=4)) as rm, pytest.raises(Exception, match=r".*") as caught:
        call(model_of(name, loopback.url), rm)
    return caught.value


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_read_and_asked_again(name, loopback):
    """Two requests: the refusal and the answer; the endpoint has heard of the limit."""
    status, headers, body = SHAPES[name].limit
    loopback.once(status, body, good(name), **headers)
    with AgentRM(Config(lanes=4)) as rm:
        assert call(model_of(name, loopback.url), rm).text == "hi"
        [endpoint] = rm.statistics().endpoints.values()
    assert len(loopback.requests) == 2
    assert endpoint.limit_hits == 1


@pytest.mark.parametrize("name", NAMES)
def test_a_limit_is_read_in_async_calls_too(name, loopback):
    """The same through `ainvoke`."""
    status, headers, body = SHAPES[name].limit
    loopback.once(status, body, good(name), **headers)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of(name, loopback.url), rm, retry=TWICE)
        assert asyncio.run(model.ainvoke("hi")).text == "hi"
    assert len(loopback.requests) == 2


@pytest.mark.parametrize("name", NAMES)
def test_no_money_is_asked_once(name, loopback):
    """An account that has to be paid first, or a key that is refused: one request."""
    error = refused(name, loopback, SHAPES[name].billing)
    assert len(loopback.requests) == 1
    assert classify(error).kind is Kind.PERMANENT


@pytest.mark.parametrize("name", NAMES)
def test_too_long_is_told_apart(name, loopback):
    """One request, and what was wrong is named."""
    error = refused(name, loopback, SHAPES[name].too_long)
    assert len(loopback.requests) == 1
    assert classify(error).why == "too_long"


@pytest.mark.parametrize("name", NAMES)
def test_no_room_is_asked_again(name, loopback):
    """A provider that is overloaded: as often as the policy allows."""
    error = refused(name, loopback, SHAPES[name].overloaded)
    assert len(loopback.requests) == 2
    assert classify(error).kind is Kind.OVERLOADED


@pytest.mark.parametrize("name", NAMES)
def test_limits_and_usage_are_read(name, loopback):
    """Seven tokens in and three out; the limit where good answers name one."""
    shape = SHAPES[name]
    loopback.always(200, good(name), **shape.headers)
    with AgentRM(Config(lanes=4)) as rm:
        call(model_of(name, loopback.url), rm)
        statistics = rm.statistics()
    [endpoint] = statistics.endpoints.values()
    assert sum(agent.tokens for agent in statistics.agents.values()) == 10
    if shape.learnt is not None:
        resource, per_minute = shape.learnt
        limit = endpoint.rates[resource]
        assert (limit.limit_per_min, limit.source) == (per_minute, "server")


@pytest.mark.parametrize("name", [name for name in NAMES if SHAPES[name].learnt])
def test_limits_are_read_in_async_calls_too(name, loopback):
    """The async client is another one, whose answers' headers are seen as well."""
    shape = SHAPES[name]
    loopback.always(200, good(name), **shape.headers)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of(name, loopback.url), rm, retry=TWICE)
        assert asyncio.run(model.ainvoke("hi")).text == "hi"
        [endpoint] = rm.statistics().endpoints.values()
    resource, per_minute = shape.learnt
    assert endpoint.rates[resource].limit_per_min == per_minute
