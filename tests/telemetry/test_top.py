from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from agentrm_plugins import AgentRM
from agentrm_plugins.sim.crowd import Crowd
from agentrm_plugins.telemetry.reading import Sample
from agentrm_plugins.telemetry.sources import CoreSource, ReplaySource
from agentrm_plugins.telemetry.top.app import TopApp
from agentrm_plugins.telemetry.top.dialogs import HELP, Choice, Help, Story
from agentrm_plugins.telemetry.top.drawing import (
    Lane,
    bar,
    clean,
    fitted,
    lanes,
    sparkline,
    style_of,
)
from agentrm_plugins.telemetry.top.grid import Grid

SMALL, WIDE = (80, 24), (160, 48)


class Clock:
    """Seconds that go on when they are told to."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def text_of(app: TopApp) -> list[str]:
    """The screen, line by line, as it is shown."""
    return [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]


def replayed(agents: int = 5, lanes: int = 4, **more) -> tuple[TopApp, ReplaySource, Clock]:
    clock = Clock()
    events = list(Crowd(agents=agents, lanes=lanes, seconds=120, rpm=240, **more).run())
    source = ReplaySource(events, clock=clock, title="crowd.jsonl")
    return TopApp(source, capacity=lanes, looking=False), source, clock


def told(name: str, at_s: float, ticket: int = 0, agent: str = "", **more) -> dict:
    return {"event": name, "at_s": at_s, "ticket": ticket, "agent": agent, "cause": "", **more}


SCENE = [
    told("Submitted", 0.0, 1, "ada", priority="interactive", endpoint="api.test/m"),
    told("Granted", 0.0, 1, "ada", group="model", waited_s=0.0, endpoint="api.test/m"),
    told("LimitChanged", 0.5, endpoint="api.test/m", resource="requests", per_s=1.0,
         limit_per_s=2.0, source="server"),
    told("Submitted", 1.0, 2, "bob", priority="batch"),
    told("Granted", 1.0, 2, "bob", group="model", waited_s=0.0),
    told("Demoted", 2.0, 0, "bob", level=1, cause="quantum"),
    told("Submitted", 3.0, 3, "bob", priority="batch"),
    told("Throttled", 3.0, 3, "bob", priority="batch", cause="requests", for_s=None),
    told("Requeued", 4.0, 1, "ada", cause="limit", status=429, held_s=4.0, until_s=4.0),
    told("Granted", 5.0, 1, "ada", group="model", waited_s=1.0, endpoint="api.test/m"),
    told("Compacted", 6.0, 0, "ada", session="thread-1", before_tokens=9_000, after_tokens=3_000,
         budget_tokens=8_000, cause="turn"),
    told("Settled", 9.5, 99, "eve", cause="ok", held_s=1.0),
]  # fmt: skip


def scene() -> tuple[TopApp, Clock]:
    clock = Clock()
    source = ReplaySource([*SCENE, told("Boosted", 60.0)], clock=clock, title="scene")
    return TopApp(source, capacity=4, looking=False), clock


async def at(pilot, clock: Clock, second: float) -> None:
    await pilot.pause()
    clock.now_s = second
    pilot.app.look()
    await pilot.pause()


AGENTS = """\
 agentrm top  scene                                             10 s  replay x1
 lanes ███████░░░░░░░ 2/4  waiting 1  L0 0  L1 1
 pressure lanes 6/2/0%  rate 50/11/2%  context 0/0/0%
 429s 1  zombies 0  hangs 0  refused 0
 lane  1▕ada                                                             5.0s▏
 lane  2▕bob                                                             9.0s▏
 lane  3▕····································································▏
 lane  4▕····································································▏

  1 Agents   2 Calls   3 Endpoints   4 Sessions   5 Events   6 Fleet
agent               class  L  run  wait  calls  served  waited tokens rtry hang
bob                 batch  1    1     1      0       -       -      0    0    0
ada                 inter  0    1     0      0    4.0s    1.0s      0    1    0
eve                 -      0    0     0      1       -       -      0    0    0"""


async def test_the_classic_terminal_shows_it_all() -> None:
    """80x24: source, lanes, queue per level, pressure, tabs, agents and keys, nothing cut."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 10.0)
        shown = text_of(app)
    assert "\n".join(shown[: len(AGENTS.splitlines())]) == AGENTS
    assert "Pause" in shown[-1]
    assert "Quit" in shown[-1]
    assert max(map(len, shown)) <= 80


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("2", ["call", "bob", "waits", "requests", "runs"]),
        ("3", ["api.test/m", "60", "requests", "0 ok"]),
        ("4", ["thread-1", "3000", "6000", "8000"]),
        ("5", ["went down to level 1", "compacted thread-1", "goes again"]),
    ],
)
async def test_each_table_tells_its_part(key: str, words: list[str]) -> None:
    """Calls, endpoints, sessions and events, each behind its number."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 10.0)
        await pilot.press(key)
        await pilot.pause()
        shown = "\n".join(text_of(app)[9:])
    for word in words:
        assert word in shown


@pytest.mark.parametrize("size", [SMALL, WIDE, (60, 15), (200, 60)])
@pytest.mark.parametrize("agents", [5, 500])
async def test_it_fits_every_size_with_few_and_many(size, agents: int) -> None:
    """Every line fits, the keys are there, and the agents that run are on top."""
    app, _, clock = replayed(agents, lanes=max(4, agents // 12))
    async with app.run_test(size=size) as pilot:
        await at(pilot, clock, 60.0)
        shown = text_of(app)
        grid = app.query_one("#table-0", Grid)
        assert len(shown) == size[1]
        assert max(map(len, shown)) <= size[0]
        assert "Pause" in shown[-1]
        assert len(grid.rows) >= min(agents, 300)
        assert grid.rows[0].running > 0
        assert app.query_one("#side").display is (size[0] >= 120)


async def test_wide_terminals_show_endpoints_and_news_beside() -> None:
    """At 160 columns: the endpoint's gauge, its saw-tooth and what happened lately."""
    app, clock = scene()
    async with app.run_test(size=WIDE) as pilot:
        await at(pilot, clock, 10.0)
        shown = "\n".join(text_of(app))
    assert "of 60 requests/min" in shown
    assert re.search("[▁▂▃▄▅▆▇█]{8}", shown)
    assert "went down to level 1" in shown


