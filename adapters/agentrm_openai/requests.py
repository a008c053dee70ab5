"""What a request of the SDK asks for, in the core's terms: for whom, where, and how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

from agentrm_plugins import Call, Usage
from agentrm_plugins.integration import (
    Endpoint,
    Priority,
    asking,
    core_of,
    counting,
    key_fingerprint,
    parse_priority,
    wire,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins import AgentRM

__all__ = ["HEADERS", "Terms", "is_model_call"]

_PATHS = ("/chat/completions", "/responses", "/embeddings", "/completions")
HEADERS = ("x-agentrm-agent", "x-agentrm-tenant", "x-agentrm-priority")
_CLIENT = "the client's timeout"
_MOST = ("max_completion_tokens", "max_output_tokens", "max_tokens")


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
    hedge: bool = True
    adaptive: bool | None = None

    def call(
        self, rm: AgentRM, client: Any, options: Any, said: Mapping[str, str], *, streaming: bool
    ) -> Call:
        """The call that this request is.

        Args:
            rm: The core.
            client: The SDK's client.
            options: The request, as the SDK has it.
            said: What its headers (`HEADERS`) said of the caller.
            streaming: Whether the answer comes piece by piece.
        """
        body = options.json_data
        given = body if isinstance(body, dict) else {}
        words = asking.Said(
            said.get(HEADERS[0]),
            said.get(HEADERS[1]),
            parse_priority(said.get(HEADERS[2]) or None, HEADERS[2]),
        )
        own = asking.Said(self.agent, self.tenant, self.priority)
        who = asking.resolve(core_of(rm).number, words, own, asking.run_around())
        model = given.get("model")
        model = model if isinstance(model, str) else ""
        patience_s = _patience_s(client, options)
        limit_s, ours_s = rm.config.leases.total_timeout_s, self.first_token_timeout_s
        longer = patience_s is not None and limit_s is not None and patience_s > limit_s
        total_s = patience_s if longer and self.total_timeout_s is None else self.total_timeout_s
        responses = options.url.split("?", maxsplit=1)[0].rstrip("/").endswith("/responses")
        beside = self.hedge and not wire.is_sent_once(given, responses=responses)
        return Call(
            who.agent or "main",
            who.tenant or "default",
            who.priority,
            self.group,
            _endpoint(client, model),
            Usage(counting.request_tokens(given, model)),
            who.parent_agent,
            streaming,
            self.wait_timeout_s,
            patience_s if ours_s is None else ours_s,
            self.silence_timeout_s,
            total_s,
            max_output_tokens=_most(given),
            hedge=beside,
            adaptive=self.adaptive,
            timeout_source=_CLIENT if ours_s is None and patience_s else "",
            once=wire.acts(given),
        )


def _patience_s(client: Any, options: Any) -> float | None:
    """What the user gave this request, or the client, as its timeout; None if nothing."""
    given = options.timeout
    if isinstance(given, openai.NotGiven):
        given = client.timeout
        if given == openai.DEFAULT_TIMEOUT:
            return None
    return wire.client_timeout_s(openai.Timeout(None) if given is None else given)


def _endpoint(client: Any, model: str) -> str:
    host, key = wire.host_of(str(client.base_url)), client.api_key
    return Endpoint(host, model, key_fingerprint(key if isinstance(key, str) else "")).name


def _most(body: Mapping[str, Any]) -> int | None:
    for name in _MOST:
        most = body.get(name)
        if isinstance(most, int) and not isinstance(most, bool) and most > 0:
            answers = body.get("n")
            return most * answers if isinstance(answers, int) and answers > 0 else most
    return None
