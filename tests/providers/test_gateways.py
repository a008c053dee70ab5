"""Gateways and providers without a package of their own, through the real OpenAI SDK on loopback.

The bodies were written from the pages that the tables name, none was recorded.
"""

from __future__ import annotations

import pytest
import tenacity

from agentrm_langchain import wrap_chat_model
from agentrm_plugins import AgentRM, Config, RetryPolicy
from agentrm_plugins.policy.endpoint.retry_class import classify
from tests.providers.models import CHAT, model_of

pytestmark = pytest.mark.filterwarnings("ignore")  # those of the packages are not ours
TWICE = RetryPolicy(stop=tenacity.stop_after_attempt(2), wait=tenacity.wait_none())


def said(message, **more):
    return {"error": {"message": message, **more}}


# name: status, headers, body of a limit
LIMITS = {
    "Portkey": (429, {}, {"status": "failure", "message": "Rate limit exceeded."}),
    "Helicone": (429, {"helicone-ratelimit-limit": "100", "helicone-ratelimit-remaining": "0"},
                 {"message": "Rate limit reached."}),
    "Cloudflare": (429, {}, {"success": False, "errors": [{"code": 2003, "message": "Limited"}]}),
    "Cloudflare's edge": (429, {"retry-after": "0"}, b"error code: 1015"),
    "Databricks": (429, {}, {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "Exceeded workspace"
                             " input tokens per minute rate limit for m."}),
    "Cohere": (429, {}, {"message": "You are using a Trial key, which is limited to 20 API calls / "
                         "minute."}),
    "Together": (429, {"x-ratelimit-limit": "60", "x-ratelimit-remaining": "0"},
                 said("Request was rejected due to request rate limiting.",
                      type="model_rate_limit")),
    "Fireworks": (429, {}, said("Request rate limit exceeded", code="RATE_LIMIT_EXCEEDED")),
    "Perplexity": (429, {}, said("Request rate limit exceeded, please try again later.",
                                 type="request_rate_limit_exceeded", code=429)),
    "NIM": (429, {}, {"status": 429, "title": "Too Many Requests"}),
    "Vertex": (429, {}, said("Quota exceeded for aiplatform.googleapis.com/requests_per_minute "
                             "with base model: m.", code=429, status="RESOURCE_EXHAUSTED")),
    "Model Studio": (429, {}, {"code": "Throttling.AllocationQuota", "message": "Allocated quota "
                               "exceeded, please increase your quota limit."}),
    "Moonshot": (429, {}, said("Your account request reached organization max RPM: 3, please try "
                               "again after 0.05 seconds", type="rate_limit_reached_error")),
    "Volcengine": (429, {}, said("Requests to the endpoint has exceeded the TPM limit",
                                 code="RateLimitExceeded.EndpointTPMExceeded",
                                 type="TooManyRequests")),
    "SiliconFlow": (429, {}, {"code": 20013, "message": "Request was rejected due to rate limiting."
                              " Details:TPM limit reached."}),
    "GitHub": (429, {}, said("Rate limit of 15 per 60s exceeded. Please wait 0.05 seconds before "
                             "retrying.", code="RateLimitReached")),
    "watsonx": (429, {}, {"errors": [{"code": "rate_limit_reached_requests"}]}),
    "SageMaker": (400, {}, {"__type": "com.amazon.coral.service#ThrottlingException",
                            "message": "Rate exceeded"}),
    "Kong": (429, {"ratelimit-limit": "5", "ratelimit-remaining": "0", "ratelimit-reset": "0"},
             {"message": "API rate limit exceeded"}),
    "Envoy": (429, {}, b"local_rate_limited"),
    "Apigee": (500, {}, {"fault": {"faultstring": "Spike arrest violation. Allowed rate : 10"}}),
    "Azure's gateway": (429, {"retry-after": "0"}, {"statusCode": 429, "message": "Rate limit is "
                                                    "exceeded. Try again in 1 seconds."}),
    "Replicate": (429, {}, {"detail": "Request was throttled.", "title": "Too Many Requests"}),
    "one that nobody knows": (429, {}, b"<html><body>busy</body></html>"),
}  # fmt: skip
# name: status, body of an account without money
BILLING = {
    "Portkey": (412, {"status": "failure", "message": "Your API key has exhausted its budget"}),
    "Helicone": (429, said("Insufficient credits", code="PAYMENT_REQUIRED")),
    "Cloudflare": (429, {"errors": [{"message": "you have used up your daily free allocation of "
                                     "10,000 neurons"}]}),
    "Cohere": (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / "
                     "month."}),
    "Together": (402, said("Credit limit exceeded", type="credit_limit")),
    "Fireworks": (412, said("Account x is suspended, possibly due to reaching the monthly spending "
                            "limit or failure to pay past invoices")),
    "Perplexity": (401, said("You exceeded your current quota, please check your plan and billing "
                             "details.", type="insufficient_quota")),
    "NIM": (402, {"detail": "Cloud credits expired"}),
    "Vertex": (403, said("This API method requires billing to be enabled.", code=403,
                         status="PERMISSION_DENIED")),
    "Hugging Face": (402, {"error": "You have exceeded your monthly included credits."}),
    "Model Studio": (400, {"code": "Arrearage", "message": "Access denied."}),
    "Zhipu": (429, said("您的账户已欠费，请充值后重试", code="1113")),
    "Volcengine": (403, said("The request failed.", code="AccountOverdueError")),
    "SiliconFlow": (403, {"code": 30001, "message": "Your account balance is insufficient"}),
    "Anthropic": (400, said("You have reached your specified API usage limits. You will regain "
                            "access on 2026-12-01 at 00:00 UTC.", type="invalid_request_error")),
    "one that nobody knows": (402, b"no"),
}  # fmt: skip
# name: status, body of a prompt that is too long
LONG = {
    "Databricks": (400, {"error_code": "BAD_REQUEST", "message": '{"message":"Input is too long for'
                         ' requested model."}'}),
    "Cohere": (400, {"message": "too many tokens: total number of tokens in the prompt cannot "
                     "exceed 4081 - received 5000."}),
    "Together": (422, said("Input validation error: `inputs` tokens + `max_new_tokens` must be <= "
                           "8193.", type="invalid_request_error")),
    "Fireworks": (400, said("The prompt is too long: 140000, model maximum context length: "
                            "131071")),
    "NIM": (400, {"object": "error", "message": "This model's maximum context length is 4096 "
                  "tokens."}),
    "Hugging Face": (422, {"error": "Input validation error: `inputs` must have less than 4096 "
                           "tokens. Given: 5000", "error_type": "validation"}),
    "Model Studio": (400, said("Range of input length should be [1, 30720]")),
    "Moonshot": (400, said("Invalid request: Your request exceeded model token limit: 8192")),
    "GitHub": (413, said("Request body too large for m model. Max size: 8000 tokens.",
                         code="tokens_limit_reached")),
    "SGLang": (400, {"object": "error", "message": "The input (9000 tokens) is longer than the "
                     "model's context length (8192 tokens)."}),
    "llama.cpp": (400, said("the request exceeds the available context size")),
    "LM Studio": (400, {"error": "The model is loaded with context length of only 4096 tokens"}),
}  # fmt: skip
# name: status, body of a server that has no room
FULL = {
    "Databricks": (503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "too long"}),
    "Together": (503, said("The server is overloaded or not ready yet.")),
    "Hugging Face": (503, {"error": "Model m is currently loading", "estimated_time": 20.0}),
    "its server": (429, {"error": "Model is overloaded", "error_type": "overloaded"}),
    "Moonshot": (429, said("The engine is currently overloaded", type="engine_overloaded_error")),
    "llama.cpp": (503, said("Loading model", type="unavailable_error")),
    "Envoy": (503, b"upstream connect error. reset reason: overflow"),
}


