"""The few lines that would manage a project: of `agentrm init` and `agentrm doctor --fix`."""

from __future__ import annotations

from pathlib import Path

from agentrm_plugins.cli.project import Finding, findings, python_files

__all__ = ["advice"]

# For each kind: the extra, the import, and the line; `{it}` is the name that it is assigned to.
_LINES = {
    "graph": (
        "langgraph",
        "from agentrm_langchain import manage",
        "graph = manage({it}.compile(), rm)  # its nodes, and the models that they use",
    ),
    "agent": (
        "langgraph",
        "from agentrm_langchain import manage",
        "{it} = manage({it}, rm)  # its model and its tools",
    ),
    "model": (
        "langchain",
        "from agentrm_langchain import wrap_chat_model",
        "{it} = wrap_chat_model({it}, rm)  # before bind_tools and the like",
    ),
    "client": (
        "openai",
        "from agentrm_openai import manage_client",
        "{it} = manage_client({it}, rm)",
    ),
}
_NOTES = {
    "retry": "may go: a managed call goes again by itself, holding no lane",
    "limiter": "may go: lanes bound what runs at once, and rates are found out",
}


def advice(folder: Path) -> list[str]:
    """What was found in the folder's code, and the lines for it. Nothing is changed or run."""
    return _told([one for path in python_files(folder) for one in findings(path)], folder)


def _told(found: list[Finding], folder: Path) -> list[str]:
    by_kind = {kind: [one for one in found if one.kind == kind] for kind in (*_LINES, *_NOTES)}
    managed = [one for one in found if one.kind == "managed"]
    chosen = [kind for kind in _LINES if by_kind[kind]]
    if not chosen:
        where = f"{folder.resolve().name}/"
        return [
            f"No model, agent, graph or client of LangChain or the OpenAI SDK is made in {where}.",
            "Take a lane for any other code:  with rm.slot(agent='name'): ...",
        ]
    lines = ["Found:"]
    for kind in chosen:
        lines += [f"  {_place(one, folder)}  {kind}: {one.name}" for one in by_kind[kind]]
    if managed:
        lines.append(f"  {len(managed)} calls of AgentRM are here already.")
    extras = ",".join(sorted({_LINES[kind][0] for kind in chosen}))
    lines += ["", f"Install:  pip install 'agentrm-plugins[{extras}]'"]
    lines += ["", "Once, where the process starts:", "", "    from agentrm_plugins import AgentRM"]
    lines += [f"    {text}" for text in dict.fromkeys(_LINES[kind][1] for kind in chosen)]
    lines += ["", "    rm = AgentRM(lanes=4)  # at most four model calls at once", ""]
    lines.append("Then, after the line that is named:")
    for kind in chosen:
        for one in by_kind[kind]:
            text = _LINES[kind][2].format(it=one.target or kind)
            lines += ["", f"    # {_place(one, folder)}", f"    {text}"]
    for kind, words in _NOTES.items():
        for one in by_kind[kind]:
            lines += ["", f"{_place(one, folder)}: {one.name} {words}."]
    lines += ["", "A model in a managed agent or graph needs no line of its own."]
    return lines


def _place(one: Finding, folder: Path) -> str:
    return f"{one.path.relative_to(folder).as_posix()}:{one.line}"
