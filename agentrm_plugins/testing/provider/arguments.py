"""The fields of `ProviderConfig` as arguments, for the type checker and the editor.

`tests/testing` holds the two lists together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.config import (
        Change,
        Charge,
        HeaderStyle,
        LimitScope,
        ModelConfig,
        ResetMeans,
        RetryAfterStyle,
    )
    from agentrm_plugins.testing.provider.limits import Kind
    from agentrm_plugins.testing.provider.requests import ProviderRequest
    from agentrm_plugins.testing.provider.seeding import Distribution

__all__ = ["ProviderArguments"]


class ProviderArguments(TypedDict, total=False):
    """All fields of `ProviderConfig`, each under its name there."""

    seed: int
    time_to_first_token_s: float | Distribution
    token_time_s: float | Distribution
    tokens_per_chunk: int
    time_scale: float
    rpm: float | None
    tpm: float | None
    input_tpm: float | None
    output_tpm: float | None
    limit_factor: float
    window_s: float
    burst: float
    window: Kind
    enforce_s: float | None
    limit_scope: LimitScope
    charge: Charge
    default_max_tokens: int
    rejection_cost: float
    capacity: int | None
    quota_tokens: int | None
    context_window: int | None
    header_style: HeaderStyle
    reset_headers: bool
    reset_means: ResetMeans
    retry_after: RetryAfterStyle
    capacity_retry_after_s: float | None
    hang_rate: float
    hang_s: float | None
    stall_rate: float
    reset_rate: float
    error_rate: float
    error_statuses: tuple[int, ...]
    garbage_rate: float
    slow_rate: float
    slow_factor: float
    output_tokens: float | Distribution
    usage_factor: float | Distribution | None
    cached_share: float
    cached_counts: bool
    agent_rounds: int
    tool_calls_per_round: int
    embedding_dimensions: int
    models: Mapping[str, ModelConfig]
    only_listed_models: bool
    accepted_keys: frozenset[str] | None
    agent_header: str
    responder: Callable[[ProviderRequest], object] | None
    schedule: tuple[Change, ...]
