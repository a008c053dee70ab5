"""What a project calls models with, read from its source without running any of it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentrm_plugins.cli.source import Source

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
    """One place where something that calls models is made.

    Attributes:
        kind: "model", "client", "agent", "graph", "retry" or "limiter"; "unread" of a whole file.
        path: The file.
        line: Where the call begins.
        name: Of what is called: "ChatOpenAI"; of a file that is not read, why.
        target: What the result is assigned to; "" if it is used where it is made.
        managed: A call of AgentRM has it already.
        inside: An agent or a graph of the same file uses it, and is managed with it.
        compiled: Of a graph: it is compiled in this file, at this line.
    """

    kind: str
    path: Path
    line: int
    name: str
    target: str = ""
    managed: bool = False
    inside: bool = False
    compiled: bool = False


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
            and not os.path.exists(here / name / "pyvenv.cfg")  # noqa: PTH110 - False if forbidden
        )
        for name in sorted(names):
            path = here / name
            if name.endswith(".py") and _is_readable(path):
                count += 1
                if count > _MOST_FILES:
                    return
                yield path


def _is_readable(path: Path) -> bool:
    """Whether it is a file of a size that people write; not if it may not be looked at."""
    try:
        return path.is_file() and path.stat().st_size <= _MOST_BYTES
    except OSError:
        return False


def findings(path: Path) -> list[Finding]:
    """What one file makes; or that it may not be read, is no Python, or is nested too deep."""
    try:
        return _made(path, Source(ast.parse(path.read_bytes())))
    except (RecursionError, MemoryError):
        why = "nested too deep"
    except OSError as error:
        why = error.strerror or type(error).__name__
    except SyntaxError as error:
        why = error.msg
    except ValueError:
        why = "not valid Python"
    return [Finding("unread", path, 0, why)]


def _made(path: Path, source: Source) -> list[Finding]:
    if not any(one.startswith((*_FRAMEWORKS, "agentrm")) for one in source.origins.values()):
        return []
    kinds = {id(call): _kind(call, source) for call in source.calls}
    agents = [call for call in source.calls if kinds[id(call)][0] == "agent"]
    carried = source.names_in(agents) | source.names_in_nodes()
    found = []
    for call in source.calls:
        kind, name = kinds[id(call)]
        if not kind:
            continue
        made = source.compiled(call) if kind == "graph" else call
        target = source.target(made)
        managed = source.is_managed(made, target) or source.is_managed(call, source.target(call))
        inside = kind == "model" and (
            target in carried or any(source.within(call, agent) for agent in agents)
        )
        found.append(
            Finding(kind, path, made.lineno, name, target, managed, inside, made is not call)
        )
    return sorted(found, key=lambda one: one.line)


def _kind(node: ast.Call, source: Source) -> tuple[str, str]:
    function = node.func
    if isinstance(function, ast.Attribute) and function.attr == "with_retry":
        return "retry", ".with_retry"
    name, origin = source.called(node)
    return _by_name(name, origin), name


def _by_name(name: str, origin: str) -> str:
    if name in _LIMITERS and origin and not origin.startswith("agentrm"):
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
