"""What each table of `agentrm top` shows: columns, and the rows of a timeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.text import Text

from agentrm_plugins.telemetry.timeline.fleet import FleetRow, fleet_rows
from agentrm_plugins.telemetry.timeline.words import span_of
from agentrm_plugins.telemetry.top.drawing import Lane, bar, clean, sparkline, style_of
from agentrm_plugins.telemetry.top.grid import Column

if TYPE_CHECKING:
    from agentrm_plugins.telemetry.timeline import Timeline
    from agentrm_plugins.telemetry.timeline.calls import OpenCall

__all__ = ["TABLES", "Table", "breaker_of", "lanes_of", "rate_of"]

_RED, _AMBER = "#e0554c", "#d9932b"
_SHORT = {"interactive": "inter", "batch": "batch", "background": "backg"}
_RESOURCES = {"input_tokens": "input", "output_tokens": "output",
              "concurrency": "flying"}  # fmt: skip
_RATE_S = 10.0
_FULL = 0.9
_WARM = 0.7


class Table(NamedTuple):
    """One tab: its name, columns, what a row is known by, and where the rows come from."""

    name: str
    columns: Sequence[Column]
    key: Callable[[Any], Any]
    rows: Callable[[Timeline], list[Any]]
    who: Callable[[Any], str]
    empty: str


def _time(seconds: float) -> str:
    """Seconds in at most seven cells: "12.3s", "3m20s", "2h05m"."""
    if seconds >= 3600:  # noqa: PLR2004 - an hour
        return f"{int(seconds // 3600)}h{int(seconds % 3600 // 60):02}m"
    if seconds >= 100:  # noqa: PLR2004 - three digits
        return f"{int(seconds // 60)}m{int(seconds % 60):02}s"
    return f"{seconds:.1f}s" if seconds else "-"


def _count(value: float) -> str:
    """A count in at most six cells: "950", "12.3k", "4.5M"."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if value >= size:
            unit = 1e3 if letter == "k" else size
            return f"{value / unit:.1f}{letter}"
    return f"{value:.0f}"


def _alarm(value: int, colour: str) -> Text:
    return Text(str(value).rjust(4), colour if value else "dim")


def _kind(kind: str) -> Text:
    return Text(_SHORT.get(kind, clean(kind)[:5] or "-"), style_of(kind))


_AGENTS = (
    Column("agent", 0, lambda a: a.name, right=False, tail=True),
    Column(
        "class",
        5,
        lambda a: (a.drained, a.priority),
        lambda a: Text("drain", _AMBER) if a.drained else _kind(a.priority),
        right=False,
    ),
    Column("L", 2, lambda a: a.level),
    Column("run", 4, lambda a: a.running),
    Column("wait", 5, lambda a: a.waiting),
    Column("calls", 6, lambda a: a.calls, lambda a: _count(a.calls)),
    Column("served", 7, lambda a: a.served_s, lambda a: _time(a.served_s)),
    Column("waited", 7, lambda a: a.waited_s, lambda a: _time(a.waited_s)),
    Column("tokens", 6, lambda a: a.tokens, lambda a: _count(a.tokens)),
    Column("rtry", 4, lambda a: a.retries, lambda a: _alarm(a.retries, _AMBER)),
    Column("hang", 4, lambda a: a.zombies, lambda a: _alarm(a.zombies, _RED)),
    Column("refu", 4, lambda a: a.refused, lambda a: _alarm(a.refused, _RED), wide=True),
    Column("cost", 8, lambda a: a.cost, lambda a: f"{a.cost:.4f}" if a.cost else "-", wide=True),
)


def _agents(timeline: Timeline) -> list[Any]:
    """The busiest first."""
    return sorted(timeline.agents, key=lambda a: (a.running, a.waiting, a.last_s), reverse=True)


def _state(call: OpenCall) -> str:
    if call.row:
        return "late" if call.late_s is not None else "runs"
    return "zombie" if call.reaped else "waits"


