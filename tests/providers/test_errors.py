"""Errors of real libraries, met on loopback, and what becomes of them."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading

import openai
import pytest
import tenacity
from langchain_core.runnables import RunnableLambda

from agentrm_langchain import wrap_chat_model
from agentrm_openai import manage_client
from agentrm_plugins import AgentRM, Config, Provider, RetryPolicy
from agentrm_plugins.hosts.judgement import judge
from agentrm_plugins.policy.endpoint.retry_class import classify
from agentrm_plugins.types.verdicts import Kind
from tests.providers.models import CHAT, RESPONSE, model_of

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
TWICE = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())
MESSAGES = [{"role": "user", "content": "hi"}]
SLOW = {"error": {"code": 429, "message": "slow down"}}


def raised(work):
    with pytest.raises(Exception, match=r".*") as caught:
        work()
    return caught.value


def events(*bodies):
    return b"".join(b"data: " + json.dumps(body).encode() + b"\n\n" for body in bodies)


@pytest.fixture
def silent():
    """A port that accepts and closes at once, or never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    closing = threading.Event()

    def accept():
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            if closing.is_set():
                connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    yield server.getsockname()[1], closing
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


def test_requests_errors(loopback, silent):
    """A read timeout, a closed connection, a refusal with its header, a cut body."""
    requests = pytest.importorskip("requests")
    port, closing = silent
    url = f"http://127.0.0.1:{port}"
    assert classify(raised(lambda: requests.post(url, timeout=0.1))).kind is Kind.TRANSIENT
    closing.set()
    assert classify(raised(lambda: requests.post(url, timeout=1))).kind is Kind.TRANSIENT
    loopback.always(429, SLOW, **{"retry-after": "3"})
    error = raised(lambda: requests.post(loopback.url, timeout=5).raise_for_status())
    verdict, report = judge(error)
    assert (verdict.kind, report.retry_after_s) == (Kind.LIMIT, 3.0)
    loopback.always(200, b'{"cut')
    cut = raised(lambda: requests.post(loopback.url, timeout=5).json())
    assert classify(cut).kind is Kind.TRANSIENT
    certificate = raised(lambda: requests.post(loopback.url.replace("http", "https"), timeout=5))
    assert classify(certificate).kind is Kind.TRANSIENT


def test_aiohttp_errors(loopback, silent):
    """A server that disconnects, and a refusal, whose status is called status."""
    aiohttp = pytest.importorskip("aiohttp")
    port, closing = silent
    closing.set()

    async def post(url):
        async with aiohttp.ClientSession() as session, session.post(url) as response:
            response.raise_for_status()

    lost = raised(lambda: asyncio.run(post(f"http://127.0.0.1:{port}")))
    assert classify(lost).kind is Kind.TRANSIENT
    assert classify(aiohttp.ServerDisconnectedError()).kind is Kind.TRANSIENT
    loopback.always(429, SLOW, **{"retry-after": "2"})
    verdict, report = judge(raised(lambda: asyncio.run(post(loopback.url))))
    assert (verdict.kind, verdict.status, report.retry_after_s) == (Kind.LIMIT, 429, 2.0)
    loopback.always(503, SLOW["error"])
    full = raised(lambda: asyncio.run(post(loopback.url)))
    assert classify(full).kind is Kind.OVERLOADED


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (429, "ThrottlingException", Kind.LIMIT),
        (429, "SomethingNew", Kind.LIMIT),
        (503, "SomethingNew", Kind.OVERLOADED),
        (400, "ThrottlingException", Kind.LIMIT),
        (400, "ValidationException", Kind.PERMANENT),
        (500, "InternalServerException", Kind.TRANSIENT),
        (424, "ModelErrorException", Kind.TRANSIENT),
    ],
)
def test_botocore_errors(status, code, kind, loopback):
    """A real client's `ClientError`: its status is in a mapping."""
    boto3 = pytest.importorskip("boto3")
    config = pytest.importorskip("botocore.config").Config(retries={"total_max_attempts": 1})
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=loopback.url,
        aws_access_key_id="test-key-id",
        aws_secret_access_key="test-key",
        config=config,
    )
    headers = {"x-amzn-errortype": code, "retry-after": "4"}
    loopback.always(status, {"message": "no"}, **headers)
    error = raised(lambda: client.converse(modelId="m", messages=[]))
    verdict, report = judge(error)
    assert (verdict.kind, verdict.status) == (kind, status)
    assert report is None or report.retry_after_s == 4.0


