"""The feedback table of docs/monitor.md: what is measured, what decides by it, what that buys."""

from __future__ import annotations

import json
from typing import Any

from benchmarks.published.report import RESULTS, number

_ABLATION = "[ablation](../benchmarks/results/ablation.md)"
_NOT_MEASURED = "not measured by itself"


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _against(parts: Any, scenario: str, label: str, field: str) -> tuple[str, str]:
    """The figure with a part and without it."""
    rows = parts[scenario]
    return number(rows["ours"][field][0]), number(rows[label][field][0])


def _order(parts: Any) -> list[list[str]]:
    ours, fifo = _against(parts, "greedy", "order: First In First Out", "interactive_p95_s")
    hinted, bare = _against(parts, "greedy", "without weights", "interactive_p95_s")
    kept, forgets = _against(parts, "greedy", "without forgetting", "interactive_p95_s")
    return [
        [
            "service received, by agent",
            "the order: who goes next",
            (
                f"a person's p95 beside greedy agents: {ours} s, first come first served {fifo} s "
                f"({_ABLATION})"
            ),
        ],
        [
            "the priority that an agent was given, and its service",
            "the weight of its waiting",
            f"the same p95: {hinted} s, without weights {bare} s ({_ABLATION})",
        ],
        [
            "how long ago the service was",
            "old service counts half after a minute",
            (
                f"hardly anything there: {kept} s, without it {forgets} s; it bounds what an old "
                f"agent waits ({_ABLATION})"
            ),
        ],
    ]


def _hangs(parts: Any) -> list[list[str]]:
    ours, none = _against(parts, "faulty", "without reaper", "interactive_p95_s")
    return [
        [
            "silence of a running call",
            "it is ended at its configured limit",
            f"a person's p95 where calls hang: {ours} s, without it {none} s ({_ABLATION})",
        ],
        [
            "latencies of an endpoint",
            "when a call is late: its lane is lent, a second attempt goes",
            "see the table of hung calls in `benchmarks/README.md`",
        ],
        [
            "failures of an endpoint",
            "its breaker: one that answered before and is down now gets a probe, not every call",
            _NOT_MEASURED,
        ],
    ]


def _rates(rates: Any) -> list[list[str]]:
    ours, none = rates["ours, not told"], rates["without endpoint control, lanes given back"]
    header, reserve = rates["without retry-after (no headers)"], rates["without reserving tokens"]
    told = rates["ours, told the limits"]
    return [
        [
            "headers and refusals of an endpoint",
            "the rate at which calls go",
            (
                f"{number(ours['finished_percent'][0])} % of the calls end well, with "
                f"{number(ours['refused'][0])} refusals; without it "
                f"{number(none['finished_percent'][0])} % and {number(none['refused'][0])} "
                f"({_ABLATION})"
            ),
        ],
        [
            "the limit as the user knows it",
            "the same, from the first call on",
            (
                f"{number(told['refused'][0])} refusals in place of {number(ours['refused'][0])}; "
                f"a person's p95 {number(told['interactive_p95_s'][0])} s, untold "
                f"{number(ours['interactive_p95_s'][0])} s ({_ABLATION})"
            ),
        ],
        [
            "`retry-after`",
            "until when everybody stays away",
            (
                f"{number(ours['refused'][0])} refusals; without it "
                f"{number(header['refused'][0])} ({_ABLATION})"
            ),
        ],
        [
            "tokens of a request before it goes",
            "what is taken from the limit",
            (
                f"{number(ours['refused'][0])} refusals; without it "
                f"{number(reserve['refused'][0])} ({_ABLATION})"
            ),
        ],
    ]


def _context(found: Any) -> list[list[str]]:
    ours = found["locomo: locomo_5_to_9 4000"]
    none = found["locomo: locomo_5_to_9 4000, no recall"]
    return [
        [
            "tokens of a session's request",
            "when it is compacted, and down to where",
            "no request over its budget ([context](../benchmarks/results/context-asked.md))",
        ],
        [
            "what a task asks about",
            "what is recalled for it",
            (
                f"{number(ours['kept'])} % of what was asked was there, without recall "
                f"{number(none['kept'])} % ([context](../benchmarks/results/context-asked.md))"
            ),
        ],
    ]


def feedback() -> str:
    """All that the monitor measures and something decides by."""
    ablation = _load("ablation")
    rows = [
        *_order(ablation["parts"]),
        *_hangs(ablation["parts"]),
        *_rates(ablation["rates"]),
        *_context(_load("context-asked")["results"]),
    ]
    head = ("what is measured", "what decides by it", "what that buys")
    lines = "".join(f"| {' | '.join(row)} |\n" for row in (head, ("---",) * 3, *rows))
    return f"Measured on {ablation['when']}.\n\n{lines}"
