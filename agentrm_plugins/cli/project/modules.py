"""Which file of a project an import means, by the layouts that projects have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["FRAMEWORKS", "Modules"]

FRAMEWORKS = ("langchain", "langgraph", "openai", "deepagents", "agentrm")


class Modules:
    """The files of a folder, by the names under which they import each other."""

    def __init__(self, folder: Path, files: list[Path]) -> None:
        self._folder = folder
        self._files = set(files)
        self._packages = {path.parent for path in files if path.name == "__init__.py"}
        self._roots = self._known_roots()

    def path(self, importer: Path, module: str, level: int = 0) -> Path | None:
        """The project's file of that name; None if the module is somebody else's."""
        parts = [part for part in module.split(".") if part]
        if level:
            base = importer.parent
            for _ in range(level - 1):
                base = base.parent
            return self._file(base, parts)
        if not parts or parts[0].startswith(FRAMEWORKS):
            return None
        for root in self._roots_of(importer):
            found = self._file(root, parts)
            if found is not None:
                return found
        return None

    def name(self, folder: Path) -> str:
        """How a module in that folder is imported, without its own name: "app" or ""."""
        root = self.root(folder)
        return ".".join(folder.relative_to(root).parts)

    def root(self, folder: Path) -> Path:
        """The folder from which a folder's modules are imported."""
        while folder in self._packages and folder != self._folder:
            folder = folder.parent
        near = [root for root in self._roots if root == folder or root in folder.parents]
        return max(near, key=lambda root: len(root.parts), default=self._folder)

    def _file(self, base: Path, parts: list[str]) -> Path | None:
        place = base.joinpath(*parts)
        for path in (place / "__init__.py", place.with_name(f"{place.name}.py")):
            if path in self._files and (parts or path.name == "__init__.py"):
                return path
        return None

    def _roots_of(self, importer: Path) -> Iterator[Path]:
        """Where Python may look: above the importer's package, nearest first; then the others."""
        folder = importer.parent
        while folder in self._packages and folder != self._folder:
            folder = folder.parent
        while folder != self._folder and self._folder in folder.parents:
            yield folder
            yield folder / "src"
            folder = folder.parent
        yield self._folder
        yield from self._roots

    def _known_roots(self) -> list[Path]:
        """The project's folder, each `src`, and what holds a package that is in no other."""
        outermost = {
            package.parent
            for package in self._packages
            if package != self._folder and package.parent not in self._packages
        }
        places = {place for path in self._files for place in path.parents}
        sources = {
            place for place in places if place.name == "src" and self._folder in place.parents
        }
        return sorted({self._folder, *outermost, *sources})
