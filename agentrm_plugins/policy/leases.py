"""Leases: for how long a call may hold a lane in silence.

Law: a running call is hung when ``now - last_progress > allowed``, where allowed is the first-token
timeout before its first beat (the response timeout for a call that does not stream) and the silence
timeout after it; or when it held its lane for longer than the total timeout. The clock starts with
the lane, never with the queue, and stands still while the call waits for a call nested in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentrm_plugins.config import LeaseConfig
    from agentrm_plugins.types.calls import Call

__all__ = ["NEVER", "Terms", "terms"]

NEVER = float("inf")


class Terms(NamedTuple):
    """One call's timeouts in seconds; infinite for none."""

    first_s: float
    silence_s: float
    total_s: float
    first_cause: str


def terms(call: Call, config: LeaseConfig) -> Terms:
    """What the call declares, or else what is configured."""
    if call.streaming:
        first_s, cause = config.first_token_timeout_s, "first_token"
    else:
        first_s, cause = config.response_timeout_s, "response"
    total_s = call.total_timeout_s
    if total_s is None:
        total_s = config.total_timeout_s
    return Terms(
        first_s if call.first_token_timeout_s is None else call.first_token_timeout_s,
        config.silence_timeout_s if call.silence_timeout_s is None else call.silence_timeout_s,
        NEVER if total_s is None else total_s,
        cause,
    )
