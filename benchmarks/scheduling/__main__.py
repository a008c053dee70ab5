"""`python -m benchmarks.scheduling`: the five orders on every scenario, and what each part is for.

Virtual time, seeded: the same numbers on every machine. Writes benchmarks/results/scheduling.json
and scheduling.md.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

from agentrm_plugins.sim import SCENARIOS, comparison, losses, table

RESULTS = Path(__file__).parent.parent / "results"
SEEDS = range(1, 21)
ABLATIONS = {
    "mlfq": {},
    "mlfq, no boost": {"boost": False},
    "mlfq, no reaper": {"reaper": False},
    "mlfq, no boost, no reaper": {"boost": False, "reaper": False},
    "mlfq, no hints": {"hints": False},
    "fifo": {},
    "fifo, no reaper": {"reaper": False},
    "priority": {},
    "priority, no hints": {"hints": False},
}
ABLATED = ("high-load", "faulty", "cascade", "greedy")
HEAD = f"""# Scheduling, simulated

Made by `python -m benchmarks.scheduling`; medians over {len(SEEDS)} seeds, virtual time, the
project's own kernel. Every order meets the same turns, lengths and faults, has the same reaper
(30 s of silence) and the same three tries; a hang without a reaper ends by itself after 90 s.
The papers leave lanes, arrivals and lengths open: what is written below each title is ours.
*Starved*: waited over 30 s for its first lane while ten that came later got one. *Waste*: lane
seconds held by hung calls. *Jain*: index over the agents' service per second of response. These
are figures of a model, not of a provider.
"""


def main() -> None:
    found, text = {}, [HEAD]
    for name, chosen in SCENARIOS.items():
        rows = comparison(chosen, SEEDS)
        found[name] = {order: asdict(row) for order, row in rows.items()}
        text += [f"## {name} ({chosen.source})\n", f"{chosen.text}.\n", table(rows), ""]
        lost = losses(rows)
        text += ["MLFQ loses:" if lost else "MLFQ loses nowhere by more than 2 %.", ""]
        text += [f"- {line}" for line in lost] + [""]
        print(f"{name}: done")
    text += ["## What each part is for\n", "Single parts switched off, the rest as above.\n"]
    for name in ABLATED:
        rows = {}
        for label, changes in ABLATIONS.items():
            order = label.partition(",")[0]
            rows[label] = comparison(SCENARIOS[name], SEEDS, [order], **changes)[order]
        found[f"{name}: parts"] = {label: asdict(row) for label, row in rows.items()}
        text += [f"### {name}\n", table(rows), ""]
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "scheduling.md").write_text(
        re.sub(r"\n{3,}", "\n\n", "\n".join(text)).rstrip() + "\n", encoding="utf-8"
    )
    data = json.dumps({"seeds": list(SEEDS), "scenarios": found}, indent=1)
    (RESULTS / "scheduling.json").write_text(data + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
