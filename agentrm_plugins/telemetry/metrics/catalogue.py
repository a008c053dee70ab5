"""The table of metrics: name, kind, unit, labels, and what it says.

Names follow OpenTelemetry's rules, units are UCUM's; the name for Prometheus is made from them by
OpenTelemetry's own rule for that: dots become underscores, the unit and ``_total`` stand at the
end. Labels have short names in Prometheus and the prefix ``agentrm.`` in OpenTelemetry.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

__all__ = ["CATALOGUE", "METRICS", "Metric", "attribute_of"]

Kind = Literal["counter", "gauge", "histogram"]
_UNITS = {"s": "seconds", "1": "ratio"}
_UNSAFE = re.compile(r"[^a-zA-Z0-9_]")


class Metric(NamedTuple):
    """One metric.

    Attributes:
        name: OpenTelemetry's.
        kind: A counter only grows; a gauge goes up and down; a histogram counts by size.
        unit: UCUM: "s", "1" (a share), or what is counted, in braces.
        help: One sentence.
        labels: Their names, in the order of the values.
    """

    name: str
    kind: Kind
    unit: str
    help: str
    labels: tuple[str, ...] = ()

    @property
    def prometheus(self) -> str:
        """The name in Prometheus.

        >>> METRICS["agentrm.queue.wait"].prometheus, METRICS["agentrm.tokens"].prometheus
        ('agentrm_queue_wait_seconds', 'agentrm_tokens_total')
        """
        name = _UNSAFE.sub("_", self.name)
        unit = "" if self.unit == "1" and self.kind != "gauge" else _UNITS.get(self.unit, "")
        if self.unit.endswith("/s"):
            unit = "per_second"
        if unit and not name.endswith(unit):
            name = f"{name}_{unit}"
        return f"{name}_total" if self.kind == "counter" else name


def attribute_of(label: str) -> str:
    """The name of a label in OpenTelemetry.

    >>> attribute_of("group")
    'agentrm.group'
    """
    return f"agentrm.{label}"


def _counter(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"agentrm.{name}", "counter", unit, text, labels)


def _gauge(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"agentrm.{name}", "gauge", unit, text, labels)


def _histogram(name: str, unit: str, text: str, *labels: str) -> Metric:
    return Metric(f"agentrm.{name}", "histogram", unit, text, labels)


_AT = ("endpoint", "key_fingerprint")
_OF = (*_AT, "resource")
_WHO = ("tenant", "agent")

CATALOGUE: tuple[Metric, ...] = (
    _gauge("info", "", "1, with the version and the order of the queue.", "version", "order"),
    # -- calls --
    _counter("calls.submitted", "{call}", "Calls that asked for a lane."),
    _counter("calls.granted", "{call}", "Calls that got a lane, each attempt counted."),
    _counter("calls.settled", "{call}", "Calls that ended."),
    _counter("calls.reaped", "{call}", "Calls that hung and lost their lane."),
    _counter("calls.refused", "{call}", "Calls that never ran, by cause.", "cause"),
    _counter("calls.late", "{call}", "Calls that were late by what was learnt; they went on."),
    _counter("calls.hedged", "{call}", "Second attempts that were sent beside late calls."),
    _counter(
        "hedges.answered", "{call}", "Calls with a second attempt, by which one answered.",
        "attempt",
    ),
    _counter("hedges.gave_way", "{attempt}", "Attempts that made room for the next one."),
    _counter("hedges.lost_tokens", "{token}", "Tokens of attempts that lost or gave way."),
    _counter("calls.retried", "{call}", "Attempts that failed and went again, by cause.", "cause"),
    _gauge("calls.waiting", "{call}", "Calls that wait for a lane."),
    _gauge("calls.running", "{call}", "Calls that hold a lane, or sit on their parent's."),
    _gauge("calls.zombies", "{call}", "Reaped calls that have not been heard of since."),
    _histogram(
        "call.duration", "s", "Time in a lane, of each attempt that ended, by outcome.",
        "group", "outcome",
    ),
    _counter("zombie.lane_time", "s", "Lane time that reaped calls held for nothing."),
    # -- queue and lanes --
    _gauge("queue.depth", "{call}", "Waiting calls in each level; 0 is the top.", "level"),
    _histogram("queue.wait", "s", "Time that granted calls had waited, by lane group.", "group"),
    _gauge("queue.oldest_wait", "s", "Age of the oldest call that waits; 0 if none does."),
    _counter("queue.demotions", "{demotion}", "Agents that went down a level."),
    _counter("queue.boosts", "{boost}", "Times that all agents went up to the top."),
    _gauge("lanes.limit", "{lane}", "Lanes in all."),
    _gauge("lanes.in_use", "{lane}", "Lanes in use."),
    _gauge("lanes.peak", "{lane}", "The most lanes that were ever in use."),
    _gauge("group.lanes.limit", "{lane}", "Lanes that a group may use.", "group"),
    _gauge("group.lanes.guaranteed", "{lane}", "Lanes that a group gets in any case.", "group"),
    _gauge("group.lanes.in_use", "{lane}", "Lanes that a group uses.", "group"),
    _gauge("group.waiting", "{call}", "Calls that wait for a lane of a group.", "group"),
    _gauge(
        "pressure", "1", "Share of the last 10, 60 or 300 seconds in which somebody waited.",
        "resource", "window",
    ),
    _counter("pressure.stalled", "s", "Time in which somebody waited, in all.", "resource"),
    # -- tokens and money --
    _counter("tokens", "{token}", "Tokens that were used: input or output.", "type"),
    _counter("cost", "", "Cost of all calls, in the unit of the prices that were given."),
    _counter("budget.crossings", "{crossing}", "Marks of budgets that were crossed.", "mark"),
    # -- endpoints --
    _gauge("endpoint.in_flight", "{call}", "Calls under way at an endpoint.", *_AT),
    _gauge("endpoint.waiting", "{call}", "Calls that wait and are for an endpoint.", *_AT),
    _gauge("endpoint.concurrency.limit", "{call}", "Calls at once; absent: no bound.", *_AT),
    _counter("endpoint.sent", "{call}", "Requests that were sent to an endpoint.", *_AT),
    _counter("endpoint.limit_hits", "{call}", "Requests refused for a limit (429).", *_AT),
    _counter("endpoint.requeues", "{call}", "Requests that failed and went again.", *_AT),
    _counter("endpoint.failures", "{call}", "Requests that failed otherwise.", *_AT),
    _counter("endpoint.cost", "", "Cost at an endpoint, in the unit of the prices.", *_AT),
    _gauge("endpoint.tokens", "{token}/s", "Tokens a second, of the last 60 s.", *_AT),
    _gauge("endpoint.breaker", "", "1 for the state that the breaker is in.", *_AT, "state"),
    _counter("breaker.changes", "{change}", "Changes of breakers, by their new state.", "state"),
    _gauge("endpoint.closed", "s", "For how long nobody may come yet; 0: it is open.", *_AT),
    _gauge("endpoint.late_after", "s", "Silence after which a call is late.", *_AT),
    _counter("endpoint.late", "{call}", "Calls to an endpoint that were late.", *_AT),
    _counter("endpoint.hedged", "{call}", "Second attempts sent to an endpoint.", *_AT),
    _counter(
        "endpoint.hedges.answered", "{call}",
        "Calls to an endpoint with a second attempt, by which one answered.", *_AT, "attempt",
    ),
    _counter(
        "endpoint.hedges.gave_way", "{attempt}",
        "Attempts at an endpoint that made room for the next one.", *_AT,
    ),
    _counter(
        "endpoint.hedges.lost_tokens", "{token}",
        "Tokens at an endpoint of attempts that lost or gave way.", *_AT,
    ),
    _histogram("endpoint.wait", "s", "Time that calls for an endpoint had waited.", *_AT),
    _gauge("rate.allowed", "{unit}/s", "What the core lets through.", *_OF),
    _gauge("rate.limit", "{unit}/s", "The known limit; absent: it is not known.", *_OF),
    _gauge("rate.used", "{unit}/s", "What was used in the last 10 s.", *_OF),
    _gauge("rate.proximity", "1", "Share of the limit in use; at 1 it binds.", *_OF),
    _gauge("rate.binds_in", "s", "Time until the limit binds; absent: it will not.", *_OF),
    _counter("rate.cuts", "{cut}", "Times that a refusal cut the rate.", *_OF),
    # -- tenants and agents --
    _gauge("tenant.waiting", "{call}", "Calls of a tenant that wait.", "tenant"),
    _gauge("tenant.lanes", "{lane}", "Lanes that a tenant uses.", "tenant"),
    _gauge("tenant.share", "1", "A tenant's dominant share.", "tenant"),
    _counter("tenant.tokens", "{token}", "Tokens of a tenant: input or output.", "tenant", "type"),
    _counter("tenant.cost", "", "Cost of a tenant, in the unit of the prices.", "tenant"),
    _counter("tenant.refused", "{call}", "Calls of a tenant that never ran.", "tenant"),
    _counter("tenant.limit_hits", "{call}", "Requests of a tenant refused for a limit.", "tenant"),
    _gauge("agents.known", "{agent}", "Agents that are remembered."),
    _counter("agents.forgotten", "{agent}", "Agents that were idle for too long."),
    _gauge("agent.waiting", "{call}", "Waiting calls of a busy agent.", *_WHO),
    _gauge("agent.running", "{call}", "Running calls of a busy agent.", *_WHO),
    _gauge("agent.level", "{level}", "Level of a busy agent; 0 is the top.", *_WHO),
    _gauge("agent.tokens", "{token}/s", "Tokens a second of a busy agent, over 60 s.", *_WHO),
    # -- context --
    _gauge("context.sessions", "{session}", "Sessions that are awake."),
    _gauge("context.tokens", "{token}", "Tokens of awake sessions, by tier.", "tier"),
    _gauge("context.messages", "{message}", "Messages of awake sessions, by tier.", "tier"),
    _gauge("context.utilisation.max", "1", "The fullest session's share of its budget."),
    _counter("context.compactions", "{compaction}", "Compactions, by cause.", "cause"),
    _counter("context.recalls", "{recall}", "Recalls of archived passages, by cause.", "cause"),
    _counter("context.recalled_tokens", "{token}", "Tokens that recalls brought back."),
    _counter("context.compacted_tokens", "{token}", "Tokens that compactions took out."),
    _counter("context.hibernations", "{session}", "Sessions put to sleep, by cause.", "cause"),
    # -- the fleet --
    _gauge("fleet.joined", "", "1: limits are shared with other processes just now; 0: alone."),
    _gauge("fleet.members", "{process}", "Processes that share the limits."),
    _gauge("fleet.lanes.held", "{lane}", "Lanes that this process holds."),
    _gauge("fleet.lanes.in_use", "{lane}", "Lanes of these that are at work."),
    _gauge("fleet.lease.age", "s", "Time since the lease was renewed; absent: never yet."),
    _gauge("fleet.lease.limit", "s", "After so long a silence a process loses its lanes."),
    _gauge("fleet.others_wait", "", "1: other processes wait for something."),
    _counter("fleet.exchanges", "{exchange}", "Exchanges that were answered."),
    _gauge("fleet.exchange.age", "s", "Time since the last one was answered."),
    _gauge("fleet.exchange.slowest", "s", "The longest exchange."),
    _counter("fleet.fenced", "{call}", "Calls that lost their lane to a silence of this process."),
    _counter("fleet.outages", "{outage}", "Times that the server was out of reach."),
    _gauge("fleet.limits.lowered", "{limit}", "Limits of which another process says less."),
    # -- the monitor itself --
    _counter("events.dropped", "{event}", "Events that a reader of the stream was too slow for."),
    _counter("monitor.errors", "{error}", "Events that the exporter failed on: bugs of ours."),
)  # fmt: skip

METRICS = {metric.name: metric for metric in CATALOGUE}
