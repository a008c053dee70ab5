"""From a core's statistics, and what its tally counted, to the values of all metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.metrics.endpoints import put_endpoints, put_hedges
from agentrm_plugins.telemetry.metrics.naming import Bounded, clean, own_version
from agentrm_plugins.telemetry.metrics.tally import Tally
from agentrm_plugins.telemetry.metrics.values import Values, of_waits
from agentrm_plugins.types.agent_key import agent_of_key
from agentrm_plugins.types.checks import check_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agentrm_plugins.types.fleet_statistics import FleetStatistics
    from agentrm_plugins.types.statistics import SessionStatistics, Statistics

__all__ = ["MOST_AGENTS", "MOST_ENDPOINTS", "MOST_TENANTS", "Meter"]

MOST_AGENTS = 200
MOST_ENDPOINTS = 50
MOST_TENANTS = 50
_WINDOWS = (("10s", "last_10_s"), ("60s", "last_60_s"), ("300s", "last_300_s"))
_COUNTERS = ("submitted", "granted", "settled", "reaped")


class Meter:
    """Measures one core.

    Args:
        rm: The `AgentRM`.
        agents: How many of the busiest agents have series of their own; 0: none has.

    Raises:
        ConfigError: Too many agents.
    """

    def __init__(self, rm: Any, *, agents: int = 0) -> None:
        agents = check_whole("agents", agents, 0)
        if agents > MOST_AGENTS:
            way = f"give at most {MOST_AGENTS}: each has a series in every metric of agents"
            raise ConfigError("agents", agents, way)
        self._rm = rm
        self._agents = agents
        self._tally = Tally(rm._host)  # noqa: SLF001 - of one house
        self._tenants = Bounded(MOST_TENANTS)
        self._endpoints = Bounded(MOST_ENDPOINTS)

    @property
    def order(self) -> str:
        """Who goes next, in a word."""
        return str(self._rm.config.scheduler.order)

    def close(self) -> None:
        """Count no more."""
        self._tally.close()

    def values(self) -> Values:
        """How things are now. Costs a look at the core: well below a millisecond."""
        seen: Statistics = self._rm.statistics(agents=self._agents)
        values = Values()
        _put_info(values, seen)
        _put_calls(values, seen)
        _put_queue(values, seen)
        _put_pressure(values, seen)
        put_endpoints(values, seen.endpoints, self._endpoints)
        self._put_tenants(values, seen)
        if self._agents:
            _put_agents(values, seen)
        _put_sessions(values, seen.sessions)
        _put_tally(values, self._tally)
        if seen.fleet is not None:
            _put_fleet(values, seen.fleet)
        values.put("agentrm.events.dropped", seen.events_dropped)
        return values

    def _put_tenants(self, values: Values, seen: Statistics) -> None:
        for name, tenant in seen.tenants.items():
            label = clean(self._tenants.of(name))
            values.put("agentrm.tenant.waiting", tenant.waiting, label)
            values.put("agentrm.tenant.lanes", tenant.lanes, label)
            values.put("agentrm.tenant.share", tenant.share, label)
            values.put("agentrm.tenant.tokens", tenant.input_tokens, label, "input")
            values.put("agentrm.tenant.tokens", tenant.output_tokens, label, "output")
            values.put("agentrm.tenant.cost", tenant.cost, label)
            values.put("agentrm.tenant.refused", tenant.refused, label)
            values.put("agentrm.tenant.limit_hits", tenant.limit_hits, label)


def _put_info(values: Values, seen: Statistics) -> None:
    values.put("agentrm.info", 1, own_version(), seen.order)


def _put_calls(values: Values, seen: Statistics) -> None:
    for name in _COUNTERS:
        values.put(f"agentrm.calls.{name}", getattr(seen, name))
    for cause, count in seen.refused.items():
        values.put("agentrm.calls.refused", count, clean(cause))
    put_hedges(values, seen.hedges, "agentrm.calls", "agentrm")
    values.put("agentrm.calls.waiting", seen.waiting)
    values.put("agentrm.calls.running", seen.running)
    values.put("agentrm.calls.zombies", seen.zombies)
    values.put("agentrm.zombie.lane_time", seen.zombie_lane_s)
    values.put("agentrm.tokens", seen.input_tokens, "input")
    values.put("agentrm.tokens", seen.output_tokens, "output")
    values.put("agentrm.cost", seen.cost)
    values.put("agentrm.agents.known", seen.agents_known)
    values.put("agentrm.agents.forgotten", seen.forgotten.agents)


def _put_queue(values: Values, seen: Statistics) -> None:
    for level, depth in enumerate(seen.queue_depth):
        values.put("agentrm.queue.depth", depth, str(level))
    values.put("agentrm.queue.oldest_wait", seen.oldest_waiting_s)
    values.put("agentrm.queue.demotions", seen.demotions)
    values.put("agentrm.queue.boosts", seen.boosts)
    values.put("agentrm.lanes.limit", seen.lanes)
    values.put("agentrm.lanes.in_use", seen.lanes_in_use)
    values.put("agentrm.lanes.peak", seen.lanes_peak)
    for name, group in seen.groups.items():
        label = clean(name)
        values.put("agentrm.group.lanes.limit", group.capacity, label)
        values.put("agentrm.group.lanes.guaranteed", group.guaranteed, label)
        values.put("agentrm.group.lanes.in_use", group.in_use, label)
        values.put("agentrm.group.waiting", group.waiting, label)
        values.put("agentrm.queue.wait", of_waits(group.waits), label)


def _put_pressure(values: Values, seen: Statistics) -> None:
    for resource in ("lanes", "rate", "context"):
        stalled = getattr(seen.pressure, resource)
        for window, field in _WINDOWS:
            values.put("agentrm.pressure", getattr(stalled, field), resource, window)
        values.put("agentrm.pressure.stalled", stalled.total_s, resource)


def _put_agents(values: Values, seen: Statistics) -> None:
    for key, agent in seen.agents.items():
        labels = clean(agent.tenant), clean(agent_of_key(key)[1])
        values.put("agentrm.agent.waiting", agent.waiting, *labels)
        values.put("agentrm.agent.running", agent.running, *labels)
        values.put("agentrm.agent.level", agent.level, *labels)
        values.put("agentrm.agent.tokens", agent.token_rates.last_60_s, *labels)


def _put_sessions(values: Values, sessions: Mapping[str, SessionStatistics]) -> None:
    values.put("agentrm.context.sessions", len(sessions))
    hot = warm = sent = archived = 0
    fullest = 0.0
    for session in sessions.values():
        hot += session.hot_tokens
        warm += session.warm_tokens
        sent += session.messages - session.archived
        archived += session.archived
        fullest = max(fullest, session.utilisation)
    values.put("agentrm.context.tokens", hot, "hot")
    values.put("agentrm.context.tokens", warm, "warm")
    values.put("agentrm.context.messages", sent, "hot")
    values.put("agentrm.context.messages", archived, "cold")
    values.put("agentrm.context.utilisation.max", fullest)


_ALONE = ("agentrm.context.recalled_tokens", "agentrm.context.compacted_tokens")
_CAUSES = {  # that are shown as 0 before the first, for a rate needs two points
    "agentrm.calls.retried": ("limit", "overloaded", "transient", "unsent"),
    "agentrm.budget.crossings": ("soft", "hard"),
    "agentrm.breaker.changes": ("closed", "half_open", "open"),
    "agentrm.context.compactions": ("turn", "background"),
    "agentrm.context.recalls": ("task", "tool"),
    "agentrm.context.hibernations": ("asked", "idle", "bound", "closed"),
}


def _put_tally(values: Values, tally: Tally) -> None:
    for name in _ALONE:
        values.put(name, 0)
    for name, causes in _CAUSES.items():
        for cause in causes:
            values.put(name, 0, cause)
    counts, durations = tally.seen()
    for (name, cause), count in counts.items():
        values.put(name, count, *(() if name in _ALONE else (cause,)))
    for (group, outcome), times in durations.items():
        values.put("agentrm.call.duration", times, clean(group), outcome)
    values.put("agentrm.monitor.errors", tally.errors)


def _put_fleet(values: Values, fleet: FleetStatistics) -> None:
    values.put("agentrm.fleet.joined", float(fleet.state == "joined"))
    values.put("agentrm.fleet.members", fleet.members)
    values.put("agentrm.fleet.lanes.held", fleet.lanes_held)
    values.put("agentrm.fleet.lanes.in_use", fleet.lanes_used)
    values.put("agentrm.fleet.lease.age", fleet.lease_age_s)
    values.put("agentrm.fleet.lease.limit", fleet.lease_s)
    values.put("agentrm.fleet.others_wait", float(fleet.others_wait))
    values.put("agentrm.fleet.exchanges", fleet.exchanges)
    values.put("agentrm.fleet.exchange.age", fleet.exchange_age_s)
    values.put("agentrm.fleet.exchange.slowest", fleet.slowest_exchange_s)
    values.put("agentrm.fleet.fenced", fleet.fenced)
    values.put("agentrm.fleet.outages", fleet.outages)
    values.put("agentrm.fleet.limits.lowered", len(fleet.lowered))
