"""Show a running process or a recording as a live page in the browser."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from typing import Annotated

import typer

from agentrm_plugins.cli.attach import Process, Replay, Speed, looked_at
from agentrm_plugins.cli.shared import checked, need

__all__ = ["register"]

_Host = Annotated[str, typer.Option(help="Where to listen; this machine only if left out.")]
_Port = Annotated[int, typer.Option(help="The port; 0 is any that is free.")]
_Allow = Annotated[
    list[str] | None,
    typer.Option("--allow-host", help="A name under which other machines may ask; repeatable."),
]


def dash(
    process: Process = None,
    *,
    host: _Host = "127.0.0.1",
    port: _Port = 0,
    allow_host: _Allow = None,
    replay: Replay = None,
    speed: Speed = 1.0,
) -> None:
    """Show a running process or a recording as a live page in the browser.

    The address that is printed holds a token; who does not have it sees nothing.
    """
    need("dash", "starlette", "uvicorn", "plotly")
    if not _is_local(host) and not allow_host:
        raise typer.BadParameter(
            f"{host!r}: others can reach that; say under which name: --allow-host box.example",
            param_hint="--host",
        )
    source, _ = looked_at(process, replay, speed)
    from agentrm_plugins.telemetry import LivePage
    from agentrm_plugins.telemetry.page.serving import serve

    page = LivePage(source, hosts=allow_host or None, title=f"AgentRM: {source.title}")
    with suppress(KeyboardInterrupt):
        checked(lambda: serve(page, host=host, port=port, told=_tell))


def _tell(address: str) -> None:
    typer.echo(f"Open {address}")
    typer.echo("Ctrl-C ends it.")


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def register(app: typer.Typer) -> None:
    """Add `agentrm dash`."""
    app.command("dash")(dash)
