"""Refusals in words that no table lists: what is meant counts, not how it is put."""

from __future__ import annotations

import pytest

from agentrm_plugins.policy.endpoint.retry_class import classify_status
from agentrm_plugins.types.verdicts import Kind

NO_MONEY = [
    *("Your prepaid balance has been depleted", "Your account has a negative balance"),
    *("No active subscription found for this key", "Your subscription has expired"),
    *("Your trial credits have expired", "Credit limit reached", "Insufficient wallet balance"),
    *("The API key has no remaining quota", "Usage limit exceeded, upgrade your plan to continue"),
    *("Not enough funds on your account", "You have used all of your free credits"),
    *("You have an outstanding invoice; access is paused", "Account in arrears"),
    *("Billing is not enabled for this project", "You've hit your cap. Add funds to continue."),
    *("Your account does not have enough credit", "Payment for your last invoice failed"),
    *("Extra usage is required for long context requests.", "Недостаточно средств на балансе"),
    *("Solde insuffisant", "잔액이 부족합니다", "用户额度不足"),
]
NO_MONEY_CODES = [
    *("insufficient_user_quota", "InsufficientBalance", "out_of_credits", "PaymentOverdue"),
    *("BalanceNotEnough", "trialExpired", "quota_exhausted", "subscription_required"),
]
STILL_A_LIMIT = [
    "Rate limited: 5 requests per second on the trial plan",
    "Quota exhausted for metric 'requests per minute'",
    "Too many requests on your current subscription. Slow down.",
    "Token bucket is empty, retry in 400ms",
    "Request credits refill at 10 per second; please slow down",
    "Limit reached. To increase it add a payment method at https://provider.example",
    "Requests per minute exceeded for free trial accounts",
    "Resource has been exhausted (e.g. check quota).",
    "Deployment quota of 240K tokens per minute is used up",
    "user's rate quota insufficient: 60 rpm",
    "Rate limit exceeded. Add credits to your account to raise your limits.",
    "Too many tokens, please wait before trying again.",
]
TOO_LONG = [
    (400, "the input token count is 40000 but model only supports up to 32768"),
    (400, "Malformed input request: expected maxLength: 400000, actual: 500000"),
    (413, "Request exceeds the maximum size"),
    (413, "Payload Too Large"),
    (400, "tokens to keep from the initial prompt is greater than the context length."),
    (400, "Prompt exceeds max length"),
    (400, "invalid params, context window exceeds limit (2013)"),
    (400, "the number of input tokens 5000 cannot exceed the total tokens limit 4096"),
    (400, "prompt token count of 140000 exceeds the limit of 128000"),
    (400, ("You passed 4097 input tokens and requested 0 output tokens. However, the model's "
          "context length is only 4096 tokens")),
    (400, "max_tokens must be at least 1, got -904."),
    (422, "messages too long"),
    (400, "Too many tokens in the prompt: 5000 > 4096"),
    (400, "this model can only handle 4096 tokens of input, you sent 9000"),
    (400, "Sequence length 9000 is larger than the maximum of 8192"),
    (400, "输入长度超过模型最大限制"),
    (500, "input tokens exceeded"),
]  # fmt: skip
NOT_TOO_LONG = [
    (400, "max_tokens is too large: 99999. This model supports at most 4096 completion tokens"),
    (400, "Invalid 'tools[0].function.name': string too long. Expected at most 64"),
    (403, "You exceeded token rate limit of 400 tokens per minute"),
    (400, "image exceeds 5 MB maximum: 7000000 bytes > 5242880 bytes"),
    (413, "The file is too large"),
    (400, "Too many tools: 300 exceed the maximum of 128"),
    (400, "prompt cache key too long"),
    (400, "max_tokens must be greater than thinking.budget_tokens"),
    (400, "n must be 1: more than one is not supported for this model's message format"),
    (400, "Your prompt was flagged by our content policy"),
]


