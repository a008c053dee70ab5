"""What a program's source hands to AgentRM where importing it does not go."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from agentrm_plugins.cli.project.findings import Finding, look_at
from agentrm_plugins.cli.project.kinds import MAKES_ANY
from agentrm_plugins.cli.project.modules import FRAMEWORKS

__all__ = ["Source"]


class Source:
    """The files of a program, read when they are first asked about.

    Args:
        module: The one that was imported.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._path = Path(getattr(module, "__file__", None) or "")

    @cached_property
    def _found(self) -> list[Finding]:
        if not self._path.is_file():
            return []
        here = Path.cwd()
        inside = self._path.resolve().is_relative_to(here)
        return look_at(here if inside else self._path.resolve().parent).found

    def hands(self, kind: str, name: str, what: Any) -> str:
        """To what an object is given, and where: "manage in app.py:17"; "" if it is not.

        It is known by its name in the module; else all of its class have to be given to AgentRM. A
        graph's class is never named in the source: if no graph there has its name, all have to be.
        So for a class of a framework that is not named there, but may come of `init_chat_model`.

        Args:
            kind: "model", "client", "embeddings" or "graph".
            name: Its class.
            what: Itself.
        """
        kinds = {"graph", "agent"} if kind == "graph" else {kind}
        alike = [one for one in self._found if one.kind in kinds]
        names = {key for key, value in vars(self._module).items() if value is what}
        chosen = [
            one
            for one in alike
            if one.target in names and one.path.resolve() == self._path.resolve()
        ]
        if not chosen and kind == "graph":
            chosen = [one for one in alike if one.target in names] or alike
        elif not chosen:
            chosen = [one for one in alike if one.name == name]
            if not chosen and type(what).__module__.startswith(FRAMEWORKS):
                chosen = [one for one in alike if one.name in MAKES_ANY]
        return chosen[0].by if chosen and all(one.by for one in chosen) else ""
