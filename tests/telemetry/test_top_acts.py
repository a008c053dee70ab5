"""What `agentrm top` does to a core that runs: in this process, and over a process's socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from textual.widgets import Input

from agentrm_plugins import AgentRM, Call, EndpointConfig, LaneGroup
from agentrm_plugins.telemetry.attached import ProcessSource
from agentrm_plugins.telemetry.socket_folder import socket_path
from agentrm_plugins.telemetry.sources import CoreSource
from agentrm_plugins.telemetry.top.app import TopApp
from agentrm_plugins.telemetry.top.dialogs import Change, Choice
from agentrm_plugins.telemetry.top.grid import Grid

SMALL = (80, 24)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A runtime folder of this test alone; its path is short, as those of sockets must be."""
    with tempfile.TemporaryDirectory() as base:
        monkeypatch.setenv("XDG_RUNTIME_DIR", base)
        yield


@contextmanager
def watched(how: str, **settings) -> Iterator[tuple[AgentRM, TopApp]]:
    """A core, and top that looks at it from inside or through its socket."""
    with AgentRM(monitor=how == "socket", **settings) as rm:
        source = ProcessSource(socket_path(rm._core.number)) if how == "socket" else CoreSource(rm)
        try:
            yield rm, TopApp(source, capacity=rm.config.lanes, looking=False)
        finally:
            source.close()


async def go_to(pilot, name: str) -> None:
    """Look until the agent is there, and put the cursor on it."""
    grid = pilot.app.query_one("#table-0", Grid)
    for _ in range(200):
        pilot.app.look()
        await pilot.pause(0.01)
        if any(row.name == name for row in grid.rows):
            break
    await pilot.press("home")
    while grid.row.name != name:
        await pilot.press("down")


async def choose(pilot, key: str, *downs: str) -> None:
    """Press a key, and take an answer of the question that it asks."""
    await pilot.press(key)
    await pilot.pause()
    assert isinstance(pilot.app.screen, Choice)
    await pilot.press(*downs, "enter")
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


WAYS = pytest.mark.parametrize("how", ["inside", "socket"])


@WAYS
async def test_an_agent_is_ended(how: str) -> None:
    """Its waiting call is withdrawn, the others' go on."""
    with watched(how, lanes=1) as (rm, app):
        runs, ends, stays = (rm._core.host.submit(Call(who)) for who in ("ada", "bob", "cyd"))
        async with app.run_test(size=SMALL) as pilot:
            await go_to(pilot, "bob")
            await choose(pilot, "e", "down")
        assert rm.statistics().refused == {"agent_ended": 1}
        assert ends.decided
        assert not stays.decided
        runs.settle()
        stays.settle()


@WAYS
async def test_an_agent_is_drained_and_let_in_again(how: str) -> None:
    """Its new calls are refused, the table says so; the same key asks whether to let it in."""
    with watched(how, lanes=2) as (rm, app):
        runs = rm._core.host.submit(Call("ada"))
        async with app.run_test(size=SMALL) as pilot:
            await go_to(pilot, "ada")
            await choose(pilot, "d", "down")
            rm._core.host.submit(Call("ada"))
            assert rm.statistics().refused == {"agent_drained": 1}
            grid = app.query_one("#table-0", Grid)
            for _ in range(200):
                app.look()
                await pilot.pause(0.01)
                if grid.row.drained:
                    break
            await choose(pilot, "d", "down")
            again = rm._core.host.submit(Call("ada"))
        assert again.granted
        again.settle()
        runs.settle()


@WAYS
async def test_an_agent_is_given_another_priority(how: str) -> None:
    """Who is made interactive goes before who waits for longer."""
    with watched(how, lanes=1) as (rm, app):
        host = rm._core.host
        runs = host.submit(Call("ada"))
        first, second = (host.submit(Call(who, priority="background")) for who in ("bob", "cyd"))
        async with app.run_test(size=SMALL) as pilot:
            await go_to(pilot, "cyd")
            await choose(pilot, "p", "down")
        runs.settle()
        assert (first.decided, second.decided) == (False, True)
        second.settle()
        first.settle()


@WAYS
async def test_what_runs_is_changed_and_no_call_is_lost(how: str) -> None:
    """A line as in the configuration's file: more lanes at once, and one limit of an endpoint."""
    told = {"h/*": EndpointConfig(rpm=600, concurrency=7), "*": EndpointConfig(rpm=60)}
    with watched(how, lanes=1, endpoints=told) as (rm, app):
        leases = [rm._core.host.submit(Call(f"a{number}")) for number in range(4)]
        async with app.run_test(size=SMALL) as pilot:
            await pilot.press("u")
            await pilot.pause()
            assert isinstance(app.screen, Change)
            field = app.screen.query_one(Input)
            for wrong in ("lanes: 3", "", "lanes = "):
                field.value = wrong
                await pilot.press("enter")
                await pilot.pause()
                assert isinstance(app.screen, Change)
            field.value = 'lanes = 3, endpoints."h/*".rpm = 30, priorities.a3 = "batch"'
            await pilot.press("enter")
            await app.workers.wait_for_complete()
            await pilot.pause()
            shown = [strip.text for strip in app.screen._compositor.render_strips()]
        assert [lease.decided for lease in leases] == [True, True, True, False]
        assert rm.config.endpoints == {
            "h/*": EndpointConfig(rpm=30, concurrency=7), "*": EndpointConfig(rpm=60),
        }  # fmt: skip
        assert "/3" in shown[1]
        for lease in leases:
            lease.settle()
        assert rm.statistics().settled == 4


@WAYS
async def test_what_cannot_be_is_said_and_changes_nothing(how: str) -> None:
    """The core's own words, with the name that was probably meant."""
    with watched(how, lanes=2) as (rm, app):
        said = []
        async with app.run_test(size=SMALL) as pilot:
            for line in ("lanse = 3", "lanes = 0", 'endpoints."h/*".rmp = 3', "breaker = 3",
                         'groups = [{ name = "tool", capacity = 1 }], lanes = -1'):  # fmt: skip
                await pilot.press("u")
                await pilot.pause()
                app.screen.query_one(Input).value = line
                await pilot.press("enter")
                await app.workers.wait_for_complete()
                await pilot.pause()
                said.append(str(list(app._notifications)[-1].message))
        assert "did you mean 'lanes'" in said[0]
        assert "did you mean 'rpm'" in said[2]
        assert rm.config.lanes == 2
        assert rm.config.groups == (LaneGroup("model", 2),)


async def test_a_filter_is_not_what_is_typed_into_a_question() -> None:
    """The line of settings filters no table."""
    with watched("inside", lanes=1) as (rm, app):
        with rm.slot(agent="ada"):
            async with app.run_test(size=SMALL) as pilot:
                await go_to(pilot, "ada")
                await pilot.press("u", *"xyz", "escape")
                await pilot.pause()
                assert [row.name for row in app.query_one("#table-0", Grid).rows] == ["ada"]