async def shown_beside(*more: Any) -> str:
    """What stands beside the tables ten seconds into the scene, and after more has happened."""
    clock = Clock()
    source = ReplaySource([*SCENE, *more, told("Boosted", 60.0)], clock=clock, title="scene")
    app = TopApp(source, capacity=4, looking=False)
    async with app.run_test(size=WIDE) as pilot:
        await at(pilot, clock, 10.0)
        return "\n".join(text_of(app))


@pytest.mark.parametrize(
    ("state", "words"), [("closed", "breaker ok"), ("open", "breaker open"),
                         ("half_open", "breaker half open")],
)  # fmt: skip
async def test_a_healthy_endpoint_does_not_read_as_a_closed_one(state: str, words: str) -> None:
    """The breaker's own word for "calls go" is "closed"; what is shown is "ok"."""
    shown = await shown_beside(told("BreakerChanged", 9.6, 0, endpoint="api.test/m", cause=state))
    assert words in shown
    assert "breaker closed" not in shown


async def test_the_gauge_of_an_endpoint_is_what_is_left_to_go() -> None:
    """Ten calls in ten seconds are a burst at 30 a minute; the bar shows what the core knows."""
    sent = [told("Submitted", 9.6, n, "eve", endpoint="api.test/m") for n in range(20, 60)]
    sent += [told("Granted", 9.6, n, "eve", group="model", waited_s=0.0, endpoint="api.test/m")
             for n in range(20, 60)]  # fmt: skip
    state = {"endpoints": {"api.test/m": {"rates": {"requests": {"proximity": 0.5}}}}}
    shown = await shown_beside(*sent, Sample(9.7, 1.79e9, state))
    assert re.search(r"████░░░░ \d+ of 60 requests/min, a burst", shown)
    shown = await shown_beside(*sent)
    assert re.search(r"████████ \d+ of 60 requests/min, a burst", shown)


def test_what_the_head_shows_is_explained_by_the_help_and_the_page() -> None:
    """Words and figures that stand above the tables, without their numbers."""
    keys = " ".join(key for key, _ in HELP)
    page = (Path(__file__).parents[2] / "docs" / "monitor.md").read_text(encoding="utf-8")
    words = ("lane", "L0", "pressure", "rate", "context", "429s", "zombies", "hangs", "breaker")
    for word in words:
        assert word in keys
        assert word in page.partition("## agentrm top")[2]


async def test_every_column_sorts_both_ways() -> None:
    """Each column by the keys and by a click on its head; figures begin with the largest."""
    app, _, clock = replayed(60, lanes=6)
    async with app.run_test(size=WIDE) as pilot:
        await at(pilot, clock, 90.0)
        grid = app.query_one("#table-0", Grid)
        for column in grid.columns:
            await pilot.press("greater_than_sign")
            assert grid.sort_by is column
            values = [column.value(row) for row in grid.rows]
            assert values == sorted(values, reverse=column.right)
            await pilot.press("r")
            assert [column.value(row) for row in grid.rows] == values[::-1] or values == sorted(
                values, reverse=column.right
            )
        await pilot.click("#table-0", offset=(2, 0))
        assert grid.sort_by.name == "agent"


async def test_the_cursor_stays_with_its_row() -> None:
    """When the order changes below it, the cursor goes along with the agent."""
    app, _, clock = replayed(40, lanes=4)
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 30.0)
        await pilot.press("down", "down", "down")
        grid = app.query_one("#table-0", Grid)
        name = grid.row.name
        await at(pilot, clock, 90.0)
        assert grid.row.name == name
        await pilot.press("home")
        assert grid.cursor == 0
        await pilot.press("end")
        assert grid.cursor == len(grid.rows) - 1


