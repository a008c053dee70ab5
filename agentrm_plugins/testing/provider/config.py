"""What the simulated provider is told, validated at construction.

A `ProviderConfig` is a frozen value; `SimulatedProvider.reconfigure` replaces fields of it while
requests are in flight, and `schedule` does so at given times.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.testing.provider.limits import Kind, Quota
from agentrm_plugins.testing.provider.seeding import Distribution, as_distribution
from agentrm_plugins.types.checks import (
    check_choice,
    check_instance,
    check_known,
    check_number,
    check_seconds,
    check_share,
    check_whole,
    keep,
)

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.requests import ProviderRequest

__all__ = ["Change", "ModelConfig", "ProviderConfig", "key_fingerprint"]

Charge = Literal["reserve", "reserve_only", "actual"]
HeaderStyle = Literal[
    "openai",
    "anthropic",
    "azure",
    "gateway",
    "ietf",
    "ietf-07",
    "plain",
    "mistral",
    "cerebras",
    "limiter",
    "none",
]
RetryAfterStyle = Literal["ms", "s", "none"]
ResetMeans = Literal["whole", "next"]
LimitScope = Literal["model_and_key", "model", "key", "server"]

_FINGERPRINT = re.compile(r"[0-9a-f]{12}")


def key_fingerprint(key: str) -> str:
    """Twelve hex digits that stand for an API key; the key cannot be read from them."""
    return sha256(b"agentrm-simulated-provider:" + key.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What differs for one model. None keeps the provider's value.

    Units are those of the same fields in `ProviderConfig`.
    """

    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    capacity: int | None = None
    context_window: int | None = None
    time_to_first_token_s: float | Distribution | None = None
    token_time_s: float | Distribution | None = None
    hang_rate: float | None = None

    def __post_init__(self) -> None:
        for name in ("rpm", "tpm", "input_tpm", "output_tpm", "capacity", "context_window"):
            check_number(f"models[...].{name}", getattr(self, name), above=True, none=True)
        for name in ("time_to_first_token_s", "token_time_s"):
            if getattr(self, name) is not None:
                as_distribution(f"models[...].{name}", getattr(self, name))
        if self.hang_rate is not None:
            check_share("models[...].hang_rate", self.hang_rate, zero=True)


@dataclass(frozen=True, slots=True)
class Change:
    """At `at_s` seconds (times `time_scale`) after the first request, these fields change."""

    at_s: float
    changes: Mapping[str, Any]

    def __post_init__(self) -> None:
        check_seconds("Change.at_s", self.at_s, zero=True, none=False)
        known = {entry.name for entry in fields(ProviderConfig)} - {"seed", "schedule"}
        check_known(self.changes, known, self.changes)


