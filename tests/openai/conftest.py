from __future__ import annotations

import contextlib
import threading

import pytest

from agentrm_plugins.testing.provider import SimulatedProvider


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
