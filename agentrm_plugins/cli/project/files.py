"""Which files of a folder are the project's own, and which are left out, each with the reason."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Files", "Skipped", "project_files"]

_MADE = {
    "node_modules": "packages of npm",
    "site-packages": "installed packages",
    "build": "built",
    "dist": "built",
    "venv": "an environment",
    "env": "an environment",
}
_MOST_FILES = 5_000
_MOST_BYTES = 1_000_000  # a larger program is generated
_MOST_NOTEBOOK_BYTES = 50_000_000  # pictures in its outputs make a notebook large


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was not read.

    Attributes:
        path: The file or the folder.
        why: In some words: "may not be entered".
        rule: It is left out of every project: an environment, a hidden folder, what is built.
    """

    path: Path
    why: str
    rule: bool = False

    def to_dict(self, folder: Path) -> dict[str, Any]:
        """As JSON takes it, the path seen from the project's folder."""
        path = self.path.relative_to(folder).as_posix()
        return {"path": path, "why": self.why, "rule": self.rule}


@dataclass(slots=True)
class Files:
    """What is read of a folder, in order, and what is not."""

    found: list[Path] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def project_files(folder: Path) -> Files:
    """The programs and notebooks below a folder; forbidden places are named, not raised."""
    files = Files()

    def refused(error: OSError) -> None:
        files.skipped.append(Skipped(Path(error.filename), "may not be entered"))

    for parent, folders, names in os.walk(folder, onerror=refused):
        here = Path(parent)
        folders[:] = [name for name in sorted(folders) if _enters(here / name, files)]
        for name in sorted(names):
            if not name.endswith((".py", ".ipynb")):
                continue
            if len(files.found) == _MOST_FILES:
                why = f"more than {_MOST_FILES:,} files: this one and those after it"
                files.skipped.append(Skipped(here / name, why))
                return files
            why = _unreadable(here / name)
            if why:
                files.skipped.append(Skipped(here / name, why))
            else:
                files.found.append(here / name)
    return files


def _enters(folder: Path, files: Files) -> bool:
    name = folder.name
    why = _MADE.get(name, "")
    if name == "__pycache__":
        return False
    if name.startswith("."):
        why = "hidden"
    elif os.path.exists(folder / "pyvenv.cfg"):  # noqa: PTH110 - False if forbidden
        why = "an environment"
    if why:
        files.skipped.append(Skipped(folder, why, rule=True))
    elif os.path.islink(folder):  # noqa: PTH114 - False if forbidden
        files.skipped.append(Skipped(folder, "a link to a folder"))
        return False
    return not why


def _unreadable(path: Path) -> str:
    """Why a file is not read; "" if it is of a size that people write."""
    most = _MOST_NOTEBOOK_BYTES if path.suffix == ".ipynb" else _MOST_BYTES
    try:
        if not path.is_file():
            return "no file" if path.exists() else "a link to nothing"
        size = path.stat().st_size
    except OSError:
        return "may not be read"
    if size <= most:
        return ""
    return f"{size / 1e6:.1f} MB, over {most / 1e6:.0f} MB: taken as generated"
