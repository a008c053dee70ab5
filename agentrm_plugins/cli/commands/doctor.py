"""Check an installation and a program: versions, configuration, which models slip past."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated

import typer

from agentrm_plugins.cli.advice import advice
from agentrm_plugins.cli.doctor.configured import configured, left_closed
from agentrm_plugins.cli.doctor.finding import NOTE, OK, PROBLEM, Finding
from agentrm_plugins.cli.doctor.installation import installation
from agentrm_plugins.cli.doctor.program import program
from agentrm_plugins.cli.targets import imported
from agentrm_plugins.types.looking import only_looking

__all__ = ["register"]

_App = Annotated[
    str | None,
    typer.Argument(help="An object of your program, such as my_app:graph; or a module."),
]
_SIGNS = {OK: "ok  ", NOTE: "note", PROBLEM: "FAIL"}
_ORDER = (PROBLEM, NOTE, OK)  # what is wrong is read first


def doctor(
    app: _App = None,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only what is not ok.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Print the lines that would manage this folder's code.")
    ] = False,
) -> None:
    """Check an installation and a program: versions, configuration, which models slip past.

    APP is imported, which runs its module, with recording and monitor off; no model is called by
    doctor itself. Each finding says what to do.
    Exit code 0: all is well, or only notes. 1: something is wrong. 2: APP cannot be imported.
    """
    findings = list(installation())
    found, settings = configured()
    findings += found
    usable = True
    if app is not None:
        try:
            with only_looking() as closed:
                module, target = imported(app)
        except typer.BadParameter as error:
            if not json:
                raise
            way = "mend it, or name another object: my_app:graph, my_app:make(), or a module"
            findings.append(Finding("app", PROBLEM, error.message, way))
            usable = False
        else:
            findings += [*left_closed(closed), *program(module, target, app, settings)]
    findings.sort(key=lambda one: _ORDER.index(one.status))
    wrong = any(one.status == PROBLEM for one in findings)
    lines = advice(Path()) if fix else []
    if json:
        told = {"ok": not wrong, "findings": [one.to_dict() for one in findings], "fix": lines}
        typer.echo(json_module.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(findings, lines, quiet=quiet)
    raise typer.Exit(int(wrong) if usable else 2)


def _print(findings: list[Finding], lines: list[str], *, quiet: bool) -> None:
    for one in findings:
        if quiet and one.status == OK:
            continue
        typer.echo(f"{_SIGNS[one.status]}  {one.check:12}  {one.text}")
        if one.fix:
            typer.echo(f"{'':18}-> {one.fix}")
    counts = {status: sum(one.status == status for one in findings) for status in _SIGNS}
    typer.echo(f"\n{counts[OK]} ok, {counts[NOTE]} notes, {counts[PROBLEM]} problems")
    for line in ("", *lines) if lines else ():
        typer.echo(line)


def register(app: typer.Typer) -> None:
    """Add `agentrm doctor`."""
    app.command("doctor")(doctor)
