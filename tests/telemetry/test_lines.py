"""What stands in a recording's lines: all of each event, and no secret."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from agentrm_plugins import AgentRM
from agentrm_plugins.events import KINDS, Beaten, Granted, Queued, Settled, Submitted
from agentrm_plugins.telemetry import Recording, read_events
from agentrm_plugins.telemetry.lines import Encoder, events_of, nanos_of
from agentrm_plugins.types.calls import Outcome, Usage
from tests.effort import effort

KEY = "sk-" + "proj-abcdefghijklmnopqrstuvwx"
OFFSET_S = 1.79e9 + 0.123456
NAMES = st.one_of(
    st.sampled_from(["", "ada", "default", 'a"\\\n', "\ud800\u2028", "日本", "{}%s", "null"]),
    st.text(alphabet='ab 9"\\/\n\t\x00\x7fé\u2028\ud800日{}%', max_size=9),
)
COUNTS = st.integers(0, 10**12)
SPANS = st.one_of(
    st.sampled_from([0.0, 1e-9, 1 / 3, 5.0, 86_400.25, 3_999_999.999999999, 4_000_001.5, 1e300]),
    st.floats(0, 1e7),
)
TIMES = st.one_of(st.sampled_from([0.0, 1.5, 12345.678901234]), st.floats(-10, 1e9))
USAGES = st.one_of(st.none(), st.builds(Usage, COUNTS, COUNTS, st.integers(0, 9), COUNTS))
PLACES = {"tenant": NAMES, "group": NAMES, "endpoint": st.none() | NAMES}
HEAD = {"at_s": TIMES, "ticket": COUNTS, "agent": NAMES, "cause": NAMES}
HOT = st.one_of(
    st.builds(Submitted, **HEAD, **PLACES, priority=NAMES, estimate_tokens=COUNTS,
              parent=st.none() | COUNTS, hedge_of=st.none() | COUNTS,
              parent_agent=st.none() | NAMES),
    st.builds(Granted, **HEAD, **PLACES, waited_s=SPANS),
    st.builds(Beaten, **HEAD, **PLACES, tokens=COUNTS),
    st.builds(Settled, **HEAD, **PLACES, outcome=st.sampled_from(Outcome), held_s=SPANS,
              usage=USAGES, cost=SPANS, status=st.none() | st.integers(100, 599)),
)  # fmt: skip
COLD = st.builds(Queued, **HEAD, **PLACES, level=COUNTS, waiting=COUNTS)


@st.composite
def at_once(draw) -> list[Any]:
    """A call that is asked for and granted, in one moment or not quite."""
    more = {"estimate_tokens": COUNTS, "priority": NAMES, "parent": st.none() | COUNTS}
    asked = draw(st.builds(Submitted, **HEAD, **PLACES, **more))
    same = {"agent": asked.agent, "tenant": asked.tenant, "group": asked.group,
            "endpoint": asked.endpoint, "at_s": asked.at_s, "ticket": asked.ticket,
            "waited_s": 0.0, "cause": draw(NAMES)}  # fmt: skip
    other = draw(st.sampled_from(["", "", "", "agent", "group", "ticket", "at_s", "waited_s"]))
    if other:
        same[other] = "other" if other in {"agent", "group"} else 77
    return [asked, Granted(**same)]


def told(events: list[Any], *, recorded: bool) -> list[Any]:
    """What is read of the lines of these events."""
    lines = Encoder(recorded=recorded).lines(events, OFFSET_S)
    assert not any("\n" in line for line in lines)
    return [event for line in lines for event in events_of(json.loads(line), nanos_of(OFFSET_S))]


def near(seconds: Any) -> Any:
    """A time that has passed is written to the nanosecond."""
    return pytest.approx(seconds, rel=0, abs=1e-11)


@effort(100, suppress_health_check=[HealthCheck.too_slow])  # on a machine that has other work
@given(st.lists(st.one_of(HOT.map(lambda one: [one]), COLD.map(lambda one: [one]), at_once())))
def test_all_of_each_event_survives_its_line(parts: list[list[Any]]) -> None:
    """In their order, whatever they are called, joined in one line or not."""
    events = [event for part in parts for event in part]
    for recorded in (False, True):
        read = told(events, recorded=recorded)
        assert len(read) == len(events)
        for back, event in zip(read, events, strict=True):
            spans = {name: near(getattr(event, name)) for name in ("held_s", "waited_s")
                     if hasattr(event, name)}  # fmt: skip
            assert back._asdict() == {**event._asdict(), **spans, "wall_s": back.wall_s}
            assert back.wall_s == pytest.approx(event.at_s + OFFSET_S, abs=1e-5)
    if parts:
        assert told(parts[0], recorded=True)[0].__class__ is events[0].__class__


def test_a_call_that_goes_at_once_is_one_line(tmp_path: Path) -> None:
    """With the rule of its grant; the reader gives both events, the wait of no time included."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, sample_s=None)) as rm:
        with rm.slot(agent="ada", tenant="acme", endpoint="h/m"):
            pass
    header, asked, settled = map(json.loads, file.read_text().splitlines())
    assert header["version"] == 2
    assert (asked["kind"], asked["granted"]) == ("submitted", "free")
    assert settled["kind"] == "settled"
    assert type(settled["held_ns"]) is type(settled["unix_ns"]) is int
    assert settled["unix_ns"] / 1e9 == pytest.approx(time.time(), abs=600)
    submitted, granted, _ = read_events(file)
    assert isinstance(submitted, Submitted)
    assert granted == Granted(
        submitted.at_s, 1, "ada", "free", "model", 0.0, "acme", "h/m", submitted.wall_s
    )


