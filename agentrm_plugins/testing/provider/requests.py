"""Reading a request: what both APIs ask for, in one shape.

Tokens are counted by a stated estimate, the same for limits, usage and statistics: one token for
every four characters of text (rounded up, per text), four for each message or item, 85 for an
image, and one for every four characters of the tools' JSON. A real tokenizer would cost more than
the rest of the server and would change nothing that a client can observe, except the numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from agentrm_plugins.testing.provider.seeding import digest
from agentrm_plugins.types.plain import parsed

__all__ = ["BadRequest", "ProviderRequest", "ToolSpec", "count_tokens", "parse_request"]

Api = Literal["chat", "responses", "embeddings"]

_MESSAGE_TOKENS = 4
_IMAGE_TOKENS = 85  # OpenAI's base price of an image at low detail


class BadRequest(Exception):
    """The body cannot be served: answered 400 with this message and parameter."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def count_tokens(text: str) -> int:
    """Tokens of a text by the module's estimate."""
    return (len(text) + 3) // 4


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A function that the client offers, with the JSON schema of its arguments."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRequest:
    """One request, as a responder and the default replies see it.

    `rounds` counts the rounds of tool results after the last user message; `tool_choice` is
    "auto", "none", "required" or the name of a tool; `schema` is the JSON schema of a structured
    reply; `max_tokens` is None when the client gave no limit; `attempt` counts from 0 how often
    this agent's very same body was admitted before.
    """

    api: Api
    model: str
    body: dict[str, Any]
    agent: str
    key_fingerprint: str
    digest: bytes
    input_tokens: int
    stream: bool = False
    include_usage: bool = False
    n: int = 1
    max_tokens: int | None = None
    user_text: str = ""
    rounds: int = 0
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    parallel_tool_calls: bool = True
    schema: dict[str, Any] | None = None
    json_object: bool = False
    attempt: int = 0


@dataclass(slots=True)
class _Seen:
    """What a walk over the messages has gathered."""

    tokens: int = 3  # the reply is primed with three, as in OpenAI's own counting recipe
    user_text: str = ""
    rounds: int = 0
    in_results: bool = False
    texts: list[str] = field(default_factory=list)

    def user(self, text: str) -> None:
        self.user_text, self.rounds, self.in_results = text, 0, False

    def result(self) -> None:
        if not self.in_results:
            self.rounds += 1
        self.in_results = True


def _content(content: object, seen: _Seen) -> str:
    """The text of a content field; its tokens are added to `seen`."""
    if content is None:
        return ""
    if isinstance(content, str):
        seen.tokens += count_tokens(content)
        return content
    if not isinstance(content, list):
        raise BadRequest("Invalid type for 'content': expected a string or an array.", "messages")
    texts = []
    for part in content:
        if isinstance(part, dict) and "image" in str(part.get("type", "")):
            seen.tokens += _IMAGE_TOKENS
        elif isinstance(part, dict):
            text = str(part.get("text") or part.get("refusal") or "")
            seen.tokens += count_tokens(text)
            texts.append(text)
    return "".join(texts)


def _walk_chat(messages: object) -> _Seen:
    if not isinstance(messages, list) or not messages:
        raise BadRequest("'messages' must be a non-empty array.", "messages")
    seen = _Seen()
    pending: set[str] = set()
    for index, message in enumerate(messages):
        if not isinstance(message, dict) or "role" not in message:
            raise BadRequest(f"messages[{index}] must be an object with a role.", "messages")
        seen.tokens += _MESSAGE_TOKENS
        text = _content(message.get("content"), seen)
        role = message["role"]
        if role == "tool":
            if message.get("tool_call_id") not in pending:
                raise BadRequest(
                    "Invalid parameter: messages with role 'tool' must be a response to a "
                    "preceding message with 'tool_calls'.",
                    f"messages.[{index}].role",
                )
            pending.discard(message["tool_call_id"])
            seen.result()
            continue
        if pending:
            raise BadRequest(
                "An assistant message with 'tool_calls' must be followed by tool messages "
                f"responding to each 'tool_call_id'. Missing: {', '.join(sorted(pending))}",
                f"messages.[{index}].role",
            )
        seen.in_results = False
        if role == "user":
            seen.user(text)
        for call in message.get("tool_calls") or ():
            seen.tokens += _MESSAGE_TOKENS + count_tokens(call["function"].get("arguments", ""))
            pending.add(call["id"])
    if pending:
        raise BadRequest(
            "An assistant message with 'tool_calls' must be followed by tool messages responding "
            f"to each 'tool_call_id'. Missing: {', '.join(sorted(pending))}",
            "messages",
        )
    return seen


