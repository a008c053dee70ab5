"""The published experiments, done again: `agentrm bench NAME`."""

from __future__ import annotations

from importlib import import_module

EXPERIMENTS = ("paper", "hivemind", "ablation", "scale", "demo", "story")


def run(name: str, seeds: int | None = None) -> None:
    """Run one experiment and write its results."""
    experiment = import_module(f"benchmarks.published.{name}")
    if seeds is None or name in {"scale", "story"}:
        experiment.run()
    else:
        experiment.run(seeds)
