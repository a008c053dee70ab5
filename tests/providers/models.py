"""Each provider's real package, pointed at a server on loopback, and what it answers there."""

from __future__ import annotations

from importlib import import_module

import pytest

CHAT = {
    "id": "c1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    "system_fingerprint": None,
}
RESPONSE = {
    "id": "r1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "message",
            "id": "m1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    },
}
MESSAGE = {
    "id": "m1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
CONVERSE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 7, "outputTokens": 3, "totalTokens": 10},
    "metrics": {"latencyMs": 1},
}
GENERATED = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "hi"}]}, "finishReason": "STOP"}
    ],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10},
}
OLLAMA = (
    b'{"model":"m","created_at":"2026-01-01T00:00:00Z","message":{"role":"assistant",'
    b'"content":"hi"},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":3}\n'
)

KEY = "test-key"
# name: package, class, arguments, the path below the server, a good answer
PACKAGES = {
    "openai": ("langchain_openai", "ChatOpenAI", {"api_key": KEY}, ("base_url", "/v1"), CHAT),
    "openai_responses": (
        "langchain_openai",
        "ChatOpenAI",
        {"api_key": KEY, "use_responses_api": True},
        ("base_url", "/v1"),
        RESPONSE,
    ),
    "azure": (
        "langchain_openai",
        "AzureChatOpenAI",
        {"api_key": KEY, "api_version": "2024-10-21", "azure_deployment": "m"},
        ("azure_endpoint", ""),
        CHAT,
    ),
    "anthropic": (
        "langchain_anthropic",
        "ChatAnthropic",
        {"api_key": KEY},
        ("base_url", ""),
        MESSAGE,
    ),
    "bedrock": (
        "langchain_aws",
        "ChatBedrockConverse",
        {
            "provider": "anthropic",
            "region_name": "us-east-1",
            "aws_access_key_id": "test-key-id",
            "aws_secret_access_key": KEY,
        },
        ("endpoint_url", ""),
        CONVERSE,
    ),
    "gemini": (
        "langchain_google_genai",
        "ChatGoogleGenerativeAI",
        {"api_key": KEY},
        ("base_url", ""),
        GENERATED,
    ),
    "gemini_compatible": (
        "langchain_openai",
        "ChatOpenAI",
        {"api_key": KEY},
        ("base_url", "/v1beta/openai"),
        CHAT,
    ),
    "mistral": (
        "langchain_mistralai",
        "ChatMistralAI",
        {"api_key": KEY},
        ("endpoint", "/v1"),
        CHAT,
    ),
    "groq": ("langchain_groq", "ChatGroq", {"api_key": KEY}, ("base_url", ""), CHAT),
    "deepseek": ("langchain_deepseek", "ChatDeepSeek", {"api_key": KEY}, ("api_base", "/v1"), CHAT),
    "openrouter": (
        "langchain_openrouter",
        "ChatOpenRouter",
        {"api_key": KEY},
        ("base_url", "/api/v1"),
        CHAT,
    ),
    "xai": ("langchain_xai", "ChatXAI", {"api_key": KEY}, ("base_url", "/v1"), CHAT),
    "ollama": ("langchain_ollama", "ChatOllama", {}, ("base_url", ""), OLLAMA),
    "vllm": ("langchain_openai", "ChatOpenAI", {"api_key": KEY}, ("base_url", "/v1"), CHAT),
    "litellm": ("langchain_openai", "ChatOpenAI", {"api_key": KEY}, ("base_url", ""), CHAT),
}


def model_of(name, url, **more):
    """The provider's own chat model; the test is skipped where its package is not installed."""
    package, kind, given, (where, path), _ = PACKAGES[name]
    module = pytest.importorskip(package)
    return getattr(module, kind)(**{"model": "m", **given, where: url + path, **more})


def good(name):
    """What the provider answers when all is well."""
    return PACKAGES[name][4]


def installed(name):
    """Whether its package is there."""
    try:
        import_module(PACKAGES[name][0])
    except ImportError:
        return False
    return True
