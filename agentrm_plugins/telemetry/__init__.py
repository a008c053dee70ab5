"""The resource monitor: recordings, stories, the page, exporters and the local socket.

Nothing is imported before it is asked for, and no optional package before its exporter is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.client import Monitor, MonitorClient, connect, monitors
    from agentrm_plugins.telemetry.otel import Instrumentation, instrument
    from agentrm_plugins.telemetry.page import LivePage, asgi_app, report_html, write_report
    from agentrm_plugins.telemetry.prometheus import (
        AgentRMCollector,
        MetricsServer,
        serve_metrics,
    )
    from agentrm_plugins.telemetry.reading import Recorded, Sample, read_events
    from agentrm_plugins.telemetry.recording import Recording
    from agentrm_plugins.telemetry.story import Story, story_of

__all__ = [
    "AgentRMCollector",
    "Instrumentation",
    "LivePage",
    "MetricsServer",
    "Monitor",
    "MonitorClient",
    "Recorded",
    "Recording",
    "Sample",
    "Story",
    "asgi_app",
    "connect",
    "instrument",
    "monitors",
    "read_events",
    "report_html",
    "serve_metrics",
    "story_of",
    "write_report",
]

_WHERE = {
    "AgentRMCollector": "prometheus",
    "Instrumentation": "otel",
    "LivePage": "page",
    "MetricsServer": "prometheus",
    "Monitor": "client",
    "MonitorClient": "client",
    "Recorded": "reading",
    "Recording": "recording",
    "Sample": "reading",
    "Story": "story",
    "asgi_app": "page",
    "connect": "client",
    "instrument": "otel",
    "monitors": "client",
    "read_events": "reading",
    "report_html": "page",
    "serve_metrics": "prometheus",
    "story_of": "story",
    "write_report": "page",
}

if not TYPE_CHECKING:  # else a name that does not exist would pass the type checker

    def __getattr__(name: str) -> Any:
        """Import what is asked for, the first time that it is."""
        from importlib import import_module

        module = _WHERE.get(name)
        if module is None:
            msg = f"module {__name__!r} has no attribute {name!r}"
            raise AttributeError(msg)
        found = getattr(import_module(f"{__name__}.{module}"), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        """What completion offers."""
        return sorted({*globals(), *__all__})
