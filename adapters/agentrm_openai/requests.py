"""What a request of the SDK asks for, in the core's terms: for whom, where, and how much."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentrm_plugins import Usage
from agentrm_plugins.integration import (
    Call,
    Endpoint,
    Priority,
    Said,
    check_core,
    host_of,
    image_tokens,
    key_fingerprint,
    parse_priority,
    quick_counter,
    resolve,
    run_around,
    say,
    tools_tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentrm_plugins import AgentRM

__all__ = ["HEADERS", "Terms", "is_model_call", "request_tokens"]

_PATHS = ("/chat/completions", "/responses", "/embeddings", "/completions")
HEADERS = ("x-agentrm-agent", "x-agentrm-tenant", "x-agentrm-priority")
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens")
_IMAGES = {"image_url", "input_image", "image"}
_MEDIA = {"input_audio", "audio", "file", "input_file"}
_MESSAGE, _REQUEST, _MEDIA_TOKENS = 4, 3, 512  # the last is guessed: media tell no length
_TEXTS = ("text", "refusal")


def is_model_call(method: str, path: str) -> bool:
    """Whether a request asks a model something, and so needs a lane."""
    return method.lower() == "post" and path.split("?", maxsplit=1)[0].rstrip("/").endswith(_PATHS)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the calls of one managed client have in common; the arguments of `manage_client`."""

    agent: str | None
    tenant: str | None
    priority: Priority | None
    group: str
    wait_timeout_s: float | None
    first_token_timeout_s: float | None
    silence_timeout_s: float | None
    total_timeout_s: float | None

    def call(
        self, rm: AgentRM, client: Any, body: Any, said: Mapping[str, str], *, streaming: bool
    ) -> Call:
        """The call that this request is.

        Args:
            rm: The core.
            client: The SDK's client.
            body: The request's JSON.
            said: What its headers (`HEADERS`) said of the caller.
            streaming: Whether the answer comes piece by piece.
        """
        given = body if isinstance(body, dict) else {}
        words = Said(
            said.get(HEADERS[0]),
            said.get(HEADERS[1]),
            parse_priority(said.get(HEADERS[2]), HEADERS[2]),
        )
        own = Said(self.agent, self.tenant, self.priority)
        who = resolve(rm.core, words, own, run_around())
        model = given.get("model")
        model = model if isinstance(model, str) else ""
        return Call(
            who.agent or "main",
            who.tenant or "default",
            who.priority,
            self.group,
            _endpoint(client, model),
            Usage(request_tokens(given, model)),
            who.parent_agent,
            streaming,
            self.wait_timeout_s,
            self.first_token_timeout_s,
            self.silence_timeout_s,
            self.total_timeout_s,
            max_output_tokens=_most(given),
        )


def _endpoint(client: Any, model: str) -> str:
    host, key = host_of(str(client.base_url)), client.api_key
    return Endpoint(host, model, key_fingerprint(key if isinstance(key, str) else "")).name


def _most(body: Mapping[str, Any]) -> int | None:
    for name in _MOST:
        most = body.get(name)
        if isinstance(most, int) and not isinstance(most, bool) and most > 0:
            answers = body.get("n")
            return most * answers if isinstance(answers, int) and answers > 0 else most
    return None


def request_tokens(body: Mapping[str, Any], model: str) -> int:
    """Tokens that a request's JSON will count as, before it is sent.

    Texts by the model's encoding where it ships with the core (else four characters a token), tools
    by their schemas, images by the provider's published rule.
    """
    count = quick_counter(model)
    tokens = _REQUEST
    for name in ("messages", "input", "prompt", "instructions"):
        tokens += _tokens(body.get(name), count, model)
    for name in ("tools", "functions"):
        given = body.get(name)
        if isinstance(given, list | tuple) and given:
            tokens += tools_tokens(given, count)
    schema = body.get("response_format") or body.get("text")
    return tokens + (count(json.dumps(schema, default=str)) if isinstance(schema, dict) else 0)


def _tokens(value: Any, count: Callable[[str], int], model: str) -> int:
    if isinstance(value, str):
        return count(value)
    if isinstance(value, int):  # an embedding's input may be tokens already
        return 1
    if isinstance(value, list | tuple):
        return sum(_tokens(part, count, model) for part in value)
    if not isinstance(value, dict):
        return 0
    kind = value.get("type")
    if kind in _IMAGES:
        return image_tokens(value, model)
    if kind in _MEDIA:
        return _MEDIA_TOKENS
    for name in _TEXTS:
        if isinstance(value.get(name), str):
            return count(value[name])
    if "content" in value or "role" in value:
        tokens = _MESSAGE + _tokens(value.get("content"), count, model)
        calls = value.get("tool_calls")
        return tokens + (count(json.dumps(calls, default=str)) if calls else 0)
    return count(json.dumps(value, default=str))


def check(rm: AgentRM, terms: Terms) -> None:
    """Refuse at once what no call could run with.

    Raises:
        ConfigError: A name that is no string or empty, a lane group that is not there, bad seconds.
    """
    say(terms.agent, terms.tenant)
    check_core(rm, terms.group)
    Call(
        "check",
        wait_timeout_s=terms.wait_timeout_s,
        first_token_timeout_s=terms.first_token_timeout_s,
        silence_timeout_s=terms.silence_timeout_s,
        total_timeout_s=terms.total_timeout_s,
    )
