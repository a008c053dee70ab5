"""`python -m benchmarks.congestion.windows`: twenty agents of five turns behind limits in windows.

In virtual time, on the real kernel, each kind of server: with limit and remaining alone, with
resets, with ``retry-after``, with the words of its refusals alone, with nothing at all; told and
untold; beside the bare SDK and an oracle. It takes a minute and writes `results/windows.json` and
`.md`. ``--real`` runs the whole plugin in real time instead, before LiteLLM's own proxy as well;
that takes a quarter of an hour, and is kept in the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.congestion import windows_real as real
from benchmarks.congestion.window_world import AGENTS, PEERS, ROWS, Result, play

__all__ = ["main", "table", "virtual"]

RESULTS = Path(__file__).parents[1] / "results"
PHASES_S = (3.0, 25.0, 45.0)
CLIENTS = (
    *(("oracle", False), ("ours", False), ("ours", True)),
    *((peer, False) for peer in PEERS[1:]),
)
_HEAD = (
    "| server | client | agents finished, at least | wall s | x allowed, mean (worst) "
    "| refusals in the first window, at most | in any later one |"
)
_REAL_HEAD = (
    "| server | client | agents | wall s | allowed s | refusals per window | lost by | when, load |"
)
_RULE = "|---|---|---|---|---|---|---|---|"
_TARGETS = "Targets for ours: all finish, at most 1.1 x, 5 refusals in the first window, 1 later."


def virtual(seeds: int = 3, turns: int = 5, rows: Iterable[str] = ROWS) -> list[dict[str, Any]]:
    """The figures of each server with each client, over all seeds and phases of the minute."""
    found = []
    for name in rows:
        cases = [(seed, phase_s) for seed in range(1, seeds + 1) for phase_s in PHASES_S]
        allowed: list[Result] = []
        for peer, told in CLIENTS:
            runs = [
                play(ROWS[name], peer, told=told, seed=seed, phase_s=phase_s, turns=turns)
                for seed, phase_s in cases
            ]
            allowed = allowed or runs
            ratios = [one.wall_s / best.wall_s for one, best in zip(runs, allowed, strict=True)]
            found.append(
                {
                    "server": name,
                    "client": f"{peer}, told" if told else peer,
                    "finished": min(one.finished for one in runs),
                    "wall_s": mean(one.wall_s for one in runs),
                    "ratio": mean(ratios),
                    "worst": max(ratios),
                    "first": max(one.first for one in runs),
                    "later": max(one.later for one in runs),
                }
            )
    return found


def table(found: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of the table, in Markdown."""
    yield _HEAD
    yield _RULE
    for one in found:
        through = one["finished"] == AGENTS
        ratio = f"{one['ratio']:.2f} ({one['worst']:.2f})" if through else ""
        cells = (
            *(one["server"], one["client"], f"{one['finished']}/{AGENTS}"),
            *(f"{one['wall_s']:.1f}{'' if through else '†'}", ratio, one["first"], one["later"]),
        )
        yield f"| {' | '.join(map(str, cells))} |"


def report(document: dict[str, Any]) -> str:
    """All that is known, in Markdown."""
    about = document["about"]
    lines = [
        "# Limits in windows",
        "",
        "Twenty agents of five turns, a limit of 60 requests a minute (or 15,600 tokens).",
        f"{about['when']}; {about['machine']}; Python {about['python']};",
        f"agentrm-plugins {about['version']}.",
        "",
        "† not all agents finished: the time is that until the last one was lost or through.",
        "",
        "## In virtual time",
        "",
        f"The real kernel, the simulated provider's limits; {about['seeds']} seeds at three",
        f"moments of the minute. Allowed is what an oracle needs. {_TARGETS}",
        "",
        *table(document["virtual"]),
    ]
    if document.get("real"):
        lines += [
            "",
            "## In real time",
            "",
            "The whole plugin over HTTP on loopback; *gateway* is LiteLLM's own proxy.",
            "Load is the machine's, of one minute at the run's end, other work counted in.",
            "",
            *(_REAL_HEAD, _RULE),
            *(f"{real.Run(**one['run']).line()} {_seen(one)} |" for one in document["real"]),
        ]
    return "\n".join(lines) + "\n"


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _which(one: dict[str, Any]) -> tuple[str, str]:
    return one["run"]["row"], one["run"]["peer"]


def _seen(one: dict[str, Any]) -> str:
    """When a real run was, and beside how much other work; what nobody noted is not told."""
    load = "not noted" if one["load"] is None else f"{one['load']:.1f}"
    return f"{one['when']}, {load}"


def _about(seeds: int) -> dict[str, Any]:
    return {
        "when": _today(),
        "machine": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "version": version("agentrm-plugins"),
        "seeds": seeds,
    }


def main(argv: list[str] | None = None) -> None:
    """Run what was asked for, print the table, and write it down."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.congestion.windows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--real", action="store_true", help="in real time, over HTTP")
    parser.add_argument("--row", action="append", choices=list(real.ROWS), help="with --real")
    parser.add_argument("--peer", action="append", choices=real.PEERS, help="with --real")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the folder to write to")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "windows.json"
    document = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if options.real:
        print(f"{_REAL_HEAD}\n{_RULE}")
        found = []
        for one in real.runs(options.row or list(real.ROWS), options.peer or real.PEERS):
            run = {"run": one._asdict(), "when": _today(), "load": os.getloadavg()[0]}
            print(f"{one.line()} {_seen(run)} |", flush=True)
            found.append(run)
        done = {_which(one) for one in found}
        kept = [one for one in document.get("real", []) if _which(one) not in done]
        document["real"] = kept + found
    if not options.real or "virtual" not in document:
        document["about"] = _about(options.seeds)
        document["virtual"] = virtual(options.seeds, options.turns)
        print("\n".join(table(document["virtual"])))
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "windows.md").write_text(report(document), encoding="utf-8")


if __name__ == "__main__":
    main()
