"""What `docs/context.md` says of the memory's results: its tables, as blocks, each with its day."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.published.report import RESULTS, table

_BUDGETS = ("4000", "8000", "16000")
_SETS = ("1", "2", "3")
_LOST = ("over_budget", "invalid", "task_lost", "recall_over_share")
_OURS, _WITHOUT = "AgentRM", "AgentRM without recall"
_WRONG = ("over_budget", "task_lost", "old_offered", "compaction_tokens")
_NO_RECALL = ", no recall"


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _said(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def asked() -> str:
    """Talks of other kinds: what is kept of their evidence, the answers, the prefix."""
    found = _load("context-asked")["results"]
    rows = []
    for name, one in found.items():
        if name.endswith(_NO_RECALL):
            continue
        words, _, budget = name.rpartition(" ")
        rows.append(
            [
                f"{words}, {int(budget):,} ({one['talks']}, {one['asked']})",
                _said(found[name + _NO_RECALL]["kept"]),
                f"{_said(one['kept'])} ({_said(one['kept_least'])})",
                _said(one["answered"]),
                f"{_said(one['prefix'])} ({_said(one['prefix_least'])})",
            ]
        )
    head = (
        *("set, tokens (talks, questions)", "kept without recall, %", "kept with recall, %"),
        *("answer's string, %", "unchanged prefix, %"),
    )
    wrong = {
        words: sum(one[field] for one in found.values())
        for words, field in (
            *(("over the budget", "over_budget"), ("invalid", "invalid")),
            *(("without its task", "task_lost"), ("old values offered", "old_offered")),
        )
    }
    told = "; ".join(f"{words}: {count}" for words, count in wrong.items())
    return f"{table(head, rows)}\nOf all prompts of all sets, {told}. {_dated('context-asked')}"


def by_meaning() -> str:
    """Facts asked for in other words than they were told in, by words and with a small model."""
    found = _load("context-minilm")
    words = {"words": "by words alone", "all-MiniLM-L6-v2": "with all-MiniLM-L6-v2"}
    rows = [
        [words[name], str(one["talks"]), str(one["asked"]),
         f"{_said(one['kept'])} ({_said(one['kept_least'])})"]
        for name, one in found.items() if name in words
    ]  # fmt: skip
    head = ("in other words, 4,000 tokens", "talks", "questions", "kept, % (worst talk)")
    return f"{table(head, rows)}\nPlayed on {found['when']}."


def _dated(name: str) -> str:
    machine = _load(name)["machine"]
    load = machine["load_average"][0]
    return f"Played on {machine['when']} at a load of {load:.0f} on {machine['cpus']} processors."


def _row(words: str, told: Callable[[Any, str], str], goal: str = "") -> list[str]:
    results = _load("context")["results"]
    return [words, *(told(results, budget) for budget in _BUDGETS), goal]


def _middle(variant: str, field: str, scale: float, form: str) -> Callable[[Any, str], str]:
    """The median of three sets of seeds, and the run on unseen seeds in brackets."""

    def told(results: Any, budget: str) -> str:
        runs = results[f"{budget}/{variant}"]
        middle = sorted(runs[name][field] for name in _SETS)[1]
        return f"{middle * scale:{form}} ({runs['unseen'][field] * scale:{form}})"

    return told


def _sum(*fields: str) -> Callable[[Any, str], str]:
    def told(results: Any, budget: str) -> str:
        runs = results[f"{budget}/{_OURS}"]
        sets = [sum(runs[name][field] for field in fields) for name in (*_SETS, "unseen")]
        return f"{sum(sets[:3])} ({sets[3]})"

    return told


def generated() -> str:
    """The sessions of the package's own generators, at three budgets."""
    held, answers, prefix = "facts_held", "answers_in_view", "prefix_of_sent"
    rows = [
        _row("over budget, invalid, task lost, recall over its share", _sum(*_LOST), "0"),
        _row("old values offered", _sum("old_offered"), "0"),
        _row("facts at the end, without recall, %", _middle(_WITHOUT, held, 100, ".1f"), "75"),
        _row("the same with recall, which takes room, %", _middle(_OURS, held, 100, ".1f"), "75"),
        _row("answers when asked, with recall, %", _middle(_OURS, answers, 100, ".1f"), "97"),
        _row("unchanged prefix, with recall, %", _middle(_OURS, prefix, 100, ".1f"), "90 at 8k"),
        _row("the same without recall, %", _middle(_WITHOUT, prefix, 100, ".1f")),
        _row(
            "work of a turn at 720 messages, median, ms",
            _middle(_OURS, "work_720_median", 1, ".1f"),
            "2",
        ),
        _row("the same, 95th percentile, ms", _middle(_OURS, "work_720_p95", 1, ".0f"), "10"),
        _row(
            "processor time of a turn, all sessions, median, ms",
            _middle(_OURS, "cpu_ms_median", 1, ".1f"),
            "2",
        ),
        _row("the same, 95th percentile, ms", _middle(_OURS, "cpu_ms_p95", 1, ".1f"), "10"),
    ]
    second = " / ".join(
        str(_load("context")["results"][f"{b}/{_OURS}"]["fresh"]["old_offered"]) for b in _BUDGETS
    )
    made = table(("", *(f"{int(b):,} tokens" for b in _BUDGETS), "target"), rows)
    told = f"Old values offered in the second generator's two sessions: {second}."
    return f"{made}\n{told} {_dated('context')}"


def peers() -> str:
    """What other ways give on the first set of sessions, which all have played."""
    results = _load("context")["results"]
    ways = [key.partition("/")[2] for key in results if key.startswith(f"{_BUDGETS[0]}/")]
    rows = []
    for way in ways:
        first = [results[f"{budget}/{way}"][_SETS[0]] for budget in _BUDGETS]
        rows.append(
            [
                way,
                _each(first, "answers_in_view", 100),
                _each(first, "prefix_of_sent", 100),
                *(_each(first, field, 1) for field in _WRONG),
            ]
        )
    head = ("4k / 8k / 16k", "answers when asked, %", "unchanged prefix, %")
    words = ("calls over the budget", "tasks lost", "old values", "tokens of summaries, thousands")
    calls = results[f"{_BUDGETS[0]}/{_OURS}"][_SETS[0]]["calls"]
    before = _load("context")["machine"].get("others_played")
    day = f" The other ways were played on {before}." if before else ""
    return f"{table((*head, *words), rows)}\nOf {calls:,} calls at each budget.{day}"


def _each(runs: list[Any], field: str, scale: float) -> str:
    scale = 0.001 if field == "compaction_tokens" else scale
    return " / ".join(f"{run[field] * scale:.0f}" for run in runs)
