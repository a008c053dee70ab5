"""The `agentrm` command: `demo`, `simulate`, `bench` and `provider`."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from agentrm_plugins.config import Order
from agentrm_plugins.errors import ConfigError
from agentrm_plugins.sim import SCENARIOS, comparison, losses, scenario, table

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider import SimulatedProvider

__all__ = ["app"]

T = TypeVar("T")
_INTERRUPTED = 130  # the shell's code for a program ended by Ctrl-C
_MOST_SEEDS = 1000

app = typer.Typer(
    help="AgentRM: a resource manager for LLM agents.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _checked(make: Callable[[], T]) -> T:
    """Turn a bad value into the command's own kind of error."""
    try:
        return make()
    except ConfigError as error:
        raise typer.BadParameter(
            f"{error.value!r}: {error.remedy}", param_hint=error.field
        ) from error


def _need(extra: str, *modules: str) -> None:
    """End with the way out if an optional requirement is not there."""
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        way = f"pip install 'agentrm-plugins[{extra}]'"
        typer.echo(f"This needs {', '.join(missing)}: {way}", err=True)
        raise typer.Exit(1)


@app.command()
def demo(
    agents: Annotated[int, typer.Option(help="Agents in all.")] = 20,
    interactive: Annotated[
        int | None, typer.Option(help="How many are interactive; 60 % if left out.")
    ] = None,
    lanes: Annotated[int, typer.Option(help="Calls at once, on both sides.")] = 4,
    hang_rate: Annotated[
        float, typer.Option(help="Share of the batch agents' calls that hang.")
    ] = 0.08,
    seed: Annotated[int, typer.Option(help="Of lengths, latencies and faults.")] = 7,
    order: Annotated[str, typer.Option(help=f"One of {', '.join(Order)}.")] = "mlfq",
    timeout: Annotated[
        float, typer.Option(help="The unmanaged client's timeout, model seconds.")
    ] = 60.0,
    first_token_timeout: Annotated[
        float, typer.Option(help="The managed side's bound for a first token, model seconds.")
    ] = 20.0,
    time_scale: Annotated[float, typer.Option(help="Real seconds per model second.")] = 0.08,
    plain: Annotated[
        bool, typer.Option("--plain", help="Lines, no live display (as without a terminal).")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the figures to this file too.")] = None,
) -> None:
    """Run real LangChain agents unmanaged, then managed, against a simulated provider."""
    _need("demo", "rich", "h11", "langchain", "langchain_openai")
    if json is not None and not json.absolute().parent.is_dir():
        raise typer.BadParameter(
            f"{str(json)!r}: its folder does not exist; make it, or give another path",
            param_hint="--json",
        )
    from agentrm_plugins.demo import DemoSettings, run_demo

    settings = _checked(
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
        raise typer.Exit(_INTERRUPTED) from None


@app.command()
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
    chosen = _checked(lambda: scenario(scenario_name))
    if not 1 <= seeds <= _MOST_SEEDS:
        raise typer.BadParameter(
            f"{seeds}: give a whole number from 1 to {_MOST_SEEDS}", param_hint="--seeds"
        )
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


@app.command()
def bench(
    name: Annotated[
        str, typer.Argument(help="paper, ablation, scale, or story (docs/results.md).")
    ],
    seeds: Annotated[
        int | None, typer.Option(help="How many seeds, where an experiment has any.")
    ] = None,
) -> None:
    """Do a published experiment again; writes benchmarks/results/NAME.{json,md,html}.

    Runs in a clone of the project, whose benchmarks no package ships.
    """
    sys.path.insert(0, str(Path.cwd()))
    if find_spec("benchmarks") is None or find_spec("benchmarks.published") is None:
        typer.echo("This needs a clone of the project: run it there, or `make bench`.", err=True)
        raise typer.Exit(1)
    published = import_module("benchmarks.published")
    if name not in published.EXPERIMENTS:
        way = f"{name!r}: use one of {', '.join(published.EXPERIMENTS)}"
        raise typer.BadParameter(way, param_hint="NAME")
    if seeds is not None and not 1 <= seeds <= _MOST_SEEDS:
        raise typer.BadParameter(
            f"{seeds}: give a whole number from 1 to {_MOST_SEEDS}", param_hint="--seeds"
        )
    try:
        published.run(name, seeds)
    except KeyboardInterrupt:
        typer.echo("Stopped.", err=True)
        raise typer.Exit(_INTERRUPTED) from None


@app.command()
def provider(
    port: Annotated[int, typer.Option(help="Where to listen on 127.0.0.1; 0 for any.")] = 8089,
    seed: Annotated[int, typer.Option(help="Of lengths, latencies and faults.")] = 0,
    hang_rate: Annotated[float, typer.Option(help="Share of requests that hang.")] = 0.0,
    first_token: Annotated[float, typer.Option(help="Seconds to the first token.")] = 0.3,
    rpm: Annotated[float | None, typer.Option(help="Requests per window; none: no limit.")] = None,
    tpm: Annotated[float | None, typer.Option(help="Tokens per window; none: no limit.")] = None,
    window: Annotated[
        str, typer.Option(help="How limits come back: bucket, fixed, clock or sliding.")
    ] = "bucket",
    window_s: Annotated[float, typer.Option(help="Seconds of a window.")] = 60.0,
    enforce_s: Annotated[
        float | None, typer.Option(help="Enforce limits in steps of so many seconds too.")
    ] = None,
    charge: Annotated[
        str,
        typer.Option(help="reserve, reserve_only (unused max_tokens are kept) or actual."),
    ] = "reserve",
    headers: Annotated[
        str,
        typer.Option(
            help="openai, anthropic, azure, gateway, ietf, plain, mistral, cerebras or none."
        ),
    ] = "openai",
    reset: Annotated[bool, typer.Option(help="Say when limits are whole again.")] = True,
    retry_after: Annotated[str, typer.Option(help="In a refusal: ms, s or none.")] = "ms",
    capacity: Annotated[
        int | None, typer.Option(help="Requests served at once; more are a 503.")
    ] = None,
) -> None:
    """Run the simulated OpenAI-compatible provider until Ctrl-C."""
    _need("testing", "h11")
    from agentrm_plugins.testing.provider import SimulatedProvider

    _serve(
        lambda: SimulatedProvider(
            port=port,
            seed=seed,
            hang_rate=hang_rate,
            time_to_first_token_s=first_token,
            rpm=rpm,
            tpm=tpm,
            window=window,
            window_s=window_s,
            enforce_s=enforce_s,
            charge=charge,
            header_style=headers,
            reset_headers=reset,
            retry_after=retry_after,
            capacity=capacity,
        ),
        port,
    )


def _serve(make: Callable[[], SimulatedProvider], port: int) -> None:
    made = _checked(make)
    try:
        made.start()
    except OSError as error:
        raise typer.BadParameter(
            f"{port}: {error.strerror}; give another port, or 0 for any", param_hint="--port"
        ) from error
    with made:
        typer.echo(f"export OPENAI_BASE_URL={made.base_url}")
        typer.echo("export OPENAI_API_KEY=test-key")
        typer.echo("Any key will do. Ctrl-C ends it.", err=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            typer.echo(f"Served {made.statistics().requests} requests.", err=True)


if __name__ == "__main__":
    app()
