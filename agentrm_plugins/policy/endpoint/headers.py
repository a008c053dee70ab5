"""The server's word: rate-limit headers, and error texts that name a limit, in one frozen report.

Forms read (names in any case; what cannot be read counts as not sent):

- OpenAI: ``x-ratelimit-{limit,remaining,reset}-{requests,tokens}``, resets as "12ms", "8.64s",
  "6m0s".
- Anthropic:
  ``anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,remaining,reset}``,
  resets as RFC 3339 times. ``tokens`` is the tighter of the two others and is left out beside
  them.
- Azure: as OpenAI, often ``remaining`` only, resets as plain seconds; ``ratelimit-...`` of
  gateways.
- ``retry-after-ms``, then ``retry-after`` in seconds or as an HTTP date.
- Error texts: "Limit 30000, Used 29000, Requested 4000. Please try again in 6s." (OpenAI), "retry
  after 7 seconds" (Azure), "Please retry in 34.07s." and ``"retryDelay": "34s"`` (Google), "rate
  limit of 40,000 input tokens per minute" (Anthropic).

Law of a bucket's rate: the reset is the time until it is full, so ``rate = (limit - remaining) /
reset``; that also tells a limit per day from one per minute, which the names do not. Within 15 %
of a usual window (1 s, 1 min, 1 h, 1 day) the window is taken, for resets are rounded.

Limits: times are made relative with the caller's `wall_s` (Unix seconds). Only numbers leave this
file: no header's text, no body, no key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from math import isfinite

from agentrm_plugins.types.verdicts import RESOURCES, LimitReport, ServerLimit

__all__ = ["parse_duration_s", "parse_report"]

_DURATION = re.compile(
    r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d(?:\.\d+)?)(?:[Zz]|([+-])(\d\d):?(\d\d))"
)
_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?")
_TEXT_LIMIT = re.compile(r"Limit:? ([\d,]+)")
_TEXT_USED = re.compile(r"(?:Used|Current):? ([\d,]+)")
_TEXT_REQUESTED = re.compile(r"Requested:? ([\d,]+)")
_TEXT_WAIT = re.compile(
    r"(?:(?:try again|retry) in|retry after|['\"]retryDelay['\"]:) ['\"]?([\dhms.]+)"
    r"( (?:milli)?seconds?)?",
    re.IGNORECASE,
)
_TEXT_RESOURCE = re.compile(
    r"\b(input tokens|output tokens|tokens|requests) per (min|day)", re.IGNORECASE
)
_TEXT_BYTES = 4096
_EPOCH_S = 1e9
_LONGEST_TEXT = 40
_LONGEST_NUMBER = 18


def _names(resource: str) -> list[tuple[str, ...]]:
    """The headers that tell of a resource: its limit, what is left, and when it is whole again."""
    dashed = resource.replace("_", "-")
    stems = [(f"x-ratelimit-{{}}-{dashed}"), (f"anthropic-ratelimit-{dashed}-{{}}")]
    if resource == "requests":
        stems += ["x-ratelimit-{}", "ratelimit-{}"]
    words = ("limit", "remaining", "reset")
    return [tuple(stem.format(word) for word in words) for stem in stems]


_NAMES = {resource: _names(resource) for resource in RESOURCES}


def parse_duration_s(text: str) -> float | None:
    """Seconds of "1s", "6m0s", "120ms", "1h2m3.5s" or a plain number; None for anything else."""
    text = text.strip()
    return _duration_s(text) if 0 < len(text) <= _LONGEST_TEXT else None


@lru_cache(maxsize=1024)  # a server says the same few again and again
def _duration_s(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
    return days * 86400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def parse_report(headers: Mapping[str, str], wall_s: float, text: str = "") -> LimitReport:
    """Read the headers of a response, and the text of its error.

    Args:
        headers: Names and values; the names in any case.
        wall_s: Unix time, to make dates relative.
        text: The message of the error, or its body; at most its first 4 kB are read.
    """
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    found = {name: _limit(lower, name, wall_s) for name in RESOURCES}
    if found["input_tokens"] or found["output_tokens"]:
        found["tokens"] = None
    report = LimitReport(
        retry_after_s=_retry_after_s(lower, wall_s),
        should_retry={"true": True, "false": False}.get(lower.get("x-should-retry", "").lower()),
        requests=found["requests"],
        tokens=found["tokens"],
        input_tokens=found["input_tokens"],
        output_tokens=found["output_tokens"],
    )
    return _with_text(report, text[:_TEXT_BYTES]) if text else report


def _number(text: str | None) -> float | None:
    if text is None:
        return None
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def _retry_after_s(headers: Mapping[str, str], wall_s: float) -> float | None:
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    seconds = parse_duration_s(text)
    return seconds if seconds is not None else _until_s(text, wall_s)


def _until_s(text: str, wall_s: float) -> float | None:
    """Seconds until an HTTP date or RFC 3339 time; 0 if it has passed."""
    match = _RFC3339.fullmatch(text.strip())
    try:
        if match is not None:
            year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
            sign, off_hours, off_minutes = match.group(7), match.group(8), match.group(9)
            offset_s = 0 if sign is None else int(off_hours) * 3600 + int(off_minutes) * 60
            fields = (year, month, day, hour, minute, 0, 0, 1, -1)
            whole_s = mktime_tz((*fields, -offset_s if sign == "-" else offset_s))
            at_s = whole_s + float(match.group(6))
        else:
            date = parsedate_tz(text)
            if date is None:
                return None
            at_s = mktime_tz((*date[:9], date[9] or 0))
    except (ValueError, OverflowError, TypeError):
        return None
    return max(0.0, at_s - wall_s)


def _reset_s(text: str | None, wall_s: float) -> float | None:
    if text is None:
        return None
    seconds = parse_duration_s(text)
    if seconds is None:
        return _until_s(text, wall_s)
    if seconds > _EPOCH_S:  # a time, in seconds or milliseconds since 1970
        at_s = seconds / 1000 if seconds > 1000 * _EPOCH_S else seconds
        return max(0.0, at_s - wall_s)
    return seconds


def _limit(headers: Mapping[str, str], resource: str, wall_s: float) -> ServerLimit | None:
    for most, left, reset in _NAMES[resource]:
        limit = _number(headers.get(most))
        remaining = _number(headers.get(left))
        if limit is not None or remaining is not None:
            return ServerLimit(limit or None, remaining, _reset_s(headers.get(reset), wall_s))
    return None


def _with_text(report: LimitReport, text: str) -> LimitReport:
    wait_s = report.retry_after_s
    match = _TEXT_WAIT.search(text)
    if wait_s is None and match is not None:
        wait_s = parse_duration_s(match.group(1).rstrip("."))
        if wait_s is not None and (match.group(2) or "").strip().startswith("milli"):
            wait_s /= 1000
    found = report.limits()
    resource = None
    named = _TEXT_RESOURCE.search(text)
    if named is not None:
        resource = named.group(1).lower().replace(" ", "_")
        if resource not in found and named.group(2).lower() == "min":
            limit = _text_limit(text, wait_s)
            if limit is not None:
                found[resource] = limit
    return LimitReport(
        retry_after_s=wait_s if wait_s is None or isfinite(wait_s) else None,
        resource=resource,
        should_retry=report.should_retry,
        requests=found.get("requests"),
        tokens=found.get("tokens"),
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
    )


def _text_number(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    digits = "" if match is None else match.group(1).replace(",", "")
    return float(digits) if 0 < len(digits) <= _LONGEST_NUMBER else None


def _text_limit(text: str, wait_s: float | None) -> ServerLimit | None:
    """The limit in a refusal's text; what is missing and for how long give the time to a reset."""
    most, used = _text_number(_TEXT_LIMIT, text), _text_number(_TEXT_USED, text)
    if not most:
        return None
    if used is None:
        return ServerLimit(most, firm=False)
    requested = _text_number(_TEXT_REQUESTED, text)
    missing = (requested or 0.0) + used - most
    reset_s = None
    if wait_s and missing > 0:
        reset_s = used * wait_s / missing
    return ServerLimit(most, max(0.0, most - used), reset_s, firm=False)
