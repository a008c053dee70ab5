"""`python -m benchmarks.congestion`: run, print the table, write it down with a plot."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.congestion.measure import combine, measure
from benchmarks.congestion.peers import PEERS
from benchmarks.congestion.plot import series_of, write_html, write_svg
from benchmarks.congestion.pool import LITELLM_PYTHON, Job, prepare_litellm, run_all
from benchmarks.congestion.scenarios import QUICK, SCENARIOS, SUITE, Variant
from benchmarks.congestion.table import report, variant_table
from benchmarks.congestion.workload import make_agents

RESULTS = Path(__file__).resolve().parents[1] / "results"
_CAP_S = 30.0  # some four times what the oracle needs
_QUIET_S = 9.0  # longer than the longest wait of the libraries' own retries, 8 s
_VERSIONS = (
    "agentrm-plugins",
    "openai",
    "langchain-openai",
    "langchain-core",
    "langchain",
    "langgraph",
    "tenacity",
    "aiolimiter",
)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.congestion", description=__doc__.partition(":")[2].strip()
    )
    parser.add_argument("--quick", action="store_true", help="two variants, few agents, one run")
    parser.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="a scenario of the suite, or SCENARIO/KNOWS/MODE/TIMEOUT; may be repeated",
    )
    parser.add_argument("--peer", action="append", metavar="NAME", choices=list(PEERS))
    parser.add_argument("--runs", type=int, help="runs of each peer (3; with --quick 1)")
    parser.add_argument("--seeds", help="the seeds, as 1,2,3; their number is that of the runs")
    parser.add_argument("--jobs", type=int, default=3, help="runs at a time (3)")
    parser.add_argument("--json", action="store_true", help="print the document, not the tables")
    parser.add_argument("--out", type=Path, help=f"where to write ({RESULTS}; --quick: nowhere)")
    parser.add_argument("--list", action="store_true", help="list scenarios, suite and peers")
    return parser.parse_args(argv)


def _variants(options: argparse.Namespace) -> list[Variant]:
    suite = QUICK if options.quick else SUITE
    if not options.scenario:
        return list(suite)
    chosen: list[Variant] = []
    for name in options.scenario:
        listed = [variant for variant in SUITE if variant.scenario == name]
        if options.quick:
            listed = listed[:1]
        chosen += listed or [Variant.parse(name)]
    return chosen


def _seeds(options: argparse.Namespace) -> list[int]:
    if options.seeds:
        return [int(seed) for seed in options.seeds.split(",")]
    return list(range(1, 1 + (options.runs or (1 if options.quick else 3))))


def _versions() -> dict[str, str]:
    found = {}
    for name in _VERSIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for info in LITELLM_PYTHON.parents[1].glob("lib/python*/site-packages/litellm-*.dist-info"):
        found["litellm"] = info.name.removeprefix("litellm-").removesuffix(".dist-info")
    return found


def _machine() -> str:
    cpus = os.cpu_count()
    return f"{platform.system()} {platform.machine()}, {cpus} CPUs"


class Progress:
    """A line on standard error: how far, how long still."""

    def __init__(self, total: int) -> None:
        self._total, self._done, self._start_s = total, 0, time.monotonic()

    def step(self, job: Job) -> None:
        self._done += 1
        passed_s = time.monotonic() - self._start_s
        left_s = passed_s / self._done * (self._total - self._done)
        text = f"{self._done}/{self._total}  {left_s:4.0f} s left  {job.variant.name}  {job.peer}"
        if sys.stderr.isatty():
            print(f"\r{text:<100.100}", end="", file=sys.stderr, flush=True)
        elif self._done % 10 == 0 or self._done == self._total:
            print(text, file=sys.stderr, flush=True)


def _plan(options: argparse.Namespace, seeds: list[int], peers: list[str]) -> list[Job]:
    crowd, turn_share = (0.5, 0.5) if options.quick else (1.0, 1.0)
    return [
        Job(variant, peer, seed, crowd, turn_share, _CAP_S, _QUIET_S)
        for variant in _variants(options)
        for seed in seeds
        for peer in peers
    ]


def main(argv: list[str] | None = None) -> int:
    options = _arguments(argv)
    if options.list:
        print("scenarios:", *(f"  {name}: {s.title}" for name, s in SCENARIOS.items()), sep="\n")
        print("suite:", *(f"  {variant.name}" for variant in SUITE), sep="\n")
        print("peers:", *(f"  {name}" for name in PEERS), sep="\n")
        return 0
    seeds = _seeds(options)
    peers = options.peer or list(PEERS)
    if "oracle" not in peers:
        peers = ["oracle", *peers]
    missing = prepare_litellm() if any(PEERS[name].litellm for name in peers) else None
    jobs = _plan(options, seeds, peers)
    numbers: dict[str, dict[str, dict[int, dict[str, Any]]]] = {
        job.variant.name: {peer: {} for peer in peers} for job in jobs
    }
    plots: dict[str, tuple[str, Any]] = {}
    progress = Progress(len(jobs))

    def done(job: Job, result: dict[str, Any]) -> None:
        numbers[job.variant.name][job.peer][job.seed] = measure(job, result)
        if job.peer == "ours" and job.seed == seeds[0] and "skipped" not in result:
            plots[job.variant.name] = series_of(job.variant, result, job.crowd)
        progress.step(job)

    if missing:
        skipped = [job for job in jobs if PEERS[job.peer].litellm]
        jobs = [job for job in jobs if not PEERS[job.peer].litellm]
        for job in skipped:
            numbers[job.variant.name][job.peer][job.seed] = {"skipped": missing}
    started_s = time.monotonic()
    run_all(jobs, max(1, min(options.jobs, len(jobs))), done)
    document = {
        "about": {
            "when": time.strftime("%Y-%m-%d", time.gmtime()),
            "took_s": round(time.monotonic() - started_s),
            "machine": _machine(),
            "python": platform.python_version(),
            "versions": _versions(),
            "seeds": seeds,
            "runs": len(seeds),
            "jobs": options.jobs,
            "agents": len(make_agents(1, ("m",), crowd=0.5 if options.quick else 1.0)),
        },
        "variants": {name: combine(runs) for name, runs in numbers.items()},
        "runs": {
            name: {peer: {str(seed): m for seed, m in by.items()} for peer, by in runs.items()}
            for name, runs in numbers.items()
        },
    }
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if options.json:
        print(json.dumps(document, indent=1))
    else:
        for name, rows in document["variants"].items():
            print(variant_table(name, rows))
    out = options.out or (None if options.quick or options.scenario else RESULTS)
    if out is not None:
        _write(out, document, plots)
    return 0


def _write(out: Path, document: dict[str, Any], plots: dict[str, tuple[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "congestion.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (out / "congestion.md").write_text(report(document), encoding="utf-8")
    shown = next((n for n in plots if n.startswith("falling")), next(iter(plots), None))
    if shown is not None:
        unit, series = plots[shown]
        write_svg(out / "congestion.svg", f"ours, {shown}", unit, series)
        write_html(out / "congestion.html", f"ours, {shown}", unit, series)
    print(f"written to {out}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
