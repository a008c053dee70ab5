"""The timeline: events folded into what people look at, with bounded memory and without a clock.

>>> from agentrm_plugins.telemetry.timeline import Timeline
>>> from agentrm_plugins.types.effects import Granted, Submitted
>>> timeline = Timeline()
>>> timeline.fold(Submitted(10.0, 1, "ada", ""), Granted(12.5, 1, "ada", "order", "model", 2.5))
>>> timeline.agents.of("ada").running, timeline.now_s
(1, 2.5)
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from agentrm_plugins.telemetry.timeline.adopting import WAITED, adopt, known
from agentrm_plugins.telemetry.timeline.calls import Told
from agentrm_plugins.telemetry.timeline.handlers import HANDLERS
from agentrm_plugins.telemetry.timeline.state import State

__all__ = ["Timeline"]

_QUIET = {"Prepared", "Submitted", "Queued", "Throttled", "Granted", "Beaten", "Settled"}
_ENDS = {"Settled", "Refused"}


class Timeline(State):
    """Fold events in the order in which they happened; look at any time.

    What it keeps is bounded by its arguments and by the constants of `State`, whatever comes: a
    call whose beginning was lost is made up, one whose end was lost makes room in the end.

    Args:
        window_s: Seconds of history to keep; None keeps the whole recording, ever more coarsely.
        most_spans: Attempts that are drawn at most; `spans` says which.
        bins: Points of each curve at most.
    """

    def __init__(
        self, *, window_s: float | None = None, most_spans: int = 4000, bins: int = 600
    ) -> None:
        super().__init__(window_s=window_s, most_spans=most_spans, bins=bins)

    def fold(self, *events: Any) -> None:
        """These happened, the oldest first: effects of the core, or records of them.

        A record is a mapping with the fields of the effect, and its name under "event".
        """
        for event in events:
            if isinstance(event, Mapping):
                name, fields = str(event.get("event", "")), event
            else:
                name, fields = type(event).__name__, event._asdict()
            at_s = fields.get("at_s")
            if at_s is not None and isfinite(at_s):
                if at_s < self.adopted_s:
                    continue
                self.move(at_s)
            if self.begun_wall_s is None and fields.get("wall_s"):
                self.begun_wall_s = float(fields["wall_s"]) - self.now_s
            self.counts[name] += 1
            if self.strangers and name in WAITED:
                known(self, fields)
            handler = HANDLERS.get(name)
            if handler is not None:
                handler(self, fields)
            self._tell(name, fields)

    def look(self, at_s: float) -> None:
        """Nothing has happened until this second of the core's clock."""
        if self.begun_s is not None:
            self.move(at_s)
            self.press()

    def adopt(self, seen: Mapping[str, Any]) -> None:
        """Begin with what goes on already: a `Statistics` as plain data.

        Calls that run and wait are known with their ages, and so are agents, endpoints, sessions
        and pressure. Waiting calls that it counts and does not list are known by their number.
        Events of before it are left out from here on: what they did is in it.
        """
        self.move(float(seen["at_s"]))
        self.adopted_s = float(seen["at_s"])
        adopt(self, seen)

    def _tell(self, name: str, event: Mapping[str, Any]) -> None:
        ticket = event.get("ticket") or 0
        call = None if name in _ENDS else self.open.get(ticket)
        told = Told(self.now_s, name, event)
        if call is not None and (name != "Beaten" or call.beats == 1):
            call.tell(told)
        if name not in _QUIET:
            self.news.append(told)
