"""`instrument`: one call that gives a core's metrics and its calls' stories to OpenTelemetry."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple, Self
from weakref import WeakKeyDictionary

from agentrm_plugins.errors import ConfigError
from agentrm_plugins.telemetry.metrics.measure import Meter
from agentrm_plugins.telemetry.metrics.naming import own_version
from agentrm_plugins.telemetry.otel.instruments import Observed, Readings, Recorded
from agentrm_plugins.telemetry.otel.spans import Spans
from agentrm_plugins.types.checks import check_instance

__all__ = ["Instrumentation", "instrument"]

_SCOPE = "agentrm"


class _Global:
    """Stands for the provider that is nobody's in particular."""


class _Scope(NamedTuple):
    """Where a core's metrics go, and under which name."""

    core: str | None
    provider: Any


_GLOBAL = _Global()
_ACTIVE: WeakKeyDictionary[Any, _Scope | None] = WeakKeyDictionary()
_OPEN: WeakKeyDictionary[Any, Instrumentation] = WeakKeyDictionary()
_LOCK = threading.Lock()
_READINGS: WeakKeyDictionary[Any, Readings] = WeakKeyDictionary()


class Instrumentation:
    """What `instrument` gives: until it is closed, or its block is left, the core tells."""

    def __init__(self, rm: Any, parts: list[Any]) -> None:
        self._rm = rm
        self._parts = parts

    def flush(self) -> None:
        """Record what has happened so far, before a provider's ``force_flush``."""
        for part in self._parts:
            if isinstance(part, Recorded):
                part.flush()

    def close(self) -> None:
        """Tell no more. A second time does nothing."""
        with _LOCK:
            if _OPEN.get(self._rm) in (self, None):  # a core's place may be another's by now
                _ACTIVE.pop(self._rm, None)
            _OPEN.pop(self._rm, None)
        parts, self._parts = self._parts, []
        for part in parts:
            part.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def instrument(
    rm: Any,
    *,
    meter_provider: Any = None,
    tracer_provider: Any = None,
    metrics: bool = True,
    traces: bool = True,
    gen_ai: bool | None = None,
    agents: int = 0,
    core: str | None = None,
) -> Instrumentation:
    """Give a core's metrics, and what happens to its calls, to OpenTelemetry.

    Nothing is exported by this alone: the program's own SDK does that, with its own exporters. A
    call that is made inside a span gets events on that span; no span is made beside it.

    Args:
        rm: The `AgentRM`.
        meter_provider: Whose meters are used; None: the global one.
        tracer_provider: Whose tracer makes the spans of waits; None: the global one.
        metrics: Whether there are any.
        traces: Whether spans are told.
        gen_ai: Whether ``gen_ai.client.operation.duration`` and ``gen_ai.client.token.usage`` are
            reported; None: unless an instrumentation is loaded that reports them itself.
        agents: How many of the busiest agents have series of their own; 200 at most.
        core: A name, which becomes the attribute ``agentrm.core``; needed for a second core.

    Raises:
        ConfigError: The core is instrumented already, or another one has this name.
        ModuleNotFoundError: opentelemetry-api is not installed (the extra `otel`).
    """
    _need_api()
    for name, value in (("metrics", metrics), ("traces", traces)):
        check_instance(name, value, bool)
    _claim(rm, _Scope(core, _GLOBAL if meter_provider is None else meter_provider), metrics=metrics)
    parts: list[Any] = []
    try:
        if metrics:
            parts += _metrics(rm, meter_provider, core, gen_ai=gen_ai, agents=agents)
        if traces:
            parts.append(_traces(rm, tracer_provider))
    except BaseException:
        Instrumentation(rm, parts).close()
        raise
    made = Instrumentation(rm, parts)
    with _LOCK:
        _OPEN[rm] = made
    return made


def _claim(rm: Any, own: _Scope, *, metrics: bool) -> None:
    """Note that the core is instrumented.

    Raises:
        ConfigError: It was already, or another one's metrics go there under this name.
    """
    with _LOCK:
        if rm in _ACTIVE:
            raise ConfigError("rm", rm, "it is instrumented already; close that first")
        same = [other for other, one in _ACTIVE.items() if metrics and own == one]
        if any(not other.closed for other in same):
            way = "another core is instrumented under it; give each a name: core='batch'"
            raise ConfigError("core", own.core, way)
        gone = [_OPEN.pop(other) for other in same if other in _OPEN]
        for other in same:
            del _ACTIVE[other]
        _ACTIVE[rm] = own if metrics else None
    for instrumentation in gone:  # of cores that are closed: theirs would be added to this one's
        instrumentation.close()


def _metrics(
    rm: Any, provider: Any, core: str | None, *, gen_ai: bool | None, agents: int
) -> list[Any]:
    from opentelemetry.metrics import get_meter

    measured = Meter(rm, agents=agents)
    meter = get_meter(_SCOPE, own_version(), provider)
    with _LOCK:
        key = _GLOBAL if provider is None else provider
        readings = _READINGS.get(key)
        if readings is None:
            readings = _READINGS[key] = Readings(meter)
    observed = Observed(readings, measured, core)
    return [observed, Recorded(meter, rm._host, core, gen_ai=gen_ai)]  # noqa: SLF001 - of one house


def _traces(rm: Any, provider: Any) -> Spans:
    from opentelemetry.trace import get_tracer

    return Spans(rm._host, get_tracer(_SCOPE, own_version(), provider))  # noqa: SLF001


def _need_api() -> None:
    try:
        import opentelemetry.metrics
        import opentelemetry.trace  # noqa: F401
    except ModuleNotFoundError:
        way = "OpenTelemetry needs opentelemetry-api: pip install 'agentrm-plugins[otel]'"
        raise ModuleNotFoundError(way, name="opentelemetry") from None
