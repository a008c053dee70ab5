"""Grafana's dashboard of a core and its fleet, as the JSON that Grafana imports.

It is made from a table of panels; a test holds every expression against the metrics of a scrape.
"""

from __future__ import annotations

from typing import Any, NamedTuple

__all__ = ["dashboard"]

_IN = 'instance=~"$instance"'
_AT = f'{_IN}, endpoint=~"$endpoint"'
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24


class _Panel(NamedTuple):
    """One chart: its lines by legend, the unit by Grafana's name, and how it is drawn."""

    title: str
    unit: str
    lines: dict[str, str]
    kind: str = "timeseries"
    stacked: bool = False
    most: float | None = None


def _quantiles(metric: str, by: str, at: str) -> dict[str, str]:
    buckets = f"sum by ({by}, le) (rate({metric}_bucket{{{at}}}[$__rate_interval]))"
    return {
        f"{{{{{by}}}}} p{share}": f"histogram_quantile({share / 100}, {buckets})"
        for share in (50, 95, 99)
    }


def _rate(metric: str, by: str, at: str = _IN) -> str:
    return f"sum by ({by}) (rate({metric}{{{at}}}[$__rate_interval]))"


def _all(metric: str, at: str = _IN) -> str:
    return f"sum({metric}{{{at}}})"


