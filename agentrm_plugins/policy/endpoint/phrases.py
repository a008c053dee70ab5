"""Phrases of messages, searched as whole words where a script has words.

Law: a phrase stands in a text where neither of its ends is within a word ("balance" is not in
"balancer"), in any case and with any white space. "..." stands for up to `GAP` characters, so that
each is searched in linear time. One with "|" offers words in the place of each other: it says what
is meant rather than how somebody put it. A "*" there stands for the rest of a word.

Regimes: an ending of the plural or of the past is not part of another word. Chinese, Japanese,
Korean and Thai write words without blanks, or with endings joined on: there a phrase may stand
anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

__all__ = ["GAP", "Phrases"]

GAP = 40
_BLANKLESS = (
    "\u0e00-\u0eff\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
)
_LETTER = rf"[^\W_{_BLANKLESS}]"
_IS_LETTER = re.compile(_LETTER)
_ENDING = {False: "(?:e?s|e?d)?", True: "s?"}


class Phrases:
    """Phrases of one kind.

    Args:
        phrases: As they stand in the tables.
    """

    __slots__ = ("_all",)

    def __init__(self, phrases: Iterable[str]) -> None:
        given = (" ".join(phrase.lower().split()) for phrase in dict.fromkeys(phrases))
        self._all = tuple(map(_Phrase, given))

    def found(self, text: str, *, meant: bool = True) -> bool:
        """Whether one of them stands in this text, which is lower-case with single blanks.

        Without `meant` only those count that are somebody's own words.
        """
        holds = text.__contains__
        for one in self._all:
            if meant or not one.is_meant:
                for stems in one.stems:
                    if not any(map(holds, stems)):
                        break  # as nearly always: without a call, for there are hundreds
                else:
                    if one.pattern.search(text) is not None:
                        return True
        return False


class _Phrase:
    """One phrase, whose pattern is made when all of its words stand somewhere in a text.

    Attributes:
        is_meant: Whether it says what is meant, in words of ours.
        stems: Of each of its parts, words of which one stands in a text that has it.
    """

    def __init__(self, phrase: str) -> None:
        self.is_meant = "|" in phrase
        parts = (part.strip() for part in phrase.split("..."))
        self._parts = [
            [word.strip() for word in part.split("|")] if self.is_meant else [part]
            for part in parts
        ]
        stems = [[word.rstrip("*") for word in part] for part in self._parts]
        self.stems = stems if self.is_meant else self._parts

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = ("|".join(map(self._whole, part)) for part in self._parts)
        return re.compile(rf".{{0,{GAP}}}?".join(f"(?:{part})" for part in parts))

    def _whole(self, word: str) -> str:
        """The pattern of a word or some words, none of it within another word."""
        stem = word.rstrip("*") if self.is_meant else word
        before = rf"(?<!{_LETTER})" if _IS_LETTER.match(stem) else ""
        if stem != word:
            return rf"{before}{re.escape(stem)}\w{{0,24}}"
        after = f"{_ENDING[self.is_meant]}(?!{_LETTER})" if _IS_LETTER.match(stem[-1:]) else ""
        return f"{before}{re.escape(stem)}{after}"
