"""The tables of providers: each has its source, and each says what its provider says."""

from __future__ import annotations

import pickle
import time
from types import SimpleNamespace

import pytest

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.policy.endpoint.evidence import body_evidence, evidence_of
from agentrm_plugins.policy.endpoint.headers import parse_report
from agentrm_plugins.policy.endpoint.providers import PROVIDERS
from agentrm_plugins.policy.endpoint.retry_class import classify, examine, judge_evidence
from agentrm_plugins.policy.endpoint.tables import BUILT_IN, Tables
from agentrm_plugins.types.provider import LimitHeaders, Provider
from agentrm_plugins.types.verdicts import Kind, ServerLimit

WALL_S = 1_790_000_000.0


class Answered(Exception):
    """An SDK's error for a status with a body."""

    def __init__(self, status, message="", **body):
        super().__init__(f"Error code: {status} - {body or message}")
        self.status_code = status
        self.body = {"message": message, **body}


def test_every_table_has_a_name_and_a_source():
    """What a provider says is written down with where it says so."""
    names = [table.name for table in PROVIDERS]
    assert len(set(names)) == len(names)
    assert all(table.source for table in PROVIDERS)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (429, "You exceeded your current quota, please check your plan and billing details."),
        (400, "Your credit balance is too low to access the Anthropic API."),
        (402, "Insufficient Balance"),
        (402, "anything"),
        (429, "Insufficient credits. Add more using https://openrouter.ai/credits"),
        (402, "This request requires more credits, or fewer max_tokens."),
        (429, ("Your team has either used all available credits or reached its monthly spending "
              "limit. Please wait 5 seconds.")),
        (403, "Your newly created team doesn't have any credits yet."),
        (429, "Your prepayment credits are depleted."),
        (429, "Your project has exceeded its monthly spending cap."),
        (429, "Your account xyz is suspended, please check your plan and billing details"),
        (429, "Budget has been exceeded! Current cost: 1.2, Max budget: 1.0"),
        (429, "余额不足或无可用资源包,请充值。"),
        (429, "You have run out of credits, top up your wallet"),
        (403, "Organization has exceeded its spend limit"),
        (429, "Monthly quota used up"),
        (429, "Your free trial has ended. Please upgrade to a paid plan."),
        (429, "Your token allowance for this billing period has been used"),
        (429, "You've reached your monthly usage limit. Purchase more credits."),
        (429, "Your wallet balance is too low"),
        (429, "The quota for this month has been exhausted, please recharge"),
        (429, "Your organization's budget has been used up"),
        (429, "アカウントの残高が不足しています"),
        (429, "Guthaben aufgebraucht"),
    ],
)  # fmt: skip
def test_an_account_without_money_is_not_asked_again(status, message):
    """In whatever words; nor where a wait is named beside them."""
    verdict = classify(Answered(status, message))
    assert (verdict.kind, verdict.retryable) == (Kind.PERMANENT, False)


