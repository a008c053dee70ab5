"""One request and its response, as the core sees them, whatever HTTP library carries them.

Its endpoint is the provider's host, the model that it asks, and a fingerprint of the key.
"""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from agentrm_openai.large_requests import LARGE, at_the_ends
from agentrm_plugins.integration import Endpoint, key_fingerprint, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = [
    "CURRENT",
    "LEAST_ERROR",
    "Answer",
    "Endpoint",
    "Exchange",
    "ResponseObserver",
    "endpoint_named",
    "endpoint_of",
    "has_pool",
    "is_answered",
    "is_document",
    "key_fingerprint",
    "model_asked",
    "open_exchange",
]

LEAST_ERROR = 400
_KEY_HEADERS = ("api-key", "x-api-key", "x-goog-api-key")
_SENT = "send_request_body.complete"
_SENDING = ("send_request_headers.started", "send_request_body.started")
_TOLD = (_SENT, *_SENDING)
_ANSWERS = (b'"choices"', b'"output"', b'"data"')
_ERROR = re.compile(rb'"error"(?!\s*:\s*null)')  # also as the reason why a choice ended
_PATH_MODEL = re.compile(r"/(?:deployments|models)/([^/:?]+)")


def endpoint_of(url: str, headers: Mapping[str, str], body: bytes) -> Endpoint | None:
    """The endpoint of a request, or None if it asks no model anything.

    Args:
        url: Where the request goes.
        headers: Its headers, names in lower case or looked up in any case.
        body: Its body; the model is read from its JSON, or else from the path (Azure, Google).
    """
    model = model_asked(url, body)
    return None if model is None else endpoint_named(url, headers, model)


def model_asked(url: object, body: bytes) -> str | None:
    """The model that a request asks, by its body or else its path; None if it asks none."""
    if body.lstrip()[:1] == b"{":
        model = at_the_ends(body, "model") if len(body) > LARGE else None
        try:
            model = model or json.loads(body).get("model")
        except (ValueError, RecursionError):
            model = None
        if isinstance(model, str) and model:
            return model
    in_path = _PATH_MODEL.search(urlsplit(str(url)).path) if body else None
    return None if in_path is None else in_path.group(1)


def endpoint_named(url: object, headers: Mapping[str, str], model: str) -> Endpoint:
    """The endpoint of a request that asks this model."""
    return Endpoint(wire.host_of(str(url)), model, key_fingerprint(_key(headers)))