def test_botocore_lost_connections(silent):
    """No answer, and a connection that is closed."""
    boto3 = pytest.importorskip("boto3")
    botocore = pytest.importorskip("botocore.config")
    port, closing = silent
    config = botocore.Config(retries={"total_max_attempts": 1}, read_timeout=0.1)
    client = boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="test-key-id",
        aws_secret_access_key="test-key",
        config=config,
    )
    late = raised(lambda: client.converse(modelId="m", messages=[]))
    assert classify(late).kind is Kind.TRANSIENT
    closing.set()
    lost = raised(lambda: client.converse(modelId="m", messages=[]))
    assert classify(lost).kind is Kind.TRANSIENT


def test_ssl_errors():
    """A handshake that broke may go well again; a wrong certificate stays wrong."""
    assert classify(ssl.SSLError(1, "[SSL] record layer failure")).kind is Kind.TRANSIENT
    assert classify(ssl.SSLEOFError(8, "EOF occurred")).kind is Kind.TRANSIENT
    assert classify(ssl.SSLCertVerificationError(1, "expired")).kind is Kind.PERMANENT


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"type": "server_error", "code": None, "message": "x"}}, Kind.TRANSIENT),
        ({"error": {"code": "429", "message": "x"}}, Kind.LIMIT),
        ({"error": {"code": "503", "message": "x"}}, Kind.OVERLOADED),
        ({"error": {"type": "overloaded_error", "message": "x"}}, Kind.OVERLOADED),
        ({"error": {"type": "invalid_request_error", "message": "x"}}, Kind.PERMANENT),
    ],
)
def test_events_that_are_errors(body, kind, loopback):
    """An error in a stream has no status of its own."""
    loopback.always(200, events(body), **{"content-type": "text/event-stream"})
    client = openai.OpenAI(base_url=loopback.url, api_key="test-key", max_retries=0)
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert classify(raised(lambda: list(stream))).kind is kind


@pytest.mark.parametrize("content", [SLOW, b"", b'{"id": "c1", "cho', b"null", {}])
@pytest.mark.parametrize("name", ["openai", "openai_responses"])
def test_a_200_that_is_none(name, content, loopback):
    """An error, nothing or half a body with status 200: asked again, sync and async."""
    good = CHAT if name == "openai" else RESPONSE
    if name == "openai_responses" and content == {}:
        pytest.skip("the SDK makes an empty response of it")
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of(name, loopback.url), rm, retry=TWICE)
        loopback.once(200, content, good)
        assert model.invoke("hi").text == "hi"
        assert len(loopback.requests) == 2
        loopback.requests.clear()
        assert asyncio.run(model.ainvoke("hi")).text == "hi"
        assert len(loopback.requests) == 2


def test_a_200_that_is_none_through_a_managed_client(loopback):
    """It counts as a limit and goes again; given up, the caller gets what the SDK gives."""
    bare = openai.OpenAI(base_url=loopback.url, api_key="test-key")
    with AgentRM(Config(lanes=4)) as rm:
        client = manage_client(bare, rm, retry=TWICE)
        loopback.once(200, SLOW, CHAT)
        answer = client.chat.completions.create(model="m", messages=MESSAGES)
        assert answer.choices[0].message.content == "hi"
        [endpoint] = rm.statistics().endpoints.values()
        assert endpoint.limit_hits == 1
        loopback.always(200, SLOW)
        given = client.chat.completions.create(model="m", messages=MESSAGES)
        assert given.choices is None
        assert len(loopback.requests) == 4
        loopback.always(200, {"error": {"code": 400, "message": "no"}})
        client.chat.completions.create(model="m", messages=MESSAGES)
        assert len(loopback.requests) == 5


