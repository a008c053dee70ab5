"""The real `langchain-anthropic`, wrapped, against a server of Anthropic's own API on loopback."""

from __future__ import annotations

import asyncio
import contextlib

import anthropic
import pytest
import tenacity
from langchain_anthropic import ChatAnthropic
from langchain_anthropic._client_utils import _get_default_async_httpx_client
from langchain_core.exceptions import ModelRateLimitError

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import RetryPolicy
from agentrm_plugins.config.endpoints import EndpointConfig
from agentrm_plugins.errors import CallTooLarge
from tests.langchain.fakes import FakeChat
from tests.langchain.messages_server import MessagesServer, Say

WAYS = ("invoke", "stream", "ainvoke", "astream")
QUICK = RetryPolicy(wait=tenacity.wait_none())
KEY = "sk-ant-never-show-this"


@pytest.fixture
def serve():
    made = []

    def build(**settings):
        made.append(MessagesServer(**settings).__enter__())
        return made[-1]

    yield build
    for server in made:
        server.__exit__(None, None, None)


def model_of(server, rm, retry=QUICK, **options):
    fields = {"model": "claude", "max_tokens": 40, "api_key": KEY, "base_url": server.url}
    return wrap_chat_model(ChatAnthropic(**{**fields, **options}), rm, retry=retry)


@contextlib.asynccontextmanager
async def closing(model):
    """Close the model's async client in its loop: by itself it outlives that, in a cache."""
    try:
        yield
    finally:
        client = getattr(model.inner, "_async_client", None)
        if client is not None:
            await client._client._origin.aclose()
            _get_default_async_httpx_client.cache_clear()


def ask(way, model, text="go"):
    """The whole answer's text, in one of the four ways."""
    if way == "invoke":
        return model.invoke(text).text
    if way == "stream":
        return "".join(chunk.text for chunk in model.stream(text))

    async def run():
        async with closing(model):
            if way == "ainvoke":
                return (await model.ainvoke(text)).text
            return "".join([chunk.text async for chunk in model.astream(text)])

    return asyncio.run(run())


def only(rm):
    (endpoint,) = rm.statistics().endpoints.values()
    return endpoint


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("trouble", "tally"),
    [
        (Say(429, headers=(("retry-after", "0"),)), "limit_hits"),
        (Say(529, "Overloaded"), "failures"),
        (Say(500), "failures"),
    ],
    ids=["429", "529", "500"],
)
def test_what_may_pass_goes_again(way, trouble, tally, serve, core):
    """Once, by us alone: the SDK's own retries are off, whatever the model's setting."""
    server, rm = serve(), core()
    server.script.append(trouble)
    assert ask(way, model_of(server, rm, max_retries=5)) == "well well well well"
    assert server.log == [trouble.status, 200]
    assert (only(rm).requeues, getattr(only(rm), tally)) == (1, 1)
    counts = rm.statistics()
    assert (counts.submitted, counts.settled, counts.output_tokens) == (1, 1, 4)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "trouble",
    [
        Say(400),
        Say(401),
        Say(403),
        Say(404),
        Say(413),
        Say(400, "Your credit balance is too low to access the Anthropic API."),
        Say(429, "billing", kind="billing_error"),
    ],
    ids=["400", "401", "403", "404", "413", "credit", "billing"],
)
def test_what_cannot_be_cured_is_not_tried_again(way, trouble, serve, core):
    """The first answer is the last, and it is the SDK's own error."""
    server, rm = serve(), core()
    server.script.append(trouble)
    with pytest.raises(anthropic.APIStatusError) as error:
        ask(way, model_of(server, rm))
    assert error.value.status_code == trouble.status
    assert server.log == [trouble.status]


@pytest.mark.parametrize("way", WAYS)
def test_input_and_output_have_limits_of_their_own(way, serve, core):
    """A success's headers teach all three; of tokens together nothing is said, nothing known."""
    server, rm = serve(requests=50, input_tokens=30_000, output_tokens=8_000), core()
    ask(way, model_of(server, rm))
    rates = only(rm).rates
    known = {name: rate.limit_per_min and round(rate.limit_per_min) for name, rate in rates.items()}
    assert known == {
        "requests": 50,
        "tokens": None,
        "input_tokens": 30_000,
        "output_tokens": 8_000,
    }
    assert {rates[name].source for name in known if known[name]} == {"server"}


