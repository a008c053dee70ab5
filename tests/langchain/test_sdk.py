"""The SDK inside a model, under management."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import httpx2
import pytest
from langchain_openai import AzureChatOpenAI, ChatOpenAI
from pydantic import Field, SecretStr
from tenacity import stop_after_attempt, wait_none

from agentrm_langchain import wrap_chat_model
from agentrm_langchain.model_facts import endpoint_of, max_output_of
from agentrm_langchain.sdk import watch_clients
from agentrm_openai import CoreObserver
from agentrm_plugins import RetryPolicy
from tests.langchain.fakes import FakeChat


def observers(client):
    return getattr(client._client._transport, "observer", None)


@pytest.mark.parametrize("kind", ["openai", "azure"])
def test_openai_models_get_quiet_and_seen_clients(kind, core):
    """No retries of their own, transports that the core sees; the user's clients stay."""
    if kind == "openai":
        bare = ChatOpenAI(api_key="test-key", model="gpt-4o", max_retries=3)
    else:
        bare = AzureChatOpenAI(
            api_key="test-key",
            azure_endpoint="https://there.openai.azure.com",
            azure_deployment="mine",
            api_version="2024-10-21",
            max_retries=3,
        )
    rm = core()
    inner = wrap_chat_model(bare, rm).inner
    for client, original in (
        (inner.root_client, bare.root_client),
        (inner.root_async_client, bare.root_async_client),
    ):
        assert (client.max_retries, original.max_retries) == (0, 3)
        assert isinstance(observers(client), CoreObserver)
        assert observers(original) is None
        assert type(client) is type(original)
    assert inner.client._client is inner.root_client
    again = wrap_chat_model(inner, rm).inner
    assert observers(again.root_client) is observers(inner.root_client)


def test_anthropics_models_too(core):
    """Their SDK is of the same make."""
    anthropic = pytest.importorskip("langchain_anthropic")
    bare = anthropic.ChatAnthropic(api_key="test-key", model_name="claude-sonnet-4-5")
    inner = wrap_chat_model(bare, core()).inner
    for name in ("_client", "_async_client"):
        client, original = getattr(inner, name), getattr(bare, name)
        assert (client.max_retries, original.max_retries) == (0, bare.max_retries)
        assert isinstance(observers(client), CoreObserver)
        assert observers(original) is None
    name = endpoint_of(inner, {}, {})
    assert name.startswith("api.anthropic.com/claude-sonnet-4-5#")


def test_other_models_stay_as_they_are(core):
    """Of a model of an unknown kind nothing is changed, and its endpoint is as it says."""
    bare = FakeChat()
    assert wrap_chat_model(bare, core()).inner is bare
    assert endpoint_of(bare, {}, {}) == "fake/fake-1"
    assert endpoint_of(bare, {}, {"model": "other"}) == "fake/other"


def test_an_endpoint_follows_its_model_wherever_it_is_changed(core):
    """A name, host, key or bound that is set later counts from the next call on, as retries do."""
    bare = ChatOpenAI(api_key="test-key", model="one", base_url="https://a.example/v1")
    first = endpoint_of(bare, {}, {})
    assert first.startswith("a.example/one#")
    bare.model_name = "two"
    assert endpoint_of(bare, {}, {}) == first.replace("one", "two")
    assert endpoint_of(bare, {}, {"model": "three"}) == first.replace("one", "three")
    assert max_output_of(bare, {}) is None
    bare.max_tokens, bare.n = 10, 3
    assert max_output_of(bare, {}) == 30
    assert max_output_of(bare, {"max_tokens": 4}) == 12
    assert max_output_of(bare, {"n": 2}) == 20

    class Hosted(FakeChat):
        endpoint_url: str = "https://b.example/v1"
        model_name: str = "mine"
        my_api_key: SecretStr = SecretStr("test-key")

    hosted = Hosted()
    assert endpoint_of(hosted, {}, {}) == first.replace("a.example/one", "b.example/mine")
    hosted.my_api_key = SecretStr("other-key")
    assert endpoint_of(hosted, {}, {}).split("#")[1] != first.split("#")[1]

    class Broken(FakeChat):
        def _generate(self, *args, **kwargs):
            self.calls.append("_generate")
            raise ConnectionError("broken")

    tries = RetryPolicy(stop=stop_after_attempt(3), wait=wait_none())
    model = wrap_chat_model(Broken(), core(), retry=tries)
    model.retry = None
    with pytest.raises(ConnectionError):
        model.invoke("hi")
    assert len(model.inner.calls) == 1


class PlainChat(FakeChat):
    """Asks through HTTP clients that are fields of its own, as Mistral's model does."""

    client: Any = None
    async_client: Any = None
    url: str = ""
    api_key: str = "test-key"
    calls: list[str] = Field(default_factory=list)

    @property
    def base_url(self):
        return self.url

    def _send(self):
        body = {"model": self.model_name, "messages": []}
        headers = {"authorization": f"Bearer {self.api_key}"}
        return {"url": f"{self.url}/chat/completions", "json": body, "headers": headers}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.client.post(**self._send()).raise_for_status()
        return super()._generate(messages, stop, run_manager, **kwargs)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        (await self.async_client.post(**self._send())).raise_for_status()
        return super()._generate(messages, stop, run_manager, **kwargs)


LIMITS = {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59"}


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("is_async", [False, True])
def test_plain_http_clients_of_a_model_are_seen(library, is_async, core):
    """Limits that good answers name are learnt; the user's own clients stay as they are."""
    answer = library.MockTransport(lambda request: library.Response(200, headers=LIMITS, json={}))
    bare = PlainChat(
        url="http://somewhere/v1",
        client=library.Client(transport=answer),
        async_client=library.AsyncClient(transport=answer),
    )
    rm = core()
    wrapped = wrap_chat_model(bare, rm)
    if is_async:
        asyncio.run(wrapped.ainvoke("hi"))
    else:
        wrapped.invoke("hi")
    [endpoint] = rm.statistics().endpoints.values()
    assert (endpoint.rates["requests"].limit_per_min, endpoint.limit_hits) == (60, 0)
    assert bare.client._transport is bare.async_client._transport is answer
    bare.client.close()
    asyncio.run(bare.async_client.aclose())


def test_a_callback_sees_plain_clients_too(core):
    """It puts nothing in their place: it looks at what passes."""
    answer = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=LIMITS, json={}))
    with httpx2.Client(transport=answer) as client:
        bare = PlainChat(url="http://somewhere/v1", client=client)
        assert watch_clients(bare, core())
        assert isinstance(client._transport.observer, CoreObserver)
