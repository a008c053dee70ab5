"""Names that become labels: bounded in number, and none of them a secret.

Law: the first so many endpoints and tenants that are seen have series of their own for as long as
    the process lives; all later ones share the series "other". So the number of series is bounded,
    and nobody's counter goes back because he fell out of a list of the busiest. Whom the core has
    forgotten is missing from "other".
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

__all__ = ["Bounded", "clean", "endpoint_labels", "own_version"]

OTHER = "other"
_MOST_CHARS = 200  # of a label; names come from users and servers


class Bounded:
    """The first `most` names that were seen, and "other" for the rest."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._known: set[str] = set()

    def of(self, name: str) -> str:
        """What it is called."""
        if name in self._known:
            return name
        if len(self._known) < self.most:
            self._known.add(name)
            return name
        return OTHER


def endpoint_labels(name: str) -> tuple[str, str]:
    """Host and model, and the fingerprint that tells keys apart, which is no part of any key.

    >>> endpoint_labels("api.example/gpt#0123abcd"), endpoint_labels("other")
    (('api.example/gpt', '0123abcd'), ('other', ''))
    """
    place, _, fingerprint = name.rpartition("#") if "#" in name else (name, "", "")
    return clean(place), clean(fingerprint)


def clean(text: str) -> str:
    """Text that every exposition format takes, of a bounded length."""
    shown = text[:_MOST_CHARS]
    return shown.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


@cache
def own_version() -> str:
    """This package's version; "" in a tree that is not installed."""
    try:
        return version("agentrm-plugins")
    except PackageNotFoundError:  # pragma: no cover - the tests run installed
        return ""
