"""The demo, several times, each with a seed of its own: `demo.json` and the README's picture."""

from __future__ import annotations

import asyncio
import io
import json
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from agentrm_plugins.demo import DemoSettings, run_demo
from benchmarks.published import report

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "demo.svg"
_FIRST_SEED = DemoSettings().seed  # so that the first run is the one that a reader sees


def run(seeds: int = 5, settings: DemoSettings | None = None) -> None:
    """Run it with so many seeds, one after the other; the picture is of the first run.

    Some 35 s each: leave the machine alone meanwhile.
    """
    runs = []
    for number in range(seeds):
        report.progress(f"demo, run {number + 1} of {seeds}")
        runs.append(asyncio.run(_one(_FIRST_SEED + number, None if number else PICTURE, settings)))
    found = {"when": report.today(), "machine": report.machine(), "runs": runs}
    text = json.dumps(found, indent=1) + "\n"
    (report.RESULTS / "demo.json").write_text(text, encoding="utf-8")


async def _one(seed: int, picture: Path | None, settings: DemoSettings | None) -> dict[str, Any]:
    chosen = settings or DemoSettings(seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "demo.json"
        await run_demo(
            chosen,
            plain=True,
            json_path=figures,
            picture_path=picture,
            report_path=Path(folder) / "report.html",
            console=Console(file=io.StringIO(), width=100),
        )
        found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return found
