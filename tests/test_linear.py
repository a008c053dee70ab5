"""Text is handled in linear time: every pattern of the code, on text that was made to be slow.

A pattern that looks at its input quadratically holds the interpreter's lock for seconds on a tool
result of some kilobytes: every thread stands still, not only the one that reads.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from time import thread_time
from typing import Any

import pytest

from tests.pace import slowness

ROOT = Path(__file__).parent.parent
ADAPTERS = ("agentrm_langchain", "agentrm_langgraph", "agentrm_openai")
OURS = ("agentrm_plugins", *ADAPTERS)
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
# What `re` itself is asked, and where the flags stand among its arguments.
FLAGS_AT = {"compile": 1, "search": 2, "match": 2, "fullmatch": 2, "findall": 2, "finditer": 2}
FLAGS_AT |= {"split": 3, "sub": 4, "subn": 4}
SECONDS_PER_MB = 0.5
# Patterns that only ever see short runs: `values_of` blanks longer ones before it looks, and
# tests/context/test_linear.py measures it whole.
GUARDED = ("agentrm_plugins.context.notes.values",)
GROWS = SIZES[1] / SIZES[0]
SOON_S, LEAST_S = 0.004, 2e-5  # far from what is allowed; and what a clock can tell
SLACK = 4  # machines are noisy, and a quadratic pattern is wrong by a factor of a hundred


def modules() -> Iterator[str]:
    """Every module of the core and of the adapters that can be imported here."""
    for name in OURS:
        package = importlib.import_module(name)
        yield name
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.endswith("__main__"):
                yield found.name


def held(value: object, depth: int = 0) -> Iterator[re.Pattern[Any]]:
    """The patterns in a module's global, or in a container or a class there."""
    if isinstance(value, re.Pattern):
        yield value
    elif depth < 3 and isinstance(value, tuple | list | set | frozenset):
        for inner in value:
            yield from held(inner, depth + 1)
    elif depth < 3 and isinstance(value, dict):
        for inner in value.values():
            yield from held(inner, depth + 1)
    elif depth < 3 and isinstance(value, type) and value.__module__.startswith(OURS):
        for inner in vars(value).values():
            yield from held(inner, depth + 1)


class Anything(str):
    """What stands for a value that is known only as the code runs: text, whatever is asked."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Anything:
        return self

    def __call__(self, *_: object, **__: object) -> Anything:
        return self


class Names(dict[str, Any]):
    """A module's names; those of a function stand for anything."""

    def __missing__(self, name: str) -> object:
        return getattr(builtins, name, Anything("ab"))


