"""Statistics for people: the same few tables as text, as HTML for a notebook, and for rich.

Names come from users and servers: each form escapes what it would take for its own.

What is shown is a `Statistics`. It is typed as anything, for `Statistics` knows this file, and two
files that know each other are one.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["as_html", "as_rich", "as_text"]

_MOST_ROWS = 20


class _Table(NamedTuple):
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]
    more: int = 0


def _table(title: str, columns: str, rows: Iterable[tuple[Any, ...]]) -> _Table:
    cells = [tuple(map(_cell, row)) for row in rows]
    more = max(0, len(cells) - _MOST_ROWS)
    return _Table(title, tuple(columns.split(", ")), cells[:_MOST_ROWS], more)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _head(seen: Any) -> str:
    text = (
        f"{seen.order}: {seen.lanes_in_use} of {seen.lanes} lanes in use, {seen.running} running, "
        f"{seen.waiting} waiting"
    )
    if seen.waiting:
        text += f" (the oldest for {seen.oldest_waiting_s:,.1f} s)"
    if seen.zombies:
        text += f", {seen.zombies} zombies"
    refused = sum(seen.refused.values())
    return (
        f"{text}; {seen.submitted:,} submitted, {seen.settled:,} settled, {refused:,} refused, "
        f"{seen.reaped:,} reaped; {seen.input_tokens:,} tokens in, {seen.output_tokens:,} out, "
        f"{seen.tokens_per_s.last_10_s:,.1f}/s"
    )


def _tables(seen: Any) -> list[_Table]:
    """The tables that have rows, busiest first."""
    agents = sorted(
        seen.agents.items(), key=lambda pair: (-pair[1].running, -pair[1].waiting, -pair[1].tokens)
    )
    tables = [
        _table(
            "Running calls",
            "ticket, agent, group, endpoint, age s, silent s, beats",
            (
                (str(c.ticket), c.agent, c.group, c.endpoint, c.age_s, c.silent_s, c.beats)
                for c in seen.calls
            ),
        ),
        _table(
            "Lane groups",
            "group, in use, capacity, waiting, peak",
            ((n, g.in_use, g.capacity, g.waiting, g.peak) for n, g in seen.groups.items()),
        ),
        _table(
            "Agents",
            "agent, level, running, waiting, calls, in, out, tokens/s, served s, waited s",
            (
                (n, a.level, a.running, a.waiting, a.calls, a.input_tokens, a.output_tokens,
                 a.tokens_per_s, a.service_s, a.waited_s)
                for n, a in agents
            ),
        ),
        _table(
            "Tenants",
            "tenant, weight, share, lanes, waiting, in, out, tokens/s",
            (
                (n, t.weight, t.share, t.lanes, t.waiting, t.input_tokens, t.output_tokens,
                 t.tokens_per_s)
                for n, t in seen.tenants.items()
            ),
        ),
        _table(
            "Endpoints",
            "endpoint, in flight, waiting, sent, limits hit, failures, breaker, calls/min, source",
            (
                (n, e.in_flight, e.waiting, e.sent, e.limit_hits, e.failures, e.breaker,
                 *_rate(e.rates.get("requests")))
                for n, e in seen.endpoints.items()
            ),
        ),
        _sessions(seen),
    ]  # fmt: skip
    return [table for table in tables if table.rows]


def _sessions(seen: Any) -> _Table:
    return _table(
        "Sessions",
        "session, used, budget, hot, warm, cold, calls, waiting, in, out, tokens/s, waited s, "
        "limits hit, cost",
        (
            (n, s.used_tokens, s.budget_tokens, s.hot_tokens, s.warm_tokens, s.cold_tokens,
             *_received(s.received))
            for n, s in seen.sessions.items()
        ),
    )  # fmt: skip


def _received(agent: Any) -> tuple[Any, ...]:
    if agent is None:
        return (None,) * 8
    return (
        *(agent.calls, agent.waiting, agent.input_tokens, agent.output_tokens, agent.tokens_per_s),
        *(agent.waited_s, agent.limit_hits, agent.cost),
    )


def _rate(rate: Any) -> tuple[float | None, str | None]:
    return (None, None) if rate is None else (rate.allowed_per_min, rate.source)


def as_text(seen: Any) -> str:
    """Columns of text, for a terminal or a log."""
    parts = [_head(seen)]
    for table in _tables(seen):
        rows = [table.columns, *(tuple(map(_one_line, row)) for row in table.rows)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows
        ]
        more = [f"... and {table.more} more"] if table.more else []
        parts.append("\n".join([table.title, *lines, *more]))
    return "\n\n".join(parts)


def _one_line(text: str) -> str:
    """A name with line breaks or control characters in it must not change what others show."""
    return "".join(char if char.isprintable() else "?" for char in text)


def as_html(seen: Any) -> str:
    """Tables of HTML, for a notebook."""
    parts = [f"<p>{escape(_head(seen))}</p>"]
    for table in _tables(seen):
        head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in table.rows
        )
        more = f"<p>... and {table.more} more</p>" if table.more else ""
        title = escape(table.title)
        parts.append(
            f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{rows}</tbody></table>{more}"
        )
    return f"<div>{''.join(parts)}</div>"


def as_rich(seen: Any) -> Any:
    """A group of rich's tables. Only rich itself asks for it, so rich is there."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[Any] = [Text(_head(seen))]
    for table in _tables(seen):
        caption = f"... and {table.more} more" if table.more else None
        made = Table(title=table.title, title_justify="left", caption=caption)
        for name in table.columns:
            made.add_column(name)
        for row in table.rows:
            made.add_row(*(Text(_one_line(cell)) for cell in row))
        parts.append(made)
    return Group(*parts)
