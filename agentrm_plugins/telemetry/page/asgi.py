"""The live page as an ASGI application, to be served alone or mounted in a user's own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from agentrm_plugins.telemetry.page.document import chart_script, live_document, part
from agentrm_plugins.telemetry.page.guard import Answer, Guard, checked_token
from agentrm_plugins.telemetry.page.live import Live
from agentrm_plugins.telemetry.page.metrics import Metrics
from agentrm_plugins.telemetry.sources import CoreSource

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from agentrm_plugins.telemetry.sources import Source

__all__ = ["LivePage", "asgi_app"]

_MOST_VIEWERS = 64
_LOOK_EVERY_S = 0.25
_QUIET_S = 10.0
# A stream ends by itself, and the browser comes again at once: a server that shuts down waits for
# its open answers, and would wait for ever for one that never ends.
_STREAM_S = 30.0
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
        "connect-src 'self'; img-src data: blob:; font-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


class LivePage:
    """An ASGI application that shows a source live.

    Attributes:
        token: What a viewer has to know; it is in no log and no `repr`.
    """

    def __init__(
        self,
        source: Source,
        *,
        token: str | None = None,
        hosts: Iterable[str] | None = None,
        title: str = "AgentRM",
        rm: Any = None,
    ) -> None:
        _need_starlette()
        chart_script()  # to say now, rather than at the first look, that Plotly is missing
        self.token = checked_token(token)
        self._guard = Guard(self.token, hosts)
        self.live = Live(source)
        self._document = live_document(title)
        self._viewers = 0
        self._metrics = Metrics(rm)
        self._inner = self._routes()

    def __repr__(self) -> str:
        return f"<LivePage of {self.live.source.title}>"

    def close(self) -> None:
        """Stop reading; open pages are told that it is over."""
        self.live.close()
        self._metrics.close()

    def path(self, root: str = "") -> str:
        """Where a browser goes first: a path with the token in it, below `root`."""
        return f"{root.rstrip('/')}/?token={self.token}"

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer, if the guard has nothing against it."""
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = self._guard.look(scope)
        if answer is not None:
            await _refuse(answer, send)
            return
        self.live.ensure()
        await self._inner(scope, receive, send)

    def _routes(self) -> Any:
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse
        from starlette.responses import Response as Plain
        from starlette.routing import Route

        def fixed(text: str, kind: str) -> Any:
            async def answer(_: Request) -> Response:
                return Plain(text, media_type=kind, headers=_HEADERS)

            return answer

        async def state(_: Request) -> Response:
            text = (await asyncio.to_thread(self.live.text))[1]
            return Plain(text, media_type="application/json", headers=_HEADERS)

        async def metrics(request: Request) -> Response:
            accept = request.headers.get("accept", "")
            status, text, kind = await asyncio.to_thread(self._metrics.text, accept)
            return Plain(text, status, headers={**_HEADERS, "content-type": kind})

        async def events(_: Request) -> Response:
            from starlette.responses import StreamingResponse

            if self._viewers >= _MOST_VIEWERS:
                return PlainTextResponse("Too many viewers.\n", 503, headers=_HEADERS)
            head = {**_HEADERS, "x-accel-buffering": "no"}
            return StreamingResponse(self._stream(), media_type="text/event-stream", headers=head)

        return Starlette(
            routes=[
                Route("/", fixed(self._document, "text/html")),
                Route("/page.css", fixed(part("page.css"), "text/css")),
                Route("/page.js", fixed(part("page.js"), "text/javascript")),
                Route("/plotly.js", fixed(chart_script(), "text/javascript")),
                Route("/snapshot", state),
                Route("/metrics", metrics),
                Route("/events", events),
            ]
        )

    async def _stream(self) -> AsyncIterator[str]:
        """The newest state whenever there is one that this viewer has not seen."""
        self._viewers += 1
        seen, until_s, said_s = 0, time.monotonic() + _STREAM_S, time.monotonic()
        try:
            yield "retry: 300\n\n"
            while time.monotonic() < until_s:
                over = self.live.ended
                version, text = await asyncio.to_thread(self.live.text)
                if version != seen:
                    seen, said_s = version, time.monotonic()
                    yield f"event: snapshot\ndata: {text}\n\n"
                elif over:
                    yield "event: end\ndata: {}\n\n"
                    return
                elif time.monotonic() - said_s > _QUIET_S:
                    said_s = time.monotonic()
                    yield ": nothing new\n\n"
                await asyncio.sleep(_LOOK_EVERY_S)
        finally:
            self._viewers -= 1


def asgi_app(
    rm: Any,
    *,
    token: str | None = None,
    hosts: Iterable[str] | None = None,
    title: str = "AgentRM",
) -> LivePage:
    """The live page of a core, to mount in FastAPI or Starlette under any path.

    Beside the page it has ``/metrics`` for Prometheus (the extra `prometheus`), which sends the
    token as ``Authorization: Bearer``.

    Args:
        rm: The `AgentRM`. What happens from here on is shown, ten minutes back.
        token: What viewers have to know, at least 16 characters; None makes a random one, which
            is the result's `token`. ``page.path("/monitor")`` is the path to open first.
        hosts: Host names under which the page may be asked for from other machines, or ["*"]; None
            is this machine only.
        title: What stands above the page.

    Raises:
        ConfigError: A token that is too short.
        ModuleNotFoundError: Starlette or Plotly is not installed (the extra `dash`).
    """
    return LivePage(CoreSource(rm), token=token, hosts=hosts, title=title, rm=rm)


def _need_starlette() -> None:
    try:
        import starlette  # noqa: F401
    except ModuleNotFoundError:
        way = "the live page needs starlette: pip install 'agentrm-plugins[dash]'"
        raise ModuleNotFoundError(way, name="starlette") from None


async def _refuse(answer: Answer, send: Any) -> None:
    headers = {**_HEADERS, "content-type": "text/plain; charset=utf-8", **answer.headers}
    head = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send({"type": "http.response.body", "body": answer.text.encode("utf-8")})


async def _lifespan(receive: Any, send: Any) -> None:
    """Nothing is done when a server starts and stops: the page reads from its making on."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
