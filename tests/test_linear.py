"""Text is handled in linear time: every pattern of the code, on text that was made to be slow.

A pattern that looks at its input quadratically holds the interpreter's lock for seconds on a tool
result of some kilobytes: every thread stands still, not only the one that reads.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import process_time

import pytest

ROOT = Path(__file__).parent.parent
ADAPTERS = ("agentrm_langchain", "agentrm_langgraph", "agentrm_openai")
# Pieces that are repeated: runs of one kind of character, and runs that nearly match something.
PIECES = (
    *("a", "A", "0", " ", "\n", "\t", "[", "{", "(", '"', "'", "\\", ".", "-", "_", "=", ":", ","),
    *("/", "@", "#", "%", "$", "é", "漢", "ا", "\u200d", "\U0001f600", "ab ", "Ab", "a0", "0a"),
    *(
        "0.",
        "0,",
        "0-",
        "0:",
        "a.",
        "a-",
        "a_",
        "a=",
        "a: ",
        "a, ",
        "a/",
        "a@",
        "a@a.",
        "00 ",
        "- ",
    ),
    *("1.1.", "1e", "0x", "a='", '"a":', "[[", "{}", "\\u00", "is ", "the ", "Aa ", "A. ", "in 1 "),
    *("0\n", " \n", "a\n", "x = ", "x=1;", "http://", "sk-", "try again in ", "1s", "1h1m", "%41"),
)
ENDS = ("", "!")
SIZES = (1_024, 8_192, 65_536)
SEARCHING = {"search", "finditer", "findall", "sub", "subn", "split"}
SECONDS_PER_MB = 0.5
# Patterns that only ever see short runs: `values_of` blanks longer ones before it looks, and
# tests/context/test_linear.py measures it whole.
GUARDED = ("agentrm_plugins.context.notes.values",)
SLACK = 4  # machines are noisy, and a quadratic pattern is wrong by a factor of a hundred


def modules() -> Iterator[str]:
    """Every module of the core and of the adapters that can be imported here."""
    for name in ("agentrm_plugins", *ADAPTERS):
        package = importlib.import_module(name)
        yield name
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                yield found.name


def held(value: object, depth: int = 0) -> Iterator[re.Pattern[str]]:
    """The patterns in a module's global, or in a container there."""
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield value
    elif depth < 3 and isinstance(value, tuple | list | set | frozenset):
        for inner in value:
            yield from held(inner, depth + 1)
    elif depth < 3 and isinstance(value, dict):
        for inner in value.values():
            yield from held(inner, depth + 1)


def written(path: Path) -> Iterator[tuple[str, str]]:
    """The patterns that a file hands to `re` where it uses them, each with what is done with it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.args
            and isinstance(node.args[0], ast.Constant)
            and isinstance(node.args[0].value, str)
        ):
            yield node.args[0].value, node.func.attr


@cache
def patterns() -> dict[str, tuple[re.Pattern[str], set[str]]]:
    """Each pattern by its text, with the methods that are called on it (none seen: all)."""
    found: dict[str, tuple[re.Pattern[str], set[str]]] = {}
    loaded = [importlib.import_module(name) for name in modules()]
    files = [Path(module.__file__) for module in loaded if module.__file__ is not None]
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for module in loaded:
        if module.__name__ in GUARDED:
            continue
        for attribute, value in vars(module).items():
            for pattern in held(value):
                used = set(re.findall(rf"\b{attribute}\.(\w+)\b", sources))
                found.setdefault(pattern.pattern, (pattern, set()))[1].update(used)
    for path in files:
        for text, used in written(path):
            if used != "compile":
                found.setdefault(text, (re.compile(text), set()))[1].add(used)
    return found


def seconds(pattern: re.Pattern[str], used: set[str], text: str) -> float:
    begun = process_time()
    pattern.fullmatch(text)
    pattern.match(text)
    if not used or used & SEARCHING:
        for _ in pattern.finditer(text):
            pass
    return process_time() - begun


def allowed(chars: int) -> float:
    return SLACK * SECONDS_PER_MB * max(chars, 32_768) / 1_048_576


def slow(pattern: re.Pattern[str], used: set[str]) -> str | None:
    """What takes longer than it may, or None."""
    for piece in PIECES:
        for end in ENDS:
            for chars in SIZES if end == "!" else SIZES[:2]:
                took = seconds(pattern, used, piece * (chars // len(piece)) + end)
                if took > allowed(chars):
                    return f"{chars} characters of {piece!r} + {end!r}: {took:.2f} s"
    return None


def test_the_patterns_are_found() -> None:
    """The search sees what modules hold and what they write where they use it."""
    assert len(patterns()) > 20


@pytest.mark.slow
@pytest.mark.parametrize("text", sorted(patterns()))
def test_every_pattern_is_linear(text: str) -> None:
    """Twice the text takes twice the time: half a second for a megabyte, with slack for noise."""
    assert slow(*patterns()[text]) is None


def test_a_quadratic_pattern_is_caught() -> None:
    """The test can fail: a pattern with a run inside a run is named with its text."""
    assert slow(re.compile(r"[a-z]+\d*[a-z]+!"), set()) is not None
