"""A session that is an agent has the agent's figures in its row: statistics, page and `top`."""

from __future__ import annotations

import re

import pytest

from agentrm_plugins import AgentRM, Call, Usage
from agentrm_plugins.events import Prepared
from agentrm_plugins.integration import core_of
from agentrm_plugins.telemetry.sources import CoreSource, ReplaySource
from agentrm_plugins.telemetry.timeline import Timeline, snapshot
from agentrm_plugins.telemetry.timeline.tallies import AgentRow
from agentrm_plugins.telemetry.top.app import TopApp
from tests.telemetry.test_top import Clock, at, text_of, told

USAGE = Usage(1000, 200)


def prepared(session: str, tenant: str = "default") -> Prepared:
    return Prepared(
        *(0.0, 0, session, "turn", session, 900, 1000, 700, 200, 50, 9, 3, 1), tenant=tenant
    )


@pytest.fixture
def rm():
    with AgentRM(lanes=2) as core:
        for session in ("thread-1", "quiet"):
            core_of(core).note(prepared(session, "acme"))
        core_of(core).admit(Call("thread-1", "acme")).settle(USAGE)
        core_of(core).admit(Call("thread-1", "other")).settle(USAGE)
        yield core


def test_statistics_join_a_session_and_its_agent(rm) -> None:
    """Rates, waits, refusals and cost of the agent of its name and tenant; of no other's."""
    seen = rm.statistics()
    row = seen.sessions["acme/thread-1"]
    assert row.received == seen.agent("thread-1", tenant="acme")
    assert (row.received.calls, row.received.tokens) == (1, 1200)
    assert row.received.token_rates.last_60_s > 0
    assert row.received.waits.calls == 1
    assert seen.sessions["acme/quiet"].received is None
    assert row.hot_tokens == 700


def test_a_look_without_agents_joins_none(rm) -> None:
    """It stays as cheap as it was: what is not listed is not joined."""
    assert {row.received for row in rm.statistics(agents=False).sessions.values()} == {None}
    assert '"received": {' in rm.statistics().to_json()


def test_tables_of_text_show_sessions(rm) -> None:
    """With their agents' figures, and dashes where there are none."""
    lines = str(rm.statistics()).partition("\nSessions\n")[2].splitlines()
    assert " ".join(lines[0].split()) == (
        "session used budget hot warm cold calls waiting in out tokens/s waited s limits hit cost"
    )
    [quiet, busy] = sorted(lines[1:3])
    assert quiet.split()[6:] == ["-"] * 8
    assert busy.split()[6:10] == ["1", "0", "1,000", "200"]


def test_the_page_has_them_too(rm) -> None:
    """From what is adopted at the beginning, and from events."""
    source, timeline = CoreSource(rm), Timeline()
    timeline.adopt(source.state())
    before = {row["name"]: row["received"] for row in snapshot(timeline)["sessions"]}
    assert (before["acme/thread-1"]["tokens"], before["acme/quiet"]) == (1200, None)
    assert before["acme/thread-1"]["tokens_per_s"] == pytest.approx(27.7, abs=1.5)
    core_of(rm).admit(Call("thread-1", "acme")).settle(USAGE)
    timeline.fold(*source.poll())
    source.close()
    after = {row["name"]: row["received"] for row in snapshot(timeline)["sessions"]}
    assert (after["acme/thread-1"]["calls"], after["acme/thread-1"]["tokens"]) == (2, 2400)
    assert after["acme/thread-1"]["tokens_per_s"] == pytest.approx(55.4, abs=3.0)


def test_limits_are_counted_by_agent() -> None:
    """An attempt that goes again after a 429, and a call that ends with one."""
    timeline = Timeline()
    timeline.fold(
        told("Submitted", 0.0, 1, "ada"),
        told("Granted", 0.0, 1, "ada", group="model", waited_s=0.0),
        told("Requeued", 1.0, 1, "ada", status=429),
        told("Granted", 2.0, 1, "ada", group="model", waited_s=1.0),
        told("Settled", 3.0, 1, "ada", status=429),
    )
    [row] = snapshot(timeline)["agents"]
    assert (row["limit_hits"], row["retries"]) == (2, 1)


def test_a_rate_of_tokens_fades() -> None:
    """After half a minute it is half."""
    row = AgentRow("ada")
    row.use(3000, 10.0)
    first = row.tokens_per_s(10.0)
    assert row.tokens_per_s(40.0) == pytest.approx(first / 2)
    assert (row.tokens, first) == (3000, pytest.approx(69.3, abs=0.1))


async def test_top_shows_them_where_there_is_room() -> None:
    """At 160 columns a session's calls, tokens and 429s stand beside its tiers."""
    clock = Clock()
    scene = [
        told("Prepared", 0.0, 0, "thread-1", session="thread-1", hot_tokens=700, warm_tokens=200,
             cold_tokens=50, budget_tokens=1000, compactions=1),
        told("Prepared", 0.0, 0, "quiet", session="quiet", hot_tokens=7, budget_tokens=1000),
        told("Submitted", 1.0, 1, "thread-1"),
        told("Granted", 3.0, 1, "thread-1", group="model", waited_s=2.0),
        told("Settled", 4.0, 1, "thread-1", status=429,
             usage={"input_tokens": 1000, "output_tokens": 200}),
        told("Boosted", 60.0),
    ]  # fmt: skip
    app = TopApp(ReplaySource(scene, clock=clock, title="scene"), capacity=4, looking=False)
    async with app.run_test(size=(160, 48)) as pilot:
        await at(pilot, clock, 10.0)
        await pilot.press("4")
        await pilot.pause()
        shown = text_of(app)
    [busy] = [line for line in shown if line.startswith("thread-1")]
    [quiet] = [line for line in shown if line.startswith("quiet")]
    assert re.search(r" 0 +0 +1 +1200 +24 +2.0s +1( |$)", busy), busy
    assert re.search(r"( +-){7}( |$)", quiet), quiet
