from __future__ import annotations

import asyncio
import errno
import itertools
from http import HTTPStatus
from http.client import ResponseNotReady
from ssl import SSLCertVerificationError
from types import SimpleNamespace
from urllib.error import URLError

import pytest

from agentrm_plugins.errors import CallReaped, QueueFull
from agentrm_plugins.policy.endpoint.retry_class import Kind, classify, classify_status


class Foreign(Exception):
    """An exception of some framework, with plain attributes."""

    def __init__(self, text="", **attributes):
        super().__init__(text)
        self.__dict__.update(attributes)


class ModelRateLimitError(Foreign):
    pass


class ContextOverflowError(Foreign):
    status_code = 400


class ReadTimeout(Foreign, TimeoutError):
    pass


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.PERMANENT),
        (401, Kind.PERMANENT),
        (403, Kind.PERMANENT),
        (404, Kind.PERMANENT),
        (408, Kind.TRANSIENT),
        (409, Kind.TRANSIENT),
        (422, Kind.PERMANENT),
        (429, Kind.LIMIT),
        (500, Kind.TRANSIENT),
        (502, Kind.TRANSIENT),
        (503, Kind.OVERLOADED),
        (529, Kind.OVERLOADED),
    ],
)
def test_the_status_decides(status, kind):
    """The fate of each status that providers send."""
    verdict = classify_status(status)
    assert (verdict.kind, verdict.status) == (kind, status)
    assert verdict.retryable is (kind is not Kind.PERMANENT)


@pytest.mark.parametrize(
    ("status", "code", "text", "kind"),
    [
        (429, "insufficient_quota", "", Kind.PERMANENT),
        (429, "", "You exceeded your current quota, please check", Kind.PERMANENT),
        (429, "rate_limit_exceeded", "Request too large for m on tokens", Kind.PERMANENT),
        (400, "content_policy_violation", "", Kind.PERMANENT),
        (400, "context_length_exceeded", "", Kind.PERMANENT),
        (200, "rate_limit_exceeded", "", Kind.LIMIT),
        (200, "overloaded_error", "", Kind.OVERLOADED),
    ],
)
def test_the_code_overrides_the_status(status, code, text, kind):
    """What cannot be cured is not retried whatever its status; an error inside a stream counts."""
    assert classify_status(status, code, text).kind is kind


def test_the_servers_opinion_counts():
    """`x-should-retry` makes a 400 worth another try, and a 500 or a 429 not."""
    assert classify_status(400, should_retry=True).kind is Kind.TRANSIENT
    assert classify_status(503, should_retry=True).kind is Kind.OVERLOADED
    assert classify_status(500, should_retry=False).kind is Kind.PERMANENT
    assert classify_status(429, should_retry=False).kind is Kind.PERMANENT
    assert classify_status(429, should_retry=True).kind is Kind.LIMIT
    quota = classify_status(429, "insufficient_quota", should_retry=True)
    assert (quota.kind, quota.why) == (Kind.PERMANENT, "billing")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncio.CancelledError(), Kind.NEUTRAL),
        (KeyboardInterrupt(), Kind.NEUTRAL),
        (CallReaped("silent"), Kind.TRANSIENT),
        (QueueFull("full"), Kind.PERMANENT),
        (ContextOverflowError(), Kind.PERMANENT),
        (ModelRateLimitError(), Kind.LIMIT),
        (ReadTimeout(), Kind.TRANSIENT),
        (ConnectionResetError(), Kind.TRANSIENT),
        (ValueError("broken JSON"), Kind.PERMANENT),
        (Foreign(is_retryable=True), Kind.TRANSIENT),
        (Foreign(is_retryable=False), Kind.PERMANENT),
        (Foreign(status_code=429), Kind.LIMIT),
        (Foreign(status_code=True), Kind.PERMANENT),
        (Foreign(status_code=200), Kind.PERMANENT),
        (Foreign(response=SimpleNamespace(status_code=503)), Kind.OVERLOADED),
        (Foreign(status_code=429, body={"code": "insufficient_quota"}), Kind.PERMANENT),
        (Foreign(status_code=429, body={"error": {"type": "insufficient_quota"}}), Kind.PERMANENT),
        (Foreign(status_code=429, body={"error": "text"}), Kind.LIMIT),
        (Foreign(code="content_filter"), Kind.PERMANENT),
        (Foreign(code="rate_limit_exceeded"), Kind.LIMIT),
        (Foreign(body={"error": {"type": "overloaded_error"}}), Kind.OVERLOADED),
        (Foreign(code=429, status="RESOURCE_EXHAUSTED"), Kind.LIMIT),
        (Foreign(code=HTTPStatus.SERVICE_UNAVAILABLE), Kind.OVERLOADED),
        (Foreign(status="RESOURCE_EXHAUSTED"), Kind.LIMIT),
        (Foreign(code=1302), Kind.PERMANENT),
        (Foreign(code=400, status="INVALID_ARGUMENT"), Kind.PERMANENT),
        (
            Foreign(
                status_code=400,
                response=SimpleNamespace(headers={"x-should-retry": "true"}),
            ),
            Kind.TRANSIENT,
        ),
    ],
)
def test_judges_exceptions_of_any_framework(error, kind):
    """By plain attributes and by the names of the classes it derives from."""
    assert classify(error).kind is kind