def refused(loopback, status, body):
    """What a wrapped ChatOpenAI raises."""
    loopback.always(status, body)
    with AgentRM(Config(lanes=4)) as rm, pytest.raises(Exception, match=r".*") as caught:
        wrap_chat_model(model_of("openai", loopback.url), rm, retry=TWICE).invoke("hi")
    return caught.value


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_is_asked_again(name, loopback):
    """Two requests, and the endpoint has heard of the limit; nothing is cut to nothing."""
    status, headers, body = LIMITS[name]
    loopback.once(status, body, CHAT, **headers)
    with AgentRM(Config(lanes=4)) as rm:
        model = wrap_chat_model(model_of("openai", loopback.url), rm, retry=TWICE)
        assert model.invoke("hi").text == "hi"
        [endpoint] = rm.statistics().endpoints.values()
    assert len(loopback.requests) == 2
    assert endpoint.limit_hits == 1


@pytest.mark.parametrize("name", BILLING)
def test_no_money_is_asked_once(name, loopback):
    """No waiting cures it: one request, and it is said why."""
    verdict = classify(refused(loopback, *BILLING[name]))
    assert len(loopback.requests) == 1
    assert verdict.why == "billing"


@pytest.mark.parametrize("name", LONG)
def test_too_long_is_told_apart(name, loopback):
    """One request, and what was wrong is named, so that the context can be compacted."""
    verdict = classify(refused(loopback, *LONG[name]))
    assert len(loopback.requests) == 1
    assert verdict.why == "too_long"


@pytest.mark.parametrize("name", FULL)
def test_no_room_is_asked_again(name, loopback):
    """Fewer calls at once, and again."""
    verdict = classify(refused(loopback, *FULL[name]))
    assert len(loopback.requests) == 2
    assert verdict.kind.value == "overloaded"
