"""Tokens: of a request before it is sent, and of an answer by what its provider reports."""

from __future__ import annotations

from agentrm_plugins.counting.encodings import counter_for, prepare, request_counter
from agentrm_plugins.counting.forms import form_of
from agentrm_plugins.counting.requests import request_tokens
from agentrm_plugins.counting.usage import (
    UsageTally,
    completed_usage,
    reported_usage,
    said_in,
    tells_input,
)

__all__ = [
    "UsageTally",
    "completed_usage",
    "counter_for",
    "form_of",
    "prepare",
    "reported_usage",
    "request_counter",
    "request_tokens",
    "said_in",
    "tells_input",
]
