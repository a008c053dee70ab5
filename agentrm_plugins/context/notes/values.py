"""Exact strings in a text: identifiers, numbers, dates, paths, names, ...

Law: one pass of one pattern, the alternatives in the order of how much they tell. Regime: linear in
the text, whatever it is: every repetition is bounded or meets each character once, and a run of
more than `RUN_CHARS` without a blank (base64, a hex dump) is looked over. Names are found where
there are capital letters: Latin, Greek, Cyrillic.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from agentrm_plugins.context.notes.text import DATE, STOPWORDS, WIDE

__all__ = ["DISTINCT", "Value", "values_of"]

RUN_CHARS = 160
"""An identifier, a path or a link is shorter; a longer one would fill a note alone. Guessed."""
KEPT_CHARS = 1_000
MOST_CHARS = 50_000
"""Beyond it a text is not read for values."""

_RUN = re.compile(rf"[^\s{WIDE}]{{{RUN_CHARS},}}")
_DIGIT = re.compile(r"\d")
_MARKED = re.compile(r"[@/\\`\"“«「‘'_]")
_CAPITAL = "[A-ZÀ-ÖØ-ÞŁŚŽČŠΑ-ΩА-ЯЁЄІЇ]"
_LETTERS = r"A-Za-zÀ-ÖØ-öø-ÿŁłŚśŽžČčŠšΑ-ΩΆ-ώА-яЁёЄєІіЇї"
# No digits: "Lyon est UKV-63709" is a name, a verb and a number, not one long name.
_NAME = rf"{_CAPITAL}[{_LETTERS}’'-]{{1,40}}(?![{_LETTERS}’'-]{{0,40}}[0-9_])"
_MORE = rf"(?:{_NAME}|{_CAPITAL}\.(?!\w))"  # "Ada B. Cole", "Ada C."
_PARTICLES = (
    "(?:d[aeiou]|de[lrn]|d[ao]s|la|le|l[ao]s|el|al|bin|ibn|v[ao]n|zu[mr]?|te[rn]|und|and|of|y)"
)
_MARKS = (
    r"(?P<url>\b[a-z][a-z0-9+.-]{1,9}://[^\s<>\"'）)]+)"
    r"|(?P<email>(?<![\w.+-])[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<uuid>\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b)"
    r"|(?P<code>`[^`\n]{1,120}`)"
    r"|(?P<path>(?<![\w/])(?:~|\.{1,2}|[A-Za-z]:)?[/\\][\w.@%+~-]+(?:[/\\][\w.@%+~-]+)*[/\\]?"
    r"|\b[\w-]+(?:/[\w.-]+)*\.(?:py|js|ts|tsx|go|rs|java|c|h|cpp|md|txt|json|ya?ml|toml|ini|cfg|csv"
    r"|sql|sh|log|html|css|xml|pdf|docx?|xlsx?|png|jpe?g|zip|gz|db|env|lock|conf|tf|ipynb|parquet)\b)"
    r"|(?P<quoted>\"[^\"\n]{2,100}\"|“[^”\n]{2,100}”|«[^»\n]{2,100}»|「[^」\n]{1,60}」|‘[^’\n]{2,60}’"
    r"|(?<!\w)'[^'\n]{2,60}'(?!\w))"
)
_NUMBERS = (
    rf"|(?P<date>(?i:{re.sub(r'[?]P<[a-z0-9]+>', '?:', DATE.pattern)}))"
    r"|(?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?\b)"
    r"|(?P<time>\b\d{1,2}:\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b\.?)?|\b\d{1,2}\s?[ap]m\b)"
    r"|(?P<money>[$€£¥₹]\s?\d[\d.,' ]{0,24}\d?(?:\s?(?:k|m|bn|million|billion))?\b"
    r"|\b\d[\d.,']{0,24}\s?"
    r"(?:€|£|¥|元|円|[kKM]€|(?:USD|EUR|GBP|CHF|JPY|CNY|INR|dollars?|euros?|pounds?|francs?)\b))"
    r"|(?P<ident>#\d+\b"
    r"|\b(?=[\w.:/+-]*\d)(?=[\w.:/+-]*[A-Za-z])[A-Za-z0-9]+(?:[-_.:/+][A-Za-z0-9]+)*"
    r"|(?<![A-Za-z0-9])[A-Za-z]+\d[A-Za-z0-9-]*"
)
_IDENTS = (
    r"\b[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+\b|\b[a-z]+[A-Z]\w*\b"
    r"|\b[A-Z]{2,}(?:[-_][A-Z0-9]+)+\b)"
)
_FIGURES = r"|(?P<number>(?<![\w.])(?:(?<!\S)[-+])?\d+(?:[.,'’]\d+)*(?:\s?%)?)"
_NAMED = rf"(?<=\s){_NAME}(?:\s(?:{_PARTICLES}\s)?{_MORE}){{0,4}}"
_NAMES = rf"|(?P<name>{_NAMED}|^{_NAME}(?:\s{_MORE}){{1,4}})"
# ASCII word borders: a number or an id may touch Chinese or Japanese text.
_VALUE = re.compile(f"{_MARKS}{_NUMBERS}|{_IDENTS}{_FIGURES}{_NAMES}", re.ASCII)
_OF_MARKED = re.compile(f"{_MARKS}|(?P<ident>{_IDENTS}{_NAMES}", re.ASCII)
_OF_WORDS = re.compile(f"(?P<ident>{_IDENTS}{_NAMES}", re.ASCII)

DISTINCT = frozenset({"url", "email", "uuid", "code", "path", "quoted", "ip", "ident"})


@lru_cache(maxsize=8192)
def _norm(text: str) -> str:
    return re.sub(r"[\s,'’\"“”«»`「」]+", "", text).casefold()


class Value(NamedTuple):
    """An exact string that carries information, where it stands in its sentence, and its kind."""

    kind: str
    text: str
    start: int

    @property
    def norm(self) -> str:
        """The form by which two mentions of one value are known as the same."""
        return _norm(self.text)


def values_of(text: str) -> tuple[Value, ...]:
    """Find the values of one sentence or passage, in order."""
    # Recall reads the same passages question after question; long texts are read once.
    return _values_known(text) if len(text) <= KEPT_CHARS else _values_in(text[:MOST_CHARS])


def _values_in(text: str) -> tuple[Value, ...]:
    if len(text) > RUN_CHARS:
        text = _RUN.sub(lambda run: " " * len(run.group()), text)
    found = []
    for match in _pattern(text).finditer(text):
        kind = str(match.lastgroup)
        value = match.group().rstrip(".,;:!?)")
        if kind == "name" and value.casefold() in STOPWORDS:
            continue
        if kind == "ident" and len(value) < 2:  # noqa: PLR2004 - one letter names nothing
            continue
        found.append(Value(kind, value, match.start()))
    return tuple(found)


def _pattern(text: str) -> re.Pattern[str]:
    """Give the cheapest pattern that finds all values of a text."""
    if _DIGIT.search(text) is not None:
        return _VALUE
    return _OF_WORDS if _MARKED.search(text) is None else _OF_MARKED


_values_known = lru_cache(maxsize=4096)(_values_in)
