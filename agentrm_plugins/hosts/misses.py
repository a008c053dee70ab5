"""Configured limits that calls miss: because a server hung, or because nothing answers so soon?

Law: a call that passed a limit goes again, for the next attempt may not hang. Each is paid for. So
it is counted how often in a row a call missed its limit *in vain*: while of the answers that are
remembered of its endpoint not one in twenty came within that limit. The retry policy ends the call
after three of these (`retry`). Eight misses at the endpoint one after another, with no answer
between them, are in vain whatever was quick before: it has become slow. Calls that missed it side
by side are one: a pause of the server met them all.

Regimes: some calls hang: the others answer within the limit, and a call goes on. A limit that is
too short: no answer ever comes, and three attempts are made, as a bare SDK makes them. An endpoint
that was quick and hangs all: ten attempts of a lone call; by then its breaker is open as a rule.

Limits: three attempts that hang at an endpoint that has never answered look like a limit that is
too short, and are told so. Answers slower than the limit, to callers that allow more, count as
answers between.

Sources: three are the SDKs' own (two retries); where 40 % hang, eight in a row do once in 1,500
times. One in twenty is guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentrm_plugins.errors import CallReaped

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host
    from agentrm_plugins.hosts.judgement import Judgement
    from agentrm_plugins.kernel import Kernel
    from agentrm_plugins.types.calls import Call

__all__ = ["Misses", "missed_limit_s"]

_RUN, _SHARE = 8, 0.05
_AFTER = 0.9  # of the limit: an attempt that was sent after the last miss, by clocks that differ
_LIMITS = frozenset({"response", "first_token", "total"})
_TIMEOUTS = frozenset({"APITimeoutError", "ReadTimeout", "ReadTimeoutError", "TimeoutError"})


def missed_limit_s(host: Host, call: Call, error: BaseException, judged: Judgement) -> float | None:
    """The limit in seconds that an attempt passed, by our clock or its SDK's; None if it did not.

    Silence in mid-stream is none: the answer had begun.
    """
    leases = host.config.leases
    if isinstance(error, CallReaped):
        return error.limit_s if error.cause in _LIMITS and error.limit_s else None
    verdict = judged[0]
    if verdict.status is not None or verdict.why or type(error).__name__ not in _TIMEOUTS:
        return None
    usual_s = leases.first_token_timeout_s if call.streaming else leases.response_timeout_s
    return call.first_token_timeout_s or usual_s


class Misses:
    """How often calls missed their limits in a row at each endpoint of a core."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: dict[str, tuple[int, int, float]] = {}  # answers until then, misses since, when

    def in_vain(self, host: Host, call: Call, limit_s: float) -> bool:
        """A call missed a limit. Whether there is no sign that another attempt would keep it."""
        name = call.endpoint
        if name is None:
            return False
        answers, quick_s = host.read(lambda kernel: _known(kernel, call))
        now_s = host.clock.now()
        before, run, last_s = self._runs.get(name, (answers, 0, 0.0))
        if before != answers or not run:
            self._runs[name] = answers, (run := 1), now_s
        elif now_s - last_s >= _AFTER * limit_s:
            self._runs[name] = answers, (run := run + 1), now_s
        return run >= _RUN or quick_s is None or quick_s > limit_s


def _known(kernel: Kernel, call: Call) -> tuple[int, float | None]:
    """How many answers there were, and within what time the quickest of them came, or None."""
    endpoint = kernel.books.endpoints.get(call.endpoint or "")
    if endpoint is None:
        return 0, None
    times = endpoint.times
    sketch = times.sketches.get("first" if call.streaming else "response")
    return times.answers, None if sketch is None else sketch.quantile(_SHARE)
