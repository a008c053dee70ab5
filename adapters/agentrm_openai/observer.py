"""What the core learns from the transports: every header, and refusals that nobody else tells of.

A managed call is judged by its own flow, which sees the provider's error; so for an exchange inside
one only what its headers say is passed on. An exchange of nobody's call is all that the core hears
of it: its refusals count here.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from agentrm_openai.exchange import LEAST_ERROR
from agentrm_plugins.integration import core_of

if TYPE_CHECKING:
    from agentrm_openai.exchange import Answer, Exchange
    from agentrm_plugins import AgentRM, Call

__all__ = ["CoreObserver"]

_PING_S = 1.0  # guessed: far below any usual timeout for silence, far above a chunk's gap
_PARTS = 4  # of a limit: a shorter one than usual is told of so many times


class CoreObserver:
    """Shows a core what passes; one for each core is enough, any number does no harm.

    Args:
        rm: The core.
    """

    def __init__(self, rm: AgentRM) -> None:
        self.rm = rm
        self._core = core_of(rm)
        self.tables = self._core.tables  # what providers say, by the core's configuration

    def on_request(self, exchange: Exchange, now_s: float) -> None:
        """Note whose it is; when the core gives that call up, a thread in its read is woken."""
        exchange.before_sent = look = self._core.look_before()
        if look is not None:
            look()
        lease = self._core.lease_around()
        first_s = 0.0 if lease is None else now_s + self._every_s(lease.call)
        exchange.token = _Seen(lease, self._core.now_s, first_s)
        if lease is not None:
            lease.carrier = ref(exchange)  # which knows its lease
            if exchange.blocking:
                lease.on_reap(exchange.abort)
        if lease is None or lease.call.endpoint is None:
            return
        if not exchange.traced:
            lease.asked = True  # for all that is known
        elif lease.asked is None:
            lease.asked = False
        exchange.when_sent = partial(setattr, lease, "asked", True)

    def passes(self) -> None:
        """A request passes unseen, for it names no model: it may be one that is billed."""
        lease = self._core.lease_around()
        if lease is not None:
            lease.asked = True

    def listens(self, exchange: Exchange, status: int) -> bool:
        """Whether anything is to be read in a response: of a managed call's error the flow tells.

        So an error is judged once.
        """
        lease = exchange.token.lease
        return status < LEAST_ERROR or lease is None or lease.call.endpoint is None

    def on_response(self, exchange: Exchange, answer: Answer, now_s: float) -> None:
        """Pass on what the headers say."""
        seen: _Seen = exchange.token
        lease, report = seen.lease, answer.report
        if lease is not None and lease.call.endpoint is not None:
            lease.told_s = report.retry_after_s  # it may be an error all the same
            if report.requests or report.tokens or report.input_tokens or report.output_tokens:
                self._core.observe(lease.call.endpoint, report, None, seen.sent_s)
            return
        self._core.observe(exchange.endpoint.name, answer.report, answer.verdict, seen.sent_s)

    def on_bytes(self, exchange: Exchange, size: int, now_s: float) -> None:
        """An answer is alive even while its SDK makes nothing of what comes.

        Comments and pings in a stream, blanks before a body of JSON, a body that trickles: the
        server is there. The answer is no further by that; what the SDK reads of it says so itself.
        """
        seen: _Seen = exchange.token
        if seen.lease is not None and now_s >= seen.ping_s:
            seen.ping_s = now_s + self._every_s(seen.lease.call)
            seen.lease.beat(ping=True)

    def _every_s(self, call: Call) -> float:
        """How often the core is told: several times within the shortest limit of the call."""
        leases = self.rm.config.leases
        first_s = leases.first_token_timeout_s if call.streaming else leases.response_timeout_s
        first_s = call.first_token_timeout_s or first_s
        silence_s = call.silence_timeout_s or leases.silence_timeout_s
        return float(min(_PING_S, first_s / _PARTS, silence_s / _PARTS))

    def on_error(self, exchange: Exchange, error: BaseException, now_s: float) -> None:
        """The flow hears of it; of a call that is not managed nothing can be learnt from it."""

    def on_end(self, exchange: Exchange, now_s: float) -> None:
        """It is over: keep nothing of it."""
        lease = exchange.token.lease
        if lease is not None and lease.carrier is not None and lease.carrier() is exchange:
            lease.carrier = None
        exchange.token = _NOBODY


class _Seen:
    """What is known of one exchange."""

    __slots__ = ("lease", "ping_s", "sent_s")

    def __init__(self, lease: Any, sent_s: float, ping_s: float) -> None:
        self.lease = lease
        self.sent_s = sent_s
        self.ping_s = ping_s


_NOBODY = _Seen(None, 0.0, 0.0)
