"""Prometheus: a collector for the user's own registry, and an endpoint that is scraped."""

from __future__ import annotations

from agentrm_plugins.telemetry.prometheus.collector import AgentRMCollector
from agentrm_plugins.telemetry.prometheus.server import MetricsServer, serve_metrics

__all__ = ["AgentRMCollector", "MetricsServer", "serve_metrics"]