@pytest.mark.parametrize(
    "message",
    [
        (
            "You exceeded your current quota, please check your plan and billing details. "
            "Please retry in 1.5s."
        ),
        (
            "Rate limit reached for gpt-x on requests per min. Limit 3, Used 3. Please try again "
            "in 20s. You can increase it by adding a payment method to your account at "
            "https://platform.openai.com/account/billing."
        ),
        (
            "Requests have exceeded token rate limit of your current S0 pricing tier. Please retry "
            "after 26 seconds. For Free Account customers, upgrade to Pay as you Go here."
        ),
        "Rate limit exceeded: free-models-per-min. Add 10 credits to unlock 1000 free requests",
        "Need more tokens? Upgrade to Dev Tier today at https://console.groq.com/settings/billing",
        "Tokens per day limit reached, try again in 2h5m",
        "TPM limit exceeded on your current billing tier",
        "You've reached your monthly usage limit of this minute's tier. Retry in 5 seconds.",
        "Too many requests",
        "",
    ],
)
def test_a_limit_that_speaks_of_money_stays_one(message):
    """Advertisements for more, and a quota with a wait beside it, are no empty account."""
    assert classify(Answered(429, message)).kind is Kind.LIMIT


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 8192 tokens. However, you requested 9000"),
        (400, "The decoder prompt (length 9000) is longer than the maximum model length of 8192."),
        (400, "'max_tokens' is too large: 900. This model's maximum context length is 8192"),
        (400, "Prompt contains 40000 tokens ... too large for model with 32768 maximum context"),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "Input is too long for requested model."),
        (400, "The input token count (1200000) exceeds the maximum number of tokens allowed"),
        (400, "This model's maximum prompt length is 131072 but the request contains 537812"),
        (413, "Please reduce the length of the messages or completion."),
        (400, "the input length exceeds the context length"),
        (500, "request (9000 tokens) exceeds the available context size (4096 tokens)"),
    ],
)
def test_too_long_is_told_apart(status, message):
    """Never sent again as it is, and named, so that the prompt can be compacted."""
    verdict = classify(Answered(status, message))
    assert (verdict.kind, verdict.why) == (Kind.PERMANENT, "too_long")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Answered(None, code="429"), Kind.LIMIT),
        (Answered(None, code=429), Kind.LIMIT),
        (Answered(200, code=503), Kind.OVERLOADED),
        (Answered(500, code=429), Kind.LIMIT),
        (Answered(200, code=429.0), Kind.LIMIT),
        (Answered(200, status_code=429), Kind.LIMIT),
        (Answered(200, statusCode=503), Kind.OVERLOADED),
        (Answered(502, error={"http_status": 429}), Kind.LIMIT),
        (Answered(200, detail={"code": 429}), Kind.LIMIT),
        (Answered(200, response={"error": {"code": "rate_limit_exceeded"}}), Kind.LIMIT),
        (Answered(200, fault={"detail": {"errorcode": "policies.ratelimit.QuotaViolation"}}),
         Kind.LIMIT),
        (Answered(502, detail="x"), Kind.TRANSIENT),
        (Answered(422, detail=[{"type": "missing", "loc": ["body"]}]), Kind.PERMANENT),
        (Answered(502, code=400), Kind.TRANSIENT),
        (Answered(None, type="server_error", code=None), Kind.TRANSIENT),
        (Answered(503, type="server_error", code=None), Kind.OVERLOADED),
        (Answered(None, type="api_error"), Kind.TRANSIENT),
        (Answered(None, type="invalid_request_error"), Kind.PERMANENT),
        (Answered(400, code="ThrottlingException"), Kind.LIMIT),
        (Answered(400, code="Throttling.RateQuota", message="too many requests"), Kind.LIMIT),
        (Answered(403, "Rate limit exceeded for this key"), Kind.LIMIT),
        (Answered(404, "Rate limit exceeded for this key"), Kind.PERMANENT),
        (Answered(400, "The model is overloaded."), Kind.OVERLOADED),
        (Answered(400, "Provider returned error"), Kind.PERMANENT),
        (Answered(None, "Provider returned error", code="upstream"), Kind.TRANSIENT),
        (Answered(429, code="RESOURCE_EXHAUSTED", message="limit: 0, model: x. Retry in 9s"),
         Kind.PERMANENT),
        (Answered(498, "flex"), Kind.OVERLOADED),
        (Answered(424, ""), Kind.TRANSIENT),
        (Answered(501, ""), Kind.PERMANENT),
        (Answered(524, ""), Kind.TRANSIENT),
        (ValueError({"code": 429, "message": "slow down"}), Kind.LIMIT),
        (ValueError({"error": {"code": 502}}), Kind.TRANSIENT),
        (ValueError({"message": "Rate limit exceeded", "code": None}), Kind.LIMIT),
        (ValueError({"error": {"message": "Insufficient Balance"}}), Kind.PERMANENT),
        (ValueError("Rate limit exceeded, says my own code"), Kind.PERMANENT),
        (ValueError(SimpleNamespace(code="rate_limit_exceeded", message="x")), Kind.LIMIT),
        (ValueError([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}]), Kind.LIMIT),
        (KeyError("choices"), Kind.PERMANENT),
        (RuntimeError("Event loop is closed"), Kind.TRANSIENT),
        (RuntimeError("<Future> attached to a different loop"), Kind.TRANSIENT),
        (RuntimeError("anything else"), Kind.PERMANENT),
        (ExceptionGroup("two", [ConnectionResetError(), TimeoutError()]), Kind.TRANSIENT),
        (ExceptionGroup("two", [ConnectionResetError(), KeyError()]), Kind.PERMANENT),
    ],
)  # fmt: skip
def test_kinds_of_shapes(error, kind):
    """Codes as numbers and as text, statuses inside bodies, errors that are raised with a body."""
    assert classify(error).kind is kind


class Awkward(Exception):
    """Everything about it raises."""

    def __str__(self):
        raise RuntimeError

    def __getattribute__(self, name):
        if name.startswith("__"):
            return super().__getattribute__(name)
        raise RuntimeError


