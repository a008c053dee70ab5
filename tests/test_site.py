"""The documents as a site and as text: strict, self-contained, in short sentences, up to date."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.published import drawings, reference

pytest.importorskip("mkdocs")
ROOT = Path(__file__).parents[1]
MOST_WORDS = 16.0
PROSE = [
    ROOT / "README.md",
    ROOT / "SECURITY.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *(
        ROOT / "docs" / f"{name}.md"
        for name in ("quickstart", "concepts", "deployment", "operations", "troubleshooting", "faq")
    ),
]
FETCHED = re.compile(
    r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>",
    re.IGNORECASE,
)
HARMLESS = re.compile(r"rel=[\"']?(?:canonical|alternate|prev|next|edit)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", out]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_site_is_whole_and_fetches_nothing(site: Path) -> None:
    """No dead link (mkdocs is strict), and no font, script or picture of another host."""
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 35
    for page in pages:
        text = page.read_text(encoding="utf-8")
        found = [tag for tag in FETCHED.findall(text) if not HARMLESS.search(tag)]
        assert not found, (page.name, found)
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_relative_link_of_the_built_pages_leads_somewhere(site: Path) -> None:
    """Also those that mkdocs does not check: pictures, raw HTML and what the hook has turned."""
    dead = []
    for page in site.rglob("*.html"):
        if page.name == "404.html":
            continue
        text = page.read_text(encoding="utf-8")
        for link in re.findall(r"(?:href|src)=\"([^\"#?]+)", text):
            if not re.match(r"[a-z]+:|//|/", link) and not (page.parent / link).exists():
                dead.append((page.relative_to(site).as_posix(), link))
    assert not dead


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_search_finds_what_people_look_for(site: Path) -> None:
    """The index of the search has the pages that a symptom's words lead to."""
    entries = json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))[
        "docs"
    ]
    for words, page in (
        ("CallReaped", "troubleshooting.html"),
        ("Streamlit", "guides/streamlit.html"),
        ("silence_timeout_s", "reference/configuration.html"),
        ("wrap_chat_model", "reference/api.html"),
    ):
        found = [e["location"] for e in entries if words in e["title"] + e["text"]]
        assert any(location.startswith(page) for location in found), (words, found[:5])


def sentences(text: str) -> list[list[str]]:
    """The sentences of prose: no code, no tables, no headings, no bare links."""
    text = re.sub(r"```.*?```|<!--.*?-->", "", text, flags=re.DOTALL)
    lines = [
        line if re.match(r"\s*(?:[-*]|\d+\.) ", line) is None else f"\n\n{line.strip()}"
        for line in text.splitlines()
        if not re.match(r"\s*\||#| {4,}\S|!\[|\[.*\) ·", line)
    ]
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", "\n".join(lines))
    text = re.sub(r"`[^`]*`", "code", text)
    found = []
    for block in re.split(r"\n\s*\n", text):
        for sentence in re.split(r"(?<=[.!?:;])\**\s+", " ".join(block.split())):
            words = re.findall(r"[\w'-]+", sentence)
            if words:
                found.append(words)
    return found


@pytest.mark.parametrize("path", PROSE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_sentences_are_short(path: Path) -> None:
    """At most sixteen words in the mean, in README and guides."""
    found = sentences(path.read_text(encoding="utf-8"))
    mean = sum(map(len, found)) / len(found)
    longest = max(found, key=len)
    assert mean <= MOST_WORDS, f"{mean:.1f}: {' '.join(longest)}"


def test_the_readme_is_a_screen_and_a_half() -> None:
    """Promise, install, first run, ten lines, adoption, comparison, links; the rest is in docs/."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 110


@pytest.mark.parametrize("page", reference.PAGES)
def test_generated_pages_say_what_the_code_says(page: str) -> None:
    """Configuration, errors, events and commands: `python -m benchmarks.published.reference`."""
    text = (ROOT / "docs" / "reference" / page).read_text(encoding="utf-8")
    assert text == reference.PAGES[page]()


def test_every_configured_field_has_its_words() -> None:
    """No field without a description, and each number with a unit says so in its name."""
    rows = [
        line.split(" | ")
        for line in reference.configuration().splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 70
    assert all(len(row) == 5 and row[3].strip() and row[4].strip(" |") for row in rows)


@pytest.mark.parametrize("name", drawings.PICTURES)
def test_pictures_are_those_that_the_script_draws(name: str) -> None:
    """`python -m benchmarks.published.drawings` draws them again."""
    text = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
    assert text == drawings.draw(name)


def test_every_page_of_docs_is_in_the_navigation() -> None:
    """Nobody writes a page that no reader can find."""
    listed = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert not {page for page in pages if page not in listed}


def test_every_example_is_in_the_gallery() -> None:
    """With a line and a picture that exists."""
    gallery = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    names = [
        path.relative_to(ROOT / "examples").as_posix()
        for folder in ("", "fleet")
        for path in (ROOT / "examples" / folder).glob("*.*")
        if path.suffix in {".py", ".ipynb"}
    ]
    for name in [*names, "ci_replay"]:
        row = next((line for line in gallery.splitlines() if f"[{name}]" in line), "")
        assert row.count("|") == 4, name
        picture = re.search(r"!\[[^\]]+\]\(([^)]+)\)", row)
        assert picture, name
        assert (ROOT / "examples" / picture[1]).exists()


def test_each_cell_of_a_wide_table_names_its_column() -> None:
    """A phone shows such a row as a card; a table of three columns stays as it is."""
    from docs.site_hook import labelled

    def table(*heads: str) -> str:
        head = "".join(f"<th>{name}</th>\n" for name in heads)
        row = "".join(f"<td>{number}</td>\n" for number in range(len(heads)))
        return (
            f"<table>\n<thead>\n<tr>\n{head}</tr>\n</thead>\n"
            f"<tbody>\n<tr>\n{row}</tr>\n</tbody>\n</table>"
        )

    wide = labelled(table("<code>field</code>", 'a "unit"', "default", "what"))
    assert "<table data-cards>" in wide
    assert re.findall(r'<td data-of="([^"]*)">(\d)', wide) == [
        ("field", "0"), ("a &quot;unit&quot;", "1"), ("default", "2"), ("what", "3"),
    ]  # fmt: skip
    assert labelled(table("a", "b", "c")) == table("a", "b", "c")
