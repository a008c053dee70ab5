"""What does more at the provider than answer is sent once; a client's timeout is its limit."""

from __future__ import annotations

import httpx2
import pytest
from openai import OpenAI

from agentrm_openai.requests import Terms
from agentrm_plugins import AgentRM
from agentrm_plugins.hosts.sending import client_timeout_s, is_sent_once

FUNCTION = {"type": "function", "function": {"name": "f"}}


@pytest.mark.parametrize(
    ("body", "responses", "once"),
    [
        ({}, False, False),
        ({"tools": [FUNCTION]}, False, False),
        ({"tools": [{"name": "f", "input_schema": {}}]}, False, False),
        ({"tools": [{"name": "f", "parameters": {}}]}, False, False),
        ({"tools": [{"type": "custom", "name": "f"}]}, False, False),
        ({"tools": [FUNCTION, {"type": "web_search"}]}, False, True),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, False, True),
        ({"tools": [{"google_search": {}}]}, False, True),
        ({"web_search_options": {}}, False, False),
        ({"web_search_options": {"search_context_size": "low"}}, False, True),
        ({"store": True}, False, True),
        ({}, True, True),
        ({"store": True}, True, True),
        ({"store": False}, True, False),
        ({"store": False, "background": True}, True, True),
        ({"store": False, "conversation": "conv_1"}, True, True),
        ({"store": False, "tools": [{"type": "code_interpreter"}]}, True, True),
    ],
)
def test_what_is_sent_once(body, responses, once):
    """Stored, in the background, in a conversation, with tools that the provider runs."""
    assert is_sent_once(body, responses=responses) is once


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (5, 5.0),
        (0.5, 0.5),
        ((1, 7), 7.0),
        (httpx2.Timeout(3), 3.0),
        (httpx2.Timeout(3, read=9), 9.0),
        (httpx2.Timeout(None), 1e9),
        (None, None),
        ("5", None),
        (0, None),
        (-1, None),
        (True, None),
        (float("inf"), None),
        ((1,), None),
    ],
)
def test_a_clients_timeout(given, seconds):
    """In each form that the SDKs take; what is none is not heard."""
    assert client_timeout_s(given) == seconds


class Options:
    """A request as the SDK has it."""

    def __init__(self, timeout, url="/chat/completions"):
        self.timeout, self.url = timeout, url
        self.json_data = {"model": "m"}


@pytest.mark.parametrize(
    ("client", "request_s", "first_s", "total_s", "source"),
    [
        ({}, None, None, None, ""),
        ({"timeout": 5}, None, 5, None, "the client's timeout"),
        ({"timeout": 900}, None, 900, 900, "the client's timeout"),
        ({}, 7, 7, None, "the client's timeout"),
        ({"timeout": None}, None, 1e9, 1e9, "the client's timeout"),
    ],
)
def test_the_limits_of_a_call(client, request_s, first_s, total_s, source):
    """The request's own timeout, or else the client's, if somebody set one."""
    from openai import NOT_GIVEN

    ai = OpenAI(api_key="k", base_url="http://127.0.0.1:1", **client)
    terms = Terms(None, None, None, "model", None, None, None, None)
    with AgentRM(lanes=1) as rm:
        options = Options(NOT_GIVEN if request_s is None else request_s)
        call = terms.call(rm, ai, options, {}, streaming=False)
    limits = (call.first_token_timeout_s, call.total_timeout_s, call.timeout_source)
    assert limits == (first_s, total_s, source)


@pytest.mark.parametrize(
    ("body", "hedge", "once"),
    [
        ({}, True, False),
        ({"store": True}, False, False),
        ({"background": True}, False, True),
        ({"tools": [{"type": "web_search"}]}, False, True),
    ],
)
def test_a_call_says_so(body, hedge, once):
    """What is only stored is not sent beside itself, but after a hang; what acts is not at all."""
    from openai import NOT_GIVEN

    ai = OpenAI(api_key="k", base_url="http://127.0.0.1:1")
    terms = Terms(None, None, None, "model", None, None, None, None)
    options = Options(NOT_GIVEN)
    options.json_data |= body
    with AgentRM(lanes=1) as rm:
        call = terms.call(rm, ai, options, {}, streaming=False)
    assert (call.hedge, call.once) == (hedge, once)