class _Call(NamedTuple):
    """A call as a row: open ones with their age, ended ones as the slowest list has them."""

    ticket: int
    agent: str
    kind: str
    state: str
    age_s: float
    waited_s: float
    attempt: int
    endpoint: str
    why: str
    lines: Callable[[], list[list[Any]]]


def _calls(timeline: Timeline) -> list[_Call]:
    """Those that hang, run and wait, the oldest first; then the slowest that are over."""
    now_s = timeline.now_s
    found = [
        _Call(
            *(call.ticket, call.key, call.kind, _state(call), now_s - call.begun_s),
            call.waited_s + (now_s - call.wait_s if call.waits else 0.0),
            *(call.attempt, call.endpoint, call.why, call.lines),
        )
        for call in timeline.open.values()
    ]
    rank = {"zombie": 0, "late": 1, "runs": 2, "waits": 3}
    found.sort(key=lambda call: (rank[call.state], -call.age_s))
    for row in timeline.slowest.rows():
        lines = row["story"]
        found.append(
            _Call(
                *(row["ticket"], row["agent"], row["class"], row["kind"], row["took"]),
                *(row["waited"], row["attempts"], row["endpoint"], "", lambda told=lines: told),
            )
        )
    return found


_STATES = {"zombie": _RED, "late": _RED, "hang": _RED, "error": _RED, "refused": _RED,
           "waits": _AMBER, "runs": "#3fae7a"}  # fmt: skip
_CALLS = (
    Column("call", 7, lambda c: c.ticket),
    Column("agent", 0, lambda c: c.agent, right=False, tail=True),
    Column("class", 5, lambda c: c.kind, lambda c: _kind(c.kind), right=False),
    Column("state", 9, lambda c: c.state, lambda c: Text(c.state, _STATES.get(c.state, "dim")),
           right=False),
    Column("age", 7, lambda c: c.age_s, lambda c: _time(c.age_s)),
    Column("waited", 7, lambda c: c.waited_s, lambda c: _time(c.waited_s)),
    Column("try", 3, lambda c: c.attempt),
    Column("held by", 12, lambda c: c.why, right=False),
    Column("endpoint", 34, lambda c: c.endpoint, right=False, wide=True),
)  # fmt: skip


class Rate(NamedTuple):
    """An endpoint's rates: what is used and allowed per minute, of which resource, and history.

    `near` is the share of what may go at once that is taken, or None where nobody tells.
    """

    row: Any
    used: float
    allowed: float | None
    resource: str
    history: Sequence[float | None]
    near: float | None = None

    @property
    def share(self) -> float:
        """How much of what may go now is taken: as the core says, or else used of allowed."""
        if self.allowed is None:
            return 0.0
        if self.near is not None:
            return self.near
        return min(1.0, self.used / self.allowed) if self.allowed else 0.0

    def words(self) -> str:
        """What is used, of how much."""
        used = f"{_count(self.used)}"
        if self.allowed is None:
            return f"{used} {self.resource}/min, no limit known"
        burst = ", a burst" if self.used > self.allowed else ""
        return f" {used} of {_count(self.allowed)} {self.resource}/min{burst}"


def rate_of(timeline: Timeline, row: Any) -> Rate:
    """The rate of the resource that is nearest to its limit."""
    rates = []
    for resource, (per_s, _, _) in row.limits.items():
        series = timeline.rates.found.get(f"{row.name}|{resource}")
        if series is None:
            continue
        bins = max(1, round(_RATE_S / timeline.bins.width_s))
        used = 60.0 * series["used"].recent(bins) / (bins * timeline.bins.width_s)
        near = timeline.near.get(f"{row.name}|{resource}")
        rates.append(Rate(row, used, 60.0 * per_s, resource, series["allowed"].dense(), near))
    if rates:
        return max(rates, key=lambda rate: (rate.share, rate.resource == "requests"))
    series = timeline.rates.found.get(f"{row.name}|requests")
    bins = max(1, round(_RATE_S / timeline.bins.width_s))
    used = 0.0
    if series is not None:
        used = 60.0 * series["used"].recent(bins) / (bins * timeline.bins.width_s)
    return Rate(row, used, None, "requests", [])