_RATES = (
    "hang_rate",
    "stall_rate",
    "reset_rate",
    "error_rate",
    "garbage_rate",
    "slow_rate",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """Everything about a simulated provider.

    Args:
        seed: Any whole number. Same seed and same requests, same lengths, latencies and faults.
        time_to_first_token_s: Seconds from the request to its first token.
        token_time_s: Seconds per output token after the first.
        tokens_per_chunk: Tokens in one streamed chunk, >= 1.
        time_scale: Multiplies every duration given here (latencies, window, schedule, hangs).
        rpm: Requests per window; None is no limit.
        tpm: Tokens (input and output together) per window.
        input_tpm: Input tokens per window, limited apart (as Anthropic does).
        output_tpm: Output tokens per window, limited apart.
        limit_factor: Multiplies all these limits: 0.4 lets them fall to 40 %.
        window_s: Length of "a minute" in seconds, for short scenarios.
        burst: Size of the bucket as a share of a window's quota, 0 < burst <= 1.
        window: How what was taken returns: "bucket" all the time, "fixed" whole at the end of
            each window since the first request, "clock" whole at each multiple of `window_s` of
            Unix time (clock minutes), "sliding" each amount a window after it was taken.
        enforce_s: Steps in which the limits are enforced beside their window, seconds: 1 lets a
            limit of 600 a minute pass 10 a second. None is no steps. No header tells of them.
        limit_scope: What has limits of its own: each model and key, each model, each key, or
            the server as a whole.
        charge: "reserve" takes input + max_tokens up front and corrects it by the real usage at
            the end; "reserve_only" never corrects, so unused max_tokens are kept; "actual" lets a
            request in when its input fits and charges its output when it is over.
        default_max_tokens: Output tokens reserved for a request that names no limit of its own.
        rejection_cost: Requests charged for a rejected one (FIELD F2: a 429 costs quota).
        capacity: Requests served at once per model; more are answered 503. None is endless.
        quota_tokens: Tokens per key in all; then 429 `insufficient_quota`. None is endless.
        context_window: Tokens; a larger request is 400 `context_length_exceeded`.
        header_style: Whose rate-limit headers to send; "gateway" is limit and remaining only,
            "ietf" `RateLimit` and `RateLimit-Policy` ("ietf-07": as `limit=60, remaining=59`),
            "plain" one `x-ratelimit-limit: 60, 60;w=60`, "limiter" resets as moments and refusals
            that say "60 per 60 seconds".
        reset_headers: Whether those say when the limits are whole again.
        reset_means: What that moment is: "whole" all is back, "next" the next unit of a bucket is,
            or the oldest of a sliding window leaves.
        retry_after: "ms" sends `retry-after-ms` and `retry-after`, "s" whole seconds only.
        capacity_retry_after_s: `retry-after` of a 503, seconds; None sends none.
        hang_rate: Share of the admitted requests that are never answered (headers withheld).
        hang_s: Seconds until a hanging connection is dropped; None is never.
        stall_rate: Share that falls silent in the middle of the body.
        reset_rate: Share whose connection is reset (a TCP RST) before the headers.
        error_rate: Share answered with one of `error_statuses`.
        error_statuses: From 500, 502, 503, 529.
        garbage_rate: Share answered with broken JSON or a broken, cut stream.
        slow_rate: Share that takes `slow_factor` times as long.
        slow_factor: >= 1.
        output_tokens: Length of a reply in tokens, cut by the request's own maximum.
        usage_factor: If set, a reply is this share of the request's maximum instead.
        cached_share: Share of the input reported as cached, 0 to 1.
        cached_counts: Whether cached input counts against the limits.
        agent_rounds: Rounds of tool calls before a simulated agent gives its final answer.
        tool_calls_per_round: Parallel tool calls in a round (of the offered tools, in turn).
        embedding_dimensions: Length of a vector when the request does not say.
        models: What differs for single models.
        only_listed_models: Answer 404 `model_not_found` for any other.
        accepted_keys: Fingerprints (`key_fingerprint`) of the accepted keys; None is any key.
        agent_header: Request header that names the agent, for seeding and the log.
        responder: Called with each admitted request on the provider's thread; gives a step
            (`Reply`, `Status`, `Hang`, ...), a text, or None for the default reply.
        schedule: Changes at given times after the first request.
    """

    seed: int = 0
    time_to_first_token_s: float | Distribution = 0.0
    token_time_s: float | Distribution = 0.0
    tokens_per_chunk: int = 4
    time_scale: float = 1.0
    rpm: float | None = None
    tpm: float | None = None
    input_tpm: float | None = None
    output_tpm: float | None = None
    limit_factor: float = 1.0
    window_s: float = 60.0
    burst: float = 1.0
    window: Kind = "bucket"
    enforce_s: float | None = None
    limit_scope: LimitScope = "model_and_key"
    charge: Charge = "reserve"
    default_max_tokens: int = 256
    rejection_cost: float = 1.0
    capacity: int | None = None
    quota_tokens: int | None = None
    context_window: int | None = None
    header_style: HeaderStyle = "openai"
    reset_headers: bool = True
    reset_means: ResetMeans = "whole"
    retry_after: RetryAfterStyle = "ms"
    capacity_retry_after_s: float | None = None
    hang_rate: float = 0.0
    hang_s: float | None = None
    stall_rate: float = 0.0
    reset_rate: float = 0.0
    error_rate: float = 0.0
    error_statuses: tuple[int, ...] = (500,)
    garbage_rate: float = 0.0
    slow_rate: float = 0.0
    slow_factor: float = 5.0
    output_tokens: float | Distribution = 16
    usage_factor: float | Distribution | None = None
    cached_share: float = 0.0
    cached_counts: bool = True
    agent_rounds: int = 1
    tool_calls_per_round: int = 1
    embedding_dimensions: int = 256
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    only_listed_models: bool = False
    accepted_keys: frozenset[str] | None = None
    agent_header: str = "x-agentrm-agent"
    responder: Callable[[ProviderRequest], object] | None = None
    schedule: tuple[Change, ...] = ()

    def __post_init__(self) -> None:
        self._check_limits()
        self._check_replies()
        self._check_faults()
        self._check_collections()

    def _check_limits(self) -> None:
        check_whole("seed", self.seed, -(2**63), 2**63)
        for name in ("rpm", "tpm", "input_tpm", "output_tpm", "quota_tokens", "context_window"):
            keep(self, check_number, name, above=True, none=True)
        for name in ("limit_factor", "window_s", "time_scale"):
            keep(self, check_number, name, above=True)
        check_whole("capacity", self.capacity, 1, none=True)
        keep(self, check_share, "burst", of="the quota")
        keep(self, check_number, "rejection_cost")
        check_choice("window", self.window, get_args(Kind))
        keep(self, check_seconds, "enforce_s")
        if self.enforce_s is not None and self.enforce_s > self.window_s:
            raise ConfigError("enforce_s", self.enforce_s, f"keep it at most {self.window_s}")
        check_choice("limit_scope", self.limit_scope, get_args(LimitScope))
        check_choice("charge", self.charge, get_args(Charge))
        check_choice("header_style", self.header_style, get_args(HeaderStyle))
        check_choice("reset_means", self.reset_means, get_args(ResetMeans))
        check_choice("retry_after", self.retry_after, get_args(RetryAfterStyle))
        keep(self, check_seconds, "capacity_retry_after_s", zero=True)

    def _check_replies(self) -> None:
        for name in ("time_to_first_token_s", "token_time_s", "output_tokens"):
            as_distribution(name, getattr(self, name))
        if self.usage_factor is not None:
            as_distribution("usage_factor", self.usage_factor)
        for name in ("tokens_per_chunk", "default_max_tokens", "tool_calls_per_round"):
            check_whole(name, getattr(self, name), 1)
        check_whole("embedding_dimensions", self.embedding_dimensions, 1)
        check_whole("agent_rounds", self.agent_rounds)
        if self.responder is not None and not callable(self.responder):
            raise ConfigError("responder", self.responder, "give a function of one request")

    def _check_faults(self) -> None:
        for name in (*_RATES, "cached_share"):
            keep(self, check_share, name, zero=True)
        total = sum(getattr(self, name) for name in _RATES if name != "slow_rate")
        if total > 1 + 1e-9:
            raise ConfigError("hang_rate + ... + garbage_rate", total, "keep the sum at most 1")
        keep(self, check_seconds, "hang_s", zero=True)
        keep(self, check_number, "slow_factor", 1)
        allowed = (500, 502, 503, 529)
        if not self.error_statuses or any(code not in allowed for code in self.error_statuses):
            raise ConfigError("error_statuses", self.error_statuses, f"choose from {allowed}")

    def _check_collections(self) -> None:
        for name, model in self.models.items():
            check_instance(f"models[{name!r}]", model, ModelConfig)
        object.__setattr__(self, "models", MappingProxyType(dict(self.models)))
        if self.accepted_keys is not None:
            keys = frozenset(self.accepted_keys)
            if not all(isinstance(key, str) and _FINGERPRINT.fullmatch(key) for key in keys):
                # What was given may be a real key, so it is not shown.
                raise ConfigError("accepted_keys", "(hidden)", "give key_fingerprint(key) of each")
            object.__setattr__(self, "accepted_keys", keys)
        object.__setattr__(self, "agent_header", self.agent_header.lower())
        object.__setattr__(self, "schedule", tuple(sorted(self.schedule, key=lambda c: c.at_s)))
        for change in self.schedule:
            # A wrong value shows here, not in the middle of a run.
            replace(self, schedule=(), **change.changes)

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """A copy with these fields changed; an unknown field is a `ConfigError`."""
        known = {entry.name for entry in fields(self)}
        for name in changes:
            if name not in known or name in ("seed", "schedule"):
                raise ConfigError(name, changes[name], "no such field to change in mid-run")
        return replace(self, **changes)

    def quota(self, model: str) -> Quota:
        """The limits of one model at this moment, all factors applied."""
        own = self.models.get(model)
        factor = self.limit_factor

        def limit(name: str) -> float | None:
            value = getattr(own, name) if own is not None else None
            value = getattr(self, name) if value is None else value
            return None if value is None else value * factor

        return Quota(
            requests=limit("rpm"),
            tokens=limit("tpm"),
            input_tokens=limit("input_tpm"),
            output_tokens=limit("output_tpm"),
            window_s=self.window_s * self.time_scale,
            burst=self.burst,
            kind=self.window,
            enforce_s=None if self.enforce_s is None else self.enforce_s * self.time_scale,
        )

    def of(self, model: str, name: str) -> Any:
        """A field's value for one model: its own, or the provider's."""
        own = self.models.get(model)
        value = getattr(own, name) if own is not None else None
        return getattr(self, name) if value is None else value
