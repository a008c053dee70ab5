"""`docs/results.md` from the results' own files: no number of it is written by hand.

`python -m benchmarks.published story` writes it again; a test compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.published import figures, memory, mixes, readme
from benchmarks.published.feedback import feedback
from benchmarks.published.report import RESULTS, number, spread, table
from benchmarks.published.worlds import NAMES

DOCS = Path(__file__).parents[2] / "docs"
_FILLED = ("numbers", "langgraph", "context", "monitor", "fleet")
PAGES = {"results.md": "results.md.in", "scheduling.md": "scheduling.md.in"}
FILLED = ("README.md", *(f"docs/{page}.md" for page in _FILLED))
NINE = (
    *("normal", "high-load", "burst", "faulty", "cascade"),
    *("replay-11", "stress", "latency-spike", "greedy"),
)
BASELINES = ("fifo", "round_robin", "priority", "hrrn")
FASTER = ("high-load", "faulty", "cascade", "greedy")


def load(name: str) -> Any:
    """One experiment's results."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def targets(paper: Any) -> list[tuple[str, float, float]]:
    """What was promised for the nine scenarios: the words, the figure, and its bound."""
    found: list[tuple[str, float, float]] = []
    for name in NINE:
        for hints in (True, False):
            rows = paper["targets"][f"{name}, {'hints' if hints else 'no hints'}"]
            found += _promised(name, rows, hints=hints)
    return found


def _promised(name: str, rows: Any, *, hints: bool) -> list[tuple[str, float, float]]:
    where = f"{name}, {'with' if hints else 'without'} hints"

    def of(order: str, field: str) -> float:
        return float(rows[order][field][0])

    def best(field: str, *orders: str) -> float:
        return min(of(order, field) for order in orders)

    own = {field: of("mlfq", field) for field in ("slowdown", "interactive_p95_s")}
    bound = 1.2 if hints else 1.1
    least = best("slowdown", *BASELINES)
    found = [(f"{where}: mean slowdown to the best order's", own["slowdown"] / least, bound)]
    people = best("interactive_p95_s", *(("priority",) if hints else BASELINES))
    if people == people:  # noqa: PLR0124 - some scenarios have no interactive agents
        words = "the Priority Queue's" if hints else "the best baseline's"
        ratio = own["interactive_p95_s"] / people
        found.append((f"{where}: interactive P95 to {words}", ratio, bound))
    if hints:
        worst = of("mlfq", "worst_slowdown")
        for order, most in (("fifo", 1.0), ("priority", 1.3)):
            ratio = worst / of(order, "worst_slowdown")
            found.append((f"{where}: largest slowdown to {NAMES[order]}'s", ratio, most))
    elif name in FASTER:
        most = 0.4 if name == "high-load" else 0.75
        for field, words in (("slowdown", "mean slowdown"), ("interactive_p95_s", "P95")):
            ratio = own[field] / of("mlfq_textbook", field)
            found.append((f"{where}: {words} to the textbook queue's", ratio, most))
    most = max(of(order, "in_time") for order in (*BASELINES, "mlfq_textbook"))
    if most > 1:
        found.append(
            (
                f"{where}: most turns finished in time to ours",
                most / max(of("mlfq", "in_time"), 1),
                1.02,
            )
        )
    return found


def scaled(scale: Any) -> list[tuple[str, float, float]]:
    """What was promised of a million calls: the words, the figure, and its bound."""
    whole, cost = scale["million"], scale["waiting_us"]["mlfq"]
    return [
        ("scale: seconds for a million calls to two minutes", whole["seconds"] / 120, 1.0),
        ("scale: memory to 1 GiB", whole["memory_mib"] / 1024, 1.0),
        (
            "scale: 40,000 events a second to the simulator's",
            40_000 / scale["simulated_events_per_s"],
            1.0,
        ),
        (
            "scale: cost with 100,000 waiting to that with 100",
            cost["100000"] / cost["100"],
            1.3,
        ),
    ]


def promises() -> list[tuple[str, float, float]]:
    """All of it."""
    return targets(load("paper")) + scaled(load("scale"))


def _missed(promised: list[tuple[str, float, float]]) -> str:
    rows = [
        f"- {words}: {ratio:.{2 if round(ratio, 2) > bound else 3}f} (at most {bound:g} wanted)"
        for words, ratio, bound in promised
        if ratio > bound
    ]
    return "\n".join(rows)