_ROWS: tuple[tuple[str, tuple[_Panel, ...]], ...] = (
    (
        "Now",
        (
            _Panel("Lanes in use", "short", {
                "in use": _all("agentrm_lanes_in_use"), "lanes": _all("agentrm_lanes_limit"),
            }),
            _Panel("Calls", "short", {
                "running": _all("agentrm_calls_running"),
                "waiting": _all("agentrm_calls_waiting"),
                "zombies": _all("agentrm_calls_zombies"),
            }),
            _Panel("Pressure (last minute)", "percentunit", {
                "{{resource}}":
                    f'max by (resource) (agentrm_pressure_ratio{{{_IN}, window="60s"}})',
            }, most=1),
        ),
    ),
    (
        "Queue",
        (
            _Panel("Waiting, by level", "short", {
                "level {{level}}": f"sum by (level) (agentrm_queue_depth{{{_IN}}})",
            }, stacked=True),
            _Panel("Waiting, by lane group", "short", {
                "{{group}}": f"sum by (group) (agentrm_group_waiting{{{_IN}}})",
            }, stacked=True),
            _Panel("Wait for a lane", "s", _quantiles("agentrm_queue_wait_seconds", "group", _IN)),
            _Panel("Oldest wait", "s", {
                "{{instance}}": f"agentrm_queue_oldest_wait_seconds{{{_IN}}}",
            }),
            _Panel("Lanes in use, by group", "short", {
                "{{group}}": f"sum by (group) (agentrm_group_lanes_in_use{{{_IN}}})",
                "{{group}} limit": f"sum by (group) (agentrm_group_lanes_limit{{{_IN}}})",
                "{{group}} guaranteed": f"sum by (group) (agentrm_group_lanes_guaranteed{{{_IN}}})",
            }),
            _Panel("Demotions and boosts", "ops", {
                "demotions": _rate("agentrm_queue_demotions_total", "job"),
                "boosts": _rate("agentrm_queue_boosts_total", "job"),
            }),
        ),
    ),
    (
        "Endpoints",
        (
            _Panel("Rate: allowed, used, limit", "ops", {
                "{{endpoint}} {{resource}} allowed":
                    f"sum by (endpoint, resource) (agentrm_rate_allowed_per_second{{{_AT}}})",
                "{{endpoint}} {{resource}} used":
                    f"sum by (endpoint, resource) (agentrm_rate_used_per_second{{{_AT}}})",
                "{{endpoint}} {{resource}} limit":
                    f"sum by (endpoint, resource) (agentrm_rate_limit_per_second{{{_AT}}})",
            }),
            _Panel("How near the limit is", "percentunit", {
                "{{endpoint}} {{resource}}":
                    f"max by (endpoint, resource) (agentrm_rate_proximity_ratio{{{_AT}}})",
            }, most=1),
            _Panel("Time until a limit binds", "s", {
                "{{endpoint}} {{resource}}":
                    f"min by (endpoint, resource) (agentrm_rate_binds_in_seconds{{{_AT}}})",
            }),
            _Panel("Refusals (429), failures, cuts", "ops", {
                "{{endpoint}} 429": _rate("agentrm_endpoint_limit_hits_total", "endpoint", _AT),
                "{{endpoint}} failed": _rate("agentrm_endpoint_failures_total", "endpoint", _AT),
                "{{endpoint}} cuts": _rate("agentrm_rate_cuts_total", "endpoint", _AT),
            }),
            _Panel("Requests and retries", "ops", {
                "{{endpoint}} sent": _rate("agentrm_endpoint_sent_total", "endpoint", _AT),
                "{{endpoint}} again": _rate("agentrm_endpoint_requeues_total", "endpoint", _AT),
            }),
            _Panel("In flight", "short", {
                "{{endpoint}}": f"sum by (endpoint) (agentrm_endpoint_in_flight{{{_AT}}})",
                "{{endpoint}} limit":
                    f"sum by (endpoint) (agentrm_endpoint_concurrency_limit{{{_AT}}})",
                "{{endpoint}} waiting": f"sum by (endpoint) (agentrm_endpoint_waiting{{{_AT}}})",
            }),
            _Panel("Breaker open, or closed by the server", "short", {
                "{{endpoint}} open":
                    f'max by (endpoint) (agentrm_endpoint_breaker{{{_AT}, state="open"}})',
                "{{endpoint}} closed for s":
                    f"max by (endpoint) (agentrm_endpoint_closed_seconds{{{_AT}}})",
            }),
            _Panel("Wait for an endpoint", "s",
                   _quantiles("agentrm_endpoint_wait_seconds", "endpoint", _AT)),
            _Panel("Late after", "s", {
                "{{endpoint}}": f"max by (endpoint) (agentrm_endpoint_late_after_seconds{{{_AT}}})",
            }),
        ),
    ),
    (
        "Calls",
        (
            _Panel("Ended, by outcome", "ops", {
                "{{outcome}}": _rate("agentrm_call_duration_seconds_count", "outcome"),
            }, stacked=True),
            _Panel("Time in a lane", "s",
                   _quantiles("agentrm_call_duration_seconds", "group", _IN)),
            _Panel("Refused, retried, reaped", "ops", {
                "refused: {{cause}}": _rate("agentrm_calls_refused_total", "cause"),
                "retried: {{cause}}": _rate("agentrm_calls_retried_total", "cause"),
                "reaped": _rate("agentrm_calls_reaped_total", "job"),
            }),
            _Panel("Late calls and their second attempts", "ops", {
                "late": _rate("agentrm_calls_late_total", "job"),
                "second attempts": _rate("agentrm_calls_hedged_total", "job"),
                "answered by the {{attempt}}": _rate("agentrm_hedges_answered_total", "attempt"),
                "gave way": _rate("agentrm_hedges_gave_way_total", "job"),
            }),
            _Panel("Tokens of attempts that lost", "suffix: tokens/s", {
                "{{endpoint}}": _rate("agentrm_endpoint_hedges_lost_tokens_total", "endpoint"),
            }),
            _Panel("Lane time lost to hung calls", "percentunit", {
                "share of a lane": _rate("agentrm_zombie_lane_time_seconds_total", "job"),
            }),
        ),
    ),
    (
        "Tokens and cost",
        (
            _Panel("Tokens a second", "suffix: tokens/s", {
                "{{type}}": _rate("agentrm_tokens_total", "type"),
            }, stacked=True),
            _Panel("Tokens a second, by tenant", "suffix: tokens/s", {
                "{{tenant}}": _rate("agentrm_tenant_tokens_total", "tenant"),
            }, stacked=True),
            _Panel("Cost an hour, by tenant", "short", {
                "{{tenant}}": f"3600 * {_rate('agentrm_tenant_cost_total', 'tenant')}",
            }, stacked=True),
            _Panel("Budgets that were crossed", "short", {
                "{{mark}}":
                    f"sum by (mark) (increase(agentrm_budget_crossings_total{{{_IN}}}[1h]))",
            }),
        ),
    ),
    (
        "Context",
        (
            _Panel("Tokens by tier", "short", {
                "{{tier}}": f"sum by (tier) (agentrm_context_tokens{{{_IN}}})",
            }, stacked=True),
            _Panel("Compactions, recalls, sleep", "ops", {
                "compactions: {{cause}}": _rate("agentrm_context_compactions_total", "cause"),
                "recalls: {{cause}}": _rate("agentrm_context_recalls_total", "cause"),
                "asleep: {{cause}}": _rate("agentrm_context_hibernations_total", "cause"),
            }),
            _Panel("The fullest session", "percentunit", {
                "{{instance}}": f"agentrm_context_utilisation_max_ratio{{{_IN}}}",
            }, most=1),
        ),
    ),
    (
        "Fleet and monitor",
        (
            _Panel("Processes", "short", {
                "members": f"max(agentrm_fleet_members{{{_IN}}})",
                "joined": _all("agentrm_fleet_joined"),
            }),
            _Panel("Age of leases", "s", {
                "{{instance}}": f"agentrm_fleet_lease_age_seconds{{{_IN}}}",
                "lost after": f"min(agentrm_fleet_lease_limit_seconds{{{_IN}}})",
            }),
            _Panel("Lanes held", "short", {
                "{{instance}}": f"agentrm_fleet_lanes_held{{{_IN}}}",
                "{{instance}} at work": f"agentrm_fleet_lanes_in_use{{{_IN}}}",
            }),
            _Panel("Exchanges", "ops", {
                "{{instance}}": _rate("agentrm_fleet_exchanges_total", "instance"),
            }),
            _Panel("Outages, and calls that lost their lane", "short", {
                "outages": f"sum(increase(agentrm_fleet_outages_total{{{_IN}}}[1h]))",
                "fenced": f"sum(increase(agentrm_fleet_fenced_total{{{_IN}}}[1h]))",
            }),
            _Panel("Events lost by slow readers", "ops", {
                "{{instance}}": _rate("agentrm_events_dropped_total", "instance"),
            }),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, for Grafana's *Import*, its API, or a provisioned file."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in _ROWS:
        panels.append(_header(len(panels) + 1, title, top))
        top += 1
        for place, panel in enumerate(row):
            left = place * _WIDTH % _COLUMNS
            below = place * _WIDTH // _COLUMNS * _HEIGHT
            panels.append(_drawn(len(panels) + 1, panel, left, top + below))
        top += -(-len(row) * _WIDTH // _COLUMNS) * _HEIGHT
    return {
        "title": "AgentRM",
        "uid": "agentrm-overview",
        "tags": ["agentrm", "llm"],
        "description": "Agents, queues, lanes, endpoints' limits, context and the fleet.",
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "links": [],
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_datasource(), _variable("instance"), _variable("endpoint")]},
        "annotations": {"list": []},
        "panels": panels,
    }


def _datasource() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
        "skipUrlSync": False,
        "current": {},
    }


def _variable(label: str) -> dict[str, Any]:
    metric = "agentrm_lanes_limit" if label == "instance" else "agentrm_endpoint_sent_total"
    query = f"label_values({metric}, {label})"
    return {
        "name": label,
        "label": label.capitalize(),
        "type": "query",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "query": {"query": query, "refId": label},
        "definition": query,
        "hide": 0,
        "skipUrlSync": False,
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _header(number: int, title: str, top: int) -> dict[str, Any]:
    place = {"h": 1, "w": _COLUMNS, "x": 0, "y": top}
    return {"id": number, "type": "row", "title": title, "gridPos": place, "collapsed": False,
            "panels": []}  # fmt: skip


def _drawn(number: int, panel: _Panel, left: int, top: int) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never", "spanNulls": True}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "custom": custom}
    if panel.most is not None:
        defaults["max"] = panel.most
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "datasource": source,
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": left, "y": top},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "legend": {"showLegend": True, "displayMode": "list", "placement": "bottom",
                       "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(ord("A") + place), "expr": expr, "legendFormat": legend,
             "range": True, "editorMode": "code", "datasource": source}
            for place, (legend, expr) in enumerate(panel.lines.items())
        ],
    }  # fmt: skip
