"""The live page served by itself, until somebody stops it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentrm_plugins.errors import ConfigError

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.page.asgi import LivePage

__all__ = ["serve"]

_MOST_PORT = 65_535


def serve(page: LivePage, *, host: str, port: int, told: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Args:
        page: What to serve.
        host: The address to listen at.
        port: The port; 0 is any that is free.
        told: Is told the address with the token, once, when it can be opened.

    Raises:
        ConfigError: The address cannot be listened at.
        ModuleNotFoundError: uvicorn is not installed (the extra `dash`).
    """
    import uvicorn

    if not 0 <= port <= _MOST_PORT:
        raise ConfigError("port", port, f"give a number from 0 to {_MOST_PORT}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    own = socket.socket(family, socket.SOCK_STREAM)
    own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        own.bind((host, port))
        own.listen()  # so that who opens the address at once waits, and is not refused
    except OSError as error:
        own.close()
        way = "give another --port, or leave it out for one that is free"
        field = "port" if port else "host"
        raise ConfigError(field, port or host, f"{error.strerror or error}; {way}") from None
    shown = f"[{host}]" if ":" in host else host
    told(f"http://{shown}:{own.getsockname()[1]}{page.path()}")
    # No access log: the token is in the first address that a browser asks for.
    config = uvicorn.Config(
        page, log_level="warning", access_log=False, timeout_graceful_shutdown=1, lifespan="off"
    )
    try:
        uvicorn.Server(config).run(sockets=[own])
    finally:
        page.close()
        own.close()
