"""What a timeline knows, and the few steps by which it changes."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from math import inf
from typing import Any

from agentrm_plugins.telemetry.timeline.bins import Bins, Named, Series, later, total
from agentrm_plugins.telemetry.timeline.calls import OpenCall, Slowest, Told
from agentrm_plugins.telemetry.timeline.spans import Rows, Span, Spans
from agentrm_plugins.telemetry.timeline.tallies import (
    AgentRow,
    Busiest,
    EndpointRow,
    Pressure,
    SessionRow,
    Waits,
)
from agentrm_plugins.types.agent_key import agent_key

__all__ = ["State"]

_MOST_OPEN = 100_000
_MOST_AGENTS = 20_000
_MOST_SESSIONS = 500
_MOST_ENDPOINTS = 64
_MOST_GROUPS = 32
_MOST_LEVELS = 16
_MOST_SLOW = 50
_NEWS = 200  # the last notable events, for a live display


class State:
    """The books of a timeline. Seconds count from the first event.

    Attributes:
        bins: The time axis of all curves.
        spans: Attempts that held a lane and are over; `rows` are the lines that they are drawn in.
        open: The calls that wait or run, by ticket.
        agents: Rows by `agent_key`; `endpoints` by name, `sessions` by agent and session.
        rates: By "endpoint|resource": what was allowed and used; `hits` counts answers 429.
        depth: Waiting calls per level now; `depths` over time.
        pressure: Who waited for what lately: "lanes", "rate", "context".
        counts: Events by kind.
        strangers: Waiting calls that were only counted when this was attached, by level.
        adopted_s: When that was, on the core's clock; what happened before is known by it.
        dropped: Events that were lost before they came here.
        fleet: How the process stands in its fleet: `FleetStatistics` as plain data; None: in none.
        near: By "endpoint|resource": the share of what may go at once that is taken.
    """

    def __init__(self, *, window_s: float | None, most_spans: int, bins: int) -> None:
        self.window_s = window_s
        width_s = 0.25 if window_s is None else window_s / bins
        self.bins = Bins(bins, width_s, rolling=window_s is not None)
        self.spans, self.rows = Spans(most_spans, window_s), Rows()
        self.open: dict[int, OpenCall] = {}
        self.agents: Busiest[AgentRow] = Busiest(_MOST_AGENTS, AgentRow, lambda row: row.idle)
        self.sessions: Busiest[SessionRow] = Busiest(_MOST_SESSIONS, SessionRow, lambda _: True)
        self.endpoints: Named[EndpointRow] = Named(_MOST_ENDPOINTS, EndpointRow)
        self.rates: Named[dict[str, Series]] = Named(4 * _MOST_ENDPOINTS, self._new_rate)
        self.hits: Named[Series] = Named(
            _MOST_ENDPOINTS, lambda _: Series(self.bins, total, gauge=False)
        )
        self.depths: Named[Series] = Named(
            _MOST_LEVELS, lambda _: Series(self.bins, max, gauge=True)
        )
        self.busy: Named[Series] = Named(_MOST_GROUPS, lambda _: Series(self.bins, max, gauge=True))
        self.waits: dict[str, Waits] = {}
        self.pressure = {"lanes": Pressure(), "rate": Pressure(), "context": Pressure()}
        self.slowest = Slowest(_MOST_SLOW)
        self.depth: list[int] = [0]
        self.strangers: Counter[int] = Counter()
        self.adopted_s = -inf
        self.held_back = 0
        self.counts: Counter[str] = Counter()
        self.news: deque[Told] = deque(maxlen=_NEWS)
        self.begun_s: float | None = None
        self.begun_wall_s: float | None = None
        self.now_s = 0.0
        self.dropped = 0
        self.fleet: Mapping[str, Any] | None = None
        self.near: Mapping[str, float] = {}
        self.groups_busy: Counter[str] = Counter()
        self.groups_peak: Counter[str] = Counter()

    def _new_rate(self, name: str) -> dict[str, Series]:
        del name
        return {
            "allowed": Series(self.bins, later, gauge=True),
            "limit": Series(self.bins, later, gauge=True),
            "used": Series(self.bins, total, gauge=False),
        }

    def move(self, at_s: float) -> None:
        """Time has come to this second of the core's clock; it never goes back."""
        if self.begun_s is None:
            self.begun_s = at_s
        self.now_s = max(self.now_s, at_s - self.begun_s)
        self.bins.at(self.now_s)

    # -- calls --------------------------------------------------------------------------------

    def call(self, event: Mapping[str, Any]) -> OpenCall:
        """The call of an event, made up if its beginning was not seen."""
        ticket = int(event.get("ticket") or 0)
        call = self.open.get(ticket)
        if call is None:
            if len(self.open) >= _MOST_OPEN:
                self.forget(next(iter(self.open.values())))
            agent, tenant = str(event.get("agent") or "?"), str(event.get("tenant") or "default")
            row = self.agent(agent, tenant)
            call = OpenCall(ticket, agent, row.name, tenant, begun_s=self.now_s, level=row.level)
            self.open[ticket] = call
        if not call.endpoint and event.get("endpoint"):
            call.endpoint = str(event["endpoint"])
        return call

    def agent(self, agent: str, tenant: str) -> AgentRow:
        """An agent's row, new or known."""
        row = self.agents.of(agent_key(tenant, agent))
        row.agent, row.tenant = agent, tenant
        return row

    def received(self, session: SessionRow) -> AgentRow | None:
        """What the session's calls received: its agent's row, for a thread without one is its own.

        None where its calls are made for agents of other names, or it has made none.
        """
        return self.agents.rows.get(session.name)

    def forget(self, call: OpenCall) -> None:
        """A call is over, or too much."""
        self.wait(call, waits=False)
        self.leave(call)
        self.open.pop(call.ticket, None)

    def wait(self, call: OpenCall, *, waits: bool) -> None:
        """The call begins or ends to wait, at its agent's level."""
        if call.waits is waits:
            return
        call.waits, by = waits, 1 if waits else -1
        row = self.agents.of(call.key)
        row.waiting += by
        if waits:
            call.level, call.wait_s = row.level, self.now_s
        else:
            self.hold_back(call, "")
        self.deepen(call.level, by)
        endpoint = self.endpoint(call.endpoint)
        if endpoint is not None:
            endpoint.waiting += by
        self.press()

    def hold_back(self, call: OpenCall, why: str) -> None:
        """What holds a waiting call back, beside the lanes; "" for nothing."""
        self.held_back += bool(why) - bool(call.why)
        call.why = why
        self.press()

    def press(self) -> None:
        """See who waits for what at this moment."""
        waiting = sum(self.depth)
        self.pressure["lanes"].see(self.now_s, waits=waiting > self.held_back)
        self.pressure["rate"].see(self.now_s, waits=self.held_back > 0)

    def waited_for_context(self, took_s: float) -> None:
        """A request took so long to be put together, until now."""
        pressure = self.pressure["context"]
        pressure.see(self.now_s - took_s, waits=True)
        pressure.see(self.now_s, waits=False)

    def deepen(self, level: int, by: int) -> None:
        """So many more wait in a level."""
        level = max(0, min(level, _MOST_LEVELS - 1))
        while len(self.depth) <= level:
            self.depth.append(0)
        self.depth[level] = max(0, self.depth[level] + by)
        series = self.depths.of(str(level))
        if series is not None:
            series.put(self.now_s, self.depth[level])

    def relevel(self, call: OpenCall, level: int) -> None:
        """A waiting call stands in another level now."""
        self.deepen(call.level, -1)
        call.level = level
        self.deepen(level, 1)

    def enter(self, call: OpenCall, group: str, *, nested: bool) -> None:
        """The call has a lane of this group, or sits on its parent's."""
        self.leave(call)
        call.group, call.nested = group or call.group or "model", nested
        call.granted_s, call.late_s, call.lent, call.beats = self.now_s, None, False, 0
        call.row = self.rows.take(f"{call.group} (nested)" if nested else call.group)
        self.agents.of(call.key).running += 1
        endpoint = self.endpoint(call.endpoint)
        if endpoint is not None:
            endpoint.running += 1
        if not nested:
            self._busy(call.group, 1)

    def leave(self, call: OpenCall) -> None:
        """The call has its lane no longer."""
        if not call.row:
            return
        self.rows.give_back(call.row)
        call.row = ""
        self.agents.of(call.key).running -= 1
        endpoint = self.endpoint(call.endpoint)
        if endpoint is not None:
            endpoint.running -= 1
        if not call.nested and not call.lent:
            self._busy(call.group, -1)

    def lend(self, call: OpenCall) -> None:
        """The call goes on, but its lane is another's from now on."""
        if call.row and not call.nested and not call.lent:
            call.lent = True
            self._busy(call.group, -1)

    def _busy(self, group: str, by: int) -> None:
        self.groups_busy[group] = busy = max(0, self.groups_busy[group] + by)
        self.groups_peak[group] = max(self.groups_peak[group], busy)
        series = self.busy.of(group)
        if series is not None:
            series.put(self.now_s, self.groups_busy[group])

    def end_attempt(self, call: OpenCall, kind: str, cause: str) -> None:
        """The call held a lane until now, and how that ended."""
        if not call.row:
            return
        held_s = self.now_s - (self.now_s if call.granted_s is None else call.granted_s)
        call.held_s += held_s
        self.agents.of(call.key).served_s += held_s
        self.spans.add(self.span(call, kind, cause))

    def span(self, call: OpenCall, kind: str = "open", cause: str = "") -> Span:
        """The lane's use by a call until now."""
        begin_s = self.now_s if call.granted_s is None else call.granted_s
        who = call.key, call.ticket, kind, call.attempt, call.waited_s, call.late_s
        return Span(call.row, begin_s, self.now_s, *who, call.endpoint, call.tokens, cause)

    # -- endpoints ----------------------------------------------------------------------------

    def endpoint(self, name: str) -> EndpointRow | None:
        """An endpoint's row, new or known; None for no name, or one too many."""
        return self.endpoints.of(name) if name else None

    def rate(self, endpoint: str, resource: str, what: str, value: float) -> None:
        """What is "allowed" per second, the "limit" of it, or so much more "used"."""
        rate = self.rates.of(f"{endpoint}|{resource}") if endpoint else None
        if rate is not None:
            rate[what].put(self.now_s, value)

    def hit(self, endpoint: str) -> None:
        """The endpoint answered 429."""
        row, series = self.endpoint(endpoint), self.hits.of(endpoint) if endpoint else None
        if row is not None:
            row.limit_hits += 1
        if series is not None:
            series.put(self.now_s, 1.0)
