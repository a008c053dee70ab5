"""What the site takes from outside of docs/: the README as its home, examples, measured results.

Links that point there from a page are turned to where the file stands in the site.
"""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
PLACES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "CONTRIBUTING.md": "contributing.md",
    "examples/README.md": "examples/index.md",
    "benchmarks/results": "measured/paper.md",
}
LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)((?:#[^)\s]*)?\))")
_SETTINGS = re.compile(r"^```python [^\n]*$", re.MULTILINE)


def place_of(path: str) -> str | None:
    """Where a file of the project stands in the site; None if it does not."""
    if path in PLACES:
        return PLACES[path]
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path.startswith("examples/") and path.endswith((".py", ".ipynb")):
        return f"{path}.md"
    if path.startswith("benchmarks/results/"):
        return path.replace("benchmarks/results/", "measured/")
    if path.startswith("examples/"):
        return path
    return None


def turned(text: str, source: str) -> str:
    """The text with its links turned from the project's tree to the site's."""
    here = place_of(source) or source

    def turn(found: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(source), found[2]))
        there = place_of(target)
        if there is None:
            return found[0]
        return found[1] + posixpath.relpath(there, posixpath.dirname(here) or ".") + found[3]

    return _SETTINGS.sub("```python", LINK.sub(turn, text))


def _shown(path: Path) -> str:
    """A file as a page of the site."""
    text = path.read_text(encoding="utf-8")
    relative = path.relative_to(ROOT).as_posix()
    if path.suffix == ".md":
        return turned(text, relative)
    if path.suffix == ".ipynb":
        return f"# {path.name}\n\n" + "\n".join(map(_cell, json.loads(text)["cells"]))
    return f"# {path.name}\n\n```python\n{text}```\n"


def _cell(cell: dict[str, Any]) -> str:
    """A notebook's cell: words as words, code as code; the page has its title already."""
    text = "".join(cell["source"])
    if cell["cell_type"] == "code":
        return f"```python\n{text}\n```\n"
    return re.sub(r"^# .*\n?", "", text) + "\n"


def on_files(files: Any, config: Any) -> Any:
    """Add the files from outside of docs/."""
    found = [ROOT / name for name in PLACES if name.endswith(".md")]
    for pattern in ("*.py", "*.ipynb", "fleet/*.py"):
        found += sorted((ROOT / "examples").glob(pattern))
    found += [ROOT / "examples" / "ci_replay" / "README.md"]
    found += sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    for path in found:
        place = place_of(path.relative_to(ROOT).as_posix())
        if place is not None:
            files.append(File.generated(config, place, content=_shown(path)))
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.svg")):
        files.append(File.generated(config, f"measured/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of the pages that stand in docs/."""
    if page.file.generated_by:
        return markdown
    return turned(markdown, f"docs/{page.file.src_uri}")


_TABLE = re.compile(r"<table>\n<thead>.*?</table>", re.DOTALL)
_HEADS = re.compile(r"<th\b[^>]*>(.*?)</th>", re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_CARDS_FROM = 4  # columns: so many do not stand beside each other on a phone


def labelled(html: str) -> str:
    """The page with the name of its column at each cell of a table that is wide for a phone."""
    return _TABLE.sub(lambda found: _cards(found[0]), html)


def _cards(table: str) -> str:
    heads = [_TAG.sub("", head).strip().replace('"', "&quot;") for head in _HEADS.findall(table)]
    if len(heads) < _CARDS_FROM:
        return table

    def row(found: re.Match[str]) -> str:
        names = iter(heads)
        return re.sub(r"<td\b", lambda _: f'<td data-of="{next(names, "")}"', found[0])

    rows = re.sub(r"<tr>.*?</tr>", row, table, flags=re.DOTALL)
    return rows.replace("<table>", "<table data-cards>", 1)


def on_page_content(html: str, **_: Any) -> str:
    """Name the columns of tables, as the style sheet shows them on phones."""
    return labelled(html)
