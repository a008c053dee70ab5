"""The IETF's rate-limit fields, in all their drafts, and lists such as "60, 60".

Forms read:

- ``RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400`` with ``RateLimit:
  "burst";r=50;t=30`` (draft 08 and later);
- ``RateLimit: limit=100, remaining=50, reset=5`` with ``RateLimit-Policy: 100;w=60`` (draft 07);
- ``RateLimit-Limit: 100, 100;w=60, 1000;w=86400`` (drafts before, Envoy and Kong), "60, 60" of two
  proxies that each set it.

Limits: at most `LONGEST` characters are parsed; what is no structured field was not sent. A quota
unit that is neither requests nor tokens (bytes, concurrent requests) is none of ours.

Sources: draft-ietf-httpapi-ratelimit-headers-07 and -10; RFC 9651, parsed by its author's library.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentrm_plugins.types.verdicts import ServerLimit

__all__ = ["LONGEST", "Listed", "fields_of", "listed"]

LONGEST = 1024
_DEFAULT = "requests"
_OLDER = ("limit", "remaining", "reset")


class Listed(NamedTuple):
    """A list of numbers.

    Args:
        value: The one that counts.
        place: Its place in the list.
        window_s: Seconds of its window, if the list says.
    """

    value: float
    place: int
    window_s: float | None


def listed(text: str, index: int | None = None) -> Listed | None:
    """Read "60", "60, 60" or "10, 10;w=1, 1000;w=86400".

    Without an `index`, the least of the numbers that stand without a window counts, or the first.
    """
    items = _parse(text, "list")
    if not isinstance(items, list):
        return None
    found = [
        (at, float(item[0]), item[1])
        for at, item in enumerate(items)
        if isinstance(item, tuple) and _is_number(item[0])
    ]
    if not found:
        return None
    bare = [each for each in found if "w" not in each[2]] or found[:1]
    at, value, _ = next((each for each in bare if each[0] == index), None) or min(
        bare, key=lambda each: each[1]
    )
    windows = (params["w"] for _, number, params in found if number == value and "w" in params)
    window_s = next((float(each) for each in windows if _is_number(each) and each > 0), None)
    return Listed(value, at, window_s)


def fields_of(policy: str, left: str) -> dict[str, list[ServerLimit]]:
    """What ``RateLimit-Policy`` and ``RateLimit`` say, by resource."""
    if "=" in left and (older := _older(left)):
        window = listed(policy)
        return _of_older(older, None if window is None else window.window_s)
    policies = dict(_named(policy, "q"))
    found: dict[str, list[ServerLimit]] = {}
    for name, params in _named(left, "r", "t"):
        told = policies.pop(name, None)
        if told is None and len(policies) == 1 and name == "default":
            told = policies.popitem()[1]
        _add(found, name, told or {}, params)
    for name, told in policies.items():
        _add(found, name, told, {})
    return found


def _add(
    found: dict[str, list[ServerLimit]],
    name: str,
    policy: Mapping[str, Any],
    left: Mapping[str, Any],
) -> None:
    resource = _resource(name, policy.get("qu"))
    limit, window_s = _positive(policy.get("q")), _positive(policy.get("w"))
    remaining = left.get("r") if _is_number(left.get("r")) else None
    reset_s = left.get("t") if _is_number(left.get("t")) else None
    if resource is None or (limit is None and remaining is None and reset_s is None):
        return
    said = ServerLimit(
        limit,
        None if remaining is None else max(0.0, float(remaining)),
        None if reset_s is None else max(0.0, float(reset_s)),
        per_s=window_s,
    )
    found.setdefault(resource, []).append(said)


def _older(left: str) -> dict[str, Any]:
    """The numbers of a field of draft 07, by name; none: it is of another."""
    fields = _parse(left, "dictionary")
    if not isinstance(fields, Mapping):
        return {}
    told = {name: item[0] for name, item in fields.items() if isinstance(item, tuple)}
    return {name: told[name] for name in _OLDER if _is_number(told.get(name))}


def _of_older(told: Mapping[str, Any], window_s: float | None) -> dict[str, list[ServerLimit]]:
    found: dict[str, list[ServerLimit]] = {}
    left = {"r": told.get("remaining"), "t": told.get("reset")}
    _add(found, _DEFAULT, {"q": told.get("limit"), "w": window_s}, left)
    return found


def _named(text: str, *wanted: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The items of a list that are names with parameters, of which any is wanted."""
    items = _parse(text, "list")
    if not isinstance(items, list):
        return []
    named = [item for item in items if isinstance(item, tuple) and not _is_number(item[0])]
    return [(str(name), told) for name, told in named if any(each in told for each in wanted)]


def _resource(name: str, unit: Any) -> str | None:
    """Which of our resources a policy limits, by its unit or else by its name."""
    words = str(name if unit is None else unit).lower()
    if "token" in words:
        for kind in ("input", "output"):
            if kind in f"{words} {name.lower()}":
                return f"{kind}_tokens"
        return "tokens"
    asks = unit is None or ("request" in words and "concurrent" not in words)
    return "requests" if asks else None


def _parse(text: str, kind: str) -> Any:
    if not text or len(text) > LONGEST:
        return None
    import http_sf  # a few responses in a thousand have such headers

    try:
        return http_sf.parse(text.encode("ascii"), tltype=kind)
    except (ValueError, RecursionError, IndexError, KeyError):
        return None


def _is_number(value: Any) -> bool:
    return (not isinstance(value, bool) and isinstance(value, int | float)) or _is_decimal(value)


def _is_decimal(value: Any) -> bool:
    return type(value).__name__ == "Decimal"


def _positive(value: Any) -> float | None:
    return float(value) if _is_number(value) and value > 0 else None
