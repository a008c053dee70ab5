"""Text into search terms, sentences and passages; one form for every store and every language.

Terms are folded so that a question meets its answer: words lose case, accents and common endings
and keep their first 6 letters; scripts without blanks become pairs of characters; an identifier is
one term and each of its parts is one too; thousands separators go; dates become ``d20260304`` and
``e0304`` however they were written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

__all__ = [
    "DATE",
    "MONTHS",
    "STOPWORDS",
    "WIDE",
    "Passage",
    "date_terms",
    "passages",
    "sentences",
    "terms",
]

PASSAGE_CHARS = 360
"""About 90 tokens. Guessed: a share of 600 tokens then holds six of them."""

_STEM_CHARS = 6
_DATED_CHARS = 200_000
_DIGIT = re.compile(r"\d")
WIDE = (
    r"\u0e00-\u0e7f\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uac00-\ud7af\uf900-\ufaff\U00020000-\U0002fa1f"
)
_TOKEN = re.compile(
    rf"(?P<wide>[{WIDE}]+)"
    rf"|(?P<ident>[^\W{WIDE}]+(?:[-./:@#+\\]+[^\W{WIDE}]+)+)"
    rf"|(?P<word>[^\W{WIDE}]+)"
)
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\dA-Za-z_]+")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:[,.'’\u00a0\u202f ]\d{3})+(?![\d])")
_ENDINGS = (
    "ations", "ation", "ments", "ment", "ings", "ing", "ies", "ied", "ers", "er", "ed", "es", "ly",
    "en", "s",
)  # fmt: skip

STOPWORDS = frozenset(
    """
    a an the this that these those it its is are was were be been being am do does did done have
    has had having i you he she we they me him her us them my your his our their mine yours and
    or but if then else so of in on at by for with from to into onto about as than too very can
    could will would shall should may might must not no nor s t re ve ll d m what which who whom
    whose when where why how there here again just also please tell say said says ask asked
    remind know let get got give gave any some all each both more most other such only own same
    up down out over under now ever earlier later before after during still yet one once need
    want like der die das den dem des ein eine einen einem einer und oder aber ist sind war
    waren wird werden hat haben ich du er sie es wir ihr mein dein unser euer nicht kein keine
    von vom zu zum zur im auf für mit bei nach aus über unter wer wie wo wann warum welche
    welcher welches welchen noch auch nur schon bitte le la les un une de et ou mais est sont
    était être je tu il elle nous vous ils ce cette ces mon ma ton son notre votre leur ne pas
    que qui quoi quel quelle quels quelles où quand comment pourquoi dans sur avec pour par el
    los las una unos unas y o pero era ser yo nosotros mi su sus qué quién cuál cuáles cuándo
    dónde cómo por para con en al del os um uma e é são foi eu ele ela nós meu seu não qual
    quais quando onde como com em na nos nas da dos lo gli uno di che chi cosa quale dove sono
    """.split()
)

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "jan january januar janvier enero janeiro gennaio",
            "feb february februar février fevrier febrero fevereiro febbraio",
            "mar march märz marz mars marzo março",
            "apr april avril abril aprile",
            "may mai mayo maio maggio",
            "jun june juni juin junio junho giugno",
            "jul july juli juillet julio julho luglio",
            "aug august août aout agosto",
            "sep sept september septembre septiembre setembro settembre",
            "oct october oktober okt octobre octubre outubro ottobre",
            "nov november novembre noviembre novembro",
            "dec december dezember dez décembre decembre diciembre dezembro dicembre",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = "|".join(sorted(MONTHS, key=len, reverse=True))
# What stands in front of the months only spares looking for each of them where none can be.
DATE = re.compile(
    r"(?<!\d)(?=\d)(?:"
    r"(?P<y1>[12]\d{3})[-/.](?P<m1>\d{1,2})[-/.](?P<d1>\d{1,2})(?!\d)"
    r"|(?P<d2>\d{1,2})\.\s?(?P<m2>\d{1,2})\.(?:\s?(?P<y2>[12]\d{3}))?(?!\d)"
    r"|(?P<m3>\d{1,2})/(?P<d3>\d{1,2})/(?P<y3>[12]\d{3})(?!\d)"
    r"|(?P<d4>\d{1,2})(?:st|nd|rd|th|er|º|\.)?\s+(?:of\s+|de\s+)?"
    rf"(?=[^\W\d_])(?P<m4>{_MONTH})\b\.?"
    r"(?:,?\s+(?:de\s+|del\s+)?(?P<y4>[12]\d{3}))?)"
    rf"|\b(?=[^\W\d_])(?P<m5>{_MONTH})\b\.?\s+(?P<d5>\d{{1,2}})(?:st|nd|rd|th)?(?!\d)"
    r"(?:,?\s+(?P<y5>[12]\d{3}))?"
    r"|(?=\d)(?:(?P<y6>[12]\d{3})\s?[年년]\s?)?(?P<m6>\d{1,2})\s?[月월]\s?(?P<d6>\d{1,2})\s?[日号일]",
    re.IGNORECASE,
)


def date_terms(text: str) -> list[str]:
    """Give the dates of a text as terms: ``d20260304`` with a year, ``e0304`` in any case."""
    found: list[str] = []
    if _DIGIT.search(text) is None:
        return found
    for match in DATE.finditer(text[:_DATED_CHARS]):
        groups = {key[0]: value for key, value in match.groupdict().items() if value}
        month = groups.get("m", "").lower()
        number = MONTHS.get(month) or (int(month) if month.isdigit() else 0)
        day = int(groups.get("d", 0))
        if not 1 <= number <= 12 or not 1 <= day <= 31:  # noqa: PLR2004 - a calendar's bounds
            continue
        found.append(f"e{number:02}{day:02}")
        if "y" in groups:
            found.append(f"d{groups['y']}{number:02}{day:02}")
    return found


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Fold one word: no accents, no common ending, at most 6 letters."""
    if not word.isascii():
        folded = unicodedata.normalize("NFKD", word)
        word = "".join(char for char in folded if not unicodedata.combining(char))
    if not word.isalpha():
        return word
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:  # noqa: PLR2004 - keep a root
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] in "ey":  # noqa: PLR2004 - keep a root
        word = word[:-1]
    return word[:_STEM_CHARS]


