"""Run the simulated OpenAI-compatible provider until Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, cast

import typer

from agentrm_plugins.cli.shared import checked, need

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider import SimulatedProvider
    from agentrm_plugins.testing.provider.config import (
        Charge,
        HeaderStyle,
        ResetMeans,
        RetryAfterStyle,
    )
    from agentrm_plugins.testing.provider.limits import Kind

__all__ = ["register"]

# Fields of the provider whose option has a shorter name.
_OPTIONS = {
    "time_to_first_token_s": "--first-token",
    "header_style": "--headers",
    "reset_headers": "--reset",
    "reset_means": "--reset-means",
}
_Port = Annotated[int, typer.Option(help="Where to listen on 127.0.0.1; 0 for any.")]
_Window = Annotated[
    str, typer.Option(help="How limits come back: bucket, fixed, clock or sliding.")
]
_Enforce = Annotated[
    float | None, typer.Option(help="Enforce limits in steps of so many seconds too.")
]
_Charge = Annotated[
    str, typer.Option(help="reserve, reserve_only (unused max_tokens are kept) or actual.")
]
_Headers = Annotated[
    str,
    typer.Option(
        help="openai, anthropic, azure, gateway, ietf, ietf-07, plain, mistral, cerebras, limiter "
        "or none."
    ),
]
_Capacity = Annotated[int | None, typer.Option(help="Requests served at once; more are a 503.")]


def provider(
    port: _Port = 8089,
    seed: Annotated[int, typer.Option(help="Of lengths, latencies and faults.")] = 0,
    hang_rate: Annotated[float, typer.Option(help="Share of requests that hang.")] = 0.0,
    first_token: Annotated[float, typer.Option(help="Seconds to the first token.")] = 0.3,
    rpm: Annotated[float | None, typer.Option(help="Requests per window; none: no limit.")] = None,
    tpm: Annotated[float | None, typer.Option(help="Tokens per window; none: no limit.")] = None,
    window: _Window = "bucket",
    window_s: Annotated[float, typer.Option(help="Seconds of a window.")] = 60.0,
    enforce_s: _Enforce = None,
    charge: _Charge = "reserve",
    headers: _Headers = "openai",
    reset: Annotated[bool, typer.Option(help="Say when limits are whole again.")] = True,
    reset_means: Annotated[
        str, typer.Option(help="Of what a reset is the time: whole or next.")
    ] = ("whole"),
    retry_after: Annotated[str, typer.Option(help="In a refusal: ms, s or none.")] = "ms",
    capacity: _Capacity = None,
) -> None:
    """Run the simulated OpenAI-compatible provider until Ctrl-C."""
    need("testing", "h11")
    from agentrm_plugins.testing.provider import SimulatedProvider

    _serve(
        lambda: SimulatedProvider(
            port=port,
            seed=seed,
            hang_rate=hang_rate,
            time_to_first_token_s=first_token,
            rpm=rpm,
            tpm=tpm,
            window=cast("Kind", window),
            window_s=window_s,
            enforce_s=enforce_s,
            charge=cast("Charge", charge),
            header_style=cast("HeaderStyle", headers),
            reset_headers=reset,
            reset_means=cast("ResetMeans", reset_means),
            retry_after=cast("RetryAfterStyle", retry_after),
            capacity=capacity,
        ),
        port,
    )


def _serve(make: Callable[[], SimulatedProvider], port: int) -> None:
    made = checked(make, _OPTIONS)
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


def register(app: typer.Typer) -> None:
    """Add `agentrm provider`."""
    app.command("provider")(provider)
