"""Where the one core of a project of several files is to live, and what is to be installed."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from agentrm_plugins.cli.project.findings import Finding, Project

__all__ = ["extras", "installed", "module_for_core"]

_NAMES = ("resources", "model_resources", "agentrm_core", "shared_core")
_BRING = {
    "agents": "langchain",
    "langgraph": "langgraph",
    "langchain": "langchain_core",
    "openai": "openai",
}


def module_for_core(path: Path, paths: list[Path], project: Project) -> tuple[Path, str]:
    """The file that makes the core for a file, and how that imports it: "app.resources".

    Files that are imported from one folder share it; it lies where all of them are below.

    Args:
        path: The file that is to have the core.
        paths: All files that are to have one.
        project: In which they are.
    """
    root = project.modules.root(path.parent)
    mine = [one.parent for one in paths if project.modules.root(one.parent) == root]
    folder = Path(os.path.commonpath(mine))
    name = next((one for one in _NAMES if folder / f"{one}.py" not in project.files), _NAMES[-1])
    package = project.modules.name(folder)
    return folder / f"{name}.py", f"{package}.{name}" if package else name


def extras(todo: list[Finding]) -> str:
    """What has to be installed; each of agents, langgraph and langchain brings the next."""
    kinds = {one.kind for one in todo}
    if any(one.name in {"create_agent", "create_deep_agent"} for one in todo):
        chosen = ["agents"]
    elif kinds & {"agent", "graph"}:
        chosen = ["langgraph"]
    else:
        chosen = ["langchain"] if kinds & {"model", "chain", "embeddings"} else []
    return ",".join([*chosen, *(["openai"] if "client" in kinds else [])])


def installed(told: str) -> bool:
    """Whether what these extras bring is here: "agents,openai"."""
    return all(find_spec(_BRING[name]) is not None for name in told.split(",") if name)