_KNOWN_CHARS = 500


def terms(text: str, *, drop_stopwords: bool = True) -> tuple[str, ...]:
    """Give the search terms of a text, in order, with repetitions."""
    # A message is read as a question, as what is in view, and for the archive.
    read = _terms_known if len(text) <= _KNOWN_CHARS else _terms_in
    return read(text, drop_stopwords)


def _terms_in(text: str, drop_stopwords: bool) -> tuple[str, ...]:
    found: list[str] = date_terms(text)
    if _DIGIT.search(text) is not None:
        text = _THOUSANDS.sub(lambda m: re.sub(r"\D", "", m.group()), text)
    for match in _TOKEN.finditer(text):
        kind, token = match.lastgroup, match.group()
        if kind == "wide":
            found.append(token if len(token) == 1 else token[:2])
            found.extend(token[at : at + 2] for at in range(1, len(token) - 1))
            continue
        if kind == "ident" or "_" in token:
            found.append(re.sub(r"[\W_]+", "", token).casefold())
        if token.islower() and token.isalpha():  # nearly all: no call for each
            lowered = token.casefold()
            if not (drop_stopwords and lowered in STOPWORDS):
                found.append(stem(lowered))
            continue
        found.extend(_word_terms(token, drop_stopwords=drop_stopwords))
    return tuple(found)


_terms_known = lru_cache(maxsize=64)(_terms_in)


def _word_terms(token: str, *, drop_stopwords: bool) -> Iterator[str]:
    lowered = token.casefold()
    if lowered.isalpha() and (token.islower() or token.istitle() or token.isupper()):
        if not (drop_stopwords and lowered in STOPWORDS):
            yield stem(lowered)
        return
    if token.isalnum() and not token.isdigit() and not token.isalpha():
        yield lowered
    for part in _PART.findall(token):
        folded = part.casefold()
        if drop_stopwords and folded in STOPWORDS:
            continue
        if folded != lowered or token.isdigit() or folded.isalpha():
            yield stem(folded)


