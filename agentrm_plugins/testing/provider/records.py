"""What the provider saw: one record for each request, and the counts. Thread-safe to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentrm_plugins.testing.provider.requests import ProviderRequest

__all__ = ["Exchange", "Journal", "ProviderStatistics", "RequestRecord"]


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request, complete. Times are seconds since the provider started.

    `status` is 0 when none was sent (a hang, a reset). `fault` is "", "hang", "stall", "reset",
    "garbage", "error" or "slow"; `cause` says why a request was turned away ("requests",
    "tokens", "capacity", "quota", ...). `client_gone` means that the client left before the end.
    `limit_requests` and `limit_tokens` are the limits in force on arrival, for plots.
    """

    index: int
    api: str
    model: str
    agent: str
    key_fingerprint: str
    stream: bool
    attempt: int
    status: int
    fault: str
    cause: str
    client_gone: bool
    input_tokens: int
    output_tokens: int
    reserved_tokens: int
    started_s: float
    first_byte_s: float | None
    finished_s: float
    concurrency: int
    limit_requests: float | None
    limit_tokens: float | None

    @property
    def t(self) -> float:
        """When it arrived, seconds since the provider started."""
        return self.started_s


@dataclass(frozen=True, slots=True)
class ProviderStatistics:
    """Counts since the start. `rejected` are the 429s, `abandoned` left before their answer.

    `by_model` and `by_key` count requests; keys appear as fingerprints only. Tokens are those of
    answers that were charged: of an abandoned stream, what had been made until then.
    """

    requests: int = 0
    ok: int = 0
    rejected: int = 0
    overloaded: int = 0
    hangs: int = 0
    stalls: int = 0
    resets: int = 0
    garbage: int = 0
    errors: int = 0
    slow: int = 0
    abandoned: int = 0
    in_flight: int = 0
    peak_concurrency: int = 0
    connections: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    log_dropped: int = 0
    by_status: Mapping[int, int] = field(default_factory=dict)
    by_model: Mapping[str, int] = field(default_factory=dict)
    by_key: Mapping[str, int] = field(default_factory=dict)
    by_cause: Mapping[str, int] = field(default_factory=dict)


_FAULT_COUNTS = {
    "hang": "hangs",
    "stall": "stalls",
    "reset": "resets",
    "garbage": "garbage",
    "error": "errors",
    "slow": "slow",
}


class Exchange:
    """One request while it is served; written by the server's thread alone."""

    __slots__ = (
        "api",
        "attempt",
        "cause",
        "client_gone",
        "concurrency",
        "fault",
        "first_byte_s",
        "index",
        "key_fingerprint",
        "limit_requests",
        "limit_tokens",
        "output_tokens",
        "request",
        "reserved_tokens",
        "serving",
        "started_s",
        "status",
        "usage_input",
    )

    def __init__(self, index: int, api: str, key_fingerprint: str, started_s: float) -> None:
        self.index = index
        self.api = api
        self.key_fingerprint = key_fingerprint
        self.started_s = started_s
        self.request: ProviderRequest | None = None
        self.attempt = 0
        self.status = 0
        self.fault = ""
        self.cause = ""
        self.client_gone = False
        self.serving = False
        self.usage_input = 0
        self.output_tokens = 0
        self.reserved_tokens = 0
        self.first_byte_s: float | None = None
        self.concurrency = 0
        self.limit_requests: float | None = None
        self.limit_tokens: float | None = None

    def record(self, finished_s: float) -> RequestRecord:
        """The frozen record of it."""
        request = self.request
        return RequestRecord(
            index=self.index,
            api=self.api,
            model=request.model if request else "",
            agent=request.agent if request else "",
            key_fingerprint=self.key_fingerprint,
            stream=request.stream if request else False,
            attempt=self.attempt,
            status=self.status,
            fault=self.fault,
            cause=self.cause,
            client_gone=self.client_gone,
            input_tokens=self.usage_input,
            output_tokens=self.output_tokens,
            reserved_tokens=self.reserved_tokens,
            started_s=self.started_s,
            first_byte_s=self.first_byte_s,
            finished_s=finished_s,
            concurrency=self.concurrency,
            limit_requests=self.limit_requests,
            limit_tokens=self.limit_tokens,
        )


