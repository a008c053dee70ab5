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
_HangRate = Annotated[float, typer.Option(help="Share of the calls that hang.")]
_Timeout = Annotated[float, typer.Option(help="The unmanaged client's timeout, model seconds.")]
_FirstToken = Annotated[
    float, typer.Option(help="The managed side's bound for a first token, model seconds.")
]
_Plain = Annotated[
    bool, typer.Option("--plain", help="Lines, no live display (as without a terminal).")
]
_Scenario = Annotated[str, typer.Option(help="What goes wrong: storm, hangs, memory or all.")]
_Tpm = Annotated[float, typer.Option(help="The provider's limit, tokens per model minute.")]
_Picture = Annotated[
    Path | None, typer.Option(help="Write a picture (SVG) in mid-run to this file.")
]
_Report = Annotated[
    Path | None, typer.Option(help="Write the report here, not to a temporary file.")
]
_Json = Annotated[Path | None, typer.Option(help="Write the figures to this file too.")]


def demo(
    scenario: _Scenario = "all",
    agents: Annotated[int, typer.Option(help="Agents in all.")] = 20,
    interactive: _Interactive = None,
    lanes: Annotated[int, typer.Option(help="Calls at once, on both sides.")] = 8,
    hang_rate: _HangRate = 0.05,
    tpm: _Tpm = 8_000.0,
    seed: Annotated[int, typer.Option(help="Of lengths, latencies and faults.")] = 7,
    order: Annotated[str, typer.Option(help=f"One of {', '.join(Order)}.")] = "mlfq",
    timeout: _Timeout = 60.0,
    first_token_timeout: _FirstToken = 20.0,
    time_scale: Annotated[float, typer.Option(help="Real seconds per model second.")] = 0.08,
    plain: _Plain = False,
    json: _Json = None,
    picture: _Picture = None,
    report: _Report = None,
) -> None:
    """Run real LangChain agents unmanaged and managed, side by side, for some 40 seconds."""
    need("quickstart", "rich", "h11", "langchain", "langchain_openai")
    for path, option in ((json, "--json"), (picture, "--picture"), (report, "--report")):
        writable(path, option)
    typer.echo("Loading LangChain ...", err=True)
    from agentrm_plugins.demo import DemoSettings, run_demo

    settings = checked(
        lambda: DemoSettings(
            scenario=scenario,
            agents=agents,
            interactive=round(0.6 * agents) if interactive is None else interactive,
            lanes=lanes,
            hang_rate=hang_rate,
            tpm=tpm,
            seed=seed,
            order=order,
            time_scale=time_scale,
            timeout_s=timeout,
            first_token_timeout_s=first_token_timeout,
        )
    )
    lines = plain or not sys.stdout.isatty()
    try:
        asyncio.run(
            run_demo(
                settings, plain=lines, json_path=json, picture_path=picture, report_path=report
            )
        )
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None


def register(app: typer.Typer) -> None:
    """Add `agentrm demo`."""
    app.command("demo")(demo)
