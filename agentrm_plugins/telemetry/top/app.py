"""The application: a timeline, fed by a source, looked at twice a second."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.css.query import NoMatches
from textual.widgets import ContentSwitcher, Footer, Input, Static

from agentrm_plugins.telemetry.sources import ReplaySource, Source
from agentrm_plugins.telemetry.timeline import Timeline
from agentrm_plugins.telemetry.timeline.fleet import fleet_line
from agentrm_plugins.telemetry.timeline.words import span_of
from agentrm_plugins.telemetry.top.dialogs import HELP, Change, Choice, Help, Story
from agentrm_plugins.telemetry.top.drawing import bar, clean, fitted, lanes, sparkline, style_of
from agentrm_plugins.telemetry.top.grid import Grid
from agentrm_plugins.telemetry.top.views import TABLES, breaker_of, lanes_of, rate_of

__all__ = ["TopApp"]

_LOOK_EVERY_S = 0.5
WINDOW_S = 600.0
_LANE_ROWS = 4
_NARROW = 100  # cells
_DOES = {
    "end": ("End", "withdraw its waiting calls"),
    "drain": ("Drain", "let nothing new of it begin"),
    "let_in": ("Let in", "its new calls may begin again"),
}


class TopApp(App[None]):
    """Look at a source.

    Args:
        source: Where the events come from.
        capacity: Lanes that are known beforehand; 0: those that are used.
        looking: Whether to look by itself twice a second; tests call `look`.
    """

    TITLE = "agentrm top"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [(0, "-small"), (120, "-wide")]  # noqa: RUF012 - as Textual types it
    CSS = """
    Screen { layout: vertical; }
    #title { height: 1; background: $primary-darken-2; color: $text; }
    #head { height: auto; max-height: 4; padding: 0 1; }
    #lanes { height: auto; max-height: 5; padding: 0 1; }
    #tabs { height: 1; padding: 0 1; margin-top: 1; }
    #body { height: 1fr; }
    #tables { width: 1fr; height: 1fr; }
    #side {
        display: none; width: 46; height: 1fr; padding: 0 1; text-wrap: nowrap;
        text-overflow: clip; border-left: vkey $primary-darken-2;
    }
    .-wide #side { display: block; }
    #filter { display: none; height: 1; border: none; padding: 0 1; background: $surface; }
    #filter.open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("greater_than_sign", "sort(1)", "Sort", key_display="< >"),
        Binding("less_than_sign", "sort(-1)", show=False),
        Binding("r", "reverse", show=False),
        Binding("e", "act('end')", "End"),
        Binding("d", "act('drain')", "Drain"),
        Binding("p", "act('prioritise')", "Priority"),
        Binding("u", "change", show=False),
        Binding("plus,equals_sign", "speed(2.0)", show=False),
        Binding("minus", "speed(0.5)", show=False),
        Binding("escape", "clear", show=False),
        Binding("question_mark", "help", "Help", key_display="?"),
        Binding("q", "quit", "Quit"),
        *(Binding(str(n), f"table({n - 1})", show=False) for n in range(1, len(TABLES) + 1)),
    ]

    def __init__(self, source: Source, *, capacity: int = 0, looking: bool = True) -> None:
        super().__init__()
        self.source, self.capacity = source, capacity
        self.timeline = Timeline(window_s=WINDOW_S, most_spans=1)
        self.paused = False
        self._looking, self._wanted, self._shown = looking, "", 0
        state = source.state()
        if state is not None:
            self.timeline.adopt(state)

    def compose(self) -> ComposeResult:
        """A title, the core as a whole, its lanes, the tables, and what is beside them."""
        yield Static(id="title")
        yield Static(id="head")
        yield Static(id="lanes")
        yield Static(id="tabs")
        with Horizontal(id="body"):
            with ContentSwitcher(initial="table-0", id="tables"):
                for number, table in enumerate(TABLES):
                    yield Grid(table.columns, table.key, name=f"table-{number}", empty=table.empty)
            yield Static(id="side")
        yield Input(placeholder="part of a name", id="filter")
        yield Footer()

    def on_mount(self) -> None:
        """Look for the first time, and from then on."""
        self._grid.focus()
        self.call_after_refresh(self.look)
        if self._looking:
            self.set_interval(_LOOK_EVERY_S, self.look)

    @property
    def _grid(self) -> Grid:
        return self.query_one(f"#table-{self._shown}", Grid)

    # -- looking ------------------------------------------------------------------------------

    def look(self) -> None:
        """Fold what has come, and show it unless that is paused."""
        self.timeline.fold(*self.source.poll())
        self.timeline.dropped = self.source.dropped
        self.timeline.fleet, self.timeline.near = self.source.fleet(), self.source.near()
        now_s = self.source.now_s()
        if now_s is not None:
            self.timeline.look(now_s)
        if not self.paused:
            with suppress(NoMatches):  # it ends: its widgets are gone before its timer
                self.show()

    def show(self) -> None:
        """Draw everything that is seen."""
        width = max(20, self.size.width - 2)
        screen = self.screen_stack[0]
        screen.query_one("#title", Static).update(self._title(self.size.width))
        screen.query_one("#head", Static).update(self._head(width))
        found = lanes_of(self.timeline, self.capacity)
        rows = _LANE_ROWS if self.size.height < 40 else _LANE_ROWS + 1  # noqa: PLR2004
        screen.query_one("#lanes", Static).update(lanes(found, width, rows))
        screen.query_one("#tabs", Static).update(self._tabs())
        table = TABLES[self._shown]
        wanted = self._wanted.lower()
        grid = screen.query_one(f"#table-{self._shown}", Grid)
        grid.show_rows(
            [row for row in table.rows(self.timeline) if wanted in table.who(row).lower()]
        )
        side = screen.query_one("#side", Static)
        if side.display:
            side.update(self._side(side.size.width, side.size.height))

    def on_resize(self) -> None:
        """Draw for the new size."""
        self.call_after_refresh(self.show)

    def _title(self, width: int) -> Text:
        source, timeline = self.source, self.timeline
        state = "paused" if self.paused else "ended" if source.ended else "live"
        if isinstance(source, ReplaySource) and not source.ended and not self.paused:
            state = f"replay x{source.speed:g}"
        right = f"{span_of(round(timeline.now_s, 1))}  {state} "
        if timeline.dropped:
            right = f"{timeline.dropped:,} events lost  {right}"
        left = f" agentrm top  {source.title}"
        return Text(fitted(left, max(0, width - len(right))) + right, "bold")

    def _head(self, width: int) -> Text:
        timeline = self.timeline
        busy = sum(timeline.groups_busy.values())
        lanes_ = self.capacity or sum(timeline.groups_peak.values())
        made = Text(no_wrap=True, overflow="crop")
        made.append("lanes ")
        share = busy / lanes_ if lanes_ else 0.0
        made.append_text(bar(share, 14 if width < _NARROW else 24, style_of("")))
        made.append(f" {busy}/{lanes_}  ", "bold")
        made.append("waiting ")
        made.append(f"{sum(timeline.depth)}", "bold #d9932b" if sum(timeline.depth) else "bold")
        for level, depth in enumerate(timeline.depth[:8]):
            made.append(f"  L{level} ", "dim")
            made.append(str(depth), "" if depth else "dim")
        made.append("\npressure ")
        for name, pressure in timeline.pressure.items():
            made.append(f"{name} ", "dim")
            made.append("/".join(f"{100 * share:.0f}" for share in pressure.shares))
            made.append("%  ")
        if width < _NARROW:
            made.append("\n")
        zombies = sum(1 for call in timeline.open.values() if call.reaped)
        hits = sum(row.limit_hits for row in timeline.endpoints.found.values())
        for name, count, colour in (
            ("429s", hits, "#d9932b"),
            ("zombies", zombies, "#e0554c"),
            ("hangs", timeline.counts["Reaped"], "#e0554c"),
            ("refused", timeline.counts["Refused"], "#e0554c"),
        ):
            made.append(f"{name} ", "dim")
            made.append(f"{count}  ", f"bold {colour}" if count else "dim")
        line = fleet_line(timeline.fleet)
        if line is not None:
            made.append("\nfleet ", "dim")
            made.append(fitted(line.text, width - 6), "bold #e0554c" if line.alarm else "")
        return made

    def _tabs(self) -> Text:
        made = Text(no_wrap=True, overflow="crop")
        for number, table in enumerate(TABLES):
            style = "bold reverse" if number == self._shown else "dim"
            made.append(f" {number + 1} {table.name} ", style)
            made.append(" ")
        if self._wanted:
            made.append(f" only {clean(self._wanted)}", "bold #d9932b")
        return made

    def _side(self, width: int, height: int) -> Text:
        timeline = self.timeline
        made = Text(no_wrap=True, overflow="crop")
        rows = list(timeline.endpoints.found.values())
        most = max(1, (height // 2) // 4)
        for row in sorted(rows, key=lambda row: row.sent, reverse=True)[:most]:
            rate = rate_of(timeline, row)
            made.append(f"{fitted(row.name, width, tail=True)}\n", "bold")
            if rate.allowed is not None:
                made.append_text(bar(rate.share, 8, style_of("late" if rate.share > 0.9 else "")))  # noqa: PLR2004
            made.append(f"{fitted(rate.words(), width - 8)}\n", "dim")
            made.append(f"{sparkline(rate.history, width)}\n", "#4f8fea")
            calls = f"429s {row.limit_hits}  runs {row.running}  waits {row.waiting}  breaker "
            made.append(calls, "dim")
            made.append_text(breaker_of(row.breaker)).append("\n\n")
        made.append("Lately\n", "bold")
        left = max(3, height - 5 * min(most, len(rows)) - 1)
        for told in list(reversed(timeline.news))[:left]:
            made.append(fitted(told.who(), 16, tail=True) + " ", "dim")
            made.append(f"{fitted(told.words(), max(1, width - 17))}\n")
        return made

    # -- keys ---------------------------------------------------------------------------------

    def action_table(self, number: int) -> None:
        """Show another table."""
        self._shown = number
        self.query_one("#tables", ContentSwitcher).current = f"table-{number}"
        self._grid.focus()
        self.show()

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self.paused = not self.paused
        if isinstance(self.source, ReplaySource):
            self.source.paused = self.paused
        self.show()

    def action_speed(self, by: float) -> None:
        """Play a recording faster or slower."""
        if isinstance(self.source, ReplaySource):
            self.source.speed = max(0.125, min(10_000.0, self.source.speed * by))
            self.show()

    def action_sort(self, step: int) -> None:
        """Sort by another column."""
        self._grid.sort_next(step)

    def action_reverse(self) -> None:
        """Sort the other way round."""
        grid = self._grid
        if grid.sort_by is not None:
            grid.sort(grid.sort_by)

    def action_help(self) -> None:
        """Tell the keys."""
        self.push_screen(Help(HELP))

    def action_filter(self) -> None:
        """Ask for a part of a name."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def action_clear(self) -> None:
        """Show everything again."""
        field = self.query_one("#filter", Input)
        field.remove_class("open")
        field.value = self._wanted = ""
        self._grid.focus()
        self.show()

    def on_input_changed(self, changed: Input.Changed) -> None:
        """Filter while it is typed."""
        self._wanted = changed.value.strip()
        self.show()

    def on_input_submitted(self) -> None:
        """Back to the table, filtered."""
        self.query_one("#filter", Input).remove_class("open")
        self._grid.focus()

    # -- stories and actions --------------------------------------------------------------------

    def on_grid_chosen(self, chosen: Grid.Chosen) -> None:
        """Tell the story of what was chosen."""
        row = chosen.row
        if self._shown == 0:
            self._tell_agent(row.name)
        elif self._shown == 1:
            head = f"call {row.ticket} of {row.agent}: {row.state}, attempt {row.attempt}"
            self.push_screen(Story(head, [("", row.lines())]))
        elif TABLES[self._shown].name == "Events":
            call = self.timeline.open.get(row.fields.get("ticket") or 0)
            if call is not None:
                self.push_screen(Story(f"call {call.ticket} of {call.key}", [("", call.lines())]))

    def _tell_agent(self, name: str) -> None:
        rows = [row for row in TABLES[1].rows(self.timeline) if row.agent == name][:20]
        parts = [
            (f"call {row.ticket}: {row.state}, {span_of(round(row.age_s, 2))}", row.lines())
            for row in rows
        ]
        self.push_screen(Story(name, parts))

    def _agent(self) -> Any | None:
        """The agent that the cursor is on."""
        row = self._grid.row
        if row is None or self._shown > 1:
            return None
        return row if self._shown == 0 else self.timeline.agents.rows.get(row.agent)

    @work
    async def action_act(self, what: str) -> None:
        """End, drain, let in or re-prioritise an agent, if whoever asks for it says so again."""
        if not self._may(what):
            return
        agent = self._agent()
        if agent is None:
            self.notify("Go to an agent first (1, then the arrows).", severity="warning")
            return
        more = {}
        if what == "prioritise":
            kinds = [(kind, kind) for kind in ("interactive", "batch", "background")]
            answer = await self.push_screen_wait(
                Choice(f"Which priority for {agent.name}?", [("", "leave it as it is"), *kinds])
            )
            more = {"priority": answer}
        else:
            what = "let_in" if what == "drain" and agent.drained else what
            word, does = _DOES[what]
            answer = await self.push_screen_wait(
                Choice(f"{word} {agent.name}?", [("", "no"), (what, f"yes: {does}")])
            )
        if not answer:
            return
        does_it = functools.partial(
            self.source.act, what, agent=agent.agent or agent.name, tenant=agent.tenant, **more
        )
        await self._try(does_it, f"{what}: {clean(agent.name)}")

    @work
    async def action_change(self) -> None:
        """Change what runs, as it is typed."""
        if not self._may("change"):
            return
        fields = await self.push_screen_wait(Change(self.capacity))
        if fields:
            said = f"changed: {', '.join(map(clean, fields))}"
            lanes = await self._try(functools.partial(self.source.change, fields), said)
            self.capacity = lanes or self.capacity
            self.look()

    def _may(self, what: str) -> bool:
        if what in self.source.actions:
            return True
        self.notify("This only looks: it is no running process.", severity="warning")
        return False

    async def _try(self, does_it: Callable[[], Any], said: str) -> Any:
        """Ask for it beside the display, and say what came of it."""
        try:
            answer = await asyncio.to_thread(does_it)
        except Exception as error:  # noqa: BLE001 - whatever it is, the display goes on and says it
            self.notify(clean(str(error)), severity="error", markup=False)
            return None
        self.notify(said, markup=False)
        return answer
