"""All providers' tables read as one, ready to be asked about an error or a header.

Law: where two tables disagree, the later one counts. Codes are compared without case and
punctuation (``rate_limit_exceeded`` is ``RateLimitExceeded``), phrases without case and with any
white space; "..." in a phrase stands for up to `GAP` characters, so that each is searched in
linear time. A phrase with "|" offers words in the place of each other, as whole words and in the
plural: it says what is meant rather than how somebody put it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.endpoint.providers import PROVIDERS
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.types.provider import LimitHeaders, Provider

__all__ = ["BUILT_IN", "Role", "Tables", "flat"]

GAP = 40
_PUNCTUATION = re.compile(r"[\W_]+")


@lru_cache(maxsize=1024)
def flat(code: str) -> str:
    """A code without case and punctuation."""
    return _PUNCTUATION.sub("", code).lower()


class Role(NamedTuple):
    """What one header is: part of which limit, and which part."""

    limit: LimitHeaders
    part: str


class _Phrases:
    """Phrases of one kind, searched at once."""

    __slots__ = ("_gapped", "_meant", "_plain")

    def __init__(self, phrases: Iterable[str]) -> None:
        given = [" ".join(phrase.lower().split()) for phrase in dict.fromkeys(phrases)]
        meant = [_choices(phrase) for phrase in given if "|" in phrase]
        self._meant = re.compile("|".join(meant)) if meant else None
        lower = [phrase for phrase in given if "|" not in phrase]
        self._plain = tuple(phrase for phrase in lower if "..." not in phrase)
        self._gapped = tuple(
            [part.strip() for part in phrase.split("...")] for phrase in lower if "..." in phrase
        )

    def found(self, text: str, *, meant: bool = True) -> bool:
        """Whether one of them stands in this text, which is lower-case with single blanks.

        Without `meant` only those count that are somebody's own words.
        """
        if any(map(text.__contains__, self._plain)):
            return True
        if meant and self._meant is not None and self._meant.search(text):
            return True
        for parts in self._gapped:
            if parts[0] not in text:
                continue
            if _stands(parts, text):
                return True
        return False


def _stands(parts: list[str], text: str) -> bool:
    """Whether all parts follow each other, at most `GAP` characters apart."""
    first, *others = parts
    start = text.find(first)
    while start >= 0:
        end = start + len(first)
        for part in others:
            at = text.find(part, end, end + GAP + len(part))
            if at < 0:
                break
            end = at + len(part)
        else:
            return True
        start = text.find(first, start + 1)
    return False


def _choices(phrase: str) -> str:
    """The pattern of a phrase with words in the place of each other."""
    parts = (
        "|".join(re.escape(word.strip()) for word in part.split("|"))
        for part in phrase.split("...")
    )
    return rf".{{0,{GAP}}}?".join(rf"\b(?:{part})s?\b" for part in parts)


class Tables:
    """What a number of providers say, together.

    Args:
        providers: Their tables; where two disagree, the later one counts.
    """

    __slots__ = (
        "billing",
        "billing_codes",
        "codes",
        "names",
        "quota",
        "roles",
        "statuses",
        "too_long",
        "too_long_codes",
        "waits",
        "words",
    )

    def __init__(self, providers: Iterable[Provider]) -> None:
        tables = tuple(providers)
        self.statuses: dict[int, Kind] = {}
        self.codes: dict[str, Kind] = {}
        self.names: dict[str, Kind] = {}
        words: dict[str, Kind] = {}
        for table in tables:
            self.statuses |= {status: Kind(kind) for status, kind in table.statuses.items()}
            self.codes |= {flat(code): Kind(kind) for code, kind in table.codes.items()}
            self.names |= {name: Kind(kind) for name, kind in table.names.items()}
            words |= {phrase: Kind(kind) for phrase, kind in table.words.items()}
        self.words = tuple(
            (kind, _Phrases(phrase for phrase, its in words.items() if its is kind))
            for kind in (Kind.PERMANENT, Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT)
        )
        billing = [phrase for table in tables for phrase in table.billing]
        too_long = [phrase for table in tables for phrase in table.too_long]
        self.billing, self.too_long = _Phrases(billing), _Phrases(too_long)
        self.billing_codes = frozenset(flat(phrase) for phrase in billing)
        self.too_long_codes = frozenset(flat(phrase) for phrase in too_long)
        self.quota = _Phrases(phrase for table in tables for phrase in table.quota)
        self.roles: dict[str, Role] = {}
        for limit in (limit for table in tables for limit in table.limits):
            for part in ("limit", "remaining", "reset"):
                if name := getattr(limit, part):
                    self.roles[name] = Role(limit, part)
        found = (name.lower() for table in tables for name in table.waits)
        self.waits = tuple(dict.fromkeys(found))


BUILT_IN = Tables(PROVIDERS)
