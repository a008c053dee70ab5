"""The JSON and SSE shapes of chat completions, embeddings and models.

Source: OpenAI's API reference and the response types of the `openai` package, 3.x.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from random import Random
from struct import pack
from typing import Any

from agentrm_plugins.testing.provider.replies import Reply
from agentrm_plugins.testing.provider.requests import ProviderRequest

__all__ = [
    "DONE",
    "Usage",
    "chat_body",
    "chat_chunks",
    "dump",
    "embeddings_body",
    "models_body",
    "pieces",
    "sse",
]

DONE = b"data: [DONE]\n\n"
_FINGERPRINT = "fp_simulated"
# `json.dumps` with options makes an encoder anew for each call, a third of a chunk's cost.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def dump(value: object) -> bytes:
    """Compact JSON."""
    return _encode(value).encode()


def sse(value: object, event: str | None = None) -> bytes:
    """One server-sent event."""
    head = f"event: {event}\n".encode() if event else b""
    return head + b"data: " + dump(value) + b"\n\n"


class Usage:
    """Input, output and cached tokens of one answer."""

    __slots__ = ("cached", "input", "output")

    def __init__(self, input_tokens: int, output_tokens: int, cached: int = 0) -> None:
        self.input = input_tokens
        self.output = output_tokens
        self.cached = cached

    def chat(self) -> dict[str, Any]:
        """The `usage` object of chat completions."""
        return {
            "prompt_tokens": self.input,
            "completion_tokens": self.output,
            "total_tokens": self.input + self.output,
            "prompt_tokens_details": {"cached_tokens": self.cached, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def pieces(text: str, tokens: int) -> Iterator[tuple[str, int]]:
    """Cut a text into parts of so many tokens, by the estimate of four characters each."""
    step = 4 * tokens
    for start in range(0, len(text), step):
        part = text[start : start + step]
        yield part, (len(part) + 3) // 4


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _tool_calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": call.id,
            "type": "function",
            "function": {
                "name": call.name,
                "arguments": json.dumps(dict(call.args), ensure_ascii=False),
            },
        }
        for call in reply.tool_calls
    ]


def chat_body(
    request: ProviderRequest, reply: Reply, usage: Usage, *, id_: str, created: int
) -> bytes:
    """A whole chat completion."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text or None if reply.tool_calls else reply.text,
        "refusal": None,
    }
    if reply.tool_calls:
        message["tool_calls"] = _tool_calls(reply)
    return dump(
        {
            "id": f"chatcmpl-{id_}",
            "object": "chat.completion",
            "created": created,
            "model": request.model,
            "choices": [
                {
                    "index": index,
                    "message": message,
                    "logprobs": None,
                    "finish_reason": _finish(reply),
                }
                for index in range(request.n)
            ],
            "usage": usage.chat(),
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
    )


def _deltas(reply: Reply, per_chunk: int) -> Iterator[tuple[dict[str, Any], int]]:
    """The deltas of one choice, each with its tokens."""
    yield {"role": "assistant", "content": None if reply.tool_calls else "", "refusal": None}, 0
    for text, tokens in pieces(reply.text, per_chunk):
        yield {"content": text}, tokens
    for index, call in enumerate(_tool_calls(reply)):
        arguments = call["function"].pop("arguments")
        call["function"]["arguments"] = ""
        yield {"tool_calls": [{"index": index, **call}]}, 4
        for text, tokens in pieces(arguments, per_chunk):
            yield {"tool_calls": [{"index": index, "function": {"arguments": text}}]}, tokens


def chat_chunks(
    request: ProviderRequest,
    reply: Reply,
    usage: Usage,
    *,
    id_: str,
    created: int,
    per_chunk: int,
) -> Iterator[tuple[bytes, int]]:
    """The events of a streamed chat completion, each with the tokens it carries."""
    base = {
        "id": f"chatcmpl-{id_}",
        "object": "chat.completion.chunk",
        "created": created,
        "model": request.model,
        "service_tier": "default",
        "system_fingerprint": _FINGERPRINT,
    }
    # With usage asked for, every chunk but the last names it as null.
    tail: dict[str, Any] = {"usage": None} if request.include_usage else {}

    def chunk(index: int, delta: dict[str, Any], finish: str | None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**base, "choices": [choice], **tail})

    for index in range(request.n):
        for delta, tokens in _deltas(reply, per_chunk):
            yield chunk(index, delta, None), tokens
        yield chunk(index, {}, _finish(reply)), 0
    if request.include_usage:
        yield sse({**base, "choices": [], "usage": usage.chat()}), 0
    yield DONE, 0


def _inputs(texts: object) -> Iterable[object]:
    if isinstance(texts, list) and not all(isinstance(entry, int) for entry in texts):
        return texts
    return [texts]


def _vector(text: object, size: int) -> list[float]:
    draw = Random(repr(text)).uniform
    values = [draw(-1.0, 1.0) for _ in range(size)]
    length = sum(value * value for value in values) ** 0.5
    return [value / length for value in values]


def embeddings_body(request: ProviderRequest, dimensions: int) -> bytes:
    """Unit vectors made from each text alone."""
    size = request.body.get("dimensions") or dimensions
    data = []
    for index, text in enumerate(_inputs(request.body["input"])):
        vector: object = _vector(text, size)
        if request.body.get("encoding_format") == "base64":
            vector = b64encode(pack(f"<{size}f", *_vector(text, size))).decode()
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = request.input_tokens
    return dump(
        {
            "object": "list",
            "data": data,
            "model": request.model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def models_body(names: Iterable[str]) -> bytes:
    """The list of models."""
    data = [
        {"id": name, "object": "model", "created": 1700000000, "owned_by": "simulated"}
        for name in names
    ]
    return dump({"object": "list", "data": data})