@pytest.mark.parametrize("which", ["input_tokens", "output_tokens"])
def test_the_limit_that_binds_is_not_overrun(which, serve, core):
    """Sixteen calls against room for four a second: the first answers tell, little is wasted.

    The limits of this server are by the second and its headers do not say so: until the window is
    measured a minute is believed, which may cost a refusal or two.
    """
    quota = {"requests": 1000, "input_tokens": 1e5, "output_tokens": 1e5, which: 240, "window_s": 1}
    server = serve(**quota, burst=0.5)
    rm = core(lanes=8)
    model = model_of(server, rm, max_tokens=60 if which == "output_tokens" else 4)
    text = "word " * (50 if which == "input_tokens" else 1)

    async def crowd():
        async with closing(model):
            await model.ainvoke(text)
            await asyncio.gather(*(model.ainvoke(text) for _ in range(15)))

    asyncio.run(crowd())
    assert server.log.count(200) == 16
    assert server.log.count(429) <= 2


@pytest.mark.parametrize(("counts", "charged"), [(False, 7), (True, 107)])
def test_cached_input_does_not_count(counts, charged, serve, core):
    """What was read from the cache is charged to the agent, and by default not to the limit."""
    server = serve(requests=1000, input_tokens=6000, output_tokens=6000)
    endpoint = EndpointConfig(cached_input_counts=counts, input_tpm=240, learn=False, burst_s=60)
    rm = core(endpoints={"*": endpoint})
    model = model_of(server, rm)
    answer = model.invoke("fresh " + "cached " * 100)
    details = answer.usage_metadata["input_token_details"]
    assert details["cache_read"] == 100
    assert rm.statistics().input_tokens == answer.usage_metadata["input_tokens"]
    used = only(rm).rates["input_tokens"].proximity * 240
    fresh = answer.usage_metadata["input_tokens"] - 100
    assert used == pytest.approx(fresh + (100 if counts else 0), abs=5)
    assert used == pytest.approx(charged, abs=8)


def test_what_never_fits_is_refused_at_once(serve, core):
    """By the limit of output alone, too."""
    server, rm = serve(), core(endpoints={"*": EndpointConfig(output_tpm=100)})
    with pytest.raises(CallTooLarge, match="needs 500 output_tokens, the limit is 100"):
        model_of(server, rm, max_tokens=500).invoke("go")
    assert not server.log


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_has_begun_is_not_tried_again(way, serve, core):
    """An error event in mid-stream is its consumer's, who has a part already."""
    server, rm = serve(), core()
    server.script.append(Say(break_after=2))
    with pytest.raises(anthropic.APIError):
        ask(way, model_of(server, rm))
    assert server.log == [200]
    assert only(rm).requeues == 0


@pytest.mark.parametrize("way", WAYS)
def test_the_key_is_nowhere(way, serve, core, caplog):
    """Not in names, statistics, events or errors; the endpoint has its fingerprint only."""
    server, rm = serve(), core()
    stream = rm.events()
    server.script.extend([Say(529), Say(401, "bad key")])
    with pytest.raises(anthropic.AuthenticationError) as error:
        ask(way, model_of(server, rm))
    (name,) = rm.statistics().endpoints
    assert name.startswith(server.url.removeprefix("http://") + "/claude#")
    shown = (repr(rm.statistics()), repr(stream.drain()), repr(error.value), caplog.text, name)
    assert not any(KEY in text for text in shown)


class Limited(FakeChat):
    """Refuses its first call with LangChain's own error, which shows neither status nor headers."""

    def _begin(self, way):
        super()._begin(way)
        if len(self.calls) == 1:
            raise ModelRateLimitError("slow down")


@pytest.mark.parametrize("way", WAYS)
def test_the_provider_neutral_error_is_enough(way, core):
    """A model of any provider goes again by the kind of its error alone."""
    bare = Limited()
    assert ask(way, wrap_chat_model(bare, core(), retry=QUICK)) == "one two three"
    assert len(bare.calls) == 2
