"""`agentrm report`: a recording as one HTML file that needs nothing else.

Its size is bounded: Plotly's script is some 4.8 MB, the data at most about one more, however long
the recording is. A long one keeps all hangs, failures and long calls of its Gantt chart and leaves
out short ones, its curves become coarser, and its sums count everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agentrm_plugins.telemetry.page.document import report_document
from agentrm_plugins.telemetry.reading import Sample
from agentrm_plugins.telemetry.timeline import Timeline, snapshot

__all__ = ["report_html", "write_report"]


def report_html(events: Iterable[Any], *, title: str = "AgentRM report") -> str:
    """The report of these events, the oldest first.

    Args:
        events: Effects of the core, or records of them; what `read_events` gives.
        title: What stands above it.

    Raises:
        ModuleNotFoundError: `plotly` is not installed (the extra `report`).
    """
    timeline = Timeline()
    for event in getattr(events, "everything", events.__iter__)():
        if isinstance(event, Sample):
            timeline.fleet = event.state.get("fleet")
        else:
            timeline.fold(event)
    timeline.dropped = int(getattr(events, "dropped", 0))  # what a recorder says that it lost
    return report_document(snapshot(timeline), title)


def write_report(events: Iterable[Any], path: Path | str, *, title: str = "AgentRM report") -> Path:
    """Write the report of these events to a file, which appears only when it is whole.

    Raises:
        ModuleNotFoundError: `plotly` is not installed (the extra `report`).
        OSError: The file cannot be written.
    """
    path = Path(path)
    text = report_html(events, title=title)
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