def _nine(paper: Any, *, hints: bool) -> str:
    shown = ("fifo", "priority", "hrrn", "mlfq_textbook", "mlfq", "clairvoyant")
    rows = []
    for name in NINE:
        entry = paper["targets"][f"{name}, {'hints' if hints else 'no hints'}"]
        cells = [
            f"{number(entry[o]['slowdown'][0])} / {number(entry[o]['interactive_p95_s'][0])}"
            for o in shown
        ]
        rows.append([name, *cells])
    return table(("", *(NAMES[order] for order in shown)), rows)


def _headline(paper: Any) -> str:
    rows = []
    for label, entry in paper["headline"].items():
        cells = [
            f"{v[0]:+.0f} % ({v[1]:+.0f} to {v[2]:+.0f})"
            for v in (entry["p95_s"], entry["waste_s"], entry["per_min"])
        ]
        rows.append([label, *cells, number(entry["past_timeout"][0])])
    rows.append(["the paper's MLFQ", "-86 %", "-96 %", "+168 %", "0"])
    head = ("against FIFO as published", "P95", "lane waste", "throughput", "zombies > 30 s")
    return table(head, rows)


def _published(paper: Any) -> str:
    rows = []
    for name in ("normal", "high-load", "burst", "faulty", "cascade"):
        for world in ("as published", "with everything"):
            entry = paper["worlds"][f"{name}, {world}"]
            cells = [number(entry[o]["p95_s"][0]) for o in ("fifo", "round_robin", "priority")]
            cells += [number(entry[o]["p95_s"][0]) for o in ("mlfq_textbook", "mlfq")]
            cells += [number(entry["mlfq"]["waste_s"][0]), number(entry["mlfq"]["per_min"][0])]
            rows.append([f"{name}, {world}", *cells])
    head = ("P95, s", "FIFO", "Round Robin", "Priority Queue", "textbook MLFQ", "ours")
    return table((*head, "ours: waste, s", "ours: turns/min"), rows)


def _liars(paper: Any) -> str:
    rows = []
    for label, entry in paper["liars"].items():
        name, _, order = label.partition(", ")
        cells = [
            spread(entry["silent"]),
            spread(entry["lying"]),
            f"{entry['change_percent']:+.0f} %",
        ]
        rows.append([name, NAMES[order], *cells])
    return table(("scenario", "order", "liars silent", "liars lie", "change"), rows)


def _refusals(found: Any) -> str:
    rows = [[label, *(spread(v) for v in entry.values())] for label, entry in found.items()]
    return table(("", "finished %", "refused", "P95 s", "interactive P95 s", "mean slowdown"), rows)


def _ablation(found: Any) -> str:
    names = list(found["parts"])
    rows = []
    for label in found["parts"][names[0]]:
        entries = [found["parts"][name][label] for name in names]
        cells = [
            f"{number(e['slowdown'][0])} / {number(e['interactive_p95_s'][0])}" for e in entries
        ]
        rows.append([label, *cells])
    return table(("", *names), rows)


def _hivemind(found: Any) -> str:
    """The share of agents that failed, and the wall time, for each way."""
    scenarios = found["scenarios"]
    rows = []
    for way in next(iter(scenarios.values()))["ways"]:
        entries = [scenario["ways"][way] for scenario in scenarios.values()]
        cells = [f"{number(e['failed_percent'][0])} / {number(e['wall_s'][0])}" for e in entries]
        rows.append([way, *cells])
    for label, key in (("the paper's direct, failed %", "direct"), ("HiveMind", "hivemind")):
        shares = [s["published_failed_percent"][key] for s in scenarios.values()]
        rows.append([label, *(f"{share:g}" for share in shares)])
    return table(("failed % / wall s", *scenarios), rows)


def _scale(found: Any) -> str:
    whole = found["million"]
    waiting = {
        order: [number(v) for v in costs.values()] for order, costs in found["waiting_us"].items()
    }
    rows = [[NAMES[order], *waiting[order], number(found["free_us"][order])] for order in waiting]
    head = (
        "us",
        *(f"{int(n):,} wait" for n in next(iter(found["waiting_us"].values()))),
        "a free lane",
    )
    return (
        f"Measured on {found['when']}: {whole['calls']:,} calls of {whole['agents']:,} agents on "
        f"{whole['lanes']} lanes took "
        f"{whole['seconds']:g} s of one core, {whole['events_per_s']:,} events a second, with up "
        f"to {whole['most_waiting']:,} waiting and {whole['memory_mib']:,} MiB at most. The "
        f"simulator does {found['simulated_events_per_s']:,} events a second in High load.\n\n"
        + table(head, rows)
    )


