"""What the core knows of endpoints when LangChain models call them: over HTTP."""

from __future__ import annotations

import asyncio
import time

import httpx2
import openai
import pytest
import tenacity
from langchain_core.messages import HumanMessage
from langchain_openai import AzureChatOpenAI, ChatOpenAI

from agentrm_langchain import AgentRMCallbackHandler, wrap_chat_model
from agentrm_plugins import CallRefused, RetryPolicy
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.errors import CallTooLarge, EndpointUnavailable
from agentrm_plugins.testing.provider import (
    ModelConfig,
    Reply,
    Status,
)
from agentrm_plugins.types.effects import LimitChanged, Requeued


def only(rm):
    """The one endpoint that there is."""
    (endpoint,) = rm.statistics().endpoints.values()
    return endpoint


def test_what_never_fits_is_refused_at_once(provider, core, chat):
    """A call larger than the limit itself is not sent, and the error says by how much."""
    rm = core(endpoints={"*": EndpointConfig(tpm=100)})
    model = wrap_chat_model(chat(provider, max_tokens=500), rm)
    with pytest.raises(CallTooLarge, match=r"needs .* the limit is 100"):
        model.invoke("go")
    assert not provider.log


def test_headers_of_a_success_teach_the_limit(start, core, chat):
    """The limit is known, by the server's word, without a single refusal."""
    provider = start(rpm=600, tpm=120_000, header_style="openai")
    rm = core()
    wrap_chat_model(chat(provider), rm).invoke("go")
    requests = only(rm).rates["requests"]
    assert (round(requests.limit_per_min), requests.source) == (600, "server")
    assert round(only(rm).rates["tokens"].limit_per_min) == 120_000


def test_limits_that_change_are_followed(start, core, chat):
    """Down and up again, as soon as an answer says so."""
    provider = start(rpm=6000, header_style="openai")
    rm = core()
    model = wrap_chat_model(chat(provider), rm)
    seen = []
    for factor in (1.0, 0.4, 1.0):
        provider.reconfigure(limit_factor=factor)
        model.invoke("go")
        seen.append(round(only(rm).rates["requests"].limit_per_min))
    assert seen == [6000, 2400, 6000]


async def test_one_storm_cuts_the_rate_once(provider, core, chat):
    """Many calls refused in one moment are one congestion event, on the event log."""
    rm = core(lanes=16, endpoints={"*": EndpointConfig(rpm=60_000)})
    model = wrap_chat_model(chat(provider), rm)
    stream = rm.events()
    provider.script([Status(429, retry_after=0.3)] * 16)
    await asyncio.gather(*[model.ainvoke("go") for _ in range(16)])
    events = stream.drain()
    begun_s = next(event.at_s for event in events if isinstance(event, Requeued))
    storm = [event for event in events if event.at_s < begun_s + 0.25]
    hits = [event for event in storm if isinstance(event, Requeued)]
    cuts = [event for event in storm if isinstance(event, LimitChanged) and event.cause == "cut"]
    assert len(hits) > 1
    by_resource = [event.resource for event in cuts]
    assert by_resource
    assert len(by_resource) == len(set(by_resource))


async def test_two_endpoints_do_not_disturb_each_other(start, core, chat):
    """One that is closed by its server holds up its own calls only, in one and the same core."""
    closed, open_ = start(), start()
    rm = core(lanes=4)
    slow, quick = wrap_chat_model(chat(closed), rm), wrap_chat_model(chat(open_), rm)
    closed.script([Status(429, retry_after=0.6)])
    waiting = [asyncio.create_task(slow.ainvoke("go")) for _ in range(6)]
    while not any(site.closed_for_s for site in rm.statistics().endpoints.values()):
        await asyncio.sleep(0.002)
    begun = time.monotonic()
    for _ in range(5):
        await quick.ainvoke("go")
    assert time.monotonic() - begun < 0.5
    assert not all(task.done() for task in waiting)
    await asyncio.gather(*waiting)


def test_the_endpoint_is_host_model_and_fingerprint(provider, core, caplog):
    """The key itself is nowhere: not in names, statistics, events, errors or logs."""
    rm = core()
    stream = rm.events()
    key = "never-show-this-key"
    model = wrap_chat_model(
        ChatOpenAI(base_url=provider.base_url, api_key=key, model="simulated"), rm
    )
    provider.script([Status(500), Reply("well")])
    model.invoke("go")
    (name,) = rm.statistics().endpoints
    host, _, fingerprint = name.partition("#")
    assert host == f"127.0.0.1:{provider.port}/simulated"
    assert len(fingerprint) == 8
    shown = [repr(rm.statistics()), repr(stream.drain()), repr(model), caplog.text, repr(rm)]
    assert not any(key in text for text in shown)
    model.invoke("go", model="another")
    assert f"127.0.0.1:{provider.port}/another#{fingerprint}" in rm.statistics().endpoints


