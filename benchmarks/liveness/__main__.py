"""`python -m benchmarks.liveness [--quick] [--only NAME] [--json PATH]`: over real HTTP.

Slow calls among quick ones, and hangs: who answers all of them, after how long, with how many
requests and tokens. It takes an hour, for a timeout of half a minute is waited for as long as that.
In virtual time on the kernel: `python -m benchmarks.liveness.virtual`.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import sys
from pathlib import Path

from benchmarks.liveness.http import over_http
from benchmarks.liveness.oracle import clairvoyant
from benchmarks.liveness.outcome import HEAD, Outcome, row
from benchmarks.liveness.streams import streamed
from benchmarks.liveness.ways import WAYS
from benchmarks.liveness.work import SITUATIONS, Situation, Work

RESULTS = Path(__file__).parent.parent / "results" / "liveness.json"
THINK_S = 0.3
SEED = 7


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.liveness", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few calls: see that it runs")
    parser.add_argument("--only", choices=sorted(SITUATIONS), help="one situation")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where to write (and .md)")
    options = parser.parse_args(arguments)
    names = [options.only] if options.only else list(SITUATIONS)
    found = asyncio.run(_http(names, quick=options.quick))
    text = _table(found)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    options.json.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def _table(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (HEAD, ["---"] * len(HEAD), *rows))


def _is_stream(situation: Situation) -> bool:
    return bool(situation.pause_s or situation.reader_s)


async def _http(names: list[str], *, quick: bool) -> list[list[str]]:
    rows = []
    for name in names:
        situation = SITUATIONS[name]
        work = Work(situation, SEED, 40 if quick else 240)
        usual = [number for number in range(work.calls) if not work.is_slow(number)]
        oracle_s = clairvoyant(work, 8, 16, THINK_S).wall_s
        for way in WAYS:
            if way == "litellm" and importlib.util.find_spec("litellm") is None:
                continue
            print(f"http: {name}, {way}", file=sys.stderr)
            outcome: Outcome
            if _is_stream(situation):
                if way == "litellm":
                    continue
                outcome = await streamed(work, way, lanes=8, agents=16)
            else:
                outcome = await over_http(work, way, 8, 16, THINK_S)
            beside_s = 0.0 if _is_stream(situation) else oracle_s
            rows.append(row(situation.title, way, outcome, beside_s, usual))
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
