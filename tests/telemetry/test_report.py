from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from agentrm_plugins.sim.crowd import Crowd
from agentrm_plugins.telemetry import report_html, write_report

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{title}} {{data}}",
    "<!--<script>",
    "a\u2028b\x00c\ud800",
    "\"'&amp;</style>",
]


def story(agent: str, ticket: int = 1) -> list[dict]:
    more = {"ticket": ticket, "agent": agent, "cause": agent, "endpoint": agent, "priority": agent}
    return [
        {"event": "Submitted", "at_s": 1.0, **more},
        {"event": "Granted", "at_s": 2.0, "group": agent, "waited_s": 1.0, **more},
        {"event": "Settled", "at_s": 3.0, "held_s": 1.0, **more},
    ]


def data_of(page: str) -> dict:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    return json.loads(found[1])


def test_the_report_is_one_file_without_addresses() -> None:
    """Nothing is fetched: no source, no link, no import; its policy forbids it as well."""
    page = report_html(Crowd(agents=3, seconds=30).run(), title="Three agents")
    assert "<title>Three agents</title>" in page
    own = page.replace(page[page.index("<script>") : page.rindex("</script>")], "")
    assert not re.search(r'(src|href)="(?!data:)', own)
    assert "default-src 'none'" in page
    assert "connect-src" not in page
    assert len(page) < 7_000_000


@pytest.mark.parametrize("agent", HOSTILE)
def test_hostile_names_stay_names(agent: str) -> None:
    """Whatever an agent, an endpoint or a title is called, the page's markup is the same."""
    page = report_html(story(agent), title=agent)
    plain = report_html(story("ada"), title="ada")
    for tag in ("<script", "</script>", "<img", "<!--", "<style", "</style>"):
        assert page.count(tag) == plain.count(tag), tag
    assert data_of(page)["slowest"][0]["class"] == agent


def test_a_recording_without_events_is_a_page_all_the_same() -> None:
    """It says so, rather than failing."""
    page = report_html([])
    assert data_of(page)["counts"] == {}
    assert "holds no event" in page


def test_the_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """A recording that breaks off with an error leaves the file that was there."""
    path = write_report(story("ada"), tmp_path / "out.html")
    before = path.read_text(encoding="utf-8")

    def broken():
        yield from story("bob")
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        write_report(broken(), path)
    assert path.read_text(encoding="utf-8") == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.html"]


def test_scripts_are_allowed_by_their_hash_only() -> None:
    """The policy names the two scripts that are in the file, and no other way to run one."""
    page = report_html([])
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1]
    assert policy.count("'sha256-") == 2
    script = re.search(r"script-src ([^;]*)", policy)[1]
    assert "unsafe" not in script