def render() -> dict[str, str]:
    """The pages, by name."""
    paper, ablation, scale = load("paper"), load("ablation"), load("scale")
    hivemind = load("hivemind")
    promised = promises()
    met = sum(ratio <= bound for _, ratio, bound in promised)
    parts = {
        "SEEDS": str(paper["seeds"]),
        "NINE_SEEDS": str(paper["seeds_of_nine"]),
        "ABLATION_SEEDS": str(ablation["seeds"]),
        "HEADLINE": _headline(paper),
        "PUBLISHED": _published(paper),
        "WITH_HINTS": _nine(paper, hints=True),
        "WITHOUT_HINTS": _nine(paper, hints=False),
        "PROMISED": f"{met} of {len(promised)}",
        "MISSED": _missed(promised),
        "LIARS": _liars(paper),
        "MIXES": mixes.told(paper["mixes"]),
        "MIXED_SEEDS": str(len(mixes.SEEDS)),
        "REFUSALS": _refusals(paper["refusals"]),
        "ABLATION": _ablation(ablation),
        "RATES": _refusals(ablation["rates"]),
        "HIVEMIND": _hivemind(hivemind),
        "HIVEMIND_SEEDS": str(hivemind["seeds"]),
        "SCALE": _scale(scale),
    }
    pages = {}
    for page, template in PAGES.items():
        text = (Path(__file__).parent / template).read_text(encoding="utf-8")
        for name, value in parts.items():
            text = text.replace(f"{{{{{name}}}}}", value.strip())
        pages[page] = text
    return pages


def paragraph() -> str:
    """What the README says of it."""
    paper, whole = load("paper"), load("scale")["million"]
    text = (Path(__file__).parent / "readme.md.in").read_text(encoding="utf-8")
    for scenario in ("high-load", "greedy"):
        for hints in ("hints", "no hints"):
            for order, fields in paper["targets"][f"{scenario}, {hints}"].items():
                value = number(fields["interactive_p95_s"][0])
                text = text.replace(f"{{{{{scenario}, {hints}, {order}}}}}", value)
    for field, value in paper["headline"]["ours, 4 lanes"].items():
        text = text.replace(f"{{{{{field}}}}}", f"{value[0]:+.0f}")
    promised = promises()
    missed = sum(ratio > bound for _, ratio, bound in promised)
    for name, value in (("missed", missed), ("promised", len(promised))):
        text = text.replace(f"{{{{{name}}}}}", str(value))
    agents = f"{whole['agents']:,}"
    text = text.replace("{{calls}}", f"{whole['calls']:,}")
    return text.replace("{{agents}}", agents).replace("{{seconds}}", f"{whole['seconds']:g}")


def blocks() -> dict[str, str]:
    """What README and the pages say of the results, by the blocks' names."""
    return {
        "comparison": readme.comparison(),
        "congestion": readme.congestion(),
        "demo": readme.demo(),
        "feedback": feedback(),
        "orders": paragraph(),
        "langgraph": figures.langgraph(),
        "windows": figures.windows(),
        "people": figures.people(),
        "fleet-simulated": figures.fleet_simulated(),
        "fleet-share": figures.fleet_share(),
        "fleet-rate": figures.fleet_rate(),
        "fleet-faults": figures.fleet_faults(),
        "memory": memory.asked(),
        "meaning": memory.by_meaning(),
        "sessions": memory.generated(),
        "peers": memory.peers(),
    }


def filled(path: str) -> str:
    """A page with what it says of the results."""
    text = (DOCS.parent / path).read_text(encoding="utf-8")
    return readme.with_blocks(text, blocks())


def run() -> None:
    """Write the pages, and the blocks of README and of others."""
    for page, text in render().items():
        (DOCS / page).write_text(text, encoding="utf-8")
    for path in FILLED:
        (DOCS.parent / path).write_text(filled(path), encoding="utf-8")
