"""How a finding, and what was not read, are said."""

from __future__ import annotations

from pathlib import Path

from agentrm_plugins.cli.project.files import Skipped
from agentrm_plugins.cli.project.findings import Finding, Project

__all__ = ["place", "state", "unread"]

_NAMED = 5
"""Files that are named; of more the number is told, and `--json` names them all."""


def place(one: Finding, folder: Path) -> str:
    """Where it is made: "app/chat.py:12", or "talk.ipynb cell 3:1"."""
    path = one.path.relative_to(folder).as_posix()
    return f"{path} cell {one.cell}:{one.line}" if one.cell else f"{path}:{one.line}"


def state(one: Finding) -> str:
    """What is to be said behind its name; "" where something is to be done."""
    if one.managed:
        return " (managed already)"
    return " (with the agent, graph or chain that uses it)" if one.inside else ""


def unread(project: Project) -> list[str]:
    """What could not be read, and what is never read, in a line each; [] if that is nothing."""
    by_rule = [one for one in project.skipped if one.rule]
    hidden = [one for one in by_rule if one.why == "hidden"]
    other = [one for one in by_rule if one.why != "hidden"]
    faults = [one for one in project.skipped if not one.rule]
    lines = []
    if faults:
        lines.append(f"Left out, as it cannot be read: {_named(faults, project.folder)}.")
    if other:
        also = f", and {len(hidden)} hidden" if hidden else ""
        lines.append(f"Not looked into: {_named(other, project.folder)}{also}.")
    elif hidden:
        lines.append(f"Not looked into: hidden folders ({len(hidden)}).")
    return ["", *lines] if lines else []


def _named(skipped: list[Skipped], folder: Path) -> str:
    named = [f"{one.path.relative_to(folder).as_posix()} ({one.why})" for one in skipped[:_NAMED]]
    if len(skipped) > _NAMED:
        named.append(f"and {len(skipped) - _NAMED} more")
    return ", ".join(named)
