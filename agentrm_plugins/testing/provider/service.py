"""What happens to a request between its last byte and the first byte of its answer.

In this order: the key, the path, the body, the model, the context window; then the script, if a
step waits; then capacity (503), quota and rate limits (429); then the responder, the faults and
the default reply. A request that was turned away has drawn no fault and used no capacity.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from threading import Lock
from typing import TYPE_CHECKING

from agentrm_plugins.testing.provider.config import Change, ProviderConfig, key_fingerprint
from agentrm_plugins.testing.provider.delivery import Delivery
from agentrm_plugins.testing.provider.faults import draw_fault, draw_slowness
from agentrm_plugins.testing.provider.headers import (
    error_body,
    limit_headers,
    rejection,
    retry_headers,
    status_body,
)
from agentrm_plugins.testing.provider.limits import LimitSet
from agentrm_plugins.testing.provider.records import Exchange, Journal
from agentrm_plugins.testing.provider.replies import Reply, Status, Step, as_step, default_reply
from agentrm_plugins.testing.provider.requests import (
    BadRequest,
    ProviderRequest,
    parse_request,
)
from agentrm_plugins.testing.provider.wire import models_body

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agentrm_plugins.testing.provider.connection import Connection
    from agentrm_plugins.testing.provider.requests import Api

__all__ = ["Service"]

Headers = list[tuple[bytes, bytes]]

_ROUTES: tuple[tuple[str, Api], ...] = (
    ("/chat/completions", "chat"),
    ("/responses", "responses"),
    ("/embeddings", "embeddings"),
)


class _Turned(Exception):
    """A request is turned away with this answer."""

    def __init__(
        self, status: int, body: bytes, cause: str, headers: Headers | None = None
    ) -> None:
        super().__init__(cause)
        self.status = status
        self.body = body
        self.cause = cause
        self.headers = headers or []


class Service:
    """The provider behind the protocol. Runs on the server's loop, but for `script`."""

    def __init__(self, config: ProviderConfig, loop: asyncio.AbstractEventLoop) -> None:
        self.config = config
        self.journal = Journal()
        self.errors: list[BaseException] = []
        self.connections: set[Connection] = set()
        self._loop = loop
        self._start_s = loop.time()
        self._limits: dict[tuple[str, str], tuple[str, LimitSet]] = {}
        self._busy: Counter[str] = Counter()
        self._spent: Counter[str] = Counter()
        self._admitted: Counter[tuple[str, bytes]] = Counter()
        self._scripts: dict[str | None, deque[Step]] = {}
        self._script_lock = Lock()
        self._timers: list[asyncio.TimerHandle] | None = None

    # -- control

    def connected(self, connection: Connection) -> None:
        """A client has connected."""
        self.connections.add(connection)
        self.journal.connected()

    def disconnected(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)

    def broken(self, error: BaseException) -> None:
        """Keep an error of ours, or of the user's responder, for the test to look at."""
        self.errors.append(error)

    def script(self, steps: Iterable[object], agent: str | None) -> None:
        """Queue steps for the next requests, of one agent or of anybody. Any thread."""
        read = [as_step(step) for step in steps]
        with self._script_lock:
            self._scripts.setdefault(agent, deque()).extend(read)

    def reconfigure(self, config: ProviderConfig) -> None:
        """Follow a new configuration; limits keep what was taken from them."""
        self.config = config
        now_s = self._loop.time()
        for model, limits in self._limits.values():
            limits.apply(config.quota(model), now_s)

    def stop(self) -> None:
        """Cancel the schedule."""
        for timer in self._timers or ():
            timer.cancel()

    def now_s(self) -> float:
        """Seconds since the provider started."""
        return self._loop.time() - self._start_s

    def _start_schedule(self) -> None:
        if self._timers is None:
            self._timers = [
                self._loop.call_later(change.at_s * self.config.time_scale, self._change, change)
                for change in self.config.schedule
            ]

    def _change(self, change: Change) -> None:
        self.reconfigure(self.config.changed(change.changes))

    # -- one request

    async def serve(
        self,
        connection: Connection,
        method: bytes,
        target: str,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> None:
        """Answer one request, whatever becomes of it, and write its record."""
        path = target.partition("?")[0].rstrip("/")
        key = _key(headers)
        exchange = Exchange(self.journal.arrived(), path, key, self.now_s())
        try:
            try:
                await self._answer(connection, exchange, method, path, headers, body)
            except _Turned as turned:
                exchange.status, exchange.cause = turned.status, turned.cause
                exchange.first_byte_s = self.now_s()
                connection.respond(turned.status, _common(exchange) + turned.headers, turned.body)
        except asyncio.CancelledError:
            exchange.client_gone = not connection.closed_by_server
            raise
        finally:
            self.journal.finished(exchange, self.now_s())

    async def _answer(
        self,
        connection: Connection,
        exchange: Exchange,
        method: bytes,
        path: str,
        headers: Mapping[bytes, bytes],
        body: bytes,
    ) -> None:
        config = self.config
        if (
            config.accepted_keys is not None
            and exchange.key_fingerprint not in config.accepted_keys
        ):
            raise _Turned(401, status_body(Status(401), config.header_style), "key")
        if method == b"GET" and path.endswith("/models"):
            exchange.api = "models"
            names = config.models or ("simulated-model",)
            exchange.status = 200
            connection.respond(200, _common(exchange), models_body(names))
            return
        api = next((api for suffix, api in _ROUTES if path.endswith(suffix)), None)
        if api is None or method != b"POST":
            text = f"Unknown request URL: {method.decode()} {path}."
            raise _Turned(404, error_body(text, "invalid_request_error", None, None), "path")
        exchange.api = api
        self._start_schedule()
        agent = headers.get(config.agent_header.encode(), b"").decode("utf-8", "replace")
        try:
            request = parse_request(
                api, body, agent=agent, key_fingerprint=exchange.key_fingerprint
            )
        except BadRequest as error:
            answer = error_body(str(error), "invalid_request_error", None, error.param)
            raise _Turned(400, answer, "body") from error
        exchange.request = request
        self._check_model(request)
        await self._run(connection, exchange, request)

    def _check_model(self, request: ProviderRequest) -> None:
        config = self.config
        model = request.model
        if config.only_listed_models and model not in config.models:
            text = f"The model `{model}` does not exist or you do not have access to it."
            raise _Turned(
                404, error_body(text, "invalid_request_error", "model_not_found", None), "model"
            )
        window = config.of(model, "context_window")
        asked = request.input_tokens + (request.max_tokens or 0)
        if window is not None and asked > window:
            text = f"This model's maximum context length is {window} tokens. However, you "
            text += f"requested {asked} tokens ({request.input_tokens} in the messages, "
            text += f"{request.max_tokens or 0} in the completion). Please reduce the length of "
            text += "the messages or completion."
            code = "context_length_exceeded"
            raise _Turned(
                400, error_body(text, "invalid_request_error", code, "messages"), "context"
            )

    async def _run(
        self, connection: Connection, exchange: Exchange, request: ProviderRequest
    ) -> None:
        """Admit the request and deliver its step; capacity and tokens are settled at the end."""
        now_s = self._loop.time()
        limits = self._limits_of(request)
        for resource, meter in limits.meters():
            if resource == "requests":
                exchange.limit_requests = meter.limit
            elif resource == "tokens":
                exchange.limit_tokens = meter.limit
        step = self._scripted(request.agent)
        reserved = (0, 0)
        if step is None:
            reserved = self._admit(request, limits, now_s)
        exchange.reserved_tokens = sum(reserved)
        who = (request.agent, request.digest)
        attempt = self._admitted[who]
        self._admitted[who] += 1
        if attempt:
            request = _again(request, attempt)
            exchange.request, exchange.attempt = request, attempt
        headers = _common(exchange) + self._limit_headers(limits, now_s)
        slow = 1.0
        if step is None:
            step = draw_fault(request, self.config) or self._respond(request)
            slow = draw_slowness(request, self.config)
            if slow > 1:
                exchange.fault = "slow"
        self.journal.serving(exchange)
        self._busy[request.model] += 1
        try:
            delivery = Delivery(self.config, connection, exchange, request, headers, self.now_s)
            await delivery.play(step, slow)
        finally:
            self._busy[request.model] -= 1
            self._settle(exchange, request, limits, reserved)

    def _limits_of(self, request: ProviderRequest) -> LimitSet:
        scope = self.config.limit_scope
        model = request.model if scope in ("model_and_key", "model") else ""
        key = request.key_fingerprint if scope in ("model_and_key", "key") else ""
        found = self._limits.get((model, key))
        if found is None:
            now_s = self._loop.time()
            quota, offset_s = self.config.quota(model), time.time() - now_s
            found = (model, LimitSet(quota, now_s, wall_offset_s=offset_s))
            self._limits[model, key] = found
        return found[1]

    def _limit_headers(self, limits: LimitSet, now_s: float) -> Headers:
        config = self.config
        wall_s = time.time()
        means = config.reset_means if config.reset_headers else None
        return limit_headers(limits, config.header_style, now_s, wall_s, resets=means)

    def _scripted(self, agent: str) -> Step | None:
        if not self._scripts:
            return None
        with self._script_lock:
            for name in (agent, None):
                steps = self._scripts.get(name)
                if steps:
                    return steps.popleft()
        return None

    def _admit(self, request: ProviderRequest, limits: LimitSet, now_s: float) -> tuple[int, int]:
        """The tokens taken up front (input, output), or `_Turned`."""
        config, style = self.config, self.config.header_style
        capacity = config.of(request.model, "capacity")
        if capacity is not None and self._busy[request.model] >= capacity:
            wait = config.capacity_retry_after_s
            extra = [] if wait is None else retry_headers(wait, config.retry_after)
            raise _Turned(503, status_body(Status(503), style), "capacity", extra)
        spent = self._spent[request.key_fingerprint]
        if config.quota_tokens is not None and spent >= config.quota_tokens:
            body = status_body(Status(429, code="insufficient_quota"), style)
            raise _Turned(429, body, "quota")
        taken_in = request.input_tokens
        if not config.cached_counts:
            taken_in -= int(taken_in * config.cached_share)
        taken_out = 0
        if config.charge != "actual" and request.api != "embeddings":
            taken_out = (request.max_tokens or config.default_max_tokens) * request.n
        verdict = limits.admit(
            now_s,
            input_tokens=taken_in,
            output_tokens=taken_out,
            rejection_cost=config.rejection_cost,
        )
        if verdict.admitted:
            return taken_in, taken_out
        headers = self._limit_headers(limits, now_s)
        headers += retry_headers(verdict.wait_s, config.retry_after)
        body = rejection(verdict, request.model, style, limits.window_s)
        raise _Turned(429, body, verdict.resource or "requests", headers)

    def _respond(self, request: ProviderRequest) -> Step:
        responder = self.config.responder
        if responder is not None:
            try:
                answer = responder(request)
                if answer is not None:
                    return as_step(answer)
            except Exception as error:  # noqa: BLE001  the user's code may raise anything
                self.broken(error)
                text = f"The responder failed: {type(error).__name__}"
                return Status(500, code="responder_error", message=text)
        return Reply() if request.api == "embeddings" else default_reply(request, self.config)

    def _settle(
        self,
        exchange: Exchange,
        request: ProviderRequest,
        limits: LimitSet,
        reserved: tuple[int, int],
    ) -> None:
        used_in, used_out = exchange.usage_input, exchange.output_tokens
        self._spent[request.key_fingerprint] += used_in + used_out
        if self.config.charge == "reserve_only" or exchange.reserved_tokens == 0:
            return
        if used_in and not self.config.cached_counts:
            used_in -= int(used_in * self.config.cached_share)
        limits.settle(
            self._loop.time(),
            input_tokens=used_in - reserved[0],
            output_tokens=used_out - reserved[1],
        )


def _again(request: ProviderRequest, attempt: int) -> ProviderRequest:
    # dataclasses.replace would run through all fields for the sake of one number.
    object.__setattr__(request, "attempt", attempt)
    return request


def _key(headers: Mapping[bytes, bytes]) -> str:
    """The fingerprint of the request's key; the key itself is not kept."""
    raw = headers.get(b"authorization", b"").removeprefix(b"Bearer ")
    raw = raw or headers.get(b"api-key", b"") or headers.get(b"x-api-key", b"")
    return key_fingerprint(raw.decode("utf-8", "replace")) if raw else ""


def _common(exchange: Exchange) -> Headers:
    return [
        (b"content-type", b"application/json"),
        (b"x-request-id", f"req_{exchange.index:08d}".encode()),
    ]
