"""Print the Grafana dashboard of the metrics, as JSON to import."""

from __future__ import annotations

import json

import typer

__all__ = ["register"]


def dashboard() -> None:
    """Print the Grafana dashboard of the metrics, as JSON to import."""
    from agentrm_plugins.telemetry.prometheus.dashboard import dashboard as made

    typer.echo(json.dumps(made(), indent=2))


def register(app: typer.Typer) -> None:
    """Add `agentrm dashboard`."""
    app.command("dashboard")(dashboard)
