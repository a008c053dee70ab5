"""``python -m benchmarks.context [--quick] [--session FILE.json] [--out FOLDER]``."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import statistics
import tempfile
from pathlib import Path

from benchmarks.context.generate import Session, session
from benchmarks.context.grade import Tally
from benchmarks.context.ours import Ours
from benchmarks.context.peers import PEERS
from benchmarks.context.run import play

BUDGETS = (4_000, 8_000, 16_000)
SHARE = 0.2
PACKAGES = ("langchain", "langchain-core", "langmem", "deepagents", "tiktoken")


def sessions(quick: bool) -> list[Session]:
    """The sessions: development wording and held-out wording, seeds never used while tuning."""
    if quick:
        return [session(101, 100), session(102, 100, held_out=True)]
    made = [
        session(seed, size, held_out=held)
        for seed, size, held in (
            (101, 100, False), (102, 240, True), (103, 400, False), (104, 720, True),
            (105, 720, False),
        )
    ]  # fmt: skip
    return [*made, session(106, 240, held_out=True, long_loops=True),
            session(107, 480, long_loops=True)]  # fmt: skip


def recorded(path: str) -> Session:
    """Read a recorded chat: a JSON list of OpenAI-format messages, or {"messages": [...]}."""
    data = json.loads(Path(path).read_text(encoding="utf-8"))
    messages = data["messages"] if isinstance(data, dict) else data
    if messages and messages[-1]["role"] != "assistant":
        messages = [*messages, {"role": "assistant", "content": "(end)"}]
    return Session(Path(path).stem, messages, [], {})


def ours(recall: bool):
    def make(budget: int) -> Ours:
        folder = tempfile.mkdtemp(prefix="agentrm-bench-")
        return Ours(budget, f"{folder}/archive.db", recall=recall)

    return make


def row(tallies: list[Tally]) -> dict[str, object]:
    """Sum up one strategy at one budget over all sessions."""
    total = lambda name: sum(getattr(t, name) for t in tallies)  # noqa: E731
    work = sorted(x for t in tallies for x in t.work_ms)
    cpu = sorted(x for t in tallies for x in t.cpu_ms)
    share = lambda a, b: round(a / b, 4) if b else None  # noqa: E731
    per_run = [statistics.median(t.work_ms) for t in tallies if t.work_ms]
    kinds: dict[str, int] = {}
    for tally in tallies:
        for kind, count in tally.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
    return {
        "calls": total("calls"), "over_budget": total("over_budget"), "invalid": total("invalid"),
        "errors": total("errors"), "task_lost": total("task_lost"),
        "recall_over_share": total("recall_over"),
        "facts_held": share(total("facts_held"), total("facts_seen")),
        "answers_in_view": share(total("found"), total("asked")),
        "old_offered": total("old_offered"), "compaction_tokens": total("compaction_tokens"),
        "prefix_of_last": share(total("prefix_tokens"), total("last_tokens")),
        "prefix_of_sent": share(total("prefix_tokens"), total("tokens_sent")),
        "work_ms_median": round(statistics.median(per_run), 3) if per_run else None,
        "work_ms_p95": round(work[int(len(work) * 0.95)], 3) if work else None,
        "cpu_ms_median": round(statistics.median(cpu), 3) if cpu else None,
        "cpu_ms_p95": round(cpu[int(len(cpu) * 0.95)], 3) if cpu else None,
        "kinds": kinds,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.context")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--session", action="append", default=[])
    parser.add_argument("--out", default="benchmarks/results")
    parser.add_argument("--only-ours", action="store_true")
    given = parser.parse_args()
    chosen = [recorded(path) for path in given.session] or sessions(given.quick)
    strategies = {"AgentRM": ours(True), "AgentRM without recall": ours(False)}
    if not given.only_ours:
        strategies |= PEERS
    results = {}
    for budget in BUDGETS:
        for name, make in strategies.items():
            tallies = []
            for one in chosen:
                strategy = make(budget)
                tallies.append(play(one, strategy, budget, recall_share=SHARE))
                getattr(strategy, "close", lambda: None)()
            results[f"{budget}/{name}"] = row(tallies)
            print(budget, name, results[f"{budget}/{name}"], flush=True)
    write(results, chosen, Path(given.out), "quick" if given.quick else "full")


def write(results: dict, chosen: list[Session], out: Path, label: str) -> None:
    machine = {
        "python": platform.python_version(), "system": platform.platform(),
        "cpus": os.cpu_count(), "load_average": os.getloadavg(),
        "packages": {p: importlib.metadata.version(p) for p in PACKAGES},
        "sessions": [{"name": s.name, "messages": len(s.messages), "facts": len(s.facts)}
                     for s in chosen],
    }  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    data = {"machine": machine, "results": results}
    (out / f"context-{label}.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    keys = [k for k in next(iter(results.values())) if k not in {"kinds", "calls"}]
    lines = ["# benchmarks.context", "", f"Machine and sessions: `{json.dumps(machine)}`", "",
             "| budget | strategy | " + " | ".join(keys) + " |",
             "|---" * (len(keys) + 2) + "|"]  # fmt: skip
    for name, one in results.items():
        budget, _, strategy = name.partition("/")
        cells = " | ".join(str(one[k]) for k in keys)
        lines.append(f"| {budget} | {strategy} | {cells} |")
    (out / f"context-{label}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
