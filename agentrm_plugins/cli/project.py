"""What a project calls models with, read from its source without running any of it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Finding", "findings", "python_files"]

_SKIPPED = {"node_modules", "site-packages", "build", "dist", "__pycache__", "venv", "env"}
_MOST_FILES = 5_000
_MOST_BYTES = 1_000_000  # a larger file is generated
# What is made, and so what is to be wrapped. By the function's or class's own name.
_CLIENTS = {"OpenAI", "AsyncOpenAI", "AzureOpenAI", "AsyncAzureOpenAI"}
_AGENTS = {"create_agent", "create_react_agent", "create_deep_agent"}
_GRAPHS = {"StateGraph", "MessageGraph"}
_LIMITERS = {"InMemoryRateLimiter", "AsyncLimiter", "Semaphore", "BoundedSemaphore"}
_FRAMEWORKS = ("langchain", "langgraph", "openai", "deepagents")


@dataclass(frozen=True, slots=True)
class Finding:
    """One place: `kind` is "model", "client", "agent", "graph", "retry", "limiter" or "managed"."""

    kind: str
    path: Path
    line: int
    name: str
    target: str = ""


def python_files(folder: Path) -> Iterator[Path]:
    """The project's own files: no hidden folder, no environment, nothing generated."""
    count = 0
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not (here / name / "pyvenv.cfg").exists()
        )
        for name in sorted(names):
            path = here / name
            if name.endswith(".py") and path.is_file() and path.stat().st_size <= _MOST_BYTES:
                count += 1
                if count > _MOST_FILES:
                    return
                yield path


def findings(path: Path) -> list[Finding]:
    """What one file makes; nothing of a file that cannot be read as Python."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError):
        return []
    names = _imported(tree)
    if not any(origin.startswith((*_FRAMEWORKS, "agentrm")) for origin in names.values()):
        return []
    targets = {
        id(node.value): ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            kind, name = _kind(node, names)
            if kind:
                found.append(Finding(kind, path, node.lineno, name, targets.get(id(node), "")))
    return sorted(found, key=lambda one: one.line)


def _imported(tree: ast.AST) -> dict[str, str]:
    """Where each imported name comes from."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
    return names


def _kind(node: ast.Call, names: dict[str, str]) -> tuple[str, str]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "with_retry":
        return "retry", ".with_retry"
    if isinstance(function, ast.Attribute):
        base = function.value
        origin = names.get(base.id, "") if isinstance(base, ast.Name) else ""
        name, origin = function.attr, f"{origin}.{function.attr}" if origin else ""
    elif isinstance(function, ast.Name):
        origin = names.get(function.id, "")
        name = origin.rpartition(".")[2]
    else:
        return "", ""
    return _by_name(name, origin), name


def _by_name(name: str, origin: str) -> str:
    if origin.startswith("agentrm"):
        return "managed"
    if name in _LIMITERS and origin:
        return "limiter"
    if not origin.startswith(_FRAMEWORKS):
        return ""
    if name in _CLIENTS and origin.startswith("openai"):
        return "client"
    if name in _AGENTS:
        return "agent"
    if name in _GRAPHS:
        return "graph"
    is_model = name.startswith(("Chat", "AzureChat")) and not name.startswith(("ChatPrompt",))
    return "model" if name == "init_chat_model" or (is_model and "prompt" not in origin) else ""
