"""What the provider can answer: the steps of a script, and the reply when nobody says otherwise.

The default reply plays a small agent. If tools are offered it calls them for `agent_rounds`
rounds and then answers; a demanded structure is filled from its JSON schema; anything else is
echoed, with filler words up to the drawn length.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any, Literal

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.testing.provider.config import ProviderConfig
from agentrm_plugins.testing.provider.requests import ProviderRequest, ToolSpec, count_tokens
from agentrm_plugins.testing.provider.schema import example
from agentrm_plugins.testing.provider.seeding import as_distribution, unit

__all__ = [
    "Garbage",
    "Hang",
    "Reply",
    "Reset",
    "Stall",
    "Status",
    "Step",
    "ToolCall",
    "as_step",
    "default_reply",
    "output_length",
]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call of a tool. Without an `id`, one is made from the request."""

    name: str
    args: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer: a text, tool calls, or both.

    `output_tokens` overrides the usage that is reported and charged; `slow` multiplies the
    configured latencies.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str | None = None
    output_tokens: int | None = None
    slow: float = 1.0

    def size(self) -> int:
        """Output tokens by the provider's estimate, at least 1."""
        if self.output_tokens is not None:
            return self.output_tokens
        calls = sum(4 + count_tokens(json.dumps(dict(c.args))) for c in self.tool_calls)
        return max(1, count_tokens(self.text) + calls)


@dataclass(frozen=True, slots=True)
class Status:
    """An error: its status, and what OpenAI sends with it unless given here.

    Args:
        status: 400 to 599.
        retry_after: Seconds, sent in the configured style; None sends none.
        code: The error's code, for example "insufficient_quota" or "content_filter".
        message: Its text.
        headers: More headers, for example {"x-should-retry": "false"}.
    """

    status: int
    retry_after: float | None = None
    code: str | None = None
    message: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if isinstance(self.status, bool) or not 400 <= self.status <= 599:
            raise ConfigError("Status.status", self.status, "give a status from 400 to 599")
        if self.retry_after is not None and not self.retry_after >= 0:
            raise ConfigError("Status.retry_after", self.retry_after, "give seconds >= 0, or None")


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer at all, not even headers, until the client goes away."""


@dataclass(frozen=True, slots=True)
class Reset:
    """A connection reset (RST): before the headers, or after that many tokens of a stream."""

    after_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Stall:
    """A reply that falls silent after so many tokens and never ends."""

    after_tokens: int = 5


@dataclass(frozen=True, slots=True)
class Garbage:
    """A 200 whose body is broken JSON ("json") or ends before it is complete ("cut")."""

    kind: Literal["json", "cut"] = "json"


Step = Reply | Status | Hang | Reset | Stall | Garbage

_WORDS = ("the", "plan", "is", "to", "read", "each", "file", "and", "note", "what", "it", "says")


def as_step(value: object) -> Step:
    """Read a scripted step: a step, a text, a tool call or a list of tool calls."""
    if isinstance(value, Reply | Status | Hang | Reset | Stall | Garbage):
        return value
    if isinstance(value, str):
        return Reply(value)
    if isinstance(value, ToolCall):
        return Reply(tool_calls=(value,))
    if isinstance(value, Sequence) and value and all(isinstance(v, ToolCall) for v in value):
        return Reply(tool_calls=tuple(value))
    raise ConfigError(
        "step", value, "give a Reply, Status, Hang, Reset, Stall, Garbage, text or ToolCall"
    )


def output_length(request: ProviderRequest, config: ProviderConfig) -> tuple[int, bool]:
    """Tokens of the reply, and whether the request's maximum cut it."""
    u = unit(config.seed, "length", request.digest)
    most = request.max_tokens
    if config.usage_factor is not None and most is not None:
        share = as_distribution("usage_factor", config.usage_factor).at(u)
        return min(most, max(1, round(most * share))), False
    wanted = max(1, round(as_distribution("output_tokens", config.output_tokens).at(u)))
    return (most, True) if most is not None and wanted > most else (wanted, False)


def _filled(start: str, tokens: int) -> str:
    """`start`, cut or filled with words to exactly so many tokens."""
    size = 4 * tokens
    if len(start) < size:
        words = " ".join(islice(cycle(_WORDS), size // 3 + 1))
        start = f"{start} {words}"
    # A space at the end would be stripped by some clients, which then count another length.
    return start[:size].rstrip().ljust(size, ".")


def _call(tool: ToolSpec, request: ProviderRequest) -> ToolCall:
    args = example(tool.parameters, text=request.user_text)
    return ToolCall(tool.name, args if isinstance(args, dict) else {})


def _chosen_tools(request: ProviderRequest, config: ProviderConfig) -> tuple[ToolSpec, ...]:
    """The tools that the simulated agent calls now; none means the final answer."""
    tools, choice = request.tools, request.tool_choice
    if not tools or choice == "none":
        return ()
    forced = tuple(tool for tool in tools if tool.name == choice)
    if forced:
        return forced
    must = choice in ("required", "any")
    if request.rounds >= config.agent_rounds:
        # Clients that want a structured answer offer it as their last tool and demand a call.
        return tools[-1:] if must else ()
    count = config.tool_calls_per_round if request.parallel_tool_calls else 1
    return tuple(tools[index % len(tools)] for index in range(count))


def default_reply(request: ProviderRequest, config: ProviderConfig) -> Reply:
    """The reply when no script and no responder says otherwise."""
    chosen = _chosen_tools(request, config)
    if chosen:
        return Reply(tool_calls=tuple(_call(tool, request) for tool in chosen))
    if request.schema is not None:
        value = example(request.schema, text=request.user_text)
        return Reply(json.dumps(value, ensure_ascii=False))
    if request.json_object:
        return Reply(json.dumps({"answer": request.user_text[:200]}, ensure_ascii=False))
    tokens, cut = output_length(request, config)
    start = f"You said: {request.user_text}" if request.user_text else "Done:"
    return Reply(_filled(start, tokens), finish_reason="length" if cut else None)


def with_call_ids(reply: Reply, request: ProviderRequest) -> Reply:
    """Give each tool call an id made from the request: the same in every run."""
    stem = request.digest.hex()[:18]
    calls = tuple(
        call if call.id else replace(call, id=f"call_{stem}{index:02d}")
        for index, call in enumerate(reply.tool_calls)
    )
    return replace(reply, tool_calls=calls)
