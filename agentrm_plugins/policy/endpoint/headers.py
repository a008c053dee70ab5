"""The server's word: rate-limit headers, and error texts that name a limit, in one frozen report.

Forms read (names in any case; what cannot be read counts as not sent):

- the headers of each provider's table (see `providers`): OpenAI's, Azure's (``remaining`` alone),
  Anthropic's, Mistral's, Cerebras's, Groq's, LiteLLM's and those of gateways, per second, minute,
  hour, day and month;
- the IETF's ``RateLimit`` and ``RateLimit-Policy``, lists such as "60, 60" (see `structured`);
- ``retry-after-ms``, then ``retry-after``, as any duration or moment (see `times`);
- error texts: "Limit 30000, Used 29000, Requested 4000. Please try again in 6s." (OpenAI), "retry
  after 7 seconds" (Azure), "Please retry in 34.07s." and ``"retryDelay": "34s"`` (Google), "rate
  limit of 40,000 input tokens per minute" (Anthropic), "Please wait 3 seconds".

Law of a bucket's rate: the reset is the time until it is full, so ``rate = (limit - remaining) /
reset``; that also tells a limit per day from one per minute, which the names mostly do not. Within
15 % of a usual window (1 s, 1 min, 1 h, 1 day) the window is taken, for resets are rounded.

Law of several limits of one resource: the one with the shortest window counts, until a longer one
has less left than that one's whole limit. Anthropic's ``tokens`` is the tighter of input and output
and is left out beside them.

Law of a refusal without a wait: it is over at the reset of what it says is empty, where it names no
limit that our account could be held against; else at the soonest reset of what is left unsaid.

Limits: times are made relative with the caller's `wall_s` (Unix seconds), or with the answer's
``date`` and ``age`` where the two differ: a moment is one of the server's clock. Only numbers leave
this file: no header's text, no body, no key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from agentrm_plugins.policy.endpoint.quota_words import passed_in, quota_in
from agentrm_plugins.policy.endpoint.structured import fields_of, listed
from agentrm_plugins.policy.endpoint.tables import BUILT_IN, Tables
from agentrm_plugins.policy.endpoint.times import (
    EPOCH_S,
    number,
    parse_duration_s,
    server_clock_s,
    step_s,
    time_left_s,
    wait_in_words_s,
)
from agentrm_plugins.types.verdicts import LimitReport, ServerLimit

if TYPE_CHECKING:
    from agentrm_plugins.types.provider import LimitHeaders

__all__ = ["parse_duration_s", "parse_report", "report_of"]

_TEXT_LIMIT = re.compile(r"Limit:? ([\d,]{1,24})")
_TEXT_USED = re.compile(r"(?:Used|Current):? ([\d,]{1,24})")
_TEXT_REQUESTED = re.compile(r"Requested:? ([\d,]{1,24})")
_TEXT_RESOURCE = re.compile(
    r"\b(input tokens|output tokens|tokens|requests) per (min|day)", re.IGNORECASE
)
_TEXT_NAMED = re.compile(
    r"\blimit type:? (request|token)s\b|\b(request|call|token)s? rate limit\b"
    r"|\btoo many (token)s\b",
    re.IGNORECASE,
)
_TEXT_CHARS = 4096
_LONGEST_NUMBER = 18
_MINUTE_S = 60.0
# Guessed: how far a bucket's wait may be off "per minute" before it is none, or is another rate.
_LONG, _SHORT, _FEW, _ROUNDED_S = 1.5, 0.25, 3.0, 1.0
_RESETS = ("after", "after_ms", "reset")  # a time from now needs nobody's clock
_OPINIONS = {"true": True, "false": False}


def parse_report(
    headers: Mapping[str, str], wall_s: float, text: str = "", *, tables: Tables = BUILT_IN
) -> LimitReport:
    """Read the headers of a response, and the text of its error.

    Args:
        headers: Names and values; the names in any case.
        wall_s: Unix time, to make dates relative.
        text: The message of the error, or its body; at most its first 4 kB are read.
        tables: What providers say.
    """
    lower = {str(name).lower(): str(value) for name, value in headers.items()}
    return report_of(lower, wall_s, text, tables=tables)


def report_of(
    lower: Mapping[str, str],
    wall_s: float,
    text: str = "",
    *,
    tables: Tables = BUILT_IN,
    refused: bool = False,
) -> LimitReport:
    """The same of headers whose names are in lower case.

    Args:
        lower: The headers.
        wall_s: Unix time.
        text: The message of the error, or its body.
        tables: What providers say.
        refused: Whether a limit was met: then resets may say when that is over.
    """
    every = _limits(lower, wall_s, tables)
    said, found = every, dict[str, ServerLimit]()
    if every:
        said = {name: figures for name, limits in every.items() if (figures := _figures(limits))}
        found = {name: _tightest(limits) for name, limits in said.items()}
    if "input_tokens" in found or "output_tokens" in found:
        found.pop("tokens", None)
    wait_s, resource, worded = _retry_after_s(lower, wall_s, tables), None, None
    if text:
        text = text[:_TEXT_CHARS]
        clock_s = server_clock_s(lower.get("date"), wall_s, lower.get("age"))
        resource = _named_in(text, found, wait_s, clock_s)
        wait_s = wait_in_words_s(text, clock_s) if wait_s is None else wait_s
        if wait_s is None and not said and found.keys() <= {"requests"}:
            worded = _worded(text, found) if found else quota_in(text)
            resource = resource if worded is None else None  # what passes shows the rest
    if refused and every and wait_s is None and worded is None:
        wait_s = _over_s([limit for limits in every.values() for limit in limits])
    return LimitReport(
        wall_s=wall_s,
        retry_after_s=wait_s,
        resource=resource,
        worded=worded,
        should_retry=_OPINIONS.get(lower.get("x-should-retry", "").strip().lower()),
        requests=found.get("requests"),
        tokens=found.get("tokens"),
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
    )


def _worded(text: str, found: dict[str, ServerLimit]) -> ServerLimit | None:
    """The limit of requests that the words alone name; of what a text says in full, none is."""
    bare = found.get("requests")
    if bare is not None and (bare.remaining is not None or bare.per_s is not None):
        return None
    worded = quota_in(text)
    if bare is not None and worded is not None:
        del found["requests"]
    return worded


def _limits(
    headers: Mapping[str, str], wall_s: float, tables: Tables
) -> dict[str, list[ServerLimit]]:
    """All the limits that are named, by resource, if only by when one is whole again."""
    said: dict[LimitHeaders, dict[str, str]] = {}
    for name, text in headers.items():
        role = tables.roles.get(name)
        if role is not None:
            said.setdefault(role.limit, {})[role.part] = text
    found: dict[str, list[ServerLimit]] = {}
    fields = "ratelimit" in headers or "ratelimit-policy" in headers
    clock_s = _clock_s(headers, wall_s) if said or fields else wall_s
    for limit, parts in said.items():
        read = _read(parts, limit.window_s, clock_s)
        if read is not None:
            found.setdefault(limit.resource, []).append(read)
    if fields:
        policy, left = headers.get("ratelimit-policy", ""), headers.get("ratelimit", "")
        for resource, limits in fields_of(policy, left).items():
            found.setdefault(resource, []).extend(_from_now(limit, clock_s) for limit in limits)
    return found


def _from_now(limit: ServerLimit, clock_s: float) -> ServerLimit:
    """The same, where a field has the moment in the place of the time until then."""
    if limit.reset_s is None or limit.reset_s <= EPOCH_S:
        return limit
    reset_s = time_left_s(f"{limit.reset_s:.0f}", clock_s)
    return replace(limit, reset_s=reset_s, step_s=1.0)


def _figures(limits: list[ServerLimit]) -> list[ServerLimit]:
    """Those that name more than a time."""
    return [each for each in limits if each.limit is not None or each.remaining is not None]


def _over_s(limits: list[ServerLimit]) -> float | None:
    """Seconds until a refusal with these limits is over, where no account can tell."""
    empty = [each for each in limits if each.remaining is not None and each.remaining < 1]
    if any(each.limit for each in empty):
        return None
    ends_s = [each.reset_s for each in empty if each.reset_s]
    unsaid_s = [each.reset_s for each in limits if each.remaining is None and each.reset_s]
    return max(ends_s) if ends_s else min(unsaid_s, default=None)


def _clock_s(headers: Mapping[str, str], wall_s: float) -> float:
    return server_clock_s(headers.get("date"), wall_s, headers.get("age"))


def _read(parts: Mapping[str, str], window_s: float | None, wall_s: float) -> ServerLimit | None:
    left, index = _count(parts.get("remaining"))
    most, _, told_s = *_count(parts.get("limit"), index), _window(parts.get("limit"))
    reset_s, step = (None, None) if most == 0 else _reset(parts, wall_s)  # 0 of 0: of no limit
    if left is None and most is None and reset_s is None:
        return None
    return ServerLimit(most or None, left, reset_s, per_s=window_s or told_s, step_s=step)


def _reset(parts: Mapping[str, str], wall_s: float) -> tuple[float | None, float | None]:
    """Seconds until the reset, and to how many that is rounded."""
    for part in _RESETS:
        text = parts.get(part)
        if not text:
            continue
        first, _, more = text.partition(",")  # of a list the first, but a date has a comma too
        for each in (first, text) if more else (first,):
            seconds = time_left_s(each, wall_s, milliseconds=part == "after_ms")
            if seconds is not None:
                return seconds, step_s(each) if part != "after_ms" else None
    return None, None


def _count(text: str | None, index: int | None = None) -> tuple[float | None, int | None]:
    plain = number(text)
    if plain is not None or not text or not ("," in text or ";" in text):
        return plain, None
    found = listed(text, index)
    return (None, None) if found is None else (max(0.0, found.value), found.place)


def _window(text: str | None) -> float | None:
    found = listed(text) if text and ";" in text else None
    return None if found is None else found.window_s


def _tightest(limits: list[ServerLimit]) -> ServerLimit:
    """The limit of which this resource is short, among several."""
    ordered = sorted(limits, key=_order)
    shortest = ordered[0]
    if shortest.limit is None:
        return shortest
    for longer in reversed(ordered):
        if longer.remaining is not None and longer.remaining < shortest.limit:
            return longer if longer.per_s != shortest.per_s else shortest
    return shortest


def _order(limit: ServerLimit) -> tuple[float, float, float]:
    left = limit.remaining if limit.limit is None else None
    return limit.per_s or _MINUTE_S, limit.limit or inf, inf if left is None else left


def _retry_after_s(headers: Mapping[str, str], wall_s: float, tables: Tables) -> float | None:
    for name in tables.waits:
        text = headers.get(name)
        if text is not None:
            clock_s = _clock_s(headers, wall_s)
            seconds = time_left_s(text, clock_s, milliseconds=name.endswith("-ms"))
            if seconds is not None:
                return seconds
    return None


def _named_in(
    text: str, found: dict[str, ServerLimit], header_s: float | None, wall_s: float
) -> str | None:
    """The resource that an error's text names; what it says of its limit is put to the others."""
    if "(actual/limit)" in text and (passed := passed_in(text)) is not None:
        return passed
    named = _TEXT_RESOURCE.search(text)
    if named is not None:
        resource = named.group(1).lower().replace(" ", "_")
        if resource not in found and named.group(2).lower() == "min":
            limit = _text_limit(text, header_s, wall_s)
            if limit is not None:
                found[resource] = limit
        return resource
    named = _TEXT_NAMED.search(text)
    if named is None:
        return None
    return "tokens" if "token" in named.group().lower() else "requests"


