"""HTTP clients whose transports show the core what passes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import httpx2
from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from agentrm_openai.exchange import ResponseObserver, has_pool
from agentrm_openai.forking import own_connections_after_fork
from agentrm_openai.observer import CoreObserver
from agentrm_openai.transport import ManagedAsyncTransport, ManagedTransport, TransportBase
from agentrm_plugins import AgentRM, ConfigError

if TYPE_CHECKING:
    import ssl

    from httpx2._types import (
        AuthTypes,
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        TimeoutTypes,
    )

__all__ = [
    "is_traced",
    "managed_async_http_client",
    "managed_http_client",
    "observe_client",
    "observed_twin",
]

_PLAIN = {"Client", "AsyncClient"}
_Client = TypeVar("_Client")


class _ClientArguments(TypedDict, total=False):
    """What clients of either kind take, as `httpx2.Client` and `httpx2.AsyncClient` name it."""

    auth: AuthTypes | None
    params: QueryParamTypes | None
    headers: HeaderTypes | None
    cookies: CookieTypes | None
    verify: ssl.SSLContext | str | bool
    cert: CertTypes | None
    trust_env: bool
    http1: bool
    http2: bool
    proxy: ProxyTypes | None
    timeout: TimeoutTypes
    follow_redirects: bool
    limits: httpx2.Limits
    max_redirects: int
    event_hooks: Mapping[str, list[Callable[..., Any]]] | None
    base_url: httpx2.URL | str
    default_encoding: str | Callable[[bytes], str | None]


class _SyncArguments(_ClientArguments, total=False):
    transport: httpx2.BaseTransport | None
    mounts: Mapping[str, httpx2.BaseTransport | None] | None


class _AsyncArguments(_ClientArguments, total=False):
    transport: httpx2.AsyncBaseTransport | None
    mounts: Mapping[str, httpx2.AsyncBaseTransport | None] | None


def managed_http_client(
    observer: AgentRM | ResponseObserver,
    *,
    sdk_retries: bool = True,
    **options: Unpack[_SyncArguments],
) -> httpx2.Client:
    """A client for `OpenAI(http_client=...)` and `ChatOpenAI(http_client=...)`.

    Args:
        observer: Who is shown what passes: the core, or any `ResponseObserver`.
        sdk_retries: Whether the SDK may retry what the server refused.
        options: As for `httpx2.Client`; timeout, limits and redirects are the SDK's unless given.
    """
    client: httpx2.Client = DefaultHttpxClient(**options)
    return observe_client(client, observer, sdk_retries=sdk_retries)


def managed_async_http_client(
    observer: AgentRM | ResponseObserver,
    *,
    sdk_retries: bool = True,
    **options: Unpack[_AsyncArguments],
) -> httpx2.AsyncClient:
    """A client for `AsyncOpenAI(http_client=...)` and `ChatOpenAI(http_async_client=...)`.

    Args:
        observer: Who is shown what passes: the core, or any `ResponseObserver`.
        sdk_retries: Whether the SDK may retry what the server refused.
        options: As for `httpx2.AsyncClient`; defaults are the SDK's.
    """
    client: httpx2.AsyncClient = DefaultAsyncHttpxClient(**options)
    return observe_client(client, observer, sdk_retries=sdk_retries)


def observe_client(
    client: _Client, observer: AgentRM | ResponseObserver, *, sdk_retries: bool = True
) -> _Client:
    """Let an existing client of httpx2 or httpx show what passes; its proxies included.

    Doing it twice does it once, with the last observer. The observer may be the core itself.

    Raises:
        ConfigError: It is no client of either library.
    """
    kind = _transport_kind(client)
    observer = CoreObserver(observer) if isinstance(observer, AgentRM) else observer
    options = {"sdk_retries": sdk_retries}
    # A client takes its transport at construction only, and then ignores the proxies of the
    # environment; so the transports that it made are wrapped where they are.
    holder: Any = client
    holder._transport = _wrapped(holder._transport, kind, observer, options)
    mounts = holder._mounts
    for pattern, transport in mounts.items():
        if transport is not None:
            mounts[pattern] = _wrapped(transport, kind, observer, options)
    return client


def observed_twin(client: Any, rm: AgentRM, *, tells_errors: str = "") -> Any:
    """A client that shows the core what passes and uses another one's connections.

    The other one, which may be shared with anybody, stays as it is; the twin keeps it open by
    keeping it, and closes nothing. None if it is no client of either library, or shows this core
    already what passes.

    Args:
        client: The other one.
        rm: The core.
        tells_errors: How errors of status 200 are told; "": as they came (see `TransportBase`).
    """
    try:
        kind = _transport_kind(client)
    except ConfigError:
        return None
    watching = getattr(client._transport, "observer", None)
    if isinstance(watching, CoreObserver) and watching.rm is rm:
        return None
    # Not the SDK's own class: that one closes its connections when it goes.
    plain = next(kind for kind in type(client).__mro__ if kind.__name__ in _PLAIN)
    twin: Any = object.__new__(plain)
    twin.__dict__.update(client.__dict__)
    twin._origin = client
    observer, options = CoreObserver(rm), {"tells_errors": tells_errors}
    twin._transport = _wrapped(client._transport, kind, observer, options)
    twin._mounts = {
        pattern: None if mount is None else _wrapped(mount, kind, observer, options)
        for pattern, mount in client._mounts.items()
    }
    return twin


def is_traced(client: Any) -> bool:
    """Whether the transports of an HTTP client all say when a request has been sent."""
    transports = [client._transport, *filter(None, client._mounts.values())]
    return all(isinstance(one, TransportBase) and has_pool(one.inner) for one in transports)


def _wrapped(
    transport: Any, kind: type[TransportBase], observer: ResponseObserver, options: dict[str, Any]
) -> TransportBase:
    inner = transport.inner if isinstance(transport, TransportBase) else transport
    wrapped = kind(observer, inner, **options)
    own_connections_after_fork(wrapped)
    return wrapped


def _transport_kind(client: object) -> type[TransportBase]:
    if isinstance(client, httpx2.Client):
        return ManagedTransport
    if isinstance(client, httpx2.AsyncClient):
        return ManagedAsyncTransport
    # Who hands over a client of the older library has imported it.
    httpx = sys.modules.get("httpx")
    if httpx is not None and isinstance(client, httpx.Client | httpx.AsyncClient):
        from agentrm_openai import transport_legacy as legacy

        if isinstance(client, httpx.Client):
            return legacy.LegacyManagedTransport
        return legacy.LegacyManagedAsyncTransport
    way = "give an httpx2.Client, an httpx2.AsyncClient, or one of httpx's"
    raise ConfigError.of_kind("client", client, way)
