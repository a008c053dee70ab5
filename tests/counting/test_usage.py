"""What providers and gateways report of usage, in their own words, and what they leave out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agentrm_plugins.config import Price
from agentrm_plugins.counting.usage import UsageTally, estimated_usage, reported_usage, said_in
from agentrm_plugins.types.calls import Call, Usage

pytestmark = pytest.mark.lowest

REPORTS = {
    "openai chat": (
        {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120,
         "prompt_tokens_details": {"cached_tokens": 60},
         "completion_tokens_details": {"reasoning_tokens": 8}},
        Usage(100, 20, 60),
    ),
    "openai responses": (
        {"input_tokens": 100, "output_tokens": 20, "total_tokens": 120,
         "input_tokens_details": {"cached_tokens": 60}},
        Usage(100, 20, 60),
    ),
    "embeddings": ({"prompt_tokens": 9, "total_tokens": 9}, Usage(9)),
    "reasoning outside": (
        {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}, Usage(10, 1005),
    ),
    "reasoning outside, no total": (
        {"prompt_tokens": 10, "completion_tokens": 5,
         "completion_tokens_details": {"reasoning_tokens": 1000}},
        Usage(10, 1005),
    ),
    "langchain": (
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105,
         "input_token_details": {"cache_read": 30, "cache_creation": 20}},
        Usage(100, 5, 30, 20),
    ),
    "langchain, anthropic's two lives": (
        {"input_tokens": 100, "output_tokens": 5, "total_tokens": 105,
         "input_token_details": {"cache_read": 30, "cache_creation": 0,
                                 "ephemeral_5m_input_tokens": 15, "ephemeral_1h_input_tokens": 5}},
        Usage(100, 5, 30, 20),
    ),
    "anthropic": (
        {"input_tokens": 50, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 20,
         "output_tokens": 5},
        Usage(100, 5, 30, 20),
    ),
    "bedrock": (
        {"inputTokens": 50, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 30,
         "cacheWriteInputTokens": 20},
        Usage(100, 5, 30, 20),
    ),
    "gemini": (
        {"promptTokenCount": 100, "candidatesTokenCount": 5, "thoughtsTokenCount": 40,
         "totalTokenCount": 145, "cachedContentTokenCount": 60},
        Usage(100, 45, 60),
    ),
    "deepseek": (
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105,
         "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36},
        Usage(100, 5, 64),
    ),
    "ollama": ({"prompt_eval_count": 26, "eval_count": 298}, Usage(26, 298)),
    "openrouter": (
        {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105,
         "prompt_tokens_details": {"cached_tokens": 10, "cache_write_tokens": 40}},
        Usage(100, 5, 10, 40),
    ),
    "cached above prompt": (
        {"prompt_tokens": 10, "completion_tokens": 5,
         "prompt_tokens_details": {"cached_tokens": 900}},
        Usage(10, 5, 10),
    ),
    "odd numbers": (
        {"prompt_tokens": "12", "completion_tokens": 3.0, "total_tokens": None}, Usage(12, 3),
    ),
    "cohere": (
        {"billed_units": {"input_tokens": 8, "output_tokens": 5},
         "tokens": {"input_tokens": 10, "output_tokens": 5}},
        Usage(10, 5),
    ),
    "watsonx": ({"input_token_count": 10, "generated_token_count": 5}, Usage(10, 5)),
    "camels": ({"promptTokens": 10, "completionTokens": 5}, Usage(10, 5)),
    "texts with a point": ({"prompt_tokens": "10.0", "completion_tokens": "5.0"}, Usage(10, 5)),
    "a report in a report": (
        {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 1015}},
        Usage(10, 1005),
    ),
    "nested too deep": ({"usage": {"usage": {"prompt_tokens": 10}}}, None),
    "nonsense": (
        {"prompt_tokens": -5, "completion_tokens": float("nan"), "total_tokens": True}, None,
    ),
    "an impossible number": ({"prompt_tokens": 10**30, "completion_tokens": 5}, Usage(0, 5)),
    "zeros": ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, None),
    "nothing": ({}, None),
    "none": (None, None),
    "a text": ("12 tokens", None),
}  # fmt: skip


@pytest.mark.parametrize("case", REPORTS)
@pytest.mark.parametrize("form", [dict, SimpleNamespace])
def test_a_report_is_read_in_its_providers_words(case, form):
    """As mappings and as objects: input, output, cached and newly cached."""
    report, wanted = REPORTS[case]
    given = form(**report) if isinstance(report, dict) else report
    assert reported_usage(given) == wanted


def told(*reports: Usage | None) -> Usage | None:
    tally = UsageTally(Usage(700))
    for report in reports:
        tally.add(report, 4)
    return tally.usage()


def test_running_totals_count_once():
    """A server that tells all so far with each chunk: the last total, not the sum (733)."""
    chunks = [Usage(700, made) for made in range(1, 34)]
    assert told(*chunks) == Usage(700, 33)
    assert told(*chunks).total_tokens == 733
    assert told(*[Usage(0, made) for made in range(1, 34)], Usage(700, 0)) == Usage(700, 33)
    assert told(None, *chunks, None) == Usage(700, 33)


def test_parts_are_added_up():
    """Input with the first chunk and output with the last, or a token with each."""
    assert told(Usage(700), None, Usage(0, 33)) == Usage(700, 33)
    assert told(Usage(700, 1), *[Usage(0, 1)] * 32) == Usage(700, 33)
    assert told(None, None, Usage(700, 33, 600)) == Usage(700, 33, 600)
    assert told(None, None) is None


def test_a_stream_without_usage_costs_what_came():
    """The input as estimated; a token a chunk, or one for four characters where chunks are long."""
    tally = UsageTally(Usage(700))
    assert tally.cut() is None
    for _ in range(10):
        tally.add(None, 3)
    assert tally.cut() == Usage(700, 10)
    tally.add(None, 4000)
    assert tally.cut() == Usage(700, 1008)


def test_an_answer_without_usage_costs_its_text():
    """In the form of chat, of responses, of Anthropic's and Google's answers, or a plain text."""
    call = Call("a", endpoint="api.openai.com/gpt-4o#ab", estimate=Usage(40))
    said = "The answer is forty-two. " * 4
    answers = [
        said,
        {"choices": [{"message": {"role": "assistant", "content": said}}]},
        {"output": [{"type": "message", "content": [{"type": "output_text", "text": said}]}]},
        {"content": [{"type": "text", "text": said}]},
        {"candidates": [{"content": {"parts": [{"text": said}]}}]},
        SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content=said))]),
    ]
    counts = {estimated_usage(call, answer).output_tokens for answer in answers}
    assert len(counts) == 1
    assert 20 <= counts.pop() <= 40
    assert estimated_usage(call, answers[1]).input_tokens == 40
    asked = {"choices": [{"message": {"tool_calls": [{"function": {"arguments": '{"a": 1}'}}]}}]}
    assert list(said_in(asked)) == ['{"a": 1}']
    assert list(said_in([{"args": {"city": "Paris"}}])) == ['{"city": "Paris"}']
    nest: dict = {}
    nest["content"] = nest
    assert list(said_in(nest)) == []


def test_no_report_makes_a_cost_negative():
    """Cached above prompt costs the prompt at the cached price: a budget is not bypassed."""
    price = Price(input_per_1m=1e6, output_per_1m=1e6, cached_input_per_1m=1e5)
    assert price.cost(Usage(10, 5, 900)) == pytest.approx(10 * 0.1 + 5)
    assert price.cost(Usage(10, 5, 0, 900)) == pytest.approx(10 * 1.25 + 5)
    assert price.cost(Usage(10, 0, 8, 8)) == pytest.approx(8 * 0.1 + 2 * 1.25)


def test_writing_to_the_cache_has_a_price_of_its_own():
    """1.25 times the input's unless told otherwise (Anthropic's hour costs twice)."""
    usage = Usage(100, 10, 30, 20)
    price = Price(1e6, 2e6, 1e5)
    assert price.cost(usage) == pytest.approx(50 + 30 * 0.1 + 20 * 1.25 + 20)
    hour = Price(1e6, 2e6, 1e5, cache_write_per_1m=2e6)
    assert hour.cost(usage) == pytest.approx(50 + 30 * 0.1 + 40 + 20)
