"""A timeline as plain data: what the report holds and what the live page is sent. Bounded.

Each list has a bound, so the whole has one: 4,000 spans, 600 points a curve, 50 slow calls and 500
agents make about one megabyte, however long the recording was. What a bound left out is counted
under "left_out".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agentrm_plugins.telemetry.timeline.calls import as_row
from agentrm_plugins.telemetry.timeline.fleet import fleet_line, fleet_rows

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.timeline.bins import Series
    from agentrm_plugins.telemetry.timeline.spans import Span
    from agentrm_plugins.telemetry.timeline.state import State
    from agentrm_plugins.telemetry.timeline.tallies import AgentRow, SessionRow

__all__ = ["snapshot"]

_AGENTS = 500
_SESSIONS = 60
_DIGITS = 3


def snapshot(timeline: State) -> dict[str, Any]:
    """All that the page shows, as JSON takes it. It changes nothing."""
    now_s = timeline.now_s
    first_s = 0.0 if timeline.window_s is None else max(0.0, now_s - timeline.window_s)
    spans = [span for span in timeline.spans.thinned() if span.end_s >= first_s]
    running = [timeline.span(call) for call in timeline.open.values() if call.row]
    agents = sorted(timeline.agents, key=_busy, reverse=True)
    return {
        "now": round(now_s, _DIGITS),
        "first": round(first_s, _DIGITS),
        "begun": timeline.begun_wall_s,
        "counts": dict(timeline.counts),
        "dropped": timeline.dropped,
        "left_out": {
            "spans": max(0, timeline.spans.left_out),
            "agents": max(0, len(agents) - _AGENTS) + timeline.agents.aged,
            "endpoints": timeline.endpoints.left_out,
        },
        "rows": timeline.rows.names(),
        "spans": _columns([*spans, *running]),
        "t": timeline.bins.seconds(),
        "bin": timeline.bins.width_s,
        "depth": {name: s.dense() for name, s in sorted(timeline.depths.found.items())},
        "busy": {name: series.dense() for name, series in timeline.busy.found.items()},
        "rates": _rates(timeline),
        "hits": {name: series.dense() for name, series in timeline.hits.found.items()},
        "waits": {name: found.as_dict() for name, found in sorted(timeline.waits.items())},
        "sessions": [_session(timeline, row) for row in list(timeline.sessions)[-_SESSIONS:]],
        "slowest": timeline.slowest.rows(first_s),
        "oldest": [as_row(call, now_s, "open") for call in _oldest(timeline)],
        "running": sum(1 for call in timeline.open.values() if call.row),
        "waiting": sum(timeline.depth),
        "known": len(agents) + timeline.agents.aged,
        "agents": [_agent(row, now_s) for row in agents[:_AGENTS]],
        "endpoints": _endpoints(timeline),
        "fleet": _fleet(timeline),
        "pressure": {
            name: [round(share, 4) for share in pressure.until(now_s)]
            for name, pressure in timeline.pressure.items()
        },
    }


def _fleet(timeline: State) -> dict[str, Any] | None:
    line = fleet_line(timeline.fleet)
    if line is None:
        return None
    return {**line._asdict(), "rows": [row._asdict() for row in fleet_rows(timeline.fleet)]}


def _busy(row: AgentRow) -> tuple[int, float, int]:
    return row.running + row.waiting, row.served_s, row.calls


def _oldest(timeline: State) -> Iterable[Any]:
    return sorted(timeline.open.values(), key=lambda call: call.begun_s)[:10]


def _columns(spans: list[Span]) -> dict[str, list[Any]]:
    """One list per field: half the size of a list of objects. Names are numbers into lists."""
    agents: dict[str, int] = {}
    endpoints: dict[str, int] = {}
    columns: dict[str, list[Any]] = {
        "row": [span.row for span in spans],
        "begin": [round(span.begin_s, _DIGITS) for span in spans],
        "end": [round(span.end_s, _DIGITS) for span in spans],
        "agent": [agents.setdefault(span.agent, len(agents)) for span in spans],
        "ticket": [span.ticket for span in spans],
        "kind": [span.kind for span in spans],
        "attempt": [span.attempt for span in spans],
        "waited": [round(span.waited_s, _DIGITS) for span in spans],
        "late": [None if s.late_s is None else round(s.late_s, _DIGITS) for s in spans],
        "endpoint": [endpoints.setdefault(span.endpoint, len(endpoints)) for span in spans],
        "tokens": [span.tokens for span in spans],
        "cause": [span.cause for span in spans],
    }
    return {**columns, "agents": list(agents), "endpoints": list(endpoints)}


def _rates(timeline: State) -> list[dict[str, Any]]:
    """Per endpoint and resource: what was allowed, and what was used, per minute."""
    found = []
    for name, rate in timeline.rates.found.items():
        endpoint, _, resource = name.rpartition("|")
        found.append({
            "endpoint": endpoint,
            "resource": resource,
            "allowed": _per_min(rate["allowed"]),
            "limit": _per_min(rate["limit"]),
            "used": _smooth(rate["used"]),
        })  # fmt: skip
    return sorted(found, key=lambda rate: (rate["endpoint"], rate["resource"] != "requests"))


def _per_min(series: Series) -> list[float | None]:
    return [None if value is None else round(60.0 * value, 2) for value in series.dense()]


def _smooth(series: Series, over_s: float = 5.0) -> list[float]:
    """Use per minute as a mean over the last seconds, for single calls are no rate.

    Before the beginning nothing was used: a first call is no peak.
    """
    width_s = series.bins.width_s
    span = max(1, round(over_s / width_s))
    values = [value or 0.0 for value in series.dense()]
    found, running = [], 0.0
    for index, value in enumerate(values):
        running += value
        if index >= span:
            running -= values[index - span]
        found.append(round(60.0 * max(0.0, running) / (width_s * span), 2))
    return found


def _session(timeline: State, row: SessionRow) -> dict[str, Any]:
    received = timeline.received(row)
    return {
        "name": row.name,
        "hot": row.hot,
        "warm": row.warm,
        "cold": row.cold,
        "window": row.window,
        "compactions": row.compactions,
        "recalls": row.recalls,
        "asleep": row.asleep,
        "received": None if received is None else _agent(received, timeline.now_s),
    }


def _agent(row: AgentRow, now_s: float) -> dict[str, Any]:
    return {
        "name": row.name,
        "class": row.priority,
        "level": row.level,
        "waiting": row.waiting,
        "running": row.running,
        "calls": row.calls,
        "served": round(row.served_s, _DIGITS),
        "waited": round(row.waited_s, _DIGITS),
        "tokens": row.tokens,
        "tokens_per_s": round(row.tokens_per_s(now_s), 1),
        "cost": round(row.cost, 6),
        "retries": row.retries,
        "limit_hits": row.limit_hits,
        "zombies": row.zombies,
        "refused": row.refused,
        "drained": row.drained,
    }


def _endpoints(timeline: State) -> list[dict[str, Any]]:
    return [
        {
            "name": row.name,
            "running": row.running,
            "waiting": row.waiting,
            "sent": row.sent,
            "limit_hits": row.limit_hits,
            "breaker": row.breaker,
            "cost": round(row.cost, 6),
            "closed_for": round(max(0.0, row.closed_until_s - timeline.now_s), _DIGITS),
        }
        for row in timeline.endpoints.found.values()
    ]
