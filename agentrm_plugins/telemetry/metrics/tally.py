"""What statistics do not keep and an exporter counts itself: it listens to the event stream.

It counts inside the core, as events happen: some hundred nanoseconds for those that count, no
thread, nothing to lose between two scrapes. Only causes that are ours are told apart, so that the
number of series is bounded whatever a program calls its causes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentrm_plugins.hosts.stream import EventStream
from agentrm_plugins.telemetry.metrics.values import Counted, of_histogram
from agentrm_plugins.types.effects import (
    BreakerChanged,
    BudgetCrossed,
    Compacted,
    Effect,
    Hibernated,
    Recalled,
    Requeued,
    Settled,
)
from agentrm_plugins.types.histogram import Histogram

if TYPE_CHECKING:
    from agentrm_plugins.hosts.host import Host

__all__ = ["OTHER", "Listening", "Tally", "outcome_of"]

OTHER = "other"
_CAUSES = frozenset({
    *("limit", "overloaded", "transient", "unsent"),  # requeued
    *("soft", "hard"),  # budgets
    *("closed", "open", "half_open"),  # breakers
    *("turn", "background", "task", "tool", "asked", "idle", "bound"),  # context
    *("ok", "error", "cancelled", "superseded", "late"),  # outcomes
})  # fmt: skip


class Listening(EventStream):
    """A stream that keeps nothing: it tells of events at once, in the core."""

    listener: Callable[[Sequence[Effect]], None] | None = None

    @classmethod
    def to(cls, host: Host, listener: Callable[[Sequence[Effect]], None]) -> Listening:
        """Call `listener` in the core with all that happens; it must be quick and must not fail."""
        stream = host.streams.subscribe(1, make=cls)
        assert isinstance(stream, cls)  # noqa: S101 - it makes what it was told to
        stream.listener = listener
        return stream

    def push(self, effects: Sequence[Effect]) -> None:
        """More has happened."""
        if self.listener is not None:
            self.listener(effects)


class Tally:
    """Counts since it was made; in the child of a fork it begins anew, as the core does.

    Args:
        host: The kernel and its callers.

    Attributes:
        counts: By metric and the values of its labels.
        durations: Time in a lane, by group and outcome.
        errors: Events that could not be counted: bugs of ours.
    """

    def __init__(self, host: Host) -> None:
        self.counts: dict[tuple[str, str], float] = {}
        self.durations: dict[tuple[str, str], Histogram] = {}
        self.errors = 0
        self._host = host
        self._stream: Listening | None = None
        self._closed = False
        self._begin()
        host.on_fork(self._begin)

    def _begin(self) -> None:
        self.counts, self.durations, self.errors = {}, {}, 0
        if not self._closed and not self._host.closed:
            self._stream = Listening.to(self._host, self._took)

    def close(self) -> None:
        """Count no more, nor in a child of a fork."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()

    def seen(self) -> tuple[dict[tuple[str, str], float], dict[tuple[str, str], Counted]]:
        """Counts and durations, copied in the core, where nobody counts meanwhile."""

        def look(_: Any) -> Any:
            times = {key: of_histogram(one) for key, one in self.durations.items()}
            return dict(self.counts), times

        counts, durations = self._host.read(look)
        return counts, durations

    def _took(self, effects: Sequence[Effect]) -> None:
        try:
            for effect in effects:
                count = _COUNTED.get(effect.__class__)
                if count is not None:
                    count(self, effect)
        except Exception:  # noqa: BLE001 - nothing here may reach the core
            self.errors += 1

    def add(self, metric: str, cause: str, more: float = 1) -> None:
        """Count `more` of a metric."""
        key = metric, cause if cause in _CAUSES else OTHER
        self.counts[key] = self.counts.get(key, 0) + more

    def ended(self, group: str, outcome: str, held_s: float) -> None:
        """An attempt has ended after so many seconds in its lane."""
        key = group, outcome
        durations = self.durations.get(key)
        if durations is None:
            durations = self.durations[key] = Histogram()
        durations.add(held_s)


def outcome_of(effect: Settled | Requeued) -> str:
    """How an attempt ended, as `agentrm.call.duration` has it."""
    if isinstance(effect, Requeued):
        return "error"
    return effect.cause if effect.cause in _CAUSES else OTHER


def _settled(tally: Tally, effect: Any) -> None:
    tally.ended(effect.group, outcome_of(effect), effect.held_s)


def _requeued(tally: Tally, effect: Any) -> None:
    tally.add("agentrm.calls.retried", effect.cause)
    if effect.cause != "unsent":  # that was no attempt
        tally.ended(effect.group, outcome_of(effect), effect.held_s)


def _compacted(tally: Tally, effect: Any) -> None:
    tally.add("agentrm.context.compactions", effect.cause)
    tally.add(
        "agentrm.context.compacted_tokens", "", max(0, effect.before_tokens - effect.after_tokens)
    )


def _recalled(tally: Tally, effect: Any) -> None:
    tally.add("agentrm.context.recalls", effect.cause)
    tally.add("agentrm.context.recalled_tokens", "", effect.tokens)


def _one(metric: str) -> Callable[[Tally, Any], None]:
    def count(tally: Tally, effect: Any) -> None:
        tally.add(metric, effect.cause)

    return count


_COUNTED: dict[type, Callable[[Tally, Any], None]] = {
    Settled: _settled,
    Requeued: _requeued,
    Compacted: _compacted,
    Recalled: _recalled,
    Hibernated: _one("agentrm.context.hibernations"),
    BudgetCrossed: _one("agentrm.budget.crossings"),
    BreakerChanged: _one("agentrm.breaker.changes"),
}
