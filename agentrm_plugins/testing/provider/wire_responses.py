"""The JSON and SSE shapes of the responses API.

Source: OpenAI's API reference and the response types of the `openai` package, 3.x.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from agentrm_plugins.testing.provider.replies import Reply
from agentrm_plugins.testing.provider.requests import ProviderRequest
from agentrm_plugins.testing.provider.wire import Usage, dump, pieces, sse

__all__ = ["responses_body", "responses_chunks"]


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input,
        "input_tokens_details": {"cached_tokens": usage.cached, "cache_write_tokens": 0},
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input + usage.output,
    }


def _items(request: ProviderRequest, reply: Reply) -> list[dict[str, Any]]:
    """The finished output items. Their ids depend on the request alone: clients send them back."""
    stem = request.digest.hex()
    items: list[dict[str, Any]] = []
    if reply.text or not reply.tool_calls:
        part = {"type": "output_text", "text": reply.text, "annotations": [], "logprobs": []}
        items.append(
            {
                "type": "message",
                "id": f"msg_{stem}",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    for index, call in enumerate(reply.tool_calls):
        items.append(
            {
                "type": "function_call",
                "id": f"fc_{stem}{index:02d}",
                "call_id": call.id,
                "name": call.name,
                "arguments": json.dumps(dict(call.args), ensure_ascii=False),
                "status": "completed",
            }
        )
    return items


def _response(
    request: ProviderRequest,
    *,
    id_: str,
    created: int,
    status: str,
    output: list[dict[str, Any]],
    usage: Usage | None,
) -> dict[str, Any]:
    body = request.body
    return {
        "id": f"resp_{id_}",
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": body.get("instructions"),
        "max_output_tokens": request.max_tokens,
        "model": request.model,
        "output": output,
        "parallel_tool_calls": request.parallel_tool_calls,
        "previous_response_id": body.get("previous_response_id"),
        "reasoning": {"effort": None, "summary": None},
        "service_tier": "default",
        "store": body.get("store", True),
        "temperature": body.get("temperature", 1.0),
        "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"),
        "tools": body.get("tools") or [],
        "top_p": body.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None if usage is None else _usage(usage),
        "user": body.get("user"),
        "metadata": body.get("metadata") or {},
    }


def _status(reply: Reply) -> str:
    return "incomplete" if reply.finish_reason == "length" else "completed"


def responses_body(
    request: ProviderRequest, reply: Reply, usage: Usage, *, id_: str, created: int
) -> bytes:
    """A whole response."""
    items = _items(request, reply)
    done = _response(
        request, id_=id_, created=created, status=_status(reply), output=items, usage=usage
    )
    return dump(done)


def _message_events(item: dict[str, Any], at: int, per_chunk: int) -> Iterator[tuple[Any, int]]:
    text = item["content"][0]["text"]
    where = {"item_id": item["id"], "output_index": at, "content_index": 0}
    blank = {**item["content"][0], "text": ""}
    added = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": at, "item": added}, 0
    yield {"type": "response.content_part.added", **where, "part": blank}, 0
    for part, tokens in pieces(text, per_chunk):
        delta = {"type": "response.output_text.delta", **where, "delta": part, "logprobs": []}
        yield delta, tokens
    yield {"type": "response.output_text.done", **where, "text": text, "logprobs": []}, 0
    yield {"type": "response.content_part.done", **where, "part": item["content"][0]}, 0


def _call_events(item: dict[str, Any], at: int, per_chunk: int) -> Iterator[tuple[Any, int]]:
    where = {"item_id": item["id"], "output_index": at}
    added = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", "output_index": at, "item": added}, 4
    kind = "response.function_call_arguments"
    for part, tokens in pieces(item["arguments"], per_chunk):
        yield {"type": f"{kind}.delta", **where, "delta": part}, tokens
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": f"{kind}.done", **where, **done}, 0


def responses_chunks(
    request: ProviderRequest,
    reply: Reply,
    usage: Usage,
    *,
    id_: str,
    created: int,
    per_chunk: int,
) -> Iterator[tuple[bytes, int]]:
    """The events of a streamed response, each with the tokens it carries."""
    items = _items(request, reply)
    opened = _response(
        request, id_=id_, created=created, status="in_progress", output=[], usage=None
    )
    closed = _response(
        request, id_=id_, created=created, status=_status(reply), output=items, usage=usage
    )

    def events() -> Iterator[tuple[dict[str, Any], int]]:
        yield {"type": "response.created", "response": opened}, 0
        yield {"type": "response.in_progress", "response": opened}, 0
        for at, item in enumerate(items):
            parts = _message_events if item["type"] == "message" else _call_events
            yield from parts(item, at, per_chunk)
            yield {"type": "response.output_item.done", "output_index": at, "item": item}, 0
        yield {"type": f"response.{_status(reply)}", "response": closed}, 0

    for number, (event, tokens) in enumerate(events()):
        yield sse({**event, "sequence_number": number}, event["type"]), tokens
