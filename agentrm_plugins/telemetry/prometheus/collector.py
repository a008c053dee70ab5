"""A collector for `prometheus_client`: a core's metrics, read when somebody scrapes them.

Law: nothing is done for a call but to count it; all else is done by the thread that scrapes. The
    number of series is bounded: 50 endpoints, 50 tenants, and as many agents as was asked for
    (none, if nobody did; 200 at most). A scrape that fails costs its metrics, never a call, and
    never the other metrics of the registry.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.metrics.catalogue import CATALOGUE, Metric
from agentrm_plugins.telemetry.metrics.measure import Meter
from agentrm_plugins.telemetry.metrics.naming import clean
from agentrm_plugins.telemetry.metrics.values import BOUNDS_S, Counted, Values

__all__ = ["AgentRMCollector"]

_LOG = logging.getLogger("agentrm.telemetry")
_MOST_CORES = 20


class AgentRMCollector:
    """The metrics of one core, or of several, for a registry of `prometheus_client`.

    ``REGISTRY.register(AgentRMCollector(rm))`` is all. Counters of calls, tokens and endpoints are
    counted since the core was made; durations, hedges and causes since the collector was.

    Args:
        cores: The `AgentRM`; or several by name, which then is the label ``core``.
        agents: How many of the busiest agents get series of their own; 0: none.

    Raises:
        ConfigError: No core, too many, a name that is none, or too many agents.
        ModuleNotFoundError: prometheus-client is not installed (the extra `prometheus`).
    """

    def __init__(self, cores: Any, *, agents: int = 0) -> None:
        need_client()
        named = isinstance(cores, Mapping)
        given: dict[str, Any] = _checked(cores) if isinstance(cores, Mapping) else {"": cores}
        self._meters = {name: Meter(rm, agents=agents) for name, rm in given.items()}
        self._label: tuple[str, ...] = ("core",) if named else ()

    def describe(self) -> list[Any]:
        """The families, so that a registry notices if two collectors tell the same."""
        return [_family(metric, self._label) for metric in CATALOGUE]

    def collect(self) -> Iterator[Any]:
        """All metrics as they are now."""
        seen: dict[str, Values] = {}
        for name, meter in self._meters.items():
            try:
                seen[name] = meter.values()
            except Exception:  # noqa: BLE001 - the registry's other metrics are none of ours
                _LOG.exception("the metrics of a core could not be read")
        for metric in CATALOGUE:
            family = _family(metric, self._label)
            for name, values in seen.items():
                own = (clean(name),) if self._label else ()
                for labels, value in values.by_metric.get(metric.name, {}).items():
                    _add(family, [*own, *labels], value)
            if family.samples:
                yield family

    def close(self) -> None:
        """Count no more; a registry that has it should unregister it."""
        for meter in self._meters.values():
            meter.close()


def need_client() -> None:
    """Say how to get prometheus-client, if it is not there.

    Raises:
        ModuleNotFoundError: With the line for pip.
    """
    try:
        import prometheus_client  # noqa: F401
    except ModuleNotFoundError:
        way = "pip install 'agentrm-plugins[prometheus]'"
        message = f"metrics for Prometheus need prometheus-client: {way}"
        raise ModuleNotFoundError(message, name="prometheus_client") from None


def _checked(cores: Mapping[str, Any]) -> dict[str, Any]:
    if not 1 <= len(cores) <= _MOST_CORES:
        raise ConfigError("cores", len(cores), f"give 1 to {_MOST_CORES} of them")
    for name in cores:
        if not isinstance(name, str) or not name.strip():
            raise ConfigError("cores", name, "give each core a name, such as 'web'")
    return dict(cores)


def _family(metric: Metric, first: tuple[str, ...]) -> Any:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    kinds = {
        "counter": CounterMetricFamily,
        "gauge": GaugeMetricFamily,
        "histogram": HistogramMetricFamily,
    }
    make: Any = kinds[metric.kind]
    return make(metric.prometheus, metric.help, labels=[*first, *metric.labels])


def _add(family: Any, labels: list[str], value: float | Counted) -> None:
    if isinstance(value, Counted):
        buckets = [
            (repr(bound), float(count))
            for bound, count in zip(BOUNDS_S, value.at_most, strict=True)
        ]
        buckets.append(("+Inf", float(value.total)))
        family.add_metric(labels, buckets=buckets, sum_value=value.sum_s)
    else:
        family.add_metric(labels, float(value))
