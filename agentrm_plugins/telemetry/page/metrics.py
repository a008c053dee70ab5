"""The live page's ``/metrics``: what Prometheus scrapes, if its client is installed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.prometheus.collector import AgentRMCollector
    from agentrm_plugins.telemetry.prometheus.server import Exposition

__all__ = ["Metrics"]

_PLAIN = "text/plain; charset=utf-8"


class Metrics:
    """Made with the first scrape, so that who never scrapes pays nothing.

    Args:
        rm: The core; None: the page shows one elsewhere, whose metrics are there.
    """

    def __init__(self, rm: Any) -> None:
        self._rm = rm
        self._lock = threading.Lock()
        self._collector: AgentRMCollector | None = None
        self._exposition: Exposition | None = None

    def text(self, accept: str) -> tuple[int, bytes, str]:
        """Status, body and media type."""
        if self._rm is None:
            return 404, b"This page shows another process; scrape it there.\n", _PLAIN
        with self._lock:
            if self._exposition is None:
                from agentrm_plugins.telemetry.prometheus import AgentRMCollector
                from agentrm_plugins.telemetry.prometheus.server import Exposition

                try:
                    self._collector = AgentRMCollector(self._rm)
                except ModuleNotFoundError as missing:
                    return 501, f"{missing}\n".encode(), _PLAIN
                self._exposition = Exposition(self._collector)
        return (200, *self._exposition.text(accept))

    def close(self) -> None:
        """Nobody scrapes any more."""
        if self._collector is not None:
            self._collector.close()