class RpcError(Exception):
    """gRPC's: its code is a method."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def code(self):
        if self.name is None:
            raise RuntimeError
        return SimpleNamespace(name=self.name, value=8)


def test_reads_what_is_hard_to_read():
    """Properties that raise, codes that are methods, headers of any kind, bodies of any depth."""
    assert classify(Awkward()).kind is Kind.PERMANENT
    assert classify(RpcError("RESOURCE_EXHAUSTED")).kind is Kind.LIMIT
    assert classify(RpcError(None)).kind is Kind.PERMANENT
    deep = Answered(429)
    deep.body = "[" * 100_000
    assert classify(deep).kind is Kind.LIMIT
    deep.body = '{"a":' * 20_000
    assert classify(deep).kind is Kind.LIMIT
    deep.body = b'{"error": {"code": "insufficient_quota"}}'
    assert classify(deep).why == "billing"
    deep.body = {"error": {"error": {"error": {"error": {}}}}}
    assert classify(deep).kind is Kind.LIMIT
    deep.headers = SimpleNamespace(items=lambda: 1 / 0)
    assert evidence_of(deep).headers == {}
    deep.headers = {"Retry-After": 5}
    assert evidence_of(deep).headers == {"retry-after": "5"}


def test_openrouter_repeats_headers_in_its_body():
    """They are read as headers; those of the response itself count more."""
    error = Answered(429, metadata={"headers": {"X-RateLimit-Reset": "1790000030000",
                                                "X-RateLimit-Remaining": "0",
                                                "X-RateLimit-Limit": "20"}})  # fmt: skip
    _, evidence = examine(error)
    report = parse_report(evidence.headers, WALL_S, evidence.text)
    assert report.requests == ServerLimit(20.0, 0.0, 30.0)


def test_a_response_is_judged_by_its_body():
    """Before anybody has made an exception of it."""
    limited = body_evidence(200, {}, b'{"error": {"code": 429, "message": "x"}}')
    assert judge_evidence(limited).kind is Kind.LIMIT
    listed = body_evidence(429, {}, b'[{"error": {"code": 429, "message": "retry in 1.5s"}}]')
    assert parse_report({}, WALL_S, listed.text).retry_after_s == 1.5
    html = body_evidence(503, {}, b"<html>503 " + b"x" * 1_000_000)
    assert len(html.text) <= 4096
    assert judge_evidence(html).kind is Kind.OVERLOADED
    assert judge_evidence(body_evidence(200, {}, b"")) is None


@pytest.mark.parametrize(
    ("headers", "requests", "tokens"),
    [
        (
            {"x-ratelimit-limit-req-minute": "60", "x-ratelimit-remaining-req-minute": "59",
             "x-ratelimit-limit-tokens-minute": "500", "x-ratelimit-remaining-tokens-minute": "4",
             "x-ratelimit-limit-tokens-month": "9000", "x-ratelimit-remaining-tokens-month": "800"},
            ServerLimit(60.0, 59.0, per_s=60.0),
            ServerLimit(500.0, 4.0, per_s=60.0),
        ),
        (
            {"ratelimitbysize-limit": "500", "ratelimitbysize-remaining": "4",
             "ratelimitbysize-reset": "9"},
            None,
            ServerLimit(500.0, 4.0, 9.0),
        ),
        (
            {"x-ratelimit-limit-requests-day": "14400", "x-ratelimit-remaining-requests-day": "3",
             "x-ratelimit-reset-requests-day": "33011.382867",
             "x-ratelimit-limit-requests-minute": "30",
             "x-ratelimit-remaining-requests-minute": "29",
             "x-ratelimit-limit-tokens-minute": "60000",
             "x-ratelimit-remaining-tokens-minute": "59000",
             "x-ratelimit-reset-tokens-minute": "11.38"},
            ServerLimit(14400.0, 3.0, 33011.382867, per_s=86400.0),
            ServerLimit(60000.0, 59000.0, 11.38, per_s=60.0),
        ),
        (
            {"x-ratelimit-limit-requests": "14400", "x-ratelimit-remaining-requests": "14370",
             "x-ratelimit-reset-requests": "2m59.56s", "x-ratelimit-limit-tokens": "18000",
             "x-ratelimit-remaining-tokens": "17997", "x-ratelimit-reset-tokens": "7.66s"},
            ServerLimit(14400.0, 14370.0, 179.56),
            ServerLimit(18000.0, 17997.0, 7.66),
        ),
        (
            {"x-ratelimit-api_key-limit-requests": "60",
             "x-ratelimit-api_key-remaining-requests": "12",
             "llm_provider-x-ratelimit-limit-tokens": "9" },
            ServerLimit(60.0, 12.0),
            ServerLimit(9.0),
        ),
        (
            {"X-RateLimit-Limit-Minute": "60", "X-RateLimit-Remaining-Minute": "12"},
            ServerLimit(60.0, 12.0, per_s=60.0),
            None,
        ),
    ],
)  # fmt: skip
def test_reads_each_providers_names(headers, requests, tokens):
    """Mistral's two generations, Cerebras's days and minutes, Groq's, LiteLLM's and Kong's."""
    report = parse_report(headers, WALL_S)
    assert report.requests == requests
    assert report.tokens == tokens


