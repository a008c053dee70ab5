"""Under management each request of an SDK is one of ours: its own retries are off."""

from __future__ import annotations

import asyncio

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config, RetryPolicy
from tests.providers.models import PACKAGES, model_of

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
ONCE = RetryPolicy(stop=tenacity.stop_after_attempt(1))
THRICE = RetryPolicy(stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_none())
ERROR = {"error": {"message": "internal", "type": "server_error", "code": None}}


@pytest.mark.parametrize("status", [500, 429])
@pytest.mark.parametrize("name", list(PACKAGES))
def test_one_request_for_each_attempt(name, status, loopback):
    """One attempt is one request, sync and async; three are three."""
    loopback.always(status, ERROR, **{"retry-after": "0"})
    model = model_of(name, loopback.url)
    with AgentRM(Config(lanes=4)) as rm:
        with pytest.raises(Exception, match=r".*"):
            wrap_chat_model(model, rm, retry=ONCE).invoke("hi")
        assert len(loopback.requests) == 1
        with pytest.raises(Exception, match=r".*"):
            asyncio.run(wrap_chat_model(model, rm, retry=ONCE).ainvoke("hi"))
        assert len(loopback.requests) == 2
        with pytest.raises(Exception, match=r".*"):
            wrap_chat_model(model, rm, retry=THRICE).invoke("hi")
        assert len(loopback.requests) == 5


@pytest.mark.parametrize("name", list(PACKAGES))
def test_the_users_model_stays_as_it_is(name, loopback):
    """What was wrapped keeps its own clients and its own number of retries."""
    model = model_of(name, loopback.url)
    before = dict(model.__dict__)
    with AgentRM(Config(lanes=4)) as rm:
        wrap_chat_model(model, rm, retry=ONCE)
    assert all(model.__dict__[key] is value for key, value in before.items())
