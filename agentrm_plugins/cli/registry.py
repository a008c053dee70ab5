"""Which commands there are: the modules of `commands/`."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

__all__ = ["needs", "register_all", "summaries"]

_FOLDER = Path(__file__).parent / "commands"
_PACKAGE = "agentrm_plugins.cli.commands"


def _modules() -> list[Path]:
    return sorted(path for path in _FOLDER.glob("*.py") if not path.stem.startswith("_"))


def summaries() -> dict[str, str]:
    """Each command with one line, read without importing it (nor typer)."""
    found = {}
    for path in _modules():
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        found[path.stem.replace("_", "-")] = text.partition("\n")[0]
    return found


def needs(command: str) -> tuple[str, tuple[str, ...]]:
    """The extra of a command and the modules it brings, as its `need(...)` says, unimported."""
    path = _FOLDER / f"{command.replace('-', '_')}.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "need"
        ):
            extra, *modules = (ast.literal_eval(argument) for argument in node.args)
            return extra, tuple(modules)
    return "", ()


def register_all(app: Any) -> None:
    """Let each command's module register itself with the typer application."""
    for path in _modules():
        import_module(f"{_PACKAGE}.{path.stem}").register(app)
