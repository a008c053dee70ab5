from __future__ import annotations

import contextlib
import threading

import httpx
import httpx2
import openai
import pytest

from agentrm_openai import observe_client
from agentrm_plugins.testing.provider import SimulatedProvider

CLIENTS = {
    "httpx2": (httpx2.Client, httpx2.AsyncClient),
    "httpx": (httpx.Client, httpx.AsyncClient),
}


class Recorder:
    """Writes down what the transports say, and lets a test set timeouts and abort."""

    def __init__(self, first_timeout_s=None, silence_timeout_s=None):
        self.first_timeout_s = first_timeout_s
        self.silence_timeout_s = silence_timeout_s
        self.exchanges, self.words, self.answers, self.errors = [], [], [], []
        self.answered = threading.Event()
        self.requested = threading.Event()
        self.begun = threading.Event()

    def on_request(self, exchange, now_s):
        exchange.first_timeout_s = self.first_timeout_s
        exchange.silence_timeout_s = self.silence_timeout_s
        self.exchanges.append(exchange)
        self.words.append("request")
        self.requested.set()

    def on_response(self, exchange, answer, now_s):
        self.answers.append(answer)
        self.words.append("response")
        self.answered.set()

    def on_bytes(self, exchange, size, now_s):
        if self.words[-1] != "bytes":
            self.words.append("bytes")
        self.begun.set()

    def on_error(self, exchange, error, now_s):
        self.errors.append(error)
        self.words.append("error")

    def on_end(self, exchange, now_s):
        self.words.append("end")


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def start():
    """Start a provider with these settings; all are closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(SimulatedProvider(**settings))


@pytest.fixture(params=["httpx2", "httpx"])
def sync_ai(request, recorder):
    """The real SDK over an observed client of either library."""
    made = []

    def build(provider, **options):
        client = observe_client(CLIENTS[request.param][0](timeout=20), recorder)
        made.append(client)
        defaults = {"api_key": "test-key", "max_retries": 0, "http_client": client}
        return openai.OpenAI(base_url=provider.base_url, **{**defaults, **options})

    yield build
    for client in made:
        client.close()


@pytest.fixture(params=["httpx2", "httpx"])
def async_ai(request, recorder):
    def build(provider, **options):
        client = observe_client(CLIENTS[request.param][1](timeout=20), recorder)
        defaults = {"api_key": "test-key", "max_retries": 0, "http_client": client}
        return openai.AsyncOpenAI(base_url=provider.base_url, **{**defaults, **options})

    return build