async def test_a_look_while_it_ends_is_no_error() -> None:
    """Its widgets go before the timer that looks: nothing is drawn then, and all is folded."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await pilot.pause()
        await app.screen.query("#title, #head, #lanes, #body").remove()
        clock.now_s = 20.0
        app.look()
        assert app.timeline.counts["Settled"] == 1


async def test_filter_while_typing() -> None:
    """Only what fits is shown, in every table, until it is cleared."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 10.0)
        await pilot.press("slash", *"BO", "enter")
        grid = app.query_one("#table-0", Grid)
        assert [row.name for row in grid.rows] == ["bob"]
        assert any("only BO" in line for line in text_of(app))
        await pilot.press("2")
        assert {row.agent for row in app.query_one("#table-1", Grid).rows} == {"bob"}
        await pilot.press("escape", "1")
        assert len(grid.rows) == 3
        assert app.query_one("#filter", Input).value == ""


async def test_pause_holds_a_recording_still() -> None:
    """Paused, a recording stands still; it goes on where it stood. Faster is a key."""
    app, source, clock = replayed()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 20.0)
        seen = app.timeline.now_s
        await pilot.press("space")
        await at(pilot, clock, 500.0)
        assert app.timeline.now_s == seen
        assert "paused" in text_of(app)[0]
        await pilot.press("space", "plus", "plus")
        assert source.speed == 4.0
        await at(pilot, clock, 505.0)
        assert app.timeline.now_s == pytest.approx(seen + 20.0, abs=5.0)
        assert "replay x4" in text_of(app)[0]


async def test_a_calls_story_says_why_it_waited() -> None:
    """Enter on an agent, or on a call: each event with its time and its reason."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 10.0)
        await pilot.press("enter")
        assert isinstance(app.screen, Story)
        await pilot.pause()
        shown = "\n".join(text_of(app))
        assert "asked for a lane" in shown
        inside = " ".join(re.findall(r"│(.*?)│", shown))
        assert "requests is used up" in re.sub(r"\s+", " ", inside)
        await pilot.press("escape", "2", "enter")
        assert isinstance(app.screen, Story)
        await pilot.press("escape", "question_mark")
        assert isinstance(app.screen, Help)


async def test_ending_an_agent_is_asked_for_again() -> None:
    """`e` asks; "no" is the first answer; "yes" withdraws the agent's waiting calls."""
    with AgentRM(lanes=1) as rm:
        app = TopApp(CoreSource(rm), looking=False)
        with rm.slot(agent="ada"):
            async with app.run_test(size=SMALL) as pilot:
                await pilot.pause()
                app.look()
                await pilot.press("e")
                await pilot.pause()
                assert isinstance(app.screen, Choice)
                assert app.screen.query_one(OptionList).highlighted == 0
                await pilot.press("enter")
                await pilot.pause()
                assert not isinstance(app.screen, Choice)
                assert not rm.statistics().abandoned
                await pilot.press("e")
                await pilot.pause()
                await pilot.press("down", "enter")
                await app.workers.wait_for_complete()
                app.source.close()


async def test_the_past_cannot_be_changed() -> None:
    """On a recording the actions on an agent say that there is nothing to act on."""
    app, clock = scene()
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 10.0)
        for key in "edp":
            await pilot.press(key)
            await pilot.pause()
            assert not isinstance(app.screen, Choice)
        assert len(app._notifications) == 3


async def test_hostile_names_move_no_cursor() -> None:
    """Escape sequences, markup, line breaks and wide characters stay in their cells."""
    names = [
        "\x1b[2J\x1b[31mred",
        "[bold]x[/bold]",
        "a\nb\tc",
        "漢字" * 30,
        "e\u0301\u202e" * 20,
        "",
    ]
    events = [told("Submitted", 0.0, n + 1, name) for n, name in enumerate(names)]
    events += [told("Granted", 0.0, n + 1, name, group=name or "g", waited_s=0.0)
               for n, name in enumerate(names)]  # fmt: skip
    clock = Clock()
    app = TopApp(ReplaySource([*events, told("Boosted", 9.0)], clock=clock), looking=False)
    async with app.run_test(size=SMALL) as pilot:
        await at(pilot, clock, 1.0)
        for key in ("1", "2", "enter", "escape", "5"):
            await pilot.press(key)
            await pilot.pause()
            shown = text_of(app)
            assert "\x1b" not in "".join(shown)
            assert len(shown) == 24
        await pilot.press("1")
        await pilot.pause()
        assert any("[bold]x" in line for line in text_of(app))


def test_drawing_fits_its_width() -> None:
    """Bars, sparklines and names take exactly the cells that they are given."""
    assert fitted("interactive-042", 9, tail=True) == "inte…-042"
    assert fitted("漢字漢字", 5) == "漢字…"
    assert fitted("x", 0) == ""
    assert clean("a\x07b\u202e") == "a?b?"
    assert bar(0.5, 10, style_of("")).plain == "█████░░░░░"
    assert bar(7.0, 4, style_of("")).plain == "████"
    assert sparkline([1.0, None, 4.0, 2.0], 6) == "   ▂ █▄"[-6:]
    assert sparkline([], 3) == "   "
    many = lanes([Lane("a", "", 1.0, late=False)] * 5000, 80, 4)
    assert many.plain.endswith("more")
    assert all(len(line) <= 80 for line in many.plain.split("\n"))