def _text_number(pattern: re.Pattern[str], text: str) -> float | None:
    match = pattern.search(text)
    digits = "" if match is None else match.group(1).replace(",", "")
    return float(digits) if 0 < len(digits) <= _LONGEST_NUMBER else None


def _text_limit(text: str, header_s: float | None, wall_s: float) -> ServerLimit | None:
    """The limit per minute in a refusal's text, and what its wait says of the rate.

    What is missing and for how long is a bucket's rate, which may be another than "per minute". A
    wait much longer than the minute's rate explains is none: the limit is counted in a window that
    ends then. A shorter one may be the rounding of what is missing, unless that is much.
    """
    most, used = _text_number(_TEXT_LIMIT, text), _text_number(_TEXT_USED, text)
    if not most:
        return None
    if used is None:
        return ServerLimit(most, firm=False)
    words_s = wait_in_words_s(text, wall_s)
    wait_s, rounding_s = (words_s, 0.0) if words_s is not None else (header_s, _ROUNDED_S)
    missing = (_text_number(_TEXT_REQUESTED, text) or 0.0) + used - most
    left = max(0.0, most - used)
    if not wait_s or missing <= 0:
        return ServerLimit(most, left, firm=False)
    window_s = most * wait_s / missing
    if most * (wait_s - rounding_s) / missing > _LONG * _MINUTE_S and wait_s <= _MINUTE_S + 1.0:
        return ServerLimit(most, left, firm=False, per_s=_MINUTE_S, ends_s=wait_s)
    if missing < _FEW and _SHORT * _MINUTE_S <= window_s <= _LONG * _MINUTE_S:
        return ServerLimit(most, left, firm=False, per_s=_MINUTE_S)
    return ServerLimit(most, left, used * wait_s / missing, firm=False)