def test_a_failed_response(loopback):
    """`rate_limit_exceeded` in a response that failed: the endpoint learns, and it goes again."""
    slow = {"code": "rate_limit_exceeded", "message": "slow down"}
    failed = {**RESPONSE, "status": "failed", "output": [], "error": slow}
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("openai_responses", loopback.url), rm, retry=TWICE)
        loopback.once(200, failed, RESPONSE)
        assert model.invoke("hi").text == "hi"
        [endpoint] = rm.statistics().endpoints.values()
        assert endpoint.limit_hits == 1
        client = manage_client(openai.OpenAI(base_url=loopback.url, api_key="test-key"), rm,
                               retry=TWICE)  # fmt: skip
        loopback.requests.clear()
        assert client.responses.create(model="m", input="hi").status == "completed"
        assert len(loopback.requests) == 2
    event = {"type": "response.failed", "sequence_number": 1, "response": failed}
    loopback.always(200, b"event: response.failed\n" + events(event),
                    **{"content-type": "text/event-stream"})  # fmt: skip
    bare = model_of("openai_responses", loopback.url)
    assert classify(raised(lambda: list(bare.stream("hi")))).kind is Kind.LIMIT


def test_please_wait_is_waited_for(loopback):
    """A wait that only the message names: two requests, not one after the other."""
    message = {"error": {"message": "Please wait 0.5 seconds before retrying", "code": None}}
    loopback.once(429, message, CHAT)
    with AgentRM(Config(lanes=4)) as rm:
        begun_s = rm.statistics().at_s
        assert wrap_chat_model(model_of("openai", loopback.url), rm).invoke("hi").text == "hi"
        assert rm.statistics().at_s - begun_s >= 0.5
    assert len(loopback.requests) == 2


def test_a_limit_that_must_not_be_retried(loopback):
    """`x-should-retry: false` is believed: one request."""
    loopback.always(429, SLOW, **{"x-should-retry": "false", "retry-after": "0"})
    with AgentRM(Config(lanes=4)) as rm:
        raised(lambda: wrap_chat_model(model_of("openai", loopback.url), rm).invoke("hi"))
    assert len(loopback.requests) == 1


@pytest.mark.parametrize(("status", "most"), [(500, 8), (502, 8), (503, 5), (529, 5)])
def test_a_provider_that_is_down_gives_way_to_a_fallback_in_seconds(status, most, loopback):
    """Not sixteen requests and a minute and a half."""
    loopback.always(status, {"error": {"message": "down", "type": "server_error"}})
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("openai", loopback.url), rm)
        begun_s = rm.statistics().at_s
        chain = model.with_fallbacks([RunnableLambda(lambda _: "fallback")])
        assert chain.invoke("hi") == "fallback"
        assert rm.statistics().at_s - begun_s < 12
    assert len(loopback.requests) <= most


def test_each_event_loop_has_connections_of_its_own(loopback):
    """Several `asyncio.run` with one model: a closed loop's connection is not met again."""
    loopback.always(200, CHAT)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("openai", loopback.url), rm)
        client = manage_client(
            openai.AsyncOpenAI(base_url=loopback.url, api_key="test-key"), rm, retry=None
        )

        async def work():
            one = client.chat.completions.create(model="m", messages=MESSAGES)
            await asyncio.gather(model.ainvoke("a"), model.ainvoke("b"), one)

        for _ in range(4):
            asyncio.run(work())
    assert len(loopback.requests) == 12


def test_a_user_s_own_table_counts(loopback):
    """A provider that answers 418 where others say 429, told through the configuration."""
    tea = Provider(name="tea", statuses={418: "limit"})
    loopback.once(418, {"error": {"message": "teapot"}}, CHAT)
    with AgentRM(Config(lanes=4, providers=(tea,))) as rm:
        model = wrap_chat_model(model_of("openai", loopback.url), rm, retry=TWICE)
        assert model.invoke("hi").text == "hi"
        [endpoint] = rm.statistics().endpoints.values()
        assert endpoint.limit_hits == 1
