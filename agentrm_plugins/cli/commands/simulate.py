"""Run a seeded workload in virtual time with each order, and say where one loses."""

from __future__ import annotations

from typing import Annotated

import typer

from agentrm_plugins.cli.shared import check_seeds, checked
from agentrm_plugins.config import Order
from agentrm_plugins.sim import SCENARIOS, comparison, losses, scenario, table

__all__ = ["register"]


def simulate(
    scenario_name: Annotated[
        str, typer.Option("--scenario", help=f"One of {', '.join(SCENARIOS)}.")
    ] = "faulty",
    order: Annotated[str, typer.Option(help="The order to hold against the others.")] = "mlfq",
    seeds: Annotated[int, typer.Option(help="How many seeds; the table shows medians.")] = 5,
    reaper: Annotated[bool, typer.Option(help="Reap calls after 30 s of silence.")] = True,
    boost: Annotated[bool, typer.Option(help="mlfq_textbook boosts every 100 dispatches.")] = True,
    hints: Annotated[bool, typer.Option(help="Agents declare what they are.")] = True,
) -> None:
    """Run a seeded workload in virtual time with each order, and say where one loses."""
    chosen = checked(lambda: scenario(scenario_name))
    check_seeds(seeds)
    if order not in list(Order):
        raise typer.BadParameter(f"{order!r}: use one of {', '.join(Order)}", param_hint="--order")
    rows = comparison(chosen, range(1, seeds + 1), reaper=reaper, boost=boost, hints=hints)
    typer.echo(f"{chosen.name} ({chosen.source}): {chosen.text}.")
    typer.echo(f"Medians over {seeds} seeds; every order meets the same turns and faults.\n")
    typer.echo(table(rows))
    lost = losses(rows, order)
    if lost:
        typer.echo(f"\n{order} loses by more than 2 %:")
        for words in lost:
            typer.echo(f"  {words}")
    else:
        typer.echo(f"\n{order} loses nowhere by more than 2 %.")


def register(app: typer.Typer) -> None:
    """Add `agentrm simulate`."""
    app.command("simulate")(simulate)
