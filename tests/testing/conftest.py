from __future__ import annotations

import contextlib

import httpx2
import pytest
from langchain_openai import ChatOpenAI

from agentrm_plugins.testing.provider import SimulatedProvider


@pytest.fixture
def start():
    """Start a provider with these settings; all are closed at the end of the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **settings: stack.enter_context(SimulatedProvider(**settings))


@pytest.fixture
def chat():
    """A ChatOpenAI for a provider, with a client of its own that is closed at the end."""
    with contextlib.ExitStack() as stack:

        def build(provider, **settings):
            client = stack.enter_context(httpx2.Client(timeout=settings.get("timeout", 5)))
            defaults = {
                "base_url": provider.base_url,
                "api_key": "test-key",
                "model": "simulated",
                "max_retries": 0,
                "stream_usage": True,
                "http_client": client,
                "timeout": 5,
            }
            return ChatOpenAI(**{**defaults, **settings})

        yield build
