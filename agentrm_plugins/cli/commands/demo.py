"""Run some twenty LangChain agents unmanaged and managed, against a simulated provider."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.shared import INTERRUPTED, checked, need, writable
from agentrm_plugins.config import Order

__all__ = ["register"]

_Interactive = Annotated[
    int | None, typer.Option(help="How many are interactive; 60 % if left out.")
]
_HangRate = Annotated[float, typer.Option(help="Share of the batch agents' calls that hang.")]
_Timeout = Annotated[float, typer.Option(help="The unmanaged client's timeout, model seconds.")]
_FirstToken = Annotated[
    float, typer.Option(help="The managed side's bound for a first token, model seconds.")
]
_Plain = Annotated[
    bool, typer.Option("--plain", help="Lines, no live display (as without a terminal).")
]
_Json = Annotated[Path | None, typer.Option(help="Write the figures to this file too.")]


def demo(
    agents: Annotated[int, typer.Option(help="Agents in all.")] = 20,
    interactive: _Interactive = None,
    lanes: Annotated[int, typer.Option(help="Calls at once, on both sides.")] = 4,
    hang_rate: _HangRate = 0.08,
    seed: Annotated[int, typer.Option(help="Of lengths, latencies and faults.")] = 7,
    order: Annotated[str, typer.Option(help=f"One of {', '.join(Order)}.")] = "mlfq",
    timeout: _Timeout = 60.0,
    first_token_timeout: _FirstToken = 20.0,
    time_scale: Annotated[float, typer.Option(help="Real seconds per model second.")] = 0.08,
    plain: _Plain = False,
    json: _Json = None,
) -> None:
    """Run real LangChain agents unmanaged, then managed, against a simulated provider."""
    need("quickstart", "rich", "h11", "langchain", "langchain_openai")
    writable(json, "--json")
    from agentrm_plugins.demo import DemoSettings, run_demo

    settings = checked(
        lambda: DemoSettings(
            agents=agents,
            interactive=round(0.6 * agents) if interactive is None else interactive,
            lanes=lanes,
            hang_rate=hang_rate,
            seed=seed,
            order=order,
            time_scale=time_scale,
            timeout_s=timeout,
            first_token_timeout_s=first_token_timeout,
        )
    )
    lines = plain or not sys.stdout.isatty()
    try:
        asyncio.run(run_demo(settings, plain=lines, json_path=json))
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def register(app: typer.Typer) -> None:
    """Add `agentrm demo`."""
    app.command("demo")(demo)
