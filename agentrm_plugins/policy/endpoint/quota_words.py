"""A limit of requests and its window, where a refusal names them by nothing but its words.

Forms read:

- "60 per 60 seconds", "5 per 1 minute", "40 requests in 60 seconds", "40 per 1m": of the `limits`
  library, as Flask-Limiter's pages, AI21's answers and slowapi's ``{"error": "Rate limit exceeded:
  5 per 1 minute"}`` say them;
- "Requests per Minute (actual/limit): 80/60" (xAI), of which the longest that was passed counts;
- "40 requests per minute", "40 calls/min", "40 per minute", "40 RPM", "RPM limit of 40", "requests
  per minute: 40", and the same in Chinese.

A text that speaks of tokens otherwise than xAI's names no limit of requests, whatever it counts;
nor does the number of a name ("gpt-4 requests per minute", "tier 1 RPM"), of a status, or of what
was used or is left.

Law: the first two count in windows, and say so (`per_s`). The others may be a bucket's rate as
well: so many a minute, by whatever account. Of several of them that are called a limit, or of all,
the least counts.

Limits: what is counted by more than a minute is a closure, not a rate, and a bare rate per second
is searched for; nothing says when the window began.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

from agentrm_plugins.types.verdicts import MINUTE_S, ServerLimit

__all__ = ["passed_in", "quota_in"]

_COUNT = r"(\d[\d,]{0,17})"
_NOUN = r"(?:(?:api )?(?:request|req|call|quer(?:y|ie)|message|prompt)s? ?)"
_UNIT = r"(s|m|sec(?:ond)?s?|min(?:ute)?s?)\b"
_MINUTE = r"min(?:ute)?\b"
_QUOTA = re.compile(
    rf"(?<![\w.,$]){_COUNT} (?:{_NOUN}?per|{_NOUN}(?:in|within|every|each)) (\d{{1,2}}) ?{_UNIT}",
    re.IGNORECASE,
)
_SHARE = re.compile(
    r"\b(token|request)s per (sec|min)(?:ond|ute)?s? \(actual/limit\): " + f"{_COUNT}/{_COUNT}",
    re.IGNORECASE,
)
_IS = r"(?: ?(?:limit|quota|max(?:imum)?))?(?: of| is|:| =|=)? ?(?:limit:? )?"
_RATES = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![\w.,$]){_COUNT} ?(?:[rq]pm\b|{_NOUN}?(?:/|per|a|each|every) ?{_MINUTE})",
        rf"\b(?:[rq]pm|{_NOUN}per {_MINUTE})(?: \(?[rq]pm\)?)?{_IS}{_COUNT}",
        rf"每分钟\D{{0,8}}{_COUNT} ?(?:次|个?请求)",
        rf"(?<![\d.,]){_COUNT} ?(?:次|个?请求)(?:/| ?每)分钟?",
    )
)
_CALLED = re.compile(r"\b(?:limit|max|quota|up to|at most|allow|exceed)", re.IGNORECASE)
_NO_COUNT = re.compile(
    r"(?:[a-z]-|\b(?:current(?:ly)?|used|sent|made|left|remaining|rate is|tier|level|version|v"
    r"|project|error|code|status|http|region|model|plan|group|key|user)[ :#=]{1,3})$",
    re.IGNORECASE,
)
_USED = re.compile(
    r" ?(?:/|of|out of) ?\d|-\d| (?:\w{1,12} )?(?:used|left|remaining|sent)\b", re.IGNORECASE
)
_TOO_MANY = 429.0  # the status, unless it is called a limit
_BEFORE = 32  # characters in which a rate is called a limit
_MOST = 8  # that are looked at


@lru_cache(maxsize=16)  # the texts of a storm are alike
def quota_in(text: str) -> ServerLimit | None:
    """The limit of requests that was passed, with its window; None: the words name none.

    One without a window is so many a minute, by whatever account.

    >>> quota_in("Rate limit exceeded: 8 per 10 seconds").per_s
    10.0
    >>> quota_in("Max 40 requests per minute").limit
    40.0
    """
    found = []
    for match in islice(_SHARE.finditer(text), _MOST):
        kind, unit, used, limit = match.groups()
        if _number(used) >= _number(limit):
            found.append((_unit_s(unit), kind.lower() == "request", _number(limit)))
    if not found and any(one in text.lower() for one in ("token", "tpm")):
        return None
    for match in () if found else islice(_QUOTA.finditer(text), _MOST):
        limit, times, unit = match.groups()
        found.append((float(times) * _unit_s(unit), True, _number(limit)))
    if not found and "(actual/limit)" not in text:
        return _rate_in(text)
    window_s, of_requests, most = max(found, default=(0.0, False, 0.0))
    if not of_requests or most <= 0 or not 0.0 < window_s <= MINUTE_S:
        return None
    return ServerLimit(most, firm=False, per_s=window_s)


def _rate_in(text: str) -> ServerLimit | None:
    """So many a minute."""
    found, called = [], []
    for form in _RATES:
        for match in islice(form.finditer(text), _MOST):
            at, most = match.start(1), _number(match.group(1))
            is_called = _CALLED.search(text, max(0, at - _BEFORE), at)
            if most > 0 and not _is_no_count(text, match) and (is_called or most != _TOO_MANY):
                found.append(most)
                if is_called:
                    called.append(most)
    return ServerLimit(min(called or found), firm=False) if found else None


def _is_no_count(text: str, match: re.Match[str]) -> bool:
    """Whether its number is part of a name, or says what was used or is left."""
    before = (text[max(0, at - _BEFORE) : at] for at in {match.start(), match.start(1)})
    return any(map(_NO_COUNT.search, before)) or _USED.match(text, match.end()) is not None


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
    return MINUTE_S if unit[0] in "mM" else 1.0
