"""The entry point: what can be said without typer, then typer's application."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from agentrm_plugins.cli.registry import summaries

__all__ = ["main", "own_version"]

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
    print(f"agentrm {arguments[0]} needs typer and rich: {_WAY}", file=sys.stderr)
    return 1