_LOWER = "a-zß-öø-ÿа-яёіїє"
_CONSONANTS = "b-df-hj-np-tv-xzßçñбвгджзйклмнпрстфхцчшщ"


def _none_of(*shorts: str) -> str:
    """Give a pattern that holds where none of these, with a stop, ends."""
    return "".join(rf"(?<!{short}\.)" for short in shorts)


_NO_END = _none_of(
    r"\b(?![iIяЯ])[^\W\d_]",
    *(rf"\b(?i:[{_CONSONANTS}])[{_CONSONANTS}]{{{n}}}" for n in range(1, 6)),
    *(rf"\b(?i:{short})" for short in
      ("av|ul", "sra|mme|gen|col|rev|ing", "prof|srta|mlle|capt|dipl|dott")),
)  # fmt: skip
"""An initial, a short form without a vowel or a title stands before a name: "Ada B. Cole", "Ft.
Collins", "Prof. Ito"."""
_BRIEF = _none_of(*(rf"\b[^\W\d_]{{{n}}}" for n in range(2, 5)))
_BRIEF_NAME = _none_of(*(rf"\b[^\W\d_{_LOWER}][{_LOWER}]{{{n}}}" for n in range(1, 5)))
_GOES_ON = rf"(?:(?!\s+\d)|{_BRIEF})(?:(?!\s+[{_LOWER}])|{_BRIEF_NAME})"
"""No new sentence is what goes on with a number behind a short word ("Bldg. 14"), or with a small
letter behind a short one with a capital ("Corp. of"): UAX 29, but for who writes no capitals."""
_MAY_END = _none_of(
    r"\b(?i:co|jr|no|nr|ca|vs|pl|pp)", r"\b(?i:inc|ltd|ave|etc|tel|apt|ext|fig|vol)",
    r"\b(?i:corp|blvd|dept)", "(?i:str)",
)  # fmt: skip
"""Short forms that end a sentence only where none goes on: "Vance Inc. of Toledo", "Lindenstr. 48".
The lists are guessed, and decide on a stop alone: a note whose sentence is cut there stands for no
message, so that recall shows all of it."""
_ENDS = re.compile(
    rf"((?<=[.!?])(?<!\d\.){_NO_END}(?:{_MAY_END}|(?=\s+[^\W\d_])(?!\s+[{_LOWER}])){_GOES_ON}"
    rf"\s+(?=\S)|(?<=\d\.)\s+(?=[^\W\da-z_])(?!(?i:{_MONTH})\b)"
    r"|(?<=[。！？])|\n+)",
)


def sentences(text: str) -> list[tuple[int, str]]:
    """Split into sentences and lines: (offset, text), blanks at the ends cut off."""
    found = []
    at = 0
    parts = _ENDS.split(text)  # a piece, its end, a piece, ...: the last has no end
    parts.append("")
    for piece, end in zip(parts[::2], parts[1::2], strict=True):
        kept = piece.strip()
        if kept:
            blank = 0 if len(kept) == len(piece) else len(piece) - len(piece.lstrip())
            found.append((at + blank, kept))
        at += len(piece) + len(end)
    return found


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of one message's text: what recall finds and pages in."""

    start: int
    stop: int
    terms: tuple[str, ...]


def passages(text: str, extra: tuple[str, ...] = ()) -> list[Passage]:
    """Cut a text into passages of about `PASSAGE_CHARS`, at sentences where there are any.

    Args:
        text: The message's plain text.
        extra: Terms that each passage gets besides its own, such as the speaker's name.
    """
    found: list[Passage] = []
    start = stop = -1
    for at, sentence in sentences(text):
        for begin in range(at, at + len(sentence), PASSAGE_CHARS):
            end = min(begin + PASSAGE_CHARS, at + len(sentence))
            if start >= 0 and end - start > PASSAGE_CHARS:
                found.append(Passage(start, stop, terms(text[start:stop]) + extra))
                start = -1
            start = begin if start < 0 else start
            stop = end
    if start >= 0:
        found.append(Passage(start, stop, terms(text[start:stop]) + extra))
    return found