def written(path: Path, names: Mapping[str, Any]) -> Iterator[tuple[re.Pattern[Any], str]]:
    """The patterns that a file hands to `re`, as they are or built, each with what is done with it.

    One whose parts cannot be had fails here, so that it does not escape.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "re":
            raise AssertionError(f"{path}:{node.lineno}: write re.compile, so that it is seen")
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and ast.unparse(node.func.value) == "re"
            and node.func.attr in FLAGS_AT
        ):
            given = {one.arg: one.value for one in node.keywords}
            at, used = FLAGS_AT[node.func.attr], node.func.attr
            pattern = node.args[0] if node.args else given["pattern"]
            flags = node.args[at] if len(node.args) > at else given.get("flags", ast.Constant(0))
            yield re.compile(evaluated(pattern, names), evaluated(flags, names)), used


def evaluated(node: ast.expr, names: Mapping[str, Any]) -> Any:
    code = compile(ast.fix_missing_locations(ast.Expression(node)), "<pattern>", "eval")
    return eval(code, {}, Names(names))


@cache
def patterns() -> dict[str, tuple[re.Pattern[Any], set[str]]]:
    """Each pattern by its text, with the methods that are called on it (none seen: all)."""
    found: dict[str, tuple[re.Pattern[Any], set[str]]] = {}

    def find(pattern: re.Pattern[Any], used: Iterable[str]) -> None:
        text = pattern.pattern
        found.setdefault(text if isinstance(text, str) else repr(text), (pattern, set()))[1].update(
            used
        )

    loaded = [importlib.import_module(name) for name in modules()]
    files = {Path(module.__file__): module for module in loaded if module.__file__ is not None}
    sources = "\n".join(path.read_text(encoding="utf-8") for path in files)
    for module in loaded:
        if module.__name__ in GUARDED:
            continue
        for attribute, value in vars(module).items():
            for pattern in held(value):
                find(pattern, re.findall(rf"\b{attribute}\.(\w+)\b", sources))
    for path, module in files.items():
        for pattern, used in written(path, vars(module)):
            if used != "compile":
                find(pattern, {used})
            elif module.__name__ not in GUARDED:
                find(pattern, ())
    return found


def seconds(pattern: re.Pattern[Any], used: set[str], text: str) -> float:
    shown = text if isinstance(pattern.pattern, str) else text.encode()
    begun = thread_time()
    pattern.fullmatch(shown)
    pattern.match(shown)
    if not used or used & SEARCHING:
        for _ in pattern.finditer(shown):
            pass
    return thread_time() - begun


def allowed(chars: int) -> float:
    return SLACK * SECONDS_PER_MB * max(chars, 32_768) / 1_048_576


def slow(pattern: re.Pattern[Any], used: set[str]) -> str | None:
    """What takes longer than it may, thrice and on a common machine, or None."""
    for piece in PIECES:
        for end in ENDS:
            last = 0.0
            for chars in SIZES if end == "!" else SIZES[:2]:
                text = piece * (chars // len(piece)) + end
                took = seconds(pattern, used, text)
                if took > allowed(chars):
                    again = (seconds(pattern, used, text) for _ in range(2))
                    least = min(took, *again) / slowness()
                    if least > allowed(chars):
                        return f"{chars} characters of {piece!r} + {end!r}: {least:.2f} s"
                if last and took < SOON_S and took < 2 * GROWS * last:
                    break  # so it goes on: eight times the text takes eight times as long
                last = max(took, LEAST_S)
    return None


def test_the_patterns_are_found() -> None:
    """The search sees what modules hold and what they write where they use it."""
    assert len(patterns()) > 20


def test_built_patterns_and_those_of_bytes_are_found(tmp_path: Path) -> None:
    """Of constants, of names of the module, and of what only a call knows; in a class as well."""
    path = tmp_path / "code.py"
    path.write_text(
        "import re\n"
        "LETTER = '[a-z]'\n"
        "KEPT = re.compile(f'{LETTER}+' + r'\\d', re.IGNORECASE)\n"
        "def read(name, text):\n"
        "    re.search('|'.join([LETTER, re.escape(name.stem)]), text, flags=re.ASCII)\n"
        "    return re.sub(rb'[a-z]+\\d*[a-z]+!', b'', text)\n",
        encoding="utf-8",
    )
    found = list(written(path, {"re": re, "LETTER": "[a-z]"}))
    assert [(one.pattern, used) for one, used in found] == [
        (r"[a-z]+\d", "compile"),
        ("[a-z]|ab", "search"),
        (rb"[a-z]+\d*[a-z]+!", "sub"),
    ]
    assert [one.flags & re.IGNORECASE != 0 for one, _ in found] == [True, False, False]
    kept = type("Kept", (), {"ONE": re.compile(b"a"), "__module__": OURS[0]})
    assert slow(found[2][0], {"sub"}) is not None
    assert [one.pattern for one in held(kept)] == [b"a"]


@pytest.mark.slow
@pytest.mark.parametrize("text", sorted(patterns()))
def test_every_pattern_is_linear(text: str) -> None:
    """Twice the text takes twice the time: half a second for a megabyte, with slack for noise."""
    assert slow(*patterns()[text]) is None


def test_a_quadratic_pattern_is_caught() -> None:
    """The test can fail: a pattern with a run inside a run is named with its text."""
    assert slow(re.compile(r"[a-z]+\d*[a-z]+!"), set()) is not None