def _walk_responses(items: object) -> _Seen:
    seen = _Seen()
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    if not isinstance(items, list) or not items:
        raise BadRequest("'input' must be a string or a non-empty array.", "input")
    called: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadRequest(f"input[{index}] must be an object.", "input")
        seen.tokens += _MESSAGE_TOKENS
        kind = item.get("type", "message")
        if kind == "function_call":
            seen.in_results = False
            called.add(str(item.get("call_id")))
            seen.tokens += count_tokens(str(item.get("arguments", "")))
        elif kind == "function_call_output":
            if item.get("call_id") not in called:
                raise BadRequest(
                    f"No tool call found for function call output with call_id "
                    f"{item.get('call_id')}.",
                    "input",
                )
            _content(item.get("output"), seen)
            seen.result()
        elif kind == "message":
            text = _content(item.get("content"), seen)
            seen.in_results = False
            if item.get("role") == "user":
                seen.user(text)
    return seen


def _tools(body: dict[str, Any], seen: _Seen) -> tuple[ToolSpec, ...]:
    tools = body.get("tools")
    if not tools:
        return ()
    seen.tokens += count_tokens(json.dumps(tools, separators=(",", ":")))
    specs = []
    for tool in tools:
        function = tool.get("function", tool)
        if tool.get("type") == "function" and isinstance(function.get("name"), str):
            specs.append(ToolSpec(function["name"], function.get("parameters") or {}))
    return tuple(specs)


def _tool_choice(body: dict[str, Any]) -> str:
    choice = body.get("tool_choice", "auto")
    if isinstance(choice, dict):
        return str(choice.get("function", choice).get("name", "auto"))
    return str(choice or "auto")


def _schema(body: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    wanted = body.get("response_format") or (body.get("text") or {}).get("format") or {}
    if wanted.get("type") == "json_schema":
        return wanted.get("json_schema", wanted).get("schema") or {}, False
    return None, wanted.get("type") == "json_object"


def _whole(body: dict[str, Any], *names: str) -> int | None:
    for name in names:
        value = body.get(name)
        if value is not None:
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise BadRequest(f"Invalid '{name}': expected an integer above 0.", name)
            return value
    return None


def _embedding_tokens(texts: object) -> int:
    if isinstance(texts, str):
        return count_tokens(texts)
    if not isinstance(texts, list) or not texts:
        raise BadRequest("'input' must be a string or a non-empty array.", "input")
    if all(isinstance(entry, int) for entry in texts):
        return len(texts)
    return sum(count_tokens(e) if isinstance(e, str) else len(e) for e in texts)


def parse_request(api: Api, raw: bytes, *, agent: str, key_fingerprint: str) -> ProviderRequest:
    """Read a body; `BadRequest` says what is wrong with it."""
    try:
        body = parsed(raw)
    except ValueError as error:
        raise BadRequest("We could not parse the JSON body of your request.") from error
    if not isinstance(body, dict):
        raise BadRequest("The body of the request must be a JSON object.")
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise BadRequest("you must provide a model parameter", "model")
    user = body.get("safety_identifier") or body.get("user") or ""
    common: dict[str, Any] = {
        "api": api,
        "model": model,
        "body": body,
        "agent": agent or str(user),
        "key_fingerprint": key_fingerprint,
        "digest": digest(raw),
    }
    if api == "embeddings":
        return ProviderRequest(**common, input_tokens=_embedding_tokens(body.get("input")))
    try:
        if api == "chat":
            seen = _walk_chat(body.get("messages"))
        else:
            seen = _walk_responses(body.get("input"))
            seen.tokens += count_tokens(str(body.get("instructions") or ""))
        tools = _tools(body, seen)
        schema, json_object = _schema(body)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadRequest(f"The request has a wrong shape: {error!r}") from error
    return ProviderRequest(
        **common,
        input_tokens=seen.tokens,
        stream=bool(body.get("stream")),
        include_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        n=_whole(body, "n") or 1,
        max_tokens=_whole(body, "max_completion_tokens", "max_tokens", "max_output_tokens"),
        user_text=seen.user_text,
        rounds=seen.rounds,
        tools=tools,
        tool_choice=_tool_choice(body),
        parallel_tool_calls=body.get("parallel_tool_calls") is not False,
        schema=schema,
        json_object=json_object,
    )
