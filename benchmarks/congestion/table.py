"""The table, and how ours stands to what was promised."""

from __future__ import annotations

from typing import Any

from benchmarks.congestion.measure import best_peer
from benchmarks.congestion.scenarios import SCENARIOS, Variant

_COLUMNS = (
    "peer",
    "agents",
    "dead",
    "stuck",
    "turns %",
    "sent",
    "wasted %",
    "wall s",
    "x oracle",
    "p50 s",
    "p95 s",
    "x oracle",
    "x best peer",
    "Jain",
    "cuts/storms",
    "CPU ms",
)


# Guessed: an idle machine shows about one millisecond.
_BUSY_MS = 10.0


def _number(value: float | None, form: str = ".2f") -> str:
    return "" if value is None else format(value, form)


def _row(name: str, row: dict[str, Any], closed: bool) -> list[str]:
    if "skipped" in row:
        return [f"{name}: {row['skipped']}", *["—"] * (len(_COLUMNS) - 1)]
    whole = row["dead"] == 0 and row["stuck"] == 0
    cuts = "" if row.get("cuts") is None else f"{row['cuts']:g}"
    p95 = "p95_open_ratio" if closed else "p95_ratio"
    return [
        name,
        f"{row['finished']:g}",
        f"{row['dead']:g}",
        f"{row['stuck']:g}",
        _number(100 * row["turns_done"], ".0f"),
        f"{row['requests']:g}",
        _number(100 * row["wasted"], ".1f"),
        _number(row["wall_s"]) + ("" if whole else "†"),
        _number(row["wall_ratio"]) if whole else "",
        _number(row["p50_s"]),
        _number(row["p95_open_s"] if closed else row["p95_s"]) + ("" if whole else "†"),
        _number(row[p95]),
        _number(row.get("p95_to_best_peer")),
        _number(row["jain"]),
        f"{cuts}/{row['storms']:g}",
        _number(row["cpu_ms_per_turn"], ".1f"),
    ]


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for number, line in enumerate(lines):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        text.append("| " + " | ".join(cells) + " |")
        if not number:
            rule = ["-" * width + ("-" if not i else ":") for i, width in enumerate(widths)]
            text.append("| " + " | ".join(r[: widths[i]] for i, r in enumerate(rule)) + " |")
    return text


def _heading(variant: Variant) -> str:
    knows = {"untold": "limits not told", "told": "limits told", "tripled": "told three times"}
    how = {"async": "async", "threads": "threads", "node": "in a LangGraph node"}
    timeout = "own timeouts" if variant.timeout_s is None else f"{variant.timeout_s:g} s timeouts"
    title = SCENARIOS[variant.scenario].title
    return f"{title} · {knows[variant.knows]} · {how[variant.mode]} · {timeout}"


def variant_table(name: str, rows: dict[str, dict[str, Any]]) -> str:
    """One variant in Markdown."""
    variant = Variant.parse(name)
    closed = SCENARIOS[variant.scenario].closed_s is not None
    lines = [list(_COLUMNS), *(_row(peer, row, closed) for peer, row in rows.items())]
    best = best_peer(rows)
    text = [f"### `{name}`", "", f"{_heading(variant)}.", "", *_aligned(lines), ""]
    if closed:
        text += ["Here p95 is that of the interactive agents on the endpoint that stays open.", ""]
    if best is not None:
        text += [f"Best peer for the p95 of interactive turns: {best}.", ""]
    text += _verdict_lines(variant, rows)
    return "\n".join(text)


def verdicts(variant: Variant, row: dict[str, Any]) -> list[tuple[str, float | None, float, bool]]:
    """What was promised for ours here: what, the value, the bound, whether it was met."""
    scenario = SCENARIOS[variant.scenario]
    good = variant.knows == "told" or (scenario.headers and variant.knows == "untold")
    checks: list[tuple[str, float | None, float]] = [
        ("agents not finished, worst run", row["dead"] + row["stuck"] + row["lost"], 0),
        ("wasted requests", row["wasted"], 0.02 if good else 0.10),
        ("wall time x oracle", row["wall_ratio"], 1.25 if scenario.binds == "hangs" else 1.05),
    ]
    if scenario.binds == "tokens":
        checks.append(("interactive p95 x oracle", row["p95_ratio"], 1.2))
    elif scenario.binds in {"requests", "capacity"}:
        checks.append(("interactive p95 x best peer", row.get("p95_to_best_peer"), 0.6))
    if scenario.closed_s is not None:
        checks.append(("p95 at the open endpoint x oracle", row["p95_open_ratio"], 1.2))
    if row.get("cuts") is not None and row["storms"]:
        checks.append(("rate cuts per storm", row["cuts"] / row["storms"], 1))
    result = [
        (what, value, bound, value is not None and value <= bound + 1e-9)
        for what, value, bound in checks
    ]
    if variant.scenario in {"tokens", "third"}:
        jain = row["jain"]
        result.append(("Jain index, at least", jain, 0.93, jain is not None and jain >= 0.93))
    return result


def _verdict_lines(variant: Variant, rows: dict[str, dict[str, Any]]) -> list[str]:
    row = rows.get("ours")
    if row is None or "skipped" in row:
        return []
    total = row["finished"] + row["dead"] + row["stuck"]
    row = {**row, "lost": max(0.0, total - row["least_finished"] - row["dead"] - row["stuck"])}
    parts = [
        f"{what} {'-' if value is None else format(value, '.3g')} "
        f"(target {bound:g}: {'met' if met else 'MISSED'})"
        for what, value, bound, met in verdicts(variant, row)
    ]
    return ["Ours: " + "; ".join(parts) + ".", ""]


def disturbance(lag_ms: float | None) -> str:
    """A line on how busy the machine was meanwhile, with a warning if that spoils the figures."""
    if lag_ms is None:
        return ""
    text = f"Threads of the idle server process woke up {lag_ms:g} ms late (95th percentile)."
    if lag_ms > _BUSY_MS:
        text += " THE MACHINE WAS BUSY: waits for the processor hide the effects of the limits;"
        text += " do not trust these figures, run again on an idle machine or with --jobs 1."
    return text


def report(document: dict[str, Any]) -> str:
    """The whole report in Markdown."""
    about = document["about"]
    text = [
        "# Congestion",
        "",
        f"{about['runs']} runs each, medians; seeds {about['seeds']}; {about['agents']} agents.",
        f"{about['when']}, {about['took_s'] / 60:.0f} minutes.",
        f"{about['machine']}; Python {about['python']}; {about['jobs']} runs at a time.",
        disturbance(about["lag_ms"]),
        "",
        ", ".join(f"{name} {version}" for name, version in about["versions"].items()) + ".",
        "",
        "† not all agents finished: the time is only that of those that went on. What each column",
        "and each peer means is in the benchmark's README.",
        "",
    ]
    text += [variant_table(name, rows) for name, rows in document["variants"].items()]
    return "\n".join(text)
