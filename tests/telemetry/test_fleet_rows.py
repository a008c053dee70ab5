"""A fleet in rows and a line, from plain data: nobody there, one, many, and an outage."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from agentrm_plugins.telemetry.timeline.fleet import fleet_line, fleet_rows, readable, told_of
from agentrm_plugins.telemetry.top.views import TABLES
from agentrm_plugins.types.fleet_statistics import (
    FleetEndpoint,
    FleetLanes,
    FleetPeer,
    FleetStatistics,
)

NUMBERS = (
    *("exchange_age_s", "lanes_held", "lanes_used", "exchanges"),
    *("slowest_exchange_s", "fenced", "outages"),
)


def seen(members, **more):
    """What a process says of its fleet."""
    at = FleetEndpoint(
        allowed_per_min={"requests": 600.0, "tokens": 60_000.0},
        limit_per_min={"requests": 600.0},
        left={"requests": 5.0, "tokens": 900.0},
        reserved={"tokens": 110.0},
        in_flight=1,
        concurrency=8,
        breaker="closed",
        closed_s=0.0,
    )
    peers = tuple(
        FleetPeer(f"host-{n}", lanes_held=1, waiting=0, lease_left_s=9.0, lease_s=10.0,
                  exchange_age_s=1.0, groups={"model": 1})
        for n in range(members)
    )  # fmt: skip
    plain = {
        "namespace": "shop",
        "member": "host-0",
        "state": "joined",
        "members": members,
        "lease_age_s": 1.0,
        "lease_s": 10.0,
        "lanes": {"lanes": FleetLanes(held=members, limit=64)},
        "peers": peers,
        "endpoints": {"api.test/v1#k": at} if members else {},
    }
    known = dict.fromkeys(NUMBERS, 0) | {"amounts": {}, "lowered": {}, "others_wait": False}
    return {**asdict(FleetStatistics(**known, **plain, error="")), **more}


@pytest.mark.parametrize("members", [0, 1, 60])
def test_each_row_has_a_key_of_its_own_and_a_sentence(members):
    """Also the resources of one endpoint: the cursor stays where it is put."""
    table = next(table for table in TABLES if table.name == "Fleet")
    rows = fleet_rows(seen(members))
    assert len({table.key(row) for row in rows}) == len(rows)
    assert len(rows) == 1 + members + 3 * bool(members)
    assert all(told_of(row) for row in rows)
    line = fleet_line(seen(members))
    assert f"{members} process" in line.text
    assert not line.alarm


def test_in_an_outage_leases_of_others_are_not_known():
    """The line says so instead, with what is done meanwhile."""
    away = seen(60, state="alone", outage_s=31.0, lanes_allowed=1, rate_share=0.015, error="gone")
    rows = [row for row in fleet_rows(away) if row.what == "process"]
    assert {(row.seen_s, row.lease_s, row.alarm) for row in rows} == {(None, None, False)}
    line = fleet_line(away)
    assert line.alarm
    assert "OUT OF REACH" in line.text
    assert "1 lane and 2 % of the rates, as one of 60 processes (gone)" in line.text


@pytest.mark.parametrize(
    "more", [{"members": None}, {"lanes": [1]}, {"peers": 3}, {"peers": [{}]}, {"lease_s": "x"}]
)
def test_what_is_damaged_is_shown_as_no_fleet(more):
    """What a line and rows can be made of is shown; of the rest nothing, and no display ends."""
    whole = seen(2)
    assert readable(whole) is whole
    damaged = {**whole, **more}
    assert readable(damaged) is None or (fleet_line(damaged) and fleet_rows(damaged))
    assert readable({"state": "joined"}) is None
    assert readable([whole]) is None
