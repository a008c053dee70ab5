"""`make pictures`: what README shows of `agentrm top` and of the report, drawn by themselves.

A crowd in virtual time is recorded, so that the pictures change only when the code does.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path

from agentrm_plugins.sim.crowd import Crowd
from agentrm_plugins.telemetry import write_report
from agentrm_plugins.telemetry.sources import ReplaySource
from agentrm_plugins.telemetry.top.app import TopApp

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
LANES, SECONDS, LOOKED_AT_S = 8, 240.0, 132.0
FONT = re.compile(r"@font-face\s*\{.*?\}", re.DOTALL)


def crowd() -> list:
    """What fourteen agents do at two endpoints that are too small for them."""
    made = Crowd(
        agents=14, lanes=LANES, seconds=SECONDS, rpm=36, told_rpm=60, hang_rate=0.04, seed=5
    )
    return list(made.run())


async def draw_top(events: list, size: tuple[int, int]) -> str:
    """`agentrm top --replay`, after two and a half minutes, as its own screenshot."""
    now = [0.0]
    source = ReplaySource(events, clock=lambda: now[0], title="events.jsonl")
    app = TopApp(source, capacity=LANES, looking=False)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        for second in range(round(LOOKED_AT_S)):
            now[0] = float(second)
            app.timeline.fold(*source.poll())
        app.look()
        await pilot.pause()
        svg = app.export_screenshot(title="agentrm top")
    return FONT.sub("", svg)  # its fonts would be fetched from elsewhere; any monospaced font does


def draw_report(events: list, path: Path, chromium: str) -> None:
    """`agentrm report`, as a browser shows its first screen."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        page_file = write_report(events, Path(folder) / "report.html", title="AgentRM report")
        with sync_playwright() as playwright:
            context = playwright.chromium.launch_persistent_context(
                Path(folder) / "browser",
                executable_path=chromium,
                headless=True,
                args=list(FLAGS),
                viewport={"width": 1280, "height": 960},
            )
            page = context.new_page()
            page.goto(page_file.as_uri())
            page.wait_for_selector("#tiers[data-drawn]")
            page.wait_for_timeout(500)
            page.screenshot(path=path)
            context.close()


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    events = crowd()
    drawn = asyncio.run(draw_top(events, (124, 32)))
    (PICTURES / "top.svg").write_text(drawn, encoding="utf-8")
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("The report's picture needs chromium: apt-get install chromium")
    draw_report(events, PICTURES / "report.png", chromium)
    for path in sorted(PICTURES.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
