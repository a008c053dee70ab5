"""A limit of requests and its window, where a refusal names them by nothing but its words.

Forms read:

- "60 per 60 seconds", "5 per 1 minute": of the `limits` library, as Flask-Limiter's pages, AI21's
  answers and slowapi's ``{"error": "Rate limit exceeded: 5 per 1 minute"}`` say them;
- "Requests per Minute (actual/limit): 80/60" (xAI), of which the longest that was passed counts.

A text that speaks of tokens otherwise than xAI's names no limit of requests, whatever it counts.

Law: both count in windows. A bare "60 requests per minute" may be a bucket's rate, and is none of
these.

Limits: what is counted by more than a minute is a closure, not a rate; nothing says when the window
began.
"""

from __future__ import annotations

import re
from itertools import islice

from agentrm_plugins.types.verdicts import MINUTE_S, ServerLimit

__all__ = ["passed_in", "quota_in"]

_COUNT = r"(\d[\d,]{0,17})"
_UNIT = r"(sec|min)(?:ond|ute)?s?\b"
_QUOTA = re.compile(
    rf"(?<![\w.,$]){_COUNT} (?:(?:request|call)s )?per (\d{{1,2}}) {_UNIT}", re.IGNORECASE
)
_SHARE = re.compile(
    rf"\b(token|request)s per {_UNIT} \(actual/limit\): {_COUNT}/{_COUNT}", re.IGNORECASE
)
_MOST = 8  # that are looked at


def quota_in(text: str) -> ServerLimit | None:
    """The limit of requests that was passed, with its window; None: the words name none.

    >>> quota_in("Rate limit exceeded: 8 per 10 seconds").per_s
    10.0
    """
    found = []
    for match in islice(_SHARE.finditer(text), _MOST):
        kind, unit, used, limit = match.groups()
        if _number(used) >= _number(limit):
            found.append((_unit_s(unit), kind.lower() == "request", _number(limit)))
    if not found and "token" in text.lower():
        return None
    for match in () if found else islice(_QUOTA.finditer(text), _MOST):
        limit, times, unit = match.groups()
        found.append((float(times) * _unit_s(unit), True, _number(limit)))
    window_s, of_requests, most = max(found, default=(0.0, False, 0.0))
    if not of_requests or most <= 0 or not 0.0 < window_s <= MINUTE_S:
        return None
    return ServerLimit(most, firm=False, per_s=window_s)


def passed_in(text: str) -> str | None:
    """The one resource of which such shares show a limit as passed; None: none or several do.

    >>> passed_in("Requests per Minute (actual/limit): 3/60, Tokens per Minute (actual/limit): 9/5")
    'tokens'
    """
    shares = (match.groups() for match in islice(_SHARE.finditer(text), _MOST))
    passed = {
        f"{kind.lower()}s" for kind, _, used, most in shares if _number(used) >= _number(most)
    }
    return passed.pop() if len(passed) == 1 else None


def _number(digits: str) -> float:
    return float(digits.replace(",", ""))


def _unit_s(unit: str) -> float:
    return MINUTE_S if unit.lower() == "min" else 1.0