def test_who_waited_has_lines_of_its_own(tmp_path: Path) -> None:
    """And a grant alone is written where nobody wants to know who asked."""
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, kinds={"granted"}, sample_s=None)) as rm:
        with rm.slot(agent="ada"):
            pass
    assert [json.loads(line)["kind"] for line in file.read_text().splitlines()] == [
        "header",
        "granted",
    ]


def test_where_the_time_of_day_is_set_the_core_s_goes_on(tmp_path: Path) -> None:
    """A line tells it, and so does the header of each part: both times are right before and after,
    also where the disk refused just then.
    """
    file = tmp_path / "events.jsonl"
    with AgentRM(lanes=1, record=Recording(file, sample_s=None, flush_s=30)) as rm:
        offset_s = rm._host.streams.wall_offset_s()
        for ahead_s in (0.0, 3_600.0, -7_200.0):
            rm._host.streams.wall_offset_s = lambda at=ahead_s: offset_s + at
            rm._recorder._retry_s = time.monotonic() + 60 if ahead_s > 0 else 0.0
            rm._recorder.flush()
            rm._recorder._retry_s = 0.0
            with rm.slot(agent="ada"):
                pass
            rm._recorder.flush()
    events = list(read_events(file))
    times = [event.at_s for event in events]
    assert len(times) == 9
    assert times == sorted(times)
    ahead = [round((event.wall_s - event.at_s - offset_s) / 3_600.0) for event in events]
    assert ahead == [0] * 3 + [1] * 3 + [-2] * 3


@pytest.mark.parametrize("wrong", ["1", 1.5, None, True])
def test_a_moment_that_is_none_is_damage(wrong: object) -> None:
    """It is named."""
    line = {"kind": "granted", "unix_ns": wrong, "ticket": 1, "agent": "a", "cause": "free"}
    with pytest.raises(ValueError, match="unix_ns"):
        events_of(line)


VERSION_1 = """\
{"kind":"header","schema":"agentrm.events","version":1,"run":"a","part":1,"lanes":2}
{"kind":"submitted","at_s":7.5,"wall_s":1790000000.5,"ticket":1,"cause":"","agent":"ada",\
"group":"model","endpoint":"h/m"}
{"kind":"granted","at_s":7.5,"wall_s":1790000000.5,"ticket":1,"cause":"free","agent":"ada",\
"group":"model","endpoint":"h/m","waited_s":0.0}
{"kind":"settled","at_s":9.0,"wall_s":1790000002.0,"ticket":1,"cause":"ok","agent":"ada",\
"group":"model","endpoint":"h/m","outcome":"ok","held_s":1.5,"usage":{"input_tokens":3}}
"""


def test_recordings_of_version_1_are_read(tmp_path: Path) -> None:
    """They have a line for each event."""
    file = tmp_path / "events.jsonl"
    file.write_text(VERSION_1)
    submitted, granted, settled = read_events(file)
    assert submitted == Submitted(
        7.5, 1, "ada", "", group="model", endpoint="h/m", wall_s=1790000000.5
    )
    assert granted == Granted(
        7.5, 1, "ada", "free", "model", 0.0, endpoint="h/m", wall_s=1790000000.5
    )
    assert (settled.held_s, settled.usage) == (1.5, Usage(3))


@pytest.mark.parametrize("rule", [3, None, ["free"]])
def test_a_grant_that_is_none_is_damage(tmp_path: Path, rule: object) -> None:
    """It is named, or left out with its line."""
    file = tmp_path / "events.jsonl"
    line = {"kind": "submitted", "at_s": 1.0, "ticket": 1, "agent": "a", "cause": "",
            "granted": rule}  # fmt: skip
    file.write_text(VERSION_1.splitlines()[0] + "\n" + json.dumps(line) + "\n")
    lenient = read_events(file, strict=False)
    assert list(lenient) == []
    assert lenient.skipped == 1


HOSTILE = {
    "a key": KEY,
    "a header": f"Authorization: Bearer {KEY}",
    "a login": f"https://user:{KEY}@host/m",
    "a key at the cut": "x " * 95 + KEY,
    "a key beyond the cut": "x " * 190 + KEY + " y" * 500,
    "a key in JSON": '{"api_key": "hunter2hunter2"}',
    "a query": "https://h/m?api_key=hunter2hunter2",
}


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("kind", KINDS.values(), ids=[*KINDS])
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=[*HOSTILE])
def test_no_text_field_of_any_event_shows_a_secret(kind, hostile: str, recorded: bool) -> None:
    """Each in turn, and all of them at once; a second time from what is remembered as well."""
    usual = {"int": 3, "float": 1.5, "str": "x", "Outcome": Outcome.OK, "int | None": 4,
             "float | None": 2.5, "str | None": "y", "Usage | None": Usage(5)}  # fmt: skip
    types = {name: hint.__forward_arg__ for name, hint in kind.__annotations__.items()}
    texts = [name for name, hint in types.items() if hint.startswith("str")]
    base = {name: usual[hint] for name, hint in types.items()}
    encoder = Encoder(recorded=recorded)
    for chosen in [*([name] for name in texts), texts]:
        event = kind(**base | dict.fromkeys(chosen, hostile))
        asked = Submitted(event.at_s, event.ticket, hostile, hostile, hostile, 1, None, None,
                          hostile, hostile, hostile, hostile)  # fmt: skip
        for _ in range(2):
            for line in encoder.lines([asked, event], 0.0):
                assert not re.search("abcdefghijklm|hunter2", line)
                assert len(line) < 4_000
