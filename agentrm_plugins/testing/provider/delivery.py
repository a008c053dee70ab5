"""Playing one step on a connection: the right bytes at the right time.

Law of time: the first token leaves at `time_to_first_token`, the k-th `k * token_time` later, both
times the slowness and the time scale. Deadlines are absolute, so a late wake-up is caught up with
and chunks that are due together leave in one write.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from agentrm_plugins.testing.provider.headers import retry_headers, status_body
from agentrm_plugins.testing.provider.replies import (
    Garbage,
    Hang,
    Reply,
    Reset,
    Stall,
    Status,
    Step,
    default_reply,
    with_call_ids,
)
from agentrm_plugins.testing.provider.seeding import as_distribution, digest, unit
from agentrm_plugins.testing.provider.wire import (
    Usage,
    chat_body,
    chat_chunks,
    embeddings_body,
)
from agentrm_plugins.testing.provider.wire_responses import responses_body, responses_chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentrm_plugins.testing.provider.config import ProviderConfig
    from agentrm_plugins.testing.provider.connection import Connection
    from agentrm_plugins.testing.provider.records import Exchange
    from agentrm_plugins.testing.provider.requests import ProviderRequest

__all__ = ["Delivery"]

Headers = list[tuple[bytes, bytes]]


class Delivery:
    """One request's answer under way."""

    __slots__ = (
        "_config",
        "_connection",
        "_exchange",
        "_headers",
        "_now_s",
        "_pace_s",
        "_request",
        "_sent",
        "_start_s",
    )

    def __init__(
        self,
        config: ProviderConfig,
        connection: Connection,
        exchange: Exchange,
        request: ProviderRequest,
        headers: Headers,
        now_s: Callable[[], float],
    ) -> None:
        self._config = config
        self._connection = connection
        self._exchange = exchange
        self._request = request
        self._headers = headers
        self._now_s = now_s
        self._pace_s = 0.0
        self._start_s = 0.0
        self._sent = 0

    async def play(self, step: Step, slow: float) -> None:
        """Play one step to its end, or until the client goes away."""
        exchange = self._exchange
        if isinstance(step, Hang):
            exchange.fault = "hang"
            await self._silence()
        elif isinstance(step, Status):
            exchange.fault = "error" if step.status >= 500 else ""
            await self._sleep_until_first(slow)
            self._error(step)
        elif isinstance(step, Reply):
            await self._reply(step, slow * step.slow)
        else:
            exchange.fault = type(step).__name__.lower()
            await self._broken(step, slow)

    # -- time

    def _draw(self, name: str, factor: float) -> float:
        value = self._config.of(self._request.model, name)
        if isinstance(value, int | float):
            return value * factor
        u = unit(self._config.seed, name, self._request.digest)
        return as_distribution(name, value).at(u) * factor

    async def _sleep_until_first(self, slow: float) -> None:
        factor = slow * self._config.time_scale
        self._pace_s = self._draw("token_time_s", factor)
        self._start_s = self._exchange.started_s + self._draw("time_to_first_token_s", factor)
        await self._sleep_until(self._start_s)

    async def _sleep_until(self, at_s: float) -> None:
        wait_s = at_s - self._now_s()
        if wait_s > 0:
            await asyncio.sleep(wait_s)

    async def _silence(self) -> None:
        """Say nothing until the client goes away, or for `hang_s` and then drop it."""
        hang_s = self._config.hang_s
        if hang_s is None:
            await asyncio.get_running_loop().create_future()
        else:
            await asyncio.sleep(hang_s * self._config.time_scale)
            self._connection.cut()

    # -- answers

    def _error(self, step: Status) -> None:
        headers = self._headers + [(k.encode(), v.encode()) for k, v in step.headers.items()]
        if step.retry_after is not None:
            headers += retry_headers(step.retry_after, self._config.retry_after)
        self._exchange.status = step.status
        self._exchange.first_byte_s = self._now_s()
        self._connection.respond(step.status, headers, status_body(step, self._config.header_style))

    def _usage(self, reply: Reply) -> Usage:
        request = self._request
        output = 0 if request.api == "embeddings" else reply.size() * request.n
        return Usage(
            request.input_tokens, output, int(request.input_tokens * self._config.cached_share)
        )

    def _identity(self) -> dict[str, object]:
        request = self._request
        id_ = digest(self._config.seed, request.agent, request.digest, request.attempt).hex()
        return {"id_": id_[:24], "created": int(time.time())}

    def _body(self, reply: Reply, usage: Usage) -> bytes:
        request = self._request
        if request.api == "embeddings":
            return embeddings_body(request, self._config.embedding_dimensions)
        write = chat_body if request.api == "chat" else responses_body
        return write(request, reply, usage, **self._identity())  # type: ignore[arg-type]

    def _chunks(self, reply: Reply, usage: Usage) -> Iterator[tuple[bytes, int]]:
        write = chat_chunks if self._request.api == "chat" else responses_chunks
        per_chunk = self._config.tokens_per_chunk
        return write(self._request, reply, usage, per_chunk=per_chunk, **self._identity())  # type: ignore[arg-type]

    async def _reply(self, reply: Reply, slow: float) -> None:
        reply = with_call_ids(reply, self._request)
        usage = self._usage(reply)
        self._exchange.usage_input = usage.input
        await self._sleep_until_first(slow)
        if self._request.stream:
            await self._stream(self._chunks(reply, usage), None)
            self._connection.end()
        else:
            await self._sleep_until(self._start_s + usage.output * self._pace_s)
            self._exchange.status = 200
            self._exchange.first_byte_s = self._now_s()
            self._connection.respond(200, self._headers, self._body(reply, usage))
        self._exchange.output_tokens = usage.output

    async def _stream(self, chunks: Iterator[tuple[bytes, int]], most: int | None) -> None:
        """Send chunks as they fall due, at most until `most` tokens are out."""
        exchange, connection = self._exchange, self._connection
        ready: list[bytes] = []
        counted = 0
        due_s = self._start_s
        for data, tokens in chunks:
            due_s += tokens * self._pace_s
            if tokens and due_s > self._now_s():
                self._flush(ready)
                exchange.output_tokens = counted
                await self._sleep_until(due_s)
            ready.append(data)
            counted += tokens
            if most is not None and counted >= most:
                break
        exchange.output_tokens = counted
        self._flush(ready)
        if exchange.first_byte_s is None:
            connection.begin(self._event_headers(), b"")

    def _event_headers(self) -> Headers:
        return [(b"content-type", b"text/event-stream; charset=utf-8"), *self._headers[1:]]

    def _flush(self, ready: list[bytes]) -> None:
        if not ready:
            return
        data = b"".join(ready)
        ready.clear()
        if self._exchange.first_byte_s is None:
            self._exchange.status = 200
            self._exchange.first_byte_s = self._now_s()
            self._connection.begin(self._event_headers(), data)
        else:
            self._connection.more(data)

    # -- broken answers

    async def _broken(self, step: Stall | Reset | Garbage, slow: float) -> None:
        """The beginning of the default reply, and then what the step says."""
        request = self._request
        embeds = request.api == "embeddings"
        reply = Reply() if embeds else default_reply(request, self._config)
        reply = with_call_ids(reply, request)
        usage = self._usage(reply)
        await self._sleep_until_first(slow)
        if isinstance(step, Reset) and (step.after_tokens is None or not request.stream):
            self._connection.reset()
            return
        self._exchange.usage_input = usage.input
        if request.stream:
            tokens = step.after_tokens if isinstance(step, Stall | Reset) else 2
            await self._stream(self._chunks(reply, usage), tokens)
        else:
            self._half(self._body(reply, usage), whole=step == Garbage("json"))
        await self._break_off(step)

    def _half(self, body: bytes, *, whole: bool) -> None:
        """Half of a body: passed off as the whole, or short of its stated length."""
        half = body[: len(body) // 2]
        self._exchange.status = 200
        self._exchange.first_byte_s = self._now_s()
        if whole:
            self._connection.respond(200, self._headers, half)
        else:
            self._connection.begin(self._headers, half, length=len(body))

    async def _break_off(self, step: Stall | Reset | Garbage) -> None:
        if isinstance(step, Stall):
            await self._silence()
        elif isinstance(step, Reset):
            self._connection.reset()
        elif step.kind == "cut":
            self._connection.cut()
        elif self._request.stream:
            self._connection.end(b'data: {"id":"chatcmpl-broken","choices":[{"ind\n\n')