def _gauge(rate: Rate, width: int = 8) -> Text:
    if rate.allowed is None:
        return Text("no limit".ljust(width), "dim")
    kind = "late" if rate.share > _FULL else "batch" if rate.share > _WARM else ""
    return bar(rate.share, width, style_of(kind))


def breaker_of(state: str) -> Text:
    """The state of a breaker: "ok" where calls go, for "closed" would read as a shut endpoint."""
    if state == "closed":
        return Text("ok", "dim")
    return Text(state.replace("_", " "), _RED)


def _endpoints(timeline: Timeline) -> list[Rate]:
    return [rate_of(timeline, row) for row in timeline.endpoints.found.values()]


_ENDPOINTS = (
    Column("endpoint", 0, lambda r: r.row.name, right=False, tail=True),
    Column("use", 8, lambda r: r.share, _gauge, right=False),
    Column("used/m", 6, lambda r: r.used, lambda r: _count(r.used)),
    Column("of", 6, lambda r: r.allowed or 0.0,
           lambda r: "-" if r.allowed is None else _count(r.allowed)),
    Column("what", 8, lambda r: r.resource, lambda r: _RESOURCES.get(r.resource, r.resource),
           right=False),
    Column("429s", 4, lambda r: r.row.limit_hits),
    Column("run", 4, lambda r: r.row.running),
    Column("wait", 4, lambda r: r.row.waiting),
    Column("breaker", 9, lambda r: r.row.breaker,
           lambda r: breaker_of(r.row.breaker), right=False),
    Column("allowed, lately", 32, lambda r: r.allowed or 0.0,
           lambda r: Text(sparkline(r.history, 32), "#4f8fea"), right=False, wide=True),
)  # fmt: skip


def _tiers(row: Any, width: int = 12) -> Text:
    """Hot, warm and cold as parts of one bar."""
    whole = row.hot + row.warm + row.cold
    if not whole:
        return Text("-".ljust(width), "dim")
    hot, warm = round(width * row.hot / whole), round(width * row.warm / whole)
    made = Text("█" * hot, "#e0554c") + Text("█" * warm, _AMBER)
    return made + Text("█" * max(0, width - hot - warm), "#4f8fea")


class _Session(NamedTuple):
    """A session, and the row of the agent that it is; None where its agents have other names."""

    row: Any
    received: Any
    tokens_per_s: float

    def figure(self, name: str) -> float:
        """A figure of its agent, or nothing."""
        return float(getattr(self.received, name, 0))


def _sessions(timeline: Timeline) -> list[_Session]:
    found = [(row, timeline.received(row)) for row in timeline.sessions]
    return [
        _Session(row, agent, 0.0 if agent is None else agent.tokens_per_s(timeline.now_s))
        for row, agent in found
    ]


def _received(name: str, title: str, width: int, text: Callable[[float], str]) -> Column:
    return Column(
        title,
        width,
        lambda s: s.figure(name),
        lambda s: "-" if s.received is None else text(s.figure(name)),
        wide=True,
    )


_SESSIONS = (
    Column("session", 0, lambda s: s.row.name, right=False, tail=True),
    Column("tiers", 12, lambda s: s.row.hot + s.row.warm, lambda s: _tiers(s.row), right=False),
    Column("hot", 7, lambda s: s.row.hot, lambda s: _count(s.row.hot)),
    Column("warm", 7, lambda s: s.row.warm, lambda s: _count(s.row.warm)),
    Column("cold", 7, lambda s: s.row.cold, lambda s: _count(s.row.cold)),
    Column("window", 7, lambda s: s.row.window or 0,
           lambda s: _count(s.row.window) if s.row.window else "-"),
    Column("comp", 5, lambda s: s.row.compactions),
    Column("rcll", 5, lambda s: s.row.recalls),
    Column("", 6, lambda s: s.row.asleep, lambda s: "asleep" if s.row.asleep else "", right=False),
    _received("running", "run", 4, _count),
    _received("waiting", "wait", 4, _count),
    _received("calls", "calls", 6, _count),
    _received("tokens", "tokens", 6, _count),
    Column("tok/s", 6, lambda s: s.tokens_per_s,
           lambda s: "-" if s.received is None else _count(s.tokens_per_s), wide=True),
    _received("waited_s", "waited", 7, _time),
    _received("limit_hits", "429s", 4, _count),
)  # fmt: skip