def _key(headers: Mapping[str, str]) -> str:
    for name in _KEY_HEADERS:
        value = headers.get(name)
        if value:
            return value
    scheme, _, value = (headers.get("authorization") or "").partition(" ")
    return value.strip() or scheme


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of a response. Nothing of a body is kept.

    Args:
        status: The HTTP status.
        report: What it said about limits.
        verdict: What to think of it, if it is an error.
        after_s: Seconds from the request to the headers.
    """

    status: int
    report: wire.LimitReport
    verdict: wire.Verdict | None
    after_s: float


class ResponseObserver(Protocol):
    """Who wants to see what passes. Called in the caller's thread or task; must not block.

    All times are on the clock given to the transport. One that has a method `passes` is also told,
    by that, of each request that asks no model anything.
    """

    def on_request(self, exchange: Exchange, now_s: float) -> None:
        """A request is about to be sent: set timeouts on it, keep `exchange.abort`, or raise."""
        ...

    def on_response(self, exchange: Exchange, answer: Answer, now_s: float) -> None:
        """Its headers came; of an error also the body, so that its code is known."""
        ...

    def on_bytes(self, exchange: Exchange, size: int, now_s: float) -> None:
        """A piece of its body came."""
        ...

    def on_error(self, exchange: Exchange, error: BaseException, now_s: float) -> None:
        """It broke: connection, timeout, cancellation. Also when `abort` broke it."""
        ...

    def on_end(self, exchange: Exchange, now_s: float) -> None:
        """It is over, whole or given up; always the last word, once."""
        ...


class Stream(Protocol):
    """A connection that another thread can wake a reader of."""

    @property
    def can_wake(self) -> bool:
        """Whether it can."""
        ...

    def wake(self) -> None:
        """Make a read that blocks end at once."""
        ...

    def finish(self) -> bool:
        """Close it in our direction: what comes is the last. Whether that was possible."""
        ...


CURRENT: ContextVar[Exchange | None] = ContextVar("agentrm_exchange", default=None)


class Exchange:
    """One request on its way.

    Attributes:
        sent_s: When it was sent, on the transport's clock.
        first_byte_s: When the first byte of its body came; None before.
        first_timeout_s: Seconds of silence allowed until the headers; None leaves the client's.
        silence_timeout_s: The same between two pieces of the body.
        blocking: Whether a thread waits for it, which only `abort` can wake.
        when_sent: What to call when its last byte was written. Only a pool of httpcore says so
            (`traced`); of another transport nobody knows.
        before_sent: What to call before its head and before its body is written; may raise.
        finish: Closes its connection in our direction, where a task reads that.
        token: Free for the observer.
        error: What it was aborted with, if it was.
    """

    def __init__(
        self,
        named: Callable[[], Endpoint],
        observer: ResponseObserver,
        clock: Callable[[], float],
        *,
        blocking: bool = False,
        traced: bool = False,
    ) -> None:
        self.traced = traced
        self.when_sent: Callable[[], None] | None = None
        self.before_sent: Callable[[], None] | None = None
        self.finish: Callable[[], bool] | None = None
        self._named = named  # asked only where nobody knows the endpoint already
        self._endpoint: Endpoint | None = None
        self.blocking = blocking
        self.sent_s = clock()
        self.first_byte_s: float | None = None
        self.first_timeout_s: float | None = None
        self.silence_timeout_s: float | None = None
        self.token: Any = None
        self._observer = observer
        self._clock = clock
        self._lock = threading.Lock()
        self._stream: Stream | None = None
        self.error: BaseException | None = None
        self._over = False
        self._timeouts: dict[str, float | None] = {}
        self._given_read_s: float | None = None

    def __repr__(self) -> str:
        return f"<Exchange with {self.endpoint.name}>"

    @property
    def endpoint(self) -> Endpoint:
        """Where it goes."""
        if self._endpoint is None:
            self._endpoint = self._named()
        return self._endpoint

    # -- for the observer ---------------------------------------------------------------------

    @property
    def can_wake(self) -> bool:
        """Whether `abort` ends a read: its connection is known, and carries no other request."""
        stream = self._stream
        return self.blocking and stream is not None and stream.can_wake

    def hurry(self) -> bool:
        """Nothing more is asked, from any thread: what was answered comes, or the end does.

        Whoever waits for it goes on to. A server sees that its caller has gone, as if it were cut.
        False on a connection shared by several requests, or where nobody knows the connection.
        """
        with self._lock:
            finish = self.finish if self._stream is None else self._stream.finish
            return not self._over and finish is not None and finish()

    def abort(self, error: BaseException) -> None:
        """Give the request up, from any thread: whoever waits for it gets `error`.

        A thread that blocks in a read is woken (its socket is shut down); an async caller gets it
        at its next piece. On a connection shared by several requests (HTTP/2) nothing is shut down
        and the read timeout ends the wait. Does nothing when the request is over.
        """
        with self._lock:
            if self._over or self.error is not None:
                return
            self.error = error
            if self._stream is not None:
                self._stream.wake()

    # -- for the transports -------------------------------------------------------------------

    def trace(self, event: str, _: Mapping[str, Any]) -> None:
        """The pool tells what happens on its connection."""
        if event.endswith(_SENT) and self.when_sent is not None:
            self.when_sent()
        elif self.before_sent is not None and event.endswith(_SENDING):
            self.before_sent()

    async def trace_async(self, event: str, _: Mapping[str, Any]) -> None:
        """The same of an async pool; each call has some ten of these, of which three are told."""
        if event.endswith(_TOLD):
            self.trace(event, _)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Connections used in this block belong to this exchange."""
        token = CURRENT.set(self)
        try:
            yield
        finally:
            CURRENT.reset(token)

    def attach(self, stream: Stream) -> None:
        """This connection carries the exchange; raises what it was aborted with before."""
        with self._lock:
            if self.error is not None:
                raise self.error
            self._stream = stream

    def timeouts(self, given: Mapping[str, float | None]) -> dict[str, float | None]:
        """The client's timeouts, with ours where those are shorter. Changes with the phases."""
        self._timeouts = dict(given)
        self._given_read_s = given.get("read")
        self._limit_read(self.first_timeout_s)
        return self._timeouts

    def answered(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """The headers came, and for an error its body."""
        if not (self.first_timeout_s is self.silence_timeout_s is None):
            self._limit_read(self.silence_timeout_s)
        listens = getattr(self._observer, "listens", None)
        if listens is not None and not listens(self, status):
            return
        now_s = self._clock()
        known = getattr(self._observer, "tables", None)
        tables = {} if known is None else {"tables": known}
        if status < LEAST_ERROR:
            verdict, report = None, wire.parse_report(headers, time.time(), **tables)
        else:
            verdict, report = wire.judge_response(status, headers, body, **tables)
        answer = Answer(status, report, verdict, now_s - self.sent_s)
        self._observer.on_response(self, answer, now_s)

    def piece(self, size: int) -> None:
        """A piece of the body came."""
        now_s = self._clock()
        if self.first_byte_s is None:
            self.first_byte_s = now_s
        self._observer.on_bytes(self, size, now_s)

    def detach(self) -> None:
        """All has been read: its connection belongs to somebody else from now on."""
        with self._lock:
            self._stream = self.finish = None

    def raise_aborted(self) -> None:
        """Raise what it was aborted with."""
        assert self.error is not None  # noqa: S101 - who calls has looked
        raise self.error

    def broken(self, error: BaseException) -> BaseException:
        """It broke with `error`: tell the observer; gives the error for the caller."""
        with self._lock:
            cause = self.error or error
        self._observer.on_error(self, cause, self._clock())
        self.over()
        return cause

    def over(self) -> None:
        """It is over: its connection belongs to somebody else from now on."""
        with self._lock:
            if self._over:
                return
            self._over = True
            self._stream = None
        self._observer.on_end(self, self._clock())

    def _limit_read(self, ours_s: float | None) -> None:
        given_s = self._given_read_s
        if ours_s is None or (given_s is not None and given_s < ours_s):
            ours_s = given_s
        # The HTTP libraries look into this very mapping when a phase begins.
        self._timeouts["read"] = ours_s


def is_document(response: Any, streaming: bool = True) -> bool:
    """Whether an answer is one document; where a stream was asked for, it is an error, as a rule.

    One that should be a stream, and whose length nobody tells, may be a stream under a wrong name,
    whose pieces nobody is to wait for.
    """
    headers = response.headers
    known = not streaming or "content-length" in headers
    return known and "application/json" in str(headers.get("content-type", ""))


def is_answered(document: bytes) -> bool:
    """Whether a document of status 200 is surely an answer, by what stands in it."""
    if b"base_resp" in document or _ERROR.search(document):
        return False
    return any(map(document.__contains__, _ANSWERS))


def has_pool(transport: Any) -> bool:
    """Whether a transport is one of httpcore's, which tell what happens on their connections."""
    return hasattr(getattr(transport, "_pool", None), "_connections")


def open_exchange(
    observer: ResponseObserver,
    request: Any,
    clock: Callable[[], float],
    inner: Any,
    *,
    blocking: bool = False,
) -> Exchange | None:
    """Begin an exchange for an HTTP library's request; None if it asks no model anything.

    Args:
        observer: Who is shown it.
        request: The request.
        clock: Seconds.
        inner: The transport that is to send it.
        blocking: Whether it is a sync one.
    """
    # A request whose body is streamed (an upload) has no content that could be looked at.
    body = getattr(request, "_content", None)
    model = model_asked(request.url, body) if isinstance(body, bytes) else None
    if model is None:
        passes = getattr(observer, "passes", None)
        if passes is not None:
            passes()
        return None
    named = partial(endpoint_named, request.url, request.headers, model)
    extensions = dict(request.extensions)
    # A trace of the user's own stays: then nobody knows when the request was sent.
    traced = "trace" not in extensions and has_pool(inner)
    exchange = Exchange(named, observer, clock, blocking=blocking, traced=traced)
    if traced:
        extensions["trace"] = exchange.trace if blocking else exchange.trace_async
    observer.on_request(exchange, exchange.sent_s)
    extensions["timeout"] = exchange.timeouts(extensions.get("timeout", {}))
    request.extensions = extensions
    return exchange
