from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvicorn

from agentrm_plugins import AgentRM
from agentrm_plugins.sim.crowd import Crowd
from agentrm_plugins.telemetry import asgi_app, report_html
from agentrm_plugins.telemetry.reading import Sample
from tests.telemetry.browser import Looker, looking, needs_browser
from tests.telemetry.test_fleet_rows import seen

pytestmark = needs_browser()
CHARTS = ("lanes", "depth", "rates", "waits", "tiers")
SESSION = {
    "event": "Compacted", "at_s": 5.0, "ticket": 0, "agent": "ada", "cause": "turn",
    "session": "thread-1", "before_tokens": 9000, "after_tokens": 3000, "budget_tokens": 8000,
}  # fmt: skip


def events(agents: int) -> list:
    """A crowd's, as records, with what any core may add to them."""
    made = []
    for effect in Crowd(agents=agents, lanes=max(4, agents // 12), seconds=90, rpm=60).run():
        record = {"event": type(effect).__name__, **effect._asdict()}
        record["endpoint"] = record.get("endpoint") or "api.test/m"
        made.append(record)
    return [*made, SESSION]


def written(path: Path, recorded: list, title: str = "Report") -> str:
    path.write_text(report_html(recorded, title=title), encoding="utf-8")
    return path.as_uri()


def marks(looker: Looker, chart: str) -> int:
    """How many shapes a chart has drawn."""
    return looker.page.locator(f"#{chart} .trace path").count()


@pytest.mark.parametrize(("agents", "width"), [(5, 1280), (5, 400), (500, 1280)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_each_chart_of_the_report_draws(tmp_path, agents: int, width: int, scheme: str) -> None:
    """With few and many agents, on a desk and on a phone, light and dark: every chart has marks,
    nothing sticks out at the side, and the browser has nothing to complain of.
    """
    address = written(tmp_path / "report.html", events(agents))
    with looking(tmp_path, width=width, scheme=scheme) as looker:
        looker.open(address)
        for chart in CHARTS:
            looker.page.wait_for_selector(f"#{chart}[data-drawn]")
            assert marks(looker, chart) > 0, chart
        assert looker.page.evaluate("document.documentElement.scrollWidth") <= width
        assert looker.page.locator("#slowest tbody tr").count() > 5
        assert looker.page.evaluate("document.documentElement.dataset.theme") == scheme
        looker.check()


def test_the_worst_pressure_is_told_with_its_name(tmp_path) -> None:
    """Lanes are free, and a call has waited for its endpoint's rate all the time."""
    held = {"ticket": 1, "agent": "ada", "endpoint": "api.test/m"}
    recorded = [
        {"event": "Submitted", "at_s": 0.0, **held, "cause": ""},
        {"event": "Queued", "at_s": 0.0, **held, "cause": "order", "level": 0, "waiting": 1},
        {"event": "Throttled", "at_s": 0.0, **held, "cause": "requests", "for_s": None},
        {"event": "Boosted", "at_s": 90.0, "ticket": 0, "agent": "", "cause": "time"},
    ]
    with looking(tmp_path) as looker:
        looker.open(written(tmp_path / "report.html", recorded))
        told = looker.page.locator(".tile", has_text="pressure").inner_text()
        assert told.split() == ["100", "%", "rate", "pressure,", "10", "s"]
        waiting = looker.page.locator("#slowest tbody tr").inner_text()
        assert waiting.count("90 s") == 2  # it took so long until now, all of it waiting
        looker.check()


def test_hovering_shows_the_call_and_clicking_its_agent(tmp_path) -> None:
    """Over a bar the call's number, agent, wait and end are shown; a click filters by its agent."""
    with looking(tmp_path) as looker:
        looker.open(written(tmp_path / "report.html", events(5)))
        page = looker.page
        before = marks(looker, "lanes")
        bars = page.locator("#lanes .bars .point path")
        widest = max(range(bars.count()), key=lambda at: bars.nth(at).bounding_box()["width"])
        box = bars.nth(widest).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#lanes .hovertext")
        shown = page.locator("#lanes .hovertext").first.text_content()
        assert "call " in shown
        assert "attempt" in shown
        assert "waited" in shown
        page.mouse.down()
        page.mouse.up()
        page.wait_for_function("() => document.getElementById('filter').value !== ''")
        assert 0 < marks(looker, "lanes") < before
        looker.check()


def test_zoom_filter_sort_and_story(tmp_path) -> None:
    """Zooming one chart of time zooms the others; filter, table heads and stories work."""
    with looking(tmp_path) as looker:
        looker.open(written(tmp_path / "report.html", events(20)))
        page = looker.page
        area = page.locator("#lanes .nsewdrag").first.bounding_box()
        page.mouse.move(area["x"] + area["width"] * 0.3, area["y"] + 20)
        page.mouse.down()
        page.mouse.move(area["x"] + area["width"] * 0.6, area["y"] + 20, steps=5)
        page.mouse.up()
        page.wait_for_function("() => document.getElementById('depth').layout.xaxis.range[0] > 5")
        page.click("#unzoom")
        page.wait_for_function("() => document.getElementById('depth').layout.xaxis.range[0] === 0")
        page.click("#agents th:has-text('served')")
        assert page.locator("#agents th[aria-sort]").get_attribute("aria-sort") == "descending"
        page.locator("#slowest summary").first.click()
        assert "asked for a lane" in page.locator("#slowest ol").first.text_content()
        page.fill("#filter", "batch-001")
        page.wait_for_function("() => document.querySelectorAll('#agents tbody tr').length === 1")
        looker.check()


def test_hostile_names_do_nothing_in_the_page(tmp_path) -> None:
    """Names that are markup are shown as they are: no element of theirs, no script, no request."""
    names = [
        "</script><script>document.title='owned'</script>",
        "<img src=http://127.0.0.1:9/x onerror=\"document.title='owned'\">",
        "<a href='javascript:document.title=1'>x</a><b>bold</b>",
        "\u2028\x00 {{data}} ${x} <!--",
    ]
    made = []
    for number, name in enumerate(names):
        more = {"ticket": number + 1, "agent": name, "cause": name, "endpoint": name,
                "priority": name, "tenant": name, "group": name, "session": name}  # fmt: skip
        made += [
            {"event": "Submitted", "at_s": 0.0, **more},
            {"event": "Granted", "at_s": 1.0, "waited_s": 1.0, **more},
            {"event": "LimitChanged", "at_s": 1.0, "resource": name, "per_s": 1.0, **more},
            {"event": "Compacted", "at_s": 2.0, "before_tokens": 90, "after_tokens": 20, **more},
            {"event": "Settled", "at_s": 5.0, "held_s": 4.0, **more},
        ]
    with looking(tmp_path) as looker:
        looker.open(written(tmp_path / "report.html", made, title=names[0]))
        page = looker.page
        bar = page.locator("#lanes .bars .point path").first.bounding_box()
        page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
        page.wait_for_selector("#lanes .hovertext")
        for summary in page.locator("#slowest summary").all():
            summary.click()
        assert page.title() == names[0]
        assert (
            page.locator("main img, main b:not(.tile b), main a[href^='javascript']").count() == 0
        )
        assert all(url.startswith(("file:", "data:", "blob:")) for url in looker.asked)
        looker.check()


@pytest.mark.parametrize("width", [1280, 640, 400])
def test_a_fleet_is_drawn_with_its_members_leases_and_outage(tmp_path, width: int) -> None:
    """A line and a table of processes and limits beside the charts, however narrow; in an outage
    the line says so in red, and what is not known of others is left open.
    """
    away = seen(40, state="alone", outage_s=31.0, lanes_allowed=1, rate_share=0.025, error="gone")
    with looking(tmp_path, width=width) as looker:
        page = looker.page
        for fleet, alarm in ((seen(40), False), (away, True)):
            state = Sample(90.0, 1.79e9, {"fleet": fleet})
            looker.open(written(tmp_path / f"{alarm}.html", _Told([*events(5), state])))
            line = page.locator("#joined")
            assert ("OUT OF REACH" in line.text_content()) is alarm
            assert ("bad" in (line.get_attribute("class") or "")) is alarm
            assert page.locator("#fleet tbody tr").count() == 21  # twenty, and how many more
            page.locator("#fleet button", has_text="more").click()
            assert page.locator("#fleet tbody tr").count() == 45
            row = page.locator("#fleet tbody tr", has_text="this one").text_content()
            assert ("9 s" in row) is not alarm
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        looker.check()


class _Told(list):
    """Events with samples between them, as a recording has them."""

    def everything(self):
        return iter(self)


def test_a_recording_without_events_says_so(tmp_path) -> None:
    """No empty charts: one clear sentence."""
    with looking(tmp_path) as looker:
        looker.open(written(tmp_path / "report.html", []))
        assert "holds no event" in looker.page.locator("#why").text_content()
        assert not looker.page.locator("#lanes").is_visible()
        looker.check()


@contextmanager
def served(app):
    """The page on a free port of this machine, and what the server wrote to its log."""
    with socket.socket() as own:
        own.bind(("127.0.0.1", 0))
        port = own.getsockname()[1]
    config = uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 30
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def test_the_live_page_shows_what_happens_while_it_is_open(tmp_path) -> None:
    """Empty at first, then a call comes in, then it is over; paused, the page stands still."""
    with AgentRM(lanes=2) as rm:
        app = asgi_app(rm)
        with served(app) as address, looking(tmp_path) as looker:
            page = looker.page
            looker.open(address + app.path())
            assert "token" not in page.url
            assert "Nothing has happened yet" in page.locator("#why").text_content()
            with rm.slot(agent="ada", priority="interactive", endpoint="api.test/m"):
                page.wait_for_selector("#agents tbody td:has-text('ada')", timeout=60_000)
                page.wait_for_selector("#lanes .bars .point path", state="attached")
                assert page.locator("#state").text_content() == "live"
            page.wait_for_function(
                "() => document.querySelectorAll('.tile b')[3].textContent === '1'", timeout=60_000
            )
            page.click("#pause")
            shown = page.evaluate("document.body.dataset.shown")
            with rm.slot(agent="bob"):
                page.wait_for_timeout(2_500)
            assert page.evaluate("document.body.dataset.shown") == shown
            page.click("#pause")
            page.wait_for_selector("#agents tbody td:has-text('bob')", timeout=60_000)
            looker.check()
        app.close()
