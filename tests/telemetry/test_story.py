"""Why a call waited: `rm.story` and `agentrm story`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentrm_plugins import AgentRM, Call, EndpointConfig
from agentrm_plugins.cli.app import app
from agentrm_plugins.hosts.clock import VirtualClock
from agentrm_plugins.telemetry import Recording
from agentrm_plugins.types import events as ev
from agentrm_plugins.types.verdicts import Kind, Verdict


def recorded(file: Path) -> AgentRM:
    """Call 2 waits 3 s for a lane, then some for the rate, then runs for 5 s."""
    clock = VirtualClock()
    rm = AgentRM(
        lanes=1,
        clock=clock,
        endpoints={"h/*": EndpointConfig(rpm=6, burst_s=10)},
        record=Recording(file, sample_s=None),
    )
    host = rm._core.host
    first = host.submit(Call("ada", endpoint="h/m"))
    second = host.submit(Call("bob", tenant="acme"))
    third = host.submit(Call("cyd", endpoint="h/m"))
    clock.advance(3)
    first.settle()
    clock.advance(5)
    second.settle()
    clock.advance(20)
    third.settle()
    return rm


def test_a_story_divides_the_calls_time(tmp_path: Path) -> None:
    """Each second of its life is accounted for: waiting for what, or running."""
    with recorded(tmp_path / "e.jsonl") as rm:
        lane, rate = rm.story(2), rm.story(3)
    assert lane.spent_s == {"lanes": 3.0, "running": 5.0}
    assert "all lanes are taken" in str(lane)
    assert "Time: waiting for a lane 3 s, running 5 s." in str(lane)
    assert "bob (acme)" in str(lane)
    assert rate.spent_s == pytest.approx({"requests": 10.0, "running": 18.0})
    assert "limit of requests is used up" in str(rate)
    assert str(rm.story(99)) == "Nothing is known of call 99."


def test_the_command_prints_the_story_of_a_recording(tmp_path: Path) -> None:
    """As text, and as JSON with the same words."""
    file = tmp_path / "events.jsonl"
    recorded(file).close()
    run = CliRunner().invoke(app, ["story", "2", "--events", str(file)])
    assert run.exit_code == 0
    assert "waiting for a lane 3 s, running 5 s" in run.output
    run = CliRunner().invoke(app, ["story", "2", "-e", str(file), "--json"])
    told = json.loads(run.output)
    assert told["spent_s"] == {"lanes": 3.0, "running": 5.0}
    assert [event["kind"] for event in told["events"]] == [
        *("submitted", "queued", "granted", "settled"),
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_recording_and_number_are_taken_in_either_order(tmp_path: Path, order: int) -> None:
    """As `agentrm report` takes the recording; a file that is called 2 is no number."""
    file = tmp_path / "events.jsonl"
    recorded(file).close()
    run = CliRunner().invoke(app, ["story", *[str(file), "2"][::order]])
    assert run.exit_code == 0
    assert "Call 2 of bob" in run.output


def test_without_a_number_it_says_which_calls_waited(tmp_path: Path) -> None:
    """The longest first, with the line that tells the first; as JSON too."""
    file = tmp_path / "events.jsonl"
    recorded(file).close()
    run = CliRunner().invoke(app, ["story", str(file)])
    assert [line.split()[0] for line in run.output.splitlines()[1:4]] == ["3", "2", "1"]
    assert f"agentrm story {file} 3" in run.output
    told = json.loads(CliRunner().invoke(app, ["story", str(file), "--json"]).output)
    assert [(one["ticket"], one["agent"]) for one in told] == [(3, "cyd"), (2, "bob"), (1, "ada")]
    assert told[1]["waited_s"] == 3.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["99"], "nothing is recorded of call 99"),
        (["2", "-e", "none.jsonl"], "no such file"),
        (["."], "is a folder"),
        (["x" * 300], "name too long"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A wrong number or path ends with an exit code and one line."""
    file = tmp_path / "events.jsonl"
    recorded(file).close()
    run = CliRunner().invoke(app, ["story", "-e", str(file), *arguments])
    assert run.exit_code == 1
    assert message in run.output


@pytest.mark.parametrize("number", ["0", "1" * 19, "1" * 300, "1" * 5_000])
def test_a_number_that_no_call_has_is_bad_use(number: str) -> None:
    """However long it is."""
    run = CliRunner().invoke(app, ["story", number])
    assert run.exit_code == 2
    assert "one recording and one number" in run.output


def test_the_list_and_the_story_agree_on_a_call_that_went_again(tmp_path: Path) -> None:
    """A call that waited before each of its attempts is listed with the sum of its story."""
    clock, file = VirtualClock(), tmp_path / "events.jsonl"
    with AgentRM(lanes=1, clock=clock, record=Recording(file, sample_s=None)) as rm:
        host = rm._core.host
        call = host.submit(Call("ada", endpoint="h/m"))
        for wait_s in (2.0, 3.5, 1.0):
            clock.advance(0.5)
            host.feed(ev.Requeue(call.ticket, Verdict(Kind.TRANSIENT, 500), wait_s))
            clock.advance(wait_s)
        clock.advance(0.5)
        call.settle()
        told = rm.story(1)
        counted_s = rm.statistics().agents["ada"].waited_s
    run = CliRunner().invoke(app, ["story", str(file), "--json"])
    assert json.loads(run.output) == [{"ticket": 1, "waited_s": 6.5, "agent": "ada"}]
    assert told.spent_s == pytest.approx({"running": 2.0, "retry": 6.5})
    assert counted_s == pytest.approx(6.5)
