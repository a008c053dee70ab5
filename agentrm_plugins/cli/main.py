"""The entry point: what can be said without typer, then typer's application."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from agentrm_plugins.cli.registry import needs, summaries

__all__ = ["main", "own_version"]

_OWN = ("typer", "rich")
_WAY = "pip install 'agentrm-plugins[cli]'"
_ALL = "pip install 'agentrm-plugins[quickstart]'"


def own_version() -> str:
    """The installed version, or a word for a tree that was never installed."""
    try:
        return version("agentrm-plugins")
    except PackageNotFoundError:
        return "not installed (run from its source)"


def main() -> None:
    """Run the command line."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.exit(_bare(sys.argv[1:]))
    from agentrm_plugins.cli.app import app

    app(prog_name="agentrm")


def _bare(arguments: list[str]) -> int:
    """`--version`, `--help`, or how to have the rest; the exit code."""
    if "--version" in arguments:
        print(f"agentrm {own_version()}")
        return 0
    if not arguments or "--help" in arguments or "-h" in arguments:
        print("Usage: agentrm [OPTIONS] COMMAND [ARGS]...\n")
        print("AgentRM: a resource manager for LLM agents.\n\nCommands:")
        width = max(map(len, summaries()))
        for name, line in summaries().items():
            print(f"  {name:{width}}  {line}")
        print(f"\nThe commands need typer and rich: {_WAY}")
        print(f"With all that the demo and the first example need: {_ALL}")
        return 0
    if arguments[0] not in summaries():
        print(
            f"agentrm has no command {arguments[0]!r}; agentrm --help lists them", file=sys.stderr
        )
        return 2
    print(_lacking(arguments[0]), file=sys.stderr)
    return 1


def _lacking(command: str) -> str:
    """All that a command needs and has not, with the one line that brings it."""
    extra, brought = needs(command)
    missing = [name for name in brought if name not in _OWN and find_spec(name) is None]
    words = " and ".join(_OWN) if not missing else ", ".join((*_OWN, *missing))
    way = _WAY
    if missing:
        way = _ALL if extra == "quickstart" else _WAY.replace("[cli]", f"[cli,{extra}]")
    return f"agentrm {command} needs {words}: {way}"
