"""Events folded into lanes' spans, queue depths, rates, waits, tiers and stories. Pure.

The same model stands behind the report, the live page and `agentrm top`, for a recording as for a
live stream.
"""

from agentrm_plugins.telemetry.timeline.model import Timeline
from agentrm_plugins.telemetry.timeline.snapshot import snapshot

__all__ = ["Timeline", "snapshot"]