class Journal:
    """The log and the counts. The server's thread writes, any thread reads.

    Args:
        capacity: Records kept; later ones are only counted (`log_dropped`).
    """

    def __init__(self, capacity: int = 200_000) -> None:
        self._lock = Condition()
        self._waiters = 0
        self._log: list[RequestRecord] = []
        self._capacity = capacity
        self._counts: Counter[str] = Counter()
        self._status: Counter[int] = Counter()
        self._model: Counter[str] = Counter()
        self._key: Counter[str] = Counter()
        self._cause: Counter[str] = Counter()
        self.in_flight = 0
        self.peak = 0

    def connected(self) -> None:
        """Count a connection."""
        with self._lock:
            self._counts["connections"] += 1

    def arrived(self) -> int:
        """Count a request and give its number, from 0."""
        with self._lock:
            self._counts["requests"] += 1
            return self._counts["requests"] - 1

    def serving(self, exchange: Exchange) -> None:
        """An admitted request starts to be served."""
        with self._lock:
            exchange.serving = True
            self.in_flight += 1
            exchange.concurrency = self.in_flight
            self.peak = max(self.peak, self.in_flight)
            self._wake()

    def finished(self, exchange: Exchange, now_s: float) -> None:
        """A request is over, in whatever way."""
        record = exchange.record(now_s)
        with self._lock:
            if exchange.serving:
                exchange.serving = False
                self.in_flight -= 1
            if len(self._log) < self._capacity:
                self._log.append(record)
            else:
                self._counts["log_dropped"] += 1
            self._tally(record)
            self._wake()

    def _tally(self, record: RequestRecord) -> None:
        counts = self._counts
        counts["input_tokens"] += record.input_tokens
        counts["output_tokens"] += record.output_tokens
        counts["abandoned"] += record.client_gone
        if record.fault:
            counts[_FAULT_COUNTS[record.fault]] += 1
        if record.status:
            self._status[record.status] += 1
        if record.status == 200 and not record.client_gone and record.fault in ("", "slow"):
            counts["ok"] += 1
        counts["rejected"] += record.status == 429
        counts["overloaded"] += record.cause == "capacity"
        if record.cause:
            self._cause[record.cause] += 1
        if record.model:
            self._model[record.model] += 1
        if record.key_fingerprint:
            self._key[record.key_fingerprint] += 1

    def log(self) -> list[RequestRecord]:
        """The finished requests, in the order in which they ended."""
        with self._lock:
            return list(self._log)

    def statistics(self) -> ProviderStatistics:
        """A frozen copy of the counts."""
        with self._lock:
            return self._statistics()

    def wait_for(
        self, condition: Callable[[ProviderStatistics], bool], timeout_s: float
    ) -> ProviderStatistics:
        """Block until the counts meet a condition; `TimeoutError` if they do not in time."""
        with self._lock:
            self._waiters += 1
            try:
                if not self._lock.wait_for(lambda: condition(self._statistics()), timeout_s):
                    message = f"not so within {timeout_s} s: {self._statistics()}"
                    raise TimeoutError(message)
                return self._statistics()
            finally:
                self._waiters -= 1

    def _wake(self) -> None:
        if self._waiters:
            self._lock.notify_all()

    def _statistics(self) -> ProviderStatistics:
        return ProviderStatistics(
            **self._counts,
            in_flight=self.in_flight,
            peak_concurrency=self.peak,
            by_status=MappingProxyType(dict(self._status)),
            by_model=MappingProxyType(dict(self._model)),
            by_key=MappingProxyType(dict(self._key)),
            by_cause=MappingProxyType(dict(self._cause)),
        )
