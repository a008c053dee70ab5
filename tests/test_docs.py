"""The text is tested: every Python block of the README and the docs runs, every target exists."""

from __future__ import annotations

import gc
import re
import shlex
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_examples = pytest.importorskip("pytest_examples")

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "adapters", "examples", "benchmarks", "cassettes")
DOCUMENTS = [
    path
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")),
        ]
    )
    if not any(part.startswith(".") for part in path.relative_to(ROOT).parts)
]
BLOCKS = list(pytest_examples.find_examples(*map(str, DOCUMENTS)))
SHELL_BLOCK = re.compile(
    r"^```(?:sh|bash|shell|console)\n(.*?)^```|((?:^ {4}\S.*\n)+)", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\[[^\]]*\]\((?!https?:|mailto:|#)([^)#\s]+)[^)]*\)")


def make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def shell_commands(text: str) -> Iterator[list[str]]:
    for fenced, indented in SHELL_BLOCK.findall(text):
        for line in (fenced or indented).splitlines():
            command = line.strip().removeprefix("$ ")
            if command.startswith(("make", "agentrm")):
                yield shlex.split(command, comments=True)


@pytest.fixture
def provider_url(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str | None]:
    """The base URL of a simulated provider, also in the OpenAI client's environment."""
    source = request.getfixturevalue("block").source
    if "provider_url" not in source and "openai" not in source.lower():
        yield None
        return
    from agentrm_plugins.testing.provider import ProviderConfig, SimulatedProvider

    with SimulatedProvider(ProviderConfig(seed=7)) as provider:
        monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "test-key")
        yield provider.base_url
    forget_clients()


def forget_clients() -> None:
    """Let go of the HTTP clients that langchain-openai keeps, whose event loops are over."""
    from langchain_openai.chat_models import _client_utils

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        for kept in vars(_client_utils).values():
            if hasattr(kept, "cache_clear"):
                kept.cache_clear()
        gc.collect()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.path.stem}:{block.start_line}")
def test_python_block_runs(
    block: pytest_examples.CodeExample,
    eval_example: pytest_examples.EvalExample,
    provider_url: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each block stands alone: it runs in a namespace and a folder of its own."""
    settings = block.prefix_settings()
    if settings.get("test") == "skip":
        pytest.skip("the document says why")
    monkeypatch.chdir(tmp_path)
    given = {} if provider_url is None else {"provider_url": provider_url}
    if "#>" in block.source:  # The block promises its output.
        eval_example.run_print_check(block, module_globals=given)
    else:
        eval_example.run(block, module_globals=given)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_named_commands_and_files_exist(path: Path) -> None:
    """A make target or a relative link named in a document is there."""
    text = path.read_text(encoding="utf-8")
    called = {
        word
        for command in shell_commands(text)
        if command[0] == "make"
        for word in command[1:]
        if "=" not in word and not word.startswith("-")
    }
    called |= set(re.findall(r"`make ([a-z][a-z-]*)", text))
    assert called <= make_targets()
    broken = [link for link in LINK.findall(text) if not (path.parent / link).exists()]
    assert not broken


def test_documents_are_found() -> None:
    """The search looks in the right place: this page has no block, but names targets."""
    assert ROOT / "CONTRIBUTING.md" in DOCUMENTS
    commands = list(shell_commands((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")))
    assert ["make", "test"] in commands
    assert {"test", "demo"} <= make_targets()
