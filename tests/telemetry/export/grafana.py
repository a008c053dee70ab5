"""What Grafana documents of a dashboard's JSON (the classic model), as far as it can be held here.

Sources: its documentation of the JSON model and its schema of the kind "dashboard"; the options of
the time series panel, its field config, and the query of the Prometheus data source likewise. Every
object is closed: a field that is not documented is a fault, for Grafana would pass over it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

__all__ = ["faults"]

Check = Callable[[Any], bool]

_UNITS = re.compile(r"short|percentunit|s|ops|reqps|none|suffix: ?\S.*")
_MOMENT = re.compile(r"now(-\d+[smhdwMy])?")
_EVERY = re.compile(r"\d+[smhd]")


def _whole(least: int, most: int) -> Check:
    return lambda value: type(value) is int and least <= value <= most


def _one_of(*values: Any) -> Check:
    return lambda value: value in values and type(value) in {type(one) for one in values}


def _text(pattern: str = "(?s).+") -> Check:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def _like(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _switch(value: Any) -> bool:
    return isinstance(value, bool)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"required": required, "optional": optional or {}}


# What is written in the templates: a data source is chosen by a variable of the dashboard itself,
# so an import asks for no input and a provisioned file needs none ("__inputs" is not wanted).
_SOURCE = _object({"type": _one_of("prometheus"), "uid": _text(r"\$\{datasource\}")})
_PLACE = _object(
    {"h": _whole(1, 100), "w": _whole(1, 24), "x": _whole(0, 23), "y": _whole(0, 10_000)}
)
_TARGET = _object(
    {"refId": _text("[A-Z]"), "expr": _text(), "datasource": _SOURCE},
    {
        "legendFormat": _text(), "range": _switch, "instant": _switch,
        "editorMode": _one_of("code", "builder"), "exemplar": _switch,
        "format": _one_of("time_series", "table", "heatmap"), "interval": _text(),
    },
)  # fmt: skip
_LINES = _object(
    {},
    {
        "fillOpacity": _whole(0, 100), "lineWidth": _whole(0, 10), "spanNulls": _switch,
        "showPoints": _one_of("auto", "never", "always"),
        "drawStyle": _one_of("line", "bars", "points"),
        "lineInterpolation": _one_of("linear", "smooth", "stepBefore", "stepAfter"),
        "stacking": _object({"mode": _one_of("none", "normal", "percent"), "group": _text()}),
    },
)  # fmt: skip
_FIELDS = _object(
    {
        "defaults": _object(
            {"unit": _like(_UNITS), "custom": _LINES},
            {"min": _number, "max": _number, "decimals": _whole(0, 9)},
        ),
        "overrides": _one_of([]),
    }
)
_OPTIONS = _object(
    {
        "legend": _object({
            "showLegend": _switch, "displayMode": _one_of("list", "table", "hidden"),
            "placement": _one_of("bottom", "right"), "calcs": _texts,
        }),
        "tooltip": _object({
            "mode": _one_of("single", "multi", "none"), "sort": _one_of("none", "asc", "desc"),
        }),
    }
)  # fmt: skip
_ROW = _object(
    {
        "id": _whole(1, 2**31), "type": _one_of("row"), "title": _text(), "gridPos": _PLACE,
        "collapsed": _one_of(False), "panels": _one_of([]),
    }
)  # fmt: skip
_CHART = _object(
    {
        "id": _whole(1, 2**31), "type": _one_of("timeseries"), "title": _text(),
        "gridPos": _PLACE, "datasource": _SOURCE, "targets": [_TARGET], "fieldConfig": _FIELDS,
        "options": _OPTIONS,
    },
    {"description": _text()},
)  # fmt: skip
_NAMED = {"name": _text(r"\w+"), "label": _text(), "hide": _whole(0, 2), "skipUrlSync": _switch}
_CHOSEN = _object({"text": _texts, "value": _texts})
_CHOOSE_SOURCE = _object(
    {**_NAMED, "type": _one_of("datasource"), "query": _one_of("prometheus")},
    {"refresh": _one_of(1), "regex": _text("(?s).*"), "multi": _switch, "includeAll": _switch,
     "options": _one_of([]), "current": _one_of({})},
)  # fmt: skip
_CHOOSE = _object(
    {
        **_NAMED, "type": _one_of("query"), "datasource": _SOURCE,
        "query": _object({"query": _text(r"label_values\(\w+, \w+\)"), "refId": _text()}),
        "definition": _text(r"label_values\(\w+, \w+\)"), "refresh": _whole(0, 2),
        "sort": _whole(0, 8), "multi": _switch, "includeAll": _switch, "current": _CHOSEN,
    },
    {"allValue": _text(), "regex": _text("(?s).*"), "options": _one_of([])},
)  # fmt: skip
_DASHBOARD = _object(
    {
        "title": _text(), "uid": _text(r"[\w-]{8,40}"), "tags": _texts, "description": _text(),
        "schemaVersion": _whole(36, 42), "version": _whole(0, 2**31), "editable": _switch,
        "graphTooltip": _whole(0, 2), "refresh": _like(_EVERY), "links": _one_of([]),
        "timezone": _one_of("browser", "utc"),
        "time": _object({"from": _like(_MOMENT), "to": _like(_MOMENT)}),
        "annotations": _object({"list": _one_of([])}),
        "templating": _object({"list": [("type", {
            "datasource": _CHOOSE_SOURCE, "query": _CHOOSE,
        })]}),
        "panels": [("type", {"row": _ROW, "timeseries": _CHART})],
    }
)  # fmt: skip


def faults(dashboard: Any) -> list[str]:
    """What Grafana does not document so, each with its path."""
    return _faults(dashboard, _DASHBOARD, "")


def _faults(value: Any, wanted: Any, path: str) -> list[str]:
    if isinstance(wanted, tuple):  # one of several, by a field of it
        field, kinds = wanted
        kind = value.get(field) if isinstance(value, dict) else None
        if kind not in kinds:
            return [f"{path}.{field}: {kind!r}"]
        return _faults(value, kinds[kind], path)
    if isinstance(wanted, list):
        if not isinstance(value, list) or not value:
            return [f"{path}: {value!r} is no list"]
        found = [_faults(one, wanted[0], f"{path}[{at}]") for at, one in enumerate(value)]
        return [fault for own in found for fault in own]
    if callable(wanted):
        return [] if wanted(value) else [f"{path}: {value!r}"]
    if not isinstance(value, dict):
        return [f"{path}: {value!r} is no object"]
    known = {**wanted["required"], **wanted["optional"]}
    made = [f"{path}: without {name}" for name in wanted["required"] if name not in value]
    made += [f"{path}.{name}: is not documented" for name in value if name not in known]
    for name, own in value.items():
        if name in known:
            made += _faults(own, known[name], f"{path}.{name}")
    return made