class ModelInvalidRequestError(Foreign):
    """LangChain's class for any 400."""


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ThrottlingException: Too many requests, please wait before trying again.", Kind.LIMIT),
        ("The model is overloaded, please try again later", Kind.OVERLOADED),
        ("Unknown parameter: 'temprature'", Kind.PERMANENT),
        ("This content violates our policy", Kind.PERMANENT),
    ],
)
def test_a_class_that_an_adapter_chooses_by_the_status_adds_nothing(text, kind):
    """The same answer is judged alike with the SDK's own error and with LangChain's."""
    for made in (Foreign, ModelInvalidRequestError):
        assert classify(made(text, status_code=400)).kind is kind
    assert classify(ModelInvalidRequestError(text)).kind is Kind.PERMANENT


def raised(error, *causes):
    """The error, raised from the first of the causes, that from the next."""
    for outer, inner in itertools.pairwise((error, *causes)):
        outer.__cause__ = inner
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (raised(ValueError("it said no"), Foreign(code=429)), Kind.LIMIT),
        (raised(ValueError(), RuntimeError(), ConnectionResetError()), Kind.TRANSIENT),
        (raised(QueueFull("full"), ConnectionResetError()), Kind.PERMANENT),
        (raised(Foreign(status_code=400), Foreign(status_code=503)), Kind.PERMANENT),
        (raised(*(ValueError() for _ in range(9)), ConnectionResetError()), Kind.PERMANENT),
    ],
)
def test_what_says_nothing_is_judged_by_its_cause(error, kind):
    """An adapter's own error around the SDK's; but what speaks for itself is believed."""
    assert classify(error).kind is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (URLError(TimeoutError()), Kind.TRANSIENT),
        (URLError(ConnectionRefusedError()), Kind.TRANSIENT),
        (URLError(SSLCertVerificationError()), Kind.PERMANENT),
        (URLError("unknown url type"), Kind.PERMANENT),
        (ValueError(ConnectionResetError()), Kind.TRANSIENT),
        (ValueError(KeyError("x")), Kind.PERMANENT),
        (OSError(errno.EHOSTUNREACH, "no route to host"), Kind.TRANSIENT),
        (OSError(errno.ENETUNREACH, "network is unreachable"), Kind.TRANSIENT),
        (OSError(errno.ENOENT, "no such file"), Kind.PERMANENT),
        (Foreign(errno=[1]), Kind.PERMANENT),
        (ResponseNotReady(), Kind.TRANSIENT),
        (Foreign(retryable=True), Kind.TRANSIENT),
        (Foreign(retryable="yes"), Kind.PERMANENT),
    ],
)
def test_libraries_of_python_itself(error, kind):
    """What an error was made with, a network that is not there, an opinion of its own."""
    assert classify(error).kind is kind


def test_the_breaker_hears_of_failures_of_the_endpoint_only():
    """5xx and broken connections are failures; 429 and 4xx are answers; cancelling says nothing."""
    assert classify_status(500).failed is True
    assert classify_status(503).failed is True
    assert classify(ConnectionResetError()).failed is True
    assert classify_status(429).failed is False
    assert classify_status(400).failed is False
    assert classify(asyncio.CancelledError()).failed is None
    assert classify(ValueError()).failed is None


def test_agrees_with_the_openai_sdk_and_langchain():
    """The real exceptions of the installed libraries are understood."""
    httpx2 = pytest.importorskip("httpx2")
    openai = pytest.importorskip("openai")
    exceptions = pytest.importorskip("langchain_core.exceptions")
    request = httpx2.Request("POST", "http://localhost/v1/chat/completions")

    def status_error(kind, status, code=None, text="no"):
        response = httpx2.Response(status, request=request)
        return kind(text, response=response, body={"code": code, "message": text})

    assert classify(status_error(openai.RateLimitError, 429)).kind is Kind.LIMIT
    quota = status_error(openai.RateLimitError, 429, "insufficient_quota")
    assert classify(quota).kind is Kind.PERMANENT
    assert classify(status_error(openai.BadRequestError, 400)).kind is Kind.PERMANENT
    assert classify(status_error(openai.InternalServerError, 503)).kind is Kind.OVERLOADED
    assert classify(openai.APIConnectionError(request=request)).kind is Kind.TRANSIENT
    assert classify(openai.APITimeoutError(request=request)).kind is Kind.TRANSIENT
    assert classify(httpx2.ReadTimeout("slow")).kind is Kind.TRANSIENT
    assert classify(exceptions.ContextOverflowError("long")).kind is Kind.PERMANENT
    assert classify(exceptions.ModelRateLimitError("slow down")).kind is Kind.LIMIT
