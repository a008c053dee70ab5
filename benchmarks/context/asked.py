"""``python -m benchmarks.context.asked [--locomo FILE] [--beam FOLDER] [--tau FILE] ...``.

Plays talks of other kinds and, by path, sets that nobody here wrote; asks at the end, on copies
that leave no trace. Kept: the whole evidence stands in the prompt word for word. Automatic recall,
default settings but for the budget.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from agentrm_plugins.config.context import ContextConfig
from benchmarks.context.asking import Result, played, squeezed
from benchmarks.context.kinds import airline, code, framed, hops, language, reworded
from benchmarks.context.memory_sets import beam, bfcl_memory, realtalk
from benchmarks.context.outside import Talk, dialogue, locomo, swe_agent, tau_bench

OUTSIDE = {"locomo": locomo, "realtalk": realtalk, "beam": beam, "bfcl": bfcl_memory,
           "dialogue": dialogue, "tau": tau_bench, "swe": swe_agent}  # fmt: skip
Set = tuple[str, int, list[tuple[Talk, list[dict]]]]


def sets(given: argparse.Namespace) -> Iterator[Set]:
    """Give name, budget and talks of each set, those from outside first."""
    for name, read in OUTSIDE.items():
        for path in getattr(given, name):
            talks = [replace(t, questions=t.questions[:: given.every]) for t in read(path)]
            yield f"{name}: {Path(path).stem}", given.budget, [(talk, []) for talk in talks]
    seeds = (11, 12)
    yield "code", 8_000, [(code(seed), []) for seed in seeds]
    yield "airline", 4_000, [(airline(seed, 24), []) for seed in seeds]
    for name in ("zh", "ja", "ar"):
        yield f"prose {name}", 4_000, [(language(name, seed), []) for seed in seeds]
    yield "other words", 4_000, [(reworded(seed), []) for seed in seeds]
    yield "two hops", 1_500, [(hops(seed), []) for seed in seeds]
    for share in (0.02, 0.2, 0.5):
        made = [framed(code(seed, 30), share, 8_000) for seed in seeds]
        yield f"code, system prompt and tools {share:.0%}", 8_000, made


def row(talks: list[tuple[Talk, list[dict]]], config: ContextConfig) -> dict[str, object]:
    """Play a set; give shares in percent as median (least), sums, and milliseconds of a turn."""
    results = [played(talk, config, tools) for talk, tools in talks]
    share = lambda a, b: round(100 * a / b, 1) if b else None  # noqa: E731
    kept = [share(r.kept, r.asked) for r in results if r.asked]
    work = sorted(x for r in results for x in r.work_ms)
    total = lambda name: sum(getattr(r, name) for r in results)  # noqa: E731
    return {
        "talks": len(talks), "asked": total("asked"), "kept": share(total("kept"), total("asked")),
        "kept_least": min(kept, default=None), "answered": answered(talks, results),
        "prefix": share(total("prefix"), total("sent")),
        "prefix_least": min((share(r.prefix, r.sent) for r in results if r.sent), default=None),
        "old_offered": total("old_offered"), "over_budget": total("over_budget"),
        "invalid": total("invalid"), "task_lost": total("task_lost"),
        "turn_ms": round(statistics.median(work), 2) if work else None,
        "turn_ms_p95": round(work[int(len(work) * 0.95)], 2) if work else None,
    }  # fmt: skip


def answered(talks: list[tuple[Talk, list[dict]]], results: list[Result]) -> float | None:
    """Give the share of prompts with the answer's string, of the answers that the talk holds."""
    held = 0
    for talk, _ in talks:
        text = squeezed(" ".join(str(m.get("content") or "") for m in talk.messages)).casefold()
        held += sum(bool(q.answer) and squeezed(q.answer).casefold() in text
                    for q in talk.questions)  # fmt: skip
    found = sum(result.answered for result in results)
    return round(100 * min(found, held) / held, 1) if held else None


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.context.asked")
    for name in OUTSIDE:
        parser.add_argument(f"--{name}", action="append", default=[], metavar="FILE")
    parser.add_argument("--budget", type=int, default=4_000, help="of sets given by path")
    parser.add_argument("--every", type=int, default=1, help="ask each n-th question of those")
    parser.add_argument("--out", default="benchmarks/results")
    given = parser.parse_args()
    results = {}
    for name, budget, talks in sets(given):
        config = ContextConfig(budget_tokens=budget)
        for label, settings in (("", config), (", no recall", replace(config, recall_share=0.0))):
            one = results[f"{name} {budget}{label}"] = row(talks, settings)
            print(f"{name} {budget}{label}", one, flush=True)
    write(results, Path(given.out))


def write(results: dict[str, dict], out: Path) -> None:
    machine = {"when": time.strftime("%Y-%m-%d", time.gmtime()),
               "python": platform.python_version(), "system": platform.platform(),
               "cpus": os.cpu_count(), "load_average": os.getloadavg()}  # fmt: skip
    data = {"machine": machine, "results": results}
    out.mkdir(parents=True, exist_ok=True)
    (out / "context-asked.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    keys = list(next(iter(results.values())))
    lines = [
        "# benchmarks.context.asked",
        "",
        f"Machine: `{json.dumps(machine)}`",
        "",
        "Percent, of all talks of a set together; `_least` is the worst talk.",
        "",
        "| set, budget | " + " | ".join(keys) + " |",
        "|---" * (len(keys) + 1) + "|",
    ]
    for name, one in results.items():
        lines.append(f"| {name} | " + " | ".join(str(one[key]) for key in keys) + " |")
    (out / "context-asked.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
