"""The few lines that would manage a project: of `agentrm init` and `agentrm doctor --fix`."""

from __future__ import annotations

from pathlib import Path

from agentrm_plugins.cli.project import Finding, findings, python_files

__all__ = ["advice"]

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
    "model": (
        "from agentrm_langchain import wrap_chat_model",
        "{it} = wrap_chat_model({it}, rm)  # before bind_tools and the like",
    ),
    "client": (
        "from agentrm_openai import manage_client",
        "{it} = manage_client({it}, rm)",
    ),
}
_NAMED = 5
"""Files that cannot be read and are named; of more the number is told."""
_NOTES = {
    "retry": "may go: a managed call goes again by itself, holding no lane",
    "limiter": "may go: lanes bound what runs at once, and rates are found out",
}


def advice(folder: Path) -> list[str]:
    """What was found in the folder's code, and the lines for it. Nothing is changed or run."""
    return _told([one for path in python_files(folder) for one in findings(path)], folder)


def _told(found: list[Finding], folder: Path) -> list[str]:
    unread = [one for one in found if one.kind == "unread"]
    return _made(found, folder) + (_left_out(unread, folder) if unread else [])


def _left_out(unread: list[Finding], folder: Path) -> list[str]:
    """One line, however many there are."""
    named = [f"{one.path.relative_to(folder).as_posix()} ({one.name})" for one in unread[:_NAMED]]
    if len(unread) > _NAMED:
        named.append(f"and {len(unread) - _NAMED} more")
    return ["", f"Left out, as it cannot be read: {', '.join(named)}."]


def _made(found: list[Finding], folder: Path) -> list[str]:
    made = [one for kind in _LINES for one in found if one.kind == kind]
    if not made:
        where = f"{folder.resolve().name}/"
        return [
            f"No model, agent, graph or client of LangChain or the OpenAI SDK is made in {where}.",
            "Take a lane for any other code:  with rm.slot(agent='name'): ...",
        ]
    lines = ["Found:"]
    lines += [f"  {_place(one, folder)}  {one.kind}: {one.name}{_state(one)}" for one in made]
    todo = [one for one in made if not one.managed and not one.inside]
    lines += _lines(todo, folder) if todo else ["", "All of it is managed already."]
    for kind, words in _NOTES.items():
        for one in found:
            if one.kind == kind:
                lines += ["", f"{_place(one, folder)}: {one.name} {words}."]
    return lines


def _lines(todo: list[Finding], folder: Path) -> list[str]:
    imports = dict.fromkeys(_LINES[one.kind][0] for one in todo)
    lines = ["", f"Install:  pip install 'agentrm-plugins[{_extras(todo)}]'"]
    lines += ["", "Once, where the process starts:", "", "    from agentrm_plugins import AgentRM"]
    lines += [f"    {text}" for text in imports]
    lines += ["", "    rm = AgentRM(lanes=4)  # at most four model calls at once", ""]
    named = [one for one in todo if _in_place(one) is None]
    if named:
        lines.append("Then, below the statement that begins in the line that is named:")
    for one in named:
        text = _LINES[one.kind][1].format(it=one.target)
        lines += ["", f"    # {_place(one, folder)}", f"    {text}"]
    inline = [one for one in todo if _in_place(one) is not None]
    if inline:
        lines += [""] if named else []
        lines.append("And around what is used where it is made:")
    for one in inline:
        lines += ["", f"    # {_place(one, folder)}", f"    {_in_place(one)}"]
    return lines


def _in_place(one: Finding) -> str | None:
    """The expression for something that has no name of its own; None if it has one."""
    if one.target and not (one.kind == "graph" and not one.compiled):
        return None
    function = _LINES[one.kind][0].rpartition(" ")[2]
    made = f"{one.target or 'builder'}.compile(...)" if one.kind == "graph" else f"{one.name}(...)"
    return f"{function}({made}, rm)  # in place of {made}"


def _extras(todo: list[Finding]) -> str:
    """What has to be installed; each of agents, langgraph and langchain brings the next."""
    kinds = {one.kind for one in todo}
    if any(one.name in {"create_agent", "create_deep_agent"} for one in todo):
        chosen = ["agents"]
    elif kinds & {"agent", "graph"}:
        chosen = ["langgraph"]
    else:
        chosen = ["langchain"] if "model" in kinds else []
    return ",".join([*chosen, *(["openai"] if "client" in kinds else [])])


def _state(one: Finding) -> str:
    if one.managed:
        return " (managed already)"
    return " (with the agent or graph that uses it)" if one.inside else ""


def _place(one: Finding, folder: Path) -> str:
    return f"{one.path.relative_to(folder).as_posix()}:{one.line}"
