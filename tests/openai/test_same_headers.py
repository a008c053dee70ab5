"""A managed client sends the headers that the bare one sends."""

from __future__ import annotations

import httpx2
import openai
import pytest

from agentrm_openai import manage_client
from agentrm_plugins import AgentRM

PER_REQUEST = {"idempotency-key", "x-stainless-retry-count", "x-stainless-read-timeout"}


class House(openai.OpenAI):
    """A user's own client, which the SDK names after its class."""


def headers(kind, managed, ask):
    """What one request carries."""
    sent = []

    def answer(request):
        sent.append({k: v for k, v in request.headers.items() if k not in PER_REQUEST})
        return httpx2.Response(400, json={"error": {"message": "no", "code": "invalid_prompt"}})

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    with kind(api_key="k", base_url="http://house.example", http_client=http) as bare:
        with AgentRM() as rm, pytest.raises(openai.BadRequestError):
            ask(manage_client(bare, rm) if managed else bare)
    return sent


def chat(client):
    client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])


def helper(client):
    with client.responses.stream(model="m", input="hi") as stream:
        list(stream)


@pytest.mark.parametrize("kind", [openai.OpenAI, House])
@pytest.mark.parametrize("ask", [chat, helper])
def test_its_headers_are_those_of_the_bare_client(kind, ask):
    """The user agent too, by which gateways count, and no mark of a helper."""
    sent = headers(kind, True, ask)
    assert sent == headers(kind, False, ask)
    assert sent[0]["user-agent"].startswith(f"{kind.__name__}/Python ")


def test_its_class_is_called_as_the_bare_one_is():
    """In errors and in the SDK's own `repr`."""
    with openai.OpenAI(api_key="k") as bare, AgentRM() as rm:
        managed = manage_client(bare, rm)
        assert type(managed).__name__ == "OpenAI"
        assert type(managed.with_options(timeout=1)).__name__ == "OpenAI"
