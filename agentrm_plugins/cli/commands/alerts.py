"""Print the alert rules for Prometheus, as YAML for its rule_files."""

from __future__ import annotations

from importlib.resources import files

import typer

__all__ = ["register"]


def alerts() -> None:
    """Print the alert rules for Prometheus, as YAML for its rule_files."""
    folder = files("agentrm_plugins.telemetry.prometheus")
    typer.echo((folder / "alerts.yaml").read_text(encoding="utf-8"), nl=False)


def register(app: typer.Typer) -> None:
    """Add `agentrm alerts`."""
    app.command("alerts")(alerts)
