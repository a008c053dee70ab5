"""The few lines that would manage a project: of `agentrm init` and `agentrm doctor --fix`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agentrm_plugins.cli.project.findings import Finding, Project, look_at
from agentrm_plugins.cli.project.placing import extras, installed, module_for_core
from agentrm_plugins.cli.project.told import place, state, unread

__all__ = ["advice", "told_as_data"]

# For each kind: the import, and the line; `{it}` is the name that it is assigned to.
_LINES = {
    "graph": (
        "from agentrm_langchain import manage",
        "{it} = manage({it}, rm)  # its nodes, and the models that they use",
    ),
    "agent": (
        "from agentrm_langchain import manage",
        "{it} = manage({it}, rm)  # its model and its tools",
    ),
    "chain": (
        "from agentrm_langchain import manage",
        "{it} = manage({it}, rm)  # every model in it",
    ),
    "model": (
        "from agentrm_langchain import wrap_chat_model",
        "{it} = wrap_chat_model({it}, rm)  # before bind_tools and the like",
    ),
    "embeddings": (
        "from agentrm_langchain import ManagedEmbeddings",
        "{it} = ManagedEmbeddings({it}, rm)",
    ),
    "client": (
        "from agentrm_openai import manage_client",
        "{it} = manage_client({it}, rm)",
    ),
}
_NOTES = {
    "retry": "may go: a managed call goes again by itself, holding no lane",
    "limiter": "may go: lanes bound what runs at once, and rates are found out",
}
_CORE = "rm = AgentRM(lanes=4)  # at most four model calls at once"


def advice(folder: Path) -> list[str]:
    """What was found in the folder's code, and the lines for it. Nothing is changed or run."""
    project = look_at(folder)
    return [*_told(project), *unread(project)]


def told_as_data(folder: Path) -> dict[str, Any]:
    """The same as JSON takes it: what was found, what was not read, and the lines."""
    project = look_at(folder)
    return {
        "files": len(project.files),
        "found": [one.to_dict(folder) for one in project.found],
        "skipped": [one.to_dict(folder) for one in project.skipped],
        "extras": extras(_todo(project)),
        "lines": [*_told(project), *unread(project)],
    }


def _made(project: Project) -> list[Finding]:
    return [one for kind in _LINES for one in project.found if one.kind == kind]


def _todo(project: Project) -> list[Finding]:
    return [one for one in _made(project) if not one.managed and not one.inside]


def _told(project: Project) -> list[str]:
    folder, made = project.folder, _made(project)
    if not made:
        where = f"{folder.resolve().name}/"
        return [
            f"No model, agent, graph or client of LangChain or the OpenAI SDK is made in {where}.",
            "Take a lane for any other code:  with rm.slot(agent='name'): ...",
        ]
    lines = ["Found:"]
    lines += [f"  {place(one, folder)}  {one.kind}: {one.name}{state(one)}" for one in made]
    todo = _todo(project)
    lines += _lines(todo, project) if todo else ["", "All of it is managed already."]
    for kind, words in _NOTES.items():
        for one in project.found:
            if one.kind == kind:
                lines += ["", f"{place(one, folder)}: {one.name} {words}."]
    return lines


def _lines(todo: list[Finding], project: Project) -> list[str]:
    wanted = f"agentrm-plugins[{extras(todo)}]"
    way = "Installed already:  {}" if installed(extras(todo)) else "Install:  pip install '{}'"
    lines = ["", way.format(wanted), ""]
    paths = dict.fromkeys(one.path for one in todo)
    if len(paths) == 1:
        lines += ["Once, where the process starts:", "", "    from agentrm_plugins import AgentRM"]
        lines += [*_imports(todo), "", f"    {_CORE}", ""]
        return lines + list(_changes(todo, project))
    shared = {path: module_for_core(path, list(paths), project) for path in paths}
    for file in dict.fromkeys(file for file, _ in shared.values()):
        at = file.relative_to(project.folder).as_posix()
        lines += [f"Once for the process, in a module of its own, say {at}:", ""]
        lines += ["    from agentrm_plugins import AgentRM", "", f"    {_CORE}", ""]
    for path in paths:
        mine = [one for one in todo if one.path == path]
        lines += [f"In {path.relative_to(project.folder).as_posix()}:", "", *_imports(mine)]
        lines += [f"    from {shared[path][1]} import rm", "", *_changes(mine, project), ""]
    return lines[:-1]


def _imports(todo: list[Finding]) -> list[str]:
    return [f"    {text}" for text in dict.fromkeys(_LINES[one.kind][0] for one in todo)]


def _changes(todo: list[Finding], project: Project) -> Iterator[str]:
    named = [one for one in todo if _in_place(one) is None]
    if named:
        yield "Then, below the statement that begins in the line that is named:"
    for one in named:
        text = _LINES[one.kind][1].format(it=one.target)
        yield from ("", f"    # {place(one, project.folder)}", f"    {text}")
    inline = [one for one in todo if _in_place(one) is not None]
    if inline and named:
        yield ""
    if inline:
        yield "And around what is used where it is made:"
    for one in inline:
        yield from ("", f"    # {place(one, project.folder)}", f"    {_in_place(one)}")


def _in_place(one: Finding) -> str | None:
    """The expression for something that has no name of its own; None if it has one."""
    if one.target and not (one.kind == "graph" and not one.compiled):
        return None
    function = _LINES[one.kind][0].rpartition(" ")[2]
    made = f"{one.target or 'builder'}.compile(...)" if one.kind == "graph" else f"{one.name}(...)"
    return f"{function}({made}, rm)  # in place of {made}"