_EVENTS = (
    Column("at", 10, lambda e: e.second, lambda e: span_of(round(e.second, 2))),
    Column("who", 24, lambda e: e.who(), right=False, tail=True),
    Column("what", 0, lambda e: e.words(), right=False),
)


def _amount(value: float | None) -> str:
    return "-" if value is None else _count(value) if value >= 100 else f"{value:.3g}"  # noqa: PLR2004


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else _time(max(0.1, seconds))


def _alarming(text: str, row: FleetRow) -> Text:
    return Text(text, _RED if row.alarm else "")


_FLEET = (
    Column("what", 8, lambda f: f.what,
           lambda f: _alarming(_RESOURCES.get(f.resource, f.resource) or f.what, f), right=False),
    Column("name", 0, lambda f: f.name, right=False, tail=True),
    Column("held", 6, lambda f: f.held, lambda f: _amount(f.held)),
    Column("of", 6, lambda f: f.of or 0.0, lambda f: _amount(f.of)),
    Column("left", 6, lambda f: f.left or 0.0, lambda f: _amount(f.left)),
    Column("wait", 4, lambda f: f.waits or 0, lambda f: "-" if f.waits is None else str(f.waits)),
    Column("seen", 6, lambda f: f.seen_s or 0.0, lambda f: _ago(f.seen_s)),
    Column("lease", 6, lambda f: f.lease_s or 0.0,
           lambda f: _alarming(_ago(f.lease_s).rjust(6), f)),
    Column("", 34, lambda f: f.detail,
           lambda f: _alarming(clean(f.detail), f), right=False, wide=True),
)  # fmt: skip


TABLES = (
    Table("Agents", _AGENTS, lambda a: a.name, _agents, lambda a: a.name, "No agent yet."),
    Table("Calls", _CALLS, lambda c: (c.ticket, c.state), _calls, lambda c: c.agent,
          "No call waits or runs."),
    Table("Endpoints", _ENDPOINTS, lambda r: r.row.name, _endpoints, lambda r: r.row.name,
          "No call named an endpoint."),
    Table("Sessions", _SESSIONS, lambda s: s.row.name, _sessions, lambda s: s.row.name,
          "No managed context was seen."),
    Table("Events", _EVENTS, id, lambda t: list(reversed(t.news)), lambda e: e.who(),
          "Nothing out of the ordinary."),
    Table("Fleet", _FLEET, lambda f: (f.what, f.name, f.resource),
          lambda t: fleet_rows(t.fleet),
          lambda f: f.name, "This process shares its limits with no other."),
)  # fmt: skip


def lanes_of(timeline: Timeline, capacity: int = 0) -> list[Lane]:
    """Every lane that was ever used, and those that are known beside them."""
    held = {call.row: call for call in timeline.open.values() if call.row}
    names = timeline.rows.names()
    found = []
    for name in names:
        call = held.get(name)
        if call is None:
            found.append(Lane("", "", 0.0, late=False))
        else:
            begun_s = timeline.now_s if call.granted_s is None else call.granted_s
            held_s = max(0.0, timeline.now_s - begun_s)
            found.append(Lane(call.key, call.kind, held_s, late=call.late_s is not None))
    return found + [Lane("", "", 0.0, late=False)] * max(0, capacity - len(names))
