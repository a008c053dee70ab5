"""What the documents name is where a user finds it: each class of ours comes from a door."""

from __future__ import annotations

import ast
import importlib
import re

from tests.test_architecture import ADAPTERS, CORE, DOCUMENTED, ROOT, python_files

NAMED = re.compile(r"`([A-Z][a-z]+(?:[A-Z][A-Za-z]*)+)[`(.]")
PARTS = re.compile(r"Statistics$")  # of `Statistics`: nobody makes one


def faults(text: str, ours: set[str], offered: set[str]) -> set[str]:
    """Classes of ours that a text names, and no door offers."""
    named = {name for name in NAMED.findall(text) if not PARTS.search(name)}
    return (named & ours) - offered


def test_classes_that_documents_name_are_offered() -> None:
    """README and docs name no class that has to be looked for; the design page alone may."""
    ours = {
        node.name
        for path in python_files(CORE, ADAPTERS)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    offered = {name for door in DOCUMENTED for name in importlib.import_module(door).__all__}
    assert faults("Catch `WouldDeadlock`, not `KernelBug.`", {"KernelBug"}, offered)  # it can fail
    pages = [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    found = {
        str(page.relative_to(ROOT)): missing
        for page in pages
        if page.name not in {"design.md", "CHANGELOG.md"} and "reference" not in page.parts
        for missing in [faults(page.read_text(encoding="utf-8"), ours, offered)]
        if missing
    }
    assert len(pages) > 1
    assert not found, found
