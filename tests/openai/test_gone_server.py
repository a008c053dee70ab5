"""Refused connections and the breaker, over real sockets: a server that has gone, and none yet."""

from __future__ import annotations

import socket

import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, BreakerConfig, EndpointUnavailable
from agentrm_plugins.testing.provider import ProviderConfig, SimulatedProvider

SAID = [{"role": "user", "content": "hello"}]


def ask(client, rm):
    managed = manage_client(client, rm, retry=None)
    return managed.chat.completions.create(model="gpt-4o", messages=SAID)


def only(rm):
    (endpoint,) = rm.statistics().endpoints.values()
    return endpoint


def test_refused_connections_open_the_breaker_of_a_server_that_answered_before():
    """Nineteen beside the answer are enough; the next call is refused without a request."""
    provider = SimulatedProvider(ProviderConfig(time_to_first_token_s=0.001))
    with AgentRM(lanes=2, breaker=BreakerConfig(cool_down_s=3600.0)) as rm:
        with provider, openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            assert ask(client, rm).choices
        with openai.OpenAI(base_url=provider.base_url, api_key="k") as client:
            for _ in range(19):
                assert only(rm).breaker == "closed"
                with pytest.raises(openai.APIConnectionError):
                    ask(client, rm)
            assert only(rm).breaker == "open"
            with pytest.raises(EndpointUnavailable):
                ask(client, rm)
        assert (only(rm).sent, only(rm).failures) == (20, 19)


def test_refused_connections_open_no_breaker_where_nobody_ever_answered():
    """The server may be starting: the first call after it listens is answered at once."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens there, and nobody else can
        base_url = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        with AgentRM(lanes=2) as rm, openai.OpenAI(base_url=base_url, api_key="k") as client:
            for _ in range(32):
                with pytest.raises(openai.APIConnectionError):
                    ask(client, rm)
            assert (only(rm).sent, only(rm).failures, only(rm).breaker) == (32, 32, "closed")