@pytest.mark.parametrize("text", NO_MONEY)
def test_an_account_without_money(text):
    """Whatever is missing, and in whichever order that is said: not asked again."""
    verdict = classify_status(429, "", text)
    assert (verdict.kind, verdict.why) == (Kind.PERMANENT, "billing")


@pytest.mark.parametrize("code", NO_MONEY_CODES)
def test_a_code_that_nobody_listed_is_read_as_words(code):
    """Humps and underscores part its words."""
    assert classify_status(429, code, "x").why == "billing"


@pytest.mark.parametrize("text", STILL_A_LIMIT)
def test_a_rate_is_no_account(text):
    """What is counted by the minute, and advertisements beside it, are waited for."""
    assert classify_status(429, "", text).kind is Kind.LIMIT


def test_machines_that_share_work_are_no_account():
    """To balance a load is a verb."""
    found = classify_status(503, "", "no healthy upstream, not enough replicas to balance the load")
    assert found.kind is Kind.OVERLOADED


@pytest.mark.parametrize(("status", "text"), TOO_LONG)
def test_a_prompt_that_is_too_long(status, text):
    """Named, so that it can be compacted."""
    verdict = classify_status(status, "", text)
    assert (verdict.kind, verdict.why) == (Kind.PERMANENT, "too_long")


@pytest.mark.parametrize(("status", "text"), NOT_TOO_LONG)
def test_other_things_are_too_long_as_well(status, text):
    """Of which no compaction makes less."""
    assert classify_status(status, "", text).why == ""


def test_a_throttle_that_counts_tokens_is_no_prompt():
    """A code that is known says more than words that might mean something else."""
    words = "Too many tokens, please wait before trying again."
    assert classify_status(400, "ThrottlingException", words).kind is Kind.LIMIT


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (500, "The model is currently at capacity"),
        (400, "Model is at capacity. Try again later"),
        (500, "Server is busy, please try again later"),
        (400, "The upstream engine is overloaded"),
    ],
)
def test_a_server_without_room(status, text):
    """Said in words, behind a status that does not say it."""
    assert classify_status(status, "", text).kind is Kind.OVERLOADED


MORE_MONEY = [
    *("Your subscription has lapsed.", "Your plan has expired. Please renew to continue."),
    *("0 credits left on this key", "Credits: 0. Buy more", "Your trial period is over"),
    "We were unable to charge your card. Please update your payment method.",
    *("Monthly allowance used up", "Balance: -0.12 USD", "Ihr Guthaben ist aufgebraucht."),
    "You have used all of your included usage this month",
    "This organization has been disabled for billing reasons",
    *("Project has no billing account linked", "Hard limit of $50 reached"),
    "Your organization's budget of $10 has been spent",
    "Not enough tokens in your account",
]
MORE_LIMITS = [
    "Free plan: 3 requests per minute. Add a payment method to increase",
    "Concurrency limit for your subscription is 2",
    "Too many concurrent requests for your account balance tier",
    "Hard limit of 60 requests per minute reached",
    "Request budget of 10 per second reached",
    "Payment service requests are limited on this plan, slow down",
]


@pytest.mark.parametrize("text", MORE_MONEY)
def test_an_account_without_money_in_yet_other_words(text):
    """Of these, all but a few were asked again."""
    assert classify_status(429, "", text).why == "billing"


@pytest.mark.parametrize("text", MORE_LIMITS)
def test_money_beside_a_pace_is_a_limit(text):
    """Words of money do not make an empty account of what is counted by time."""
    assert classify_status(429, "", text).kind is Kind.LIMIT


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (
            400,
            "AiError: input and maximum output tokens exceeded this model context window limit",
        ),
        (500, "context size exceeded"),
        (400, "Token limit exceeded: 5000/4096"),
        (400, "Not enough context left for the prompt"),
        (400, "Die Eingabe ist zu lang für das Modell"),
    ],
)
def test_a_length_in_yet_other_words(status, text):
    """A 500 of a local server too: the same prompt would fail again."""
    assert classify_status(status, "", text).why == "too_long"
