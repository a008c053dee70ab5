"""What the demo says before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.table import Table

from agentrm_plugins.demo.settings import RETRIES, DemoSettings
from agentrm_plugins.demo.sides import Side
from agentrm_plugins.demo.talk import TALK_TURNS, WINDOW_TOKENS

__all__ = ["introduction", "table", "verdict"]


def introduction(settings: DemoSettings) -> str:
    """Who works, against what, and how the two sides differ."""
    crew = [
        f"{count} {words}"
        for count, words in (
            (settings.people, "people's agents (p)"),
            (settings.batch, "greedy batch agents (b)"),
            (
                settings.talks,
                f"talks of {TALK_TURNS} turns in a window of {WINDOW_TOKENS} tokens (t)",
            ),
        )
        if count
    ]
    trouble = [f"{settings.hangs:.0%} of the calls hang"] if settings.hangs else []
    if settings.limit is not None:
        trouble.append(f"a limit of {settings.limit:,.0f} tokens a minute that no header tells")
    if settings.talks:
        trouble.append("a fact told at the beginning is asked for at the end")
    return (
        f"{', '.join(crew)}: the same LangChain agents twice, at the same time,\n"
        f"on {settings.lanes} lanes to a simulated provider: {'; '.join(trouble)}. "
        f"Seed {settings.seed}; a model second takes {settings.time_scale:g} s.\n"
        f"  Unmanaged: ChatOpenAI(max_retries={RETRIES}, timeout={settings.timeout_s:g} s) behind "
        f"asyncio.Semaphore({settings.lanes}).\n"
        f"  Managed:   the same ChatOpenAI in wrap_chat_model, order {settings.order}, first token "
        f"within {settings.first_token_timeout_s:g} s."
    )


def _seconds(pair: tuple[float, float] | None, index: int) -> str:
    return "-" if pair is None else f"{pair[index]:.2f} s"


def table(before: Side, after: Side, settings: DemoSettings) -> Table:
    """Both sides, line by line; what a scenario does not have is left out."""
    found = Table("", before.title, after.title, title="Unmanaged and managed, in real seconds")
    for column in found.columns[1:]:
        column.justify = "right"

    def row(name: str, of: Callable[[Side], Any]) -> None:
        found.add_row(name, str(of(before)), str(of(after)))

    row("agents that died", lambda side: f"{sum(side.died.values())} of {side.agents}")
    row("turns finished", lambda side: f"{side.finished} of {side.turns}")
    for kind, words in (("interactive", "a person's"), ("batch", "a batch")):
        if after.quantiles_s[kind] or before.quantiles_s[kind]:
            for index, name in enumerate(("p50", "p95")):
                cells = (_seconds(side.quantiles_s[kind], index) for side in (before, after))
                found.add_row(f"{words} turn, {name}", *cells)
    row("requests sent", lambda side: side.calls)
    if settings.limit is not None:
        row("of them refused (429)", lambda side: side.refusals)
    if settings.hangs:
        row("calls that hung", lambda side: side.zombies)
        row("server seconds lost to them", lambda side: f"{side.waste_s:.1f} s")
    if settings.talks:
        row("facts remembered", lambda side: f"{side.remembered} of {side.talks}")
    row("most lanes in use", lambda side: f"{side.lanes_peak} of {settings.lanes}")
    row("late calls hedged", lambda side: side.second_attempts)
    row("wall time", lambda side: f"{side.wall_s:.1f} s")
    return found


def _of_late(side: Side) -> str:
    """What became of late calls, by the figure in the table."""
    sent = side.second_attempts
    if not sent:
        return "gives it up"
    second = f"{sent} second attempts beside late calls"
    if sent == 1:
        second = "a second attempt beside a late call"
    return f"sent {second}, and gives a hung one up"


def verdict(before: Side, after: Side, settings: DemoSettings) -> str:
    """Some honest lines on what differed, and why."""
    lines = []
    for side in (before, after):
        causes = ", ".join(f"{count} of {name}" for name, count in sorted(side.died.items()))
        if causes:
            lines.append(f"{side.title.split()[0]}: agents died, {causes}.")
        if side.held:
            lines.append(f"{side.title.split()[0]}: {side.held} of its calls had not ended yet.")
    if settings.hangs and settings.first_token_timeout_s < settings.timeout_s:
        lines.append(
            "A hung call costs the unmanaged side its timeout of "
            f"{settings.timeout_s:g} model seconds; the managed side {_of_late(after)} after "
            f"{settings.first_token_timeout_s:g}. "
            f"--timeout {settings.first_token_timeout_s:g} shows what is left without that."
        )
    if before.died:
        lines.append("Dead agents ask for nothing: compare turns finished before times.")
    lines.append("One run of a simulation; another --seed gives other numbers.")
    return "\n".join(lines)