def test_the_estimate_is_near_the_truth(core):
    """Input by the model's own encoding, tools and images included; output by the call's bound."""
    rm = core()
    model = wrap_chat_model(ChatOpenAI(api_key="test-key", model="gpt-4o", max_tokens=77), rm)
    from agentrm_langchain.noting import run_of

    def need(content, **kwargs):
        call = model._call(run_of(None), [HumanMessage(content)], kwargs)
        return call.estimate.input_tokens, call.max_output_tokens

    words = " ".join(["hello"] * 1000)
    assert 1000 <= need(words)[0] <= 1010
    assert need("hi")[1] == 77
    assert need("hi", max_completion_tokens=5, n=3)[1] == 15
    tool = {"type": "function", "function": {"name": "look", "description": words}}
    assert need("hi", tools=[tool])[0] > 1000
    image = {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}
    assert need([image])[0] > 500


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_callback_tells_the_endpoint_of_errors(way, provider, core, chat):
    """It cannot try again, but the core learns whose call failed and how."""
    rm = core()
    handler = AgentRMCallbackHandler(rm)
    bare = chat(provider, max_retries=0).with_config(callbacks=[handler])
    provider.script([Status(429, retry_after=0.1)])
    with pytest.raises(openai.RateLimitError):
        bare.invoke("go") if way == "invoke" else asyncio.run(bare.ainvoke("go"))
    assert only(rm).limit_hits == 1
    (name,) = rm.statistics().endpoints
    assert name.startswith(f"127.0.0.1:{provider.port}/simulated#")  # with the key's fingerprint
    assert rm.statistics().lanes_in_use == 0


def test_a_refusal_names_its_cause(provider, core, chat):
    """An open breaker refuses with its endpoint's name."""
    rm = core()
    model = wrap_chat_model(chat(provider), rm, retry=None)
    provider.script([Status(500)] * 60)
    refused = None
    for _ in range(60):
        try:
            model.invoke("go")
        except CallRefused as error:
            refused = error
            break
        except openai.APIError:
            continue
    assert isinstance(refused, EndpointUnavailable)
    assert "simulated" in str(refused)


def test_two_models_of_one_provider_have_limits_of_their_own(start, core, chat):
    """One model's quota is not the other's."""
    provider = start(models={"small": ModelConfig(rpm=60)}, rpm=6000, header_style="openai")
    rm = core()
    for name in ("small", "large"):
        wrap_chat_model(chat(provider, model=name), rm).invoke("go")
    limits = {
        name.partition("#")[0].rpartition("/")[2]: round(found.rates["requests"].limit_per_min)
        for name, found in rm.statistics().endpoints.items()
    }
    assert limits == {"small": 60, "large": 6000}


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_azures_models_and_headers_too(way, start, core, chat):
    """The deployment's host and name; limits from headers without resets; its key a fingerprint."""
    provider = start(rpm=600, tpm=120_000, header_style="azure")
    rm = core()
    async with httpx2.AsyncClient() as loose:
        http = httpx2.Client()
        bare = AzureChatOpenAI(
            azure_endpoint=provider.base_url.removesuffix("/v1"),
            azure_deployment="simulated",
            model="simulated",
            api_version="2024-10-21",
            api_key="test-key",
            max_retries=3,
            max_tokens=40,
            http_client=http,
            http_async_client=loose,
        )
        model = wrap_chat_model(bare, rm, retry=RetryPolicy(wait=tenacity.wait_none()))
        provider.script([Status(429, message="Please retry after 0 seconds."), Reply("well")])
        answer = model.invoke("go") if way == "invoke" else await model.ainvoke("go")
        assert answer.text == "well"
        http.close()
    assert [record.status for record in provider.log] == [429, 200]
    (name,) = rm.statistics().endpoints
    assert name.startswith(f"127.0.0.1:{provider.port}/simulated#")
    rates = only(rm).rates
    assert (round(rates["requests"].limit_per_min), rates["requests"].source) == (600, "server")
    assert round(rates["tokens"].limit_per_min) == 120_000
