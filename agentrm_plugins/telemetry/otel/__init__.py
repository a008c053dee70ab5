"""OpenTelemetry: metrics, and events on the user's own spans."""

from __future__ import annotations

from agentrm_plugins.telemetry.otel.instrumentation import Instrumentation, instrument

__all__ = ["Instrumentation", "instrument"]
