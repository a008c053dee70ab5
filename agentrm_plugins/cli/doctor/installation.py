"""Whether what is installed fits: Python, packages and their ranges, extras, encodings, SQLite."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from agentrm_plugins.cli.doctor.finding import NOTE, OK, PROBLEM, Finding

__all__ = ["fits", "installation"]

_DISTRIBUTION = "agentrm-plugins"
_OLDEST, _BEYOND = (3, 11), (3, 14)
_REQUIREMENT = re.compile(
    r"""(?P<name>[\w.-]+)(?:\[[^\]]*\])?\s*(?P<range>[^;]*?)\s*
        (?:;.*extra\s*==\s*['"](?P<extra>[\w-]+)['"].*)?$""",
    re.VERBOSE,
)
_PART = re.compile(r"(>=|<=|==|!=|<|>|~=)\s*([\w.]+)")


def installation() -> Iterator[Finding]:
    """All that does not depend on a program."""
    yield _python()
    yield from _packages()
    yield _encodings()
    yield _sqlite()


def _python() -> Finding:
    here = ".".join(map(str, sys.version_info[:3]))
    if _OLDEST <= sys.version_info[:2] < _BEYOND:
        return Finding("python", OK, f"Python {here}")
    return Finding("python", PROBLEM, f"Python {here} is not supported", "use 3.11, 3.12 or 3.13")


def _packages() -> Iterator[Finding]:
    try:
        own = version(_DISTRIBUTION)
        wanted = requires(_DISTRIBUTION) or []
    except PackageNotFoundError:
        text = "agentrm-plugins runs from its source: versions of packages were not compared"
        yield Finding("package", NOTE, text, "pip install agentrm-plugins")
        return
    yield Finding("package", OK, f"agentrm-plugins {own}")
    missing: dict[str, list[str]] = {}
    seen = set()
    for line in wanted:
        found = _REQUIREMENT.match(line)
        if found is None or found["name"].replace("_", "-").lower() == _DISTRIBUTION:
            continue
        name, extra = found["name"], found["extra"] or ""
        try:
            have = version(name)
        except PackageNotFoundError:
            missing.setdefault(extra, []).append(name)
            continue
        if (name, found["range"]) not in seen:  # several extras bring it
            seen.add((name, found["range"]))
            yield _compared(name, have, found["range"].strip(" ()"))
    yield from _missing(missing)


def _compared(name: str, have: str, wanted: str) -> Finding:
    if fits(have, wanted):
        return Finding("package", OK, f"{name} {have}")
    text = f"{name} {have} is outside of what is supported ({wanted})"
    return Finding("package", PROBLEM, text, f"pip install '{name}{wanted.replace(' ', '')}'")


def _missing(missing: dict[str, list[str]]) -> Iterator[Finding]:
    """What is not there: a requirement is a problem; extras are the user's choice, in one line."""
    needed = missing.pop("", [])
    if needed:
        text = f"{', '.join(needed)} is missing, and nothing works without it"
        yield Finding("package", PROBLEM, text, "pip install agentrm-plugins")
    missing.pop("all", None)
    if missing:
        told = "; ".join(f"{extra} ({', '.join(names)})" for extra, names in missing.items())
        way = f"only if you need one: pip install '{_DISTRIBUTION}[{next(iter(missing))}]'"
        yield Finding("extras", OK, f"not installed: {told}", way)


def _numbers(text: str) -> tuple[int, ...]:
    """The numbers of a version; what comes after them (rc1, .post2, +local) is left out."""
    found = re.match(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def fits(have: str, wanted: str) -> bool:
    """Whether a version is in a range such as ">=1.2,<2".

    >>> fits("1.4.7", ">=1.2,<2"), fits("2.0.0", ">=1.2,<2"), fits("2.0.0rc1", "<2")
    (True, False, False)
    """
    mine = _numbers(have)
    for sign, text in _PART.findall(wanted):
        other = _numbers(text)
        width = max(len(mine), len(other))
        left, right = (one + (0,) * (width - len(one)) for one in (mine, other))
        held = {
            ">=": left >= right, "<=": left <= right, "<": left < right, ">": left > right,
            "==": left == right, "!=": left != right,
            "~=": left >= right and left[: len(other) - 1] == right[: len(other) - 1],
        }  # fmt: skip
        if not held[sign]:
            return False
    return True


def _encodings() -> Finding:
    from agentrm_plugins.counting.ranks import SHIPPED, EncodingDataError, load_encoding

    broken = []
    for name in SHIPPED:
        try:
            load_encoding(name)
        except EncodingDataError:
            broken.append(name)
    if not broken:
        return Finding("encodings", OK, f"{', '.join(SHIPPED)} are there, without a network")
    text = f"{', '.join(broken)} cannot be read: tokens of such models are estimated"
    return Finding("encodings", PROBLEM, text, "install agentrm-plugins and tiktoken anew")


def _sqlite() -> Finding:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute("CREATE VIRTUAL TABLE look USING fts5(text)")
    except sqlite3.OperationalError:
        text = f"SQLite {sqlite3.sqlite_version} has no full-text search (FTS5): no SqliteStore"
        return Finding(
            "store", PROBLEM, text, "use a Python whose sqlite3 has FTS5, or MemoryStore"
        )
    finally:
        connection.close()
    return Finding("store", OK, f"SQLite {sqlite3.sqlite_version} with full-text search")
