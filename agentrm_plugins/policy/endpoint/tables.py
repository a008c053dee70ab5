"""All providers' tables read as one, ready to be asked about an error or a header.

Law: where two tables disagree, the later one counts. Codes are compared without case and
punctuation (``rate_limit_exceeded`` is ``RateLimitExceeded``), phrases as `phrases` says it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from agentrm_plugins.policy.endpoint.phrases import Phrases
from agentrm_plugins.policy.endpoint.providers import PROVIDERS
from agentrm_plugins.types.verdicts import Kind

if TYPE_CHECKING:
    from agentrm_plugins.types.provider import LimitHeaders, Provider

__all__ = ["BUILT_IN", "Role", "Tables", "flat"]

# Discord's and others' forms of a reset: a time from now, whatever the plain name has.
_RESETS = {"-after": "after", "-in": "after", "-after-ms": "after_ms", "-ms": "after_ms"}
_PUNCTUATION = re.compile(r"[\W_]+")


@lru_cache(maxsize=1024)
def flat(code: str) -> str:
    """A code without case and punctuation."""
    return _PUNCTUATION.sub("", code).lower()


class Role(NamedTuple):
    """What one header is: part of which limit, and which part; of a reset, in which form."""

    limit: LimitHeaders
    part: str


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
            (kind, Phrases(phrase for phrase, its in words.items() if its is kind))
            for kind in (Kind.PERMANENT, Kind.LIMIT, Kind.OVERLOADED, Kind.TRANSIENT)
        )
        billing = [phrase for table in tables for phrase in table.billing]
        too_long = [phrase for table in tables for phrase in table.too_long]
        self.billing, self.too_long = Phrases(billing), Phrases(too_long)
        self.billing_codes = frozenset(flat(phrase) for phrase in billing)
        self.too_long_codes = frozenset(flat(phrase) for phrase in too_long)
        self.quota = Phrases(phrase for table in tables for phrase in table.quota)
        self.roles: dict[str, Role] = {}
        for limit in (limit for table in tables for limit in table.limits):
            for part in ("limit", "remaining", "reset"):
                if name := getattr(limit, part):
                    self.roles[name] = Role(limit, part)
        for name, (limit, part) in list(self.roles.items()):
            if part == "reset":
                for ending, kind in _RESETS.items():
                    self.roles.setdefault(name + ending, Role(limit, kind))
        found = (name.lower() for table in tables for name in table.waits)
        self.waits = tuple(dict.fromkeys(found))


BUILT_IN = Tables(PROVIDERS)
