"""The resource monitor: recordings, stories, exporters and the local socket.

Nothing here is imported before it is asked for, and no optional package before its exporter is.
"""

from __future__ import annotations

from agentrm_plugins.telemetry.reading import Recorded, Sample, read_events
from agentrm_plugins.telemetry.recording import Recording

__all__ = ["Recorded", "Recording", "Sample", "read_events"]