def test_a_megabyte_of_anything_takes_no_time():
    """Texts, bodies and headers that somebody made to be slow."""
    texts = ["rate limit " * 90_000, "credits " * 120_000, "limit: 0" * 120_000, "\n" * 1_000_000]
    begin_s = time.process_time()
    for text in texts:
        classify(Answered(429, text))
        judge_evidence(body_evidence(400, {"x": text}, text.encode()))
        parse_report({"retry-after": text, "x-ratelimit-limit": text}, WALL_S, text)
    assert time.process_time() - begin_s < 0.5 * len(texts)


MINE = Provider(
    name="mine",
    statuses={418: "limit"},
    codes={"out_of_tea": "overloaded"},
    names={"KettleError": "transient"},
    words={"the pot ... is cold": "overloaded"},
    billing=("no more biscuits",),
    limits=(
        {
            "resource": "requests",
            "limit": "X-Cups-Limit",
            "remaining": "X-Cups-Left",
            "reset": "X-Cups-Back",
            "window_s": 10.0,
        },
    ),
    waits=("x-brew-ms",),
)


def test_a_user_adds_a_provider():
    """Its table counts beside ours, and above them where both speak."""
    tables = Tables((*PROVIDERS, MINE))
    assert classify(Answered(418), tables=tables).kind is Kind.LIMIT
    assert classify(Answered(418)).kind is Kind.PERMANENT
    assert classify(Answered(400, code="OutOfTea"), tables=tables).kind is Kind.OVERLOADED
    cold = Answered(400, "The pot, it seems, is\ncold")
    assert classify(cold, tables=tables).kind is Kind.OVERLOADED
    assert classify(Answered(429, "No more biscuits!"), tables=tables).why == "billing"
    kettle = type("KettleError", (Exception,), {})()
    assert classify(kettle, tables=tables).kind is Kind.TRANSIENT
    headers = {"x-cups-limit": "9", "x-cups-left": "2", "x-brew-ms": "1500"}
    report = parse_report(headers, WALL_S, tables=tables)
    assert report.requests == ServerLimit(9.0, 2.0, per_s=10.0)
    assert report.retry_after_s == 1.5
    assert parse_report(headers, WALL_S).requests is None
    assert classify(Answered(429), tables=Tables((*PROVIDERS, Provider(
        name="odd", statuses={429: Kind.PERMANENT})))).kind is Kind.PERMANENT  # fmt: skip
    assert BUILT_IN.statuses[429] is Kind.LIMIT


def test_a_table_is_a_value():
    """It can be pickled and compared, and its mappings cannot be changed."""
    assert pickle.loads(pickle.dumps(MINE)) == MINE
    with pytest.raises(TypeError):
        MINE.statuses[1] = Kind.LIMIT


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"name": ""}, "name"),
        ({"statuses": {200: "limit"}}, "statuses=200: give HTTP statuses from 400 to 599"),
        ({"statuses": {True: "limit"}}, "statuses=True"),
        ({"statuses": {429: "soon"}}, r"statuses\[429\]='soon': use one of 'limit'"),
        ({"codes": {"": "limit"}}, "codes=''"),
        ({"codes": "limit"}, "codes='limit': give a mapping"),
        ({"billing": "words"}, "billing='words': give a tuple"),
        ({"too_long": (1,)}, "too_long"),
        ({"limits": ("x-limit",)}, "limits"),
    ],
)
def test_a_table_that_fits_nothing_is_refused(wrong, message):
    """The error names the field, the value and the way out."""
    with pytest.raises(ConfigError, match=message):
        Provider(**{"name": "mine", **wrong})
    with pytest.raises(ConfigError, match="resource='cups'"):
        LimitHeaders("cups")
    with pytest.raises(ConfigError, match="limit=5"):
        LimitHeaders("requests", 5)
