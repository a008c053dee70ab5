"""What README and `docs/numbers.md` say of the results: no number of it is written by hand.

Each block stands between `<!-- results: NAME -->` and `<!-- /results -->`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.published.report import RESULTS, table

BLOCK = re.compile(r"(<!-- results: ([a-z-]+) -->\n).*?(<!-- /results -->\n)", re.DOTALL)
_PLAIN = "tokens/untold/async/own"  # the limit binds, nobody tells it: the first day with a key
_PEERS = {
    "ours": "**AgentRM**",
    "ours, no hints": "AgentRM, not told who waits",
    "sdk, 2 retries": "the SDK's own retries (2)",
    "sdk, 10 retries": "the SDK's own retries (10)",
    "semaphore": "a semaphore",
    "with_retry": "`with_retry`",
    "tenacity": "tenacity",
    "LiteLLM Router": "LiteLLM's Router",
    "LangGraph RetryPolicy": "LangGraph's `RetryPolicy`",
    "ModelRetryMiddleware": "`ModelRetryMiddleware`",
}
_SECONDS = "{:.1f} s"
_HEDGED_SINCE = "2026-11-29"  # what was measured before, was without second attempts
_HEAD = ("", "agents that finish", "requests wasted", "wall time", "a person's p95")


def _load(name: str) -> Any:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _times(value: float | None, *, whole: bool) -> str:
    """A ratio to the oracle; of a peer whose agents died the time says nothing."""
    return "-" if value is None or not whole else f"{value:.2f}x"


def _row(words: str, entry: Any, agents: int) -> list[str]:
    whole = entry["finished"] == agents
    return [
        words,
        f"{entry['finished']} of {agents}",
        f"{100 * entry['wasted']:.0f} %",
        _times(entry["wall_ratio"], whole=whole),
        _times(entry["p95_ratio"], whole=whole),
    ]


def _rows(variant: Any, agents: int) -> list[list[str]]:
    return [
        _row(words, variant[peer], agents)
        for peer, words in _PEERS.items()
        if peer in variant and variant[peer].get("runs")
    ]


def comparison() -> str:
    """The README's table, and below it where AgentRM loses."""
    found = _load("congestion")
    agents, variants = found["about"]["agents"], found["variants"]
    rows = table(_HEAD, _rows(variants[_PLAIN], agents)[:7])
    slower = [
        entry["ours, no hints"]["p95_ratio"]
        for entry in variants.values()
        if entry.get("ours, no hints", {}).get("p95_ratio")
    ]
    walls = [entry["ours"]["wall_ratio"] for entry in variants.values() if entry.get("ours")]
    return (
        f"{agents} agents share a token limit that nobody tells, over real HTTP to a simulated "
        "provider.\nTimes are multiples of an oracle's that knows the limit "
        f"([how it was measured](docs/numbers.md)). {_measured(found['about'])}\n\n"
        f"{rows}\n"
        f"**Where it loses.** Not told who waits for an answer, a person's p95 is up to "
        f"{max(slower):.1f} times the oracle's.\n"
        f"In the worst of {len(walls)} scenarios a run takes {max(walls):.2f} times as long as "
        "the oracle's.\n"
        "Where lanes and limits never bind it changes nothing, and costs some time for each call.\n"
    )


def _measured(about: Any) -> str:
    """The day, and what has changed since."""
    late = ", before late calls were hedged" if about["when"] < _HEDGED_SINCE else ""
    return f"Measured on {about['when']}{late}."


def congestion() -> str:
    """All scenarios, all peers."""
    found = _load("congestion")
    about = found["about"]
    head = (
        f"Measured on {about['when']}: {about['runs']} runs each, medians, {about['agents']} agents"
    )
    parts = [f"{head}, {about['machine']}, Python {about['python']}.\n"]
    for name, variant in found["variants"].items():
        rows = table(_HEAD, _rows(variant, about["agents"]))
        parts.append(f"### `{name}`\n\n{rows}")
    return "\n".join(parts)


def demo() -> str:
    """The demo's own table: medians of all runs, the worst run's figure beside."""
    found = _load("demo")
    runs = found["runs"]

    def row(words: str, of: Callable[[Any], float], form: str = "{:g}", worst: Any = max) -> Any:
        cells = []
        for side in ("unmanaged", "managed"):
            values = [of(one[side]) for one in runs]
            middle, beside = form.format(median(values)), form.format(worst(values))
            cells.append(middle if beside == middle else f"{middle} ({beside})")
        return [words, *cells]

    one = runs[0]["managed"]
    rows = [
        row(f"agents that died, of {one['agents']}", lambda side: sum(side["died"].values())),
        row(f"turns finished, of {one['turns']}", lambda side: side["finished"], worst=min),
        row("a person's turn, p95", lambda side: side["quantiles_s"]["interactive"][1], _SECONDS),
        row("a batch turn, p95", lambda side: side["quantiles_s"]["batch"][1], _SECONDS),
        row("refusals (429)", lambda side: side["refusals"]),
        row("server seconds lost to hung calls", lambda side: side["waste_s"], _SECONDS),
        row(f"facts remembered, of {one['talks']}", lambda side: side["remembered"], worst=min),
        row("wall time", lambda side: side["wall_s"], _SECONDS),
    ]
    seeds = ", ".join(str(run["settings"]["seed"]) for run in runs)
    many = f"{len(runs)} runs, medians, the worst in brackets" if len(runs) > 1 else "One run"
    head = f"{many}: seed{'s' if len(runs) > 1 else ''} {seeds}. Measured on {found['when']}."
    return f"{head}\n\n{table(('', 'unmanaged', 'managed'), rows)}"


def with_blocks(text: str, blocks: dict[str, str]) -> str:
    """The text with what stands between its marks taken from the results."""
    return BLOCK.sub(lambda found: found[1] + blocks[found[2]].strip() + "\n" + found[3], text)
