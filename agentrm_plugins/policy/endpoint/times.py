"""When a server wants to be asked again: durations, moments and words, read as seconds.

Forms read: "12ms", "8.64s", "6m0s", "1h2m3.5s", "1 minute and 30 seconds", "a minute", plain
seconds, "7,200", "1e9", "00:01:30", "tomorrow at 00:00 UTC", ISO 8601 ("PT1M30S"), Unix times in
seconds, milliseconds, microseconds or nanoseconds, HTTP dates, RFC 3339 and "2026-09-21 13:33:20
UTC".

Law: a number beyond `EPOCH_S` is a moment, not a duration (no limit is 31 years long), and what is
left is at most `LONGEST_S`: nobody limits for longer than a month, so more is a clock that is off,
or nonsense. A moment that has passed is 0 seconds away.

Limits: at most `LONGEST_TEXT` characters of a header and 4 kB of a message are looked at, every
pattern is linear, and what cannot be read is None.
"""

from __future__ import annotations

import re
from email.utils import mktime_tz, parsedate_tz
from functools import lru_cache
from itertools import islice

from agentrm_plugins.policy.endpoint.spoken_waits import wait_in_other_words_s

__all__ = [
    "EPOCH_S",
    "LONGEST_S",
    "WAIT_HEADERS",
    "number",
    "parse_duration_s",
    "server_clock_s",
    "step_s",
    "time_left_s",
    "wait_in_words_s",
]

EPOCH_S = 1e9
LONGEST_S = 31 * 86400.0
LONGEST_TEXT = 64
WAIT_HEADERS = frozenset({"retry-after", "retry-after-ms"})
_TEXT_CHARS = 4096
_CUES = 24

_NUMBER = re.compile(r"\d{1,18}(?:\.\d{1,9})?")
_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,5}")
_BEYOND = re.compile(
    r"\d{25,64}(?:\.\d{1,9})?|\d{1,9}(?:\.\d{1,9})?e\+?\d", re.IGNORECASE
)  # "1e99" and "inf" are no number of seconds: a refusal without a time
_DAYTIME = re.compile(
    r"(?:(today|tomorrow),?\s)?(?:at\s)?"
    r"(?:(\d{1,2})(?::(\d\d)(?::(\d\d))?)?\s?([ap]m)?|midnight)\s?\(?(?:UTC|GMT)\b",
    re.IGNORECASE,
)
_UNITS = {
    **dict.fromkeys(("ms", "msec", "msecs", "milli", "millis"), 0.001),
    **dict.fromkeys(("millisecond", "milliseconds"), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_TO_TEN = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_WORDS = {"a": 1.0, "an": 1.0, **{word: float(number) for number, word in enumerate(_TO_TEN, 1)}}
_PART = re.compile(
    rf"(\d{{1,18}}(?:\.\d{{1,9}})?|an?\b|(?:{'|'.join(_TO_TEN)})\b)[ -]?([a-z]{{1,12}})(?![a-z])",
    re.IGNORECASE,
)
_BETWEEN = re.compile(r"\s?,?\s?(?:and\s)?")
_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)")
_ISO = re.compile(
    r"P(?:(\d{1,4})D)?(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?"
)
_MOMENT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d(?:\.\d{1,9})?)"
    r"(?:\s?(?:[Zz]|UTC|GMT)|\s?([+-])(\d\d):?(\d\d))?"
)
_CUE = re.compile(
    r"\b(?:retry|retrying|try|wait|reset|resets|available|replenished|allowed|cooldown|pause"
    r"|throttled|blocked|paused|suspended"
    r"|cooling down|come back|back ?off|hold off|(?:another|next|new) (?:request|call|attempt))\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"(?:[\s\"':=({]|(?:again|in|after|for|at|until|least|about|another|approximately|around"
    r"|your request|this request)(?![a-z])){0,12}",
    re.IGNORECASE,
)
_TIME_KEY = re.compile(
    r"(?:retry[-_ ]?(?:after|delay)|resets?[-_ ]?at|ratelimit-reset)"
    r"(?:[-_ ]?(ms|millis|milliseconds|in[-_]seconds|seconds|secs|sec|s))?"
    r"[\"']?\s{0,3}[:={]\s{0,8}(?:seconds\s?:\s?)?[\"']?(?=[\dP])",
    re.IGNORECASE,
)
_REST = re.compile(
    r"(?<![\d.])(\d{1,9}(?:\.\d{1,9})? ?[a-z]{1,12}) (?:remaining|left|until|to go"
    r"|before (?:you|retry|retrying|trying|another|the next|your next|sending))\b",
    re.IGNORECASE,
)
_DATE_S, _HALF_WAY_S = 1.0, 0.25  # a date's step; guessed: on its way
_DAY_S, _JUST_S = 86400.0, 300.0  # what is over for so long may be on another's clock; guessed
_NO_WAIT = re.compile(r"[ -]?(?:ago|old|of|windows?|limit|quota)\b", re.IGNORECASE)
_ENDS = re.compile(r"\s{0,8}(?:$|[.,;!\"'})\]])")


def number(text: str | None) -> float | None:
    """A plain number that is not negative; None for anything else."""
    text = "" if text is None else text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def parse_duration_s(text: str) -> float | None:
    """Seconds of "1s", "6m0s", "120ms", "1 minute and 30 seconds", "00:01:30", "PT5S" or a number.

    None for anything else.
    """
    text = text.strip()
    return _duration_s(text) if 0 < len(text) <= LONGEST_TEXT else None


@lru_cache(maxsize=1024)  # a server says the same few again and again
def _duration_s(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    if text[0] == "P" and (match := _ISO.fullmatch(text)) and any(match.groups()):
        days, *clock = (float(part or 0) for part in match.groups())
        return days * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    found = _parts_s(text, 0)
    return None if found is None or found[1] != len(text) else found[0]


def _parts_s(text: str, at: int) -> tuple[float, int] | None:
    """The seconds of the parts that follow each other from `at` on, and where they end."""
    total_s, end, last_s = 0.0, at, LONGEST_S * 1e6
    while match := _PART.match(text, at if end == at else _between(text, end)):
        amount, unit_s = match.group(1).lower(), _UNITS.get(match.group(2).lower())
        if unit_s is None or unit_s >= last_s:
            break
        total_s += (_WORDS.get(amount) or float(amount)) * unit_s
        end, last_s = match.end(), unit_s
    return None if end == at else (total_s, end)


def _between(text: str, at: int) -> int:
    match = _BETWEEN.match(text, at)
    return at if match is None else match.end()


def time_left_s(text: str, wall_s: float, *, milliseconds: bool = False) -> float | None:
    """Seconds from now until what a header says, 0 to `LONGEST_S`; None if it says nothing.

    Args:
        text: A duration, a moment or a number.
        wall_s: Unix time now.
        milliseconds: Whether a plain number is one of milliseconds.
    """
    if len(text) > LONGEST_TEXT:
        return None
    plain = _plain(text.strip())
    if plain is not None:
        return _of_number(plain, wall_s, 0.001 if milliseconds else 1.0)
    seconds = parse_duration_s(text)
    if seconds is None:
        seconds = _until(text.strip(), wall_s)
    if seconds is None and "," in text:  # a proxy added its own: the longest wait satisfies both
        several = [parse_duration_s(part) for part in text.split(",")]
        known = [one for one in several if one is not None]
        seconds = max(known) if len(known) == len(several) else None
    return None if seconds is None else min(seconds, LONGEST_S)


def _plain(text: str) -> float | None:
    """A plain number, also one with separators, or one so large that it only means "long"."""
    plain = number(text)
    if plain is None and _THOUSANDS.fullmatch(text) and len(set(text.split(","))) > 1:
        return float(text.replace(",", ""))  # a proxy that says one number twice is no separator
    if plain is None and _BEYOND.fullmatch(text):
        return min(float(text), EPOCH_S)
    return plain


def step_s(text: str) -> float | None:
    """Seconds to which a moment is rounded: a second, unless it shows parts of one.

    None for a duration, whose own figure shows it.
    """
    plain = number(text)
    moment = parse_duration_s(text) is None if plain is None else plain > EPOCH_S
    whole = "." not in text and (plain is None or plain < 1000 * EPOCH_S)
    return 1.0 if moment and whole else None


def _of_number(plain: float, wall_s: float, unit_s: float = 1.0) -> float:
    seconds = plain * unit_s
    if seconds > EPOCH_S:  # a moment, in whatever unit makes it one of our days
        while plain > 1000 * EPOCH_S:
            plain /= 1000
        seconds = plain - wall_s
    return min(max(0.0, seconds), LONGEST_S)


def _until(text: str, wall_s: float) -> float | None:
    """Seconds until an HTTP date or an RFC 3339 time."""
    match = _MOMENT.fullmatch(text)
    at_s = _http_date(text) if match is None else _moment(match)
    return None if at_s is None else min(max(0.0, at_s - wall_s), LONGEST_S)


def _moment(match: re.Match[str]) -> float | None:
    year, month, day, hour, minute = (int(part) for part in match.groups()[:5])
    sign, off_hours, off_minutes = match.group(7), match.group(8), match.group(9)
    offset_s = 0 if sign is None else int(off_hours) * 3600 + int(off_minutes) * 60
    fields = (year, month, day, hour, minute, 0, 0, 1, -1)
    try:
        whole_s = mktime_tz((*fields, -offset_s if sign == "-" else offset_s))
    except (ValueError, OverflowError):
        return None
    return whole_s + float(match.group(6))


def _until_daytime(match: re.Match[str], wall_s: float) -> float | None:
    """Seconds until a time of day, in UTC: the next one, or tomorrow's."""
    day, hour, minute, second, half = match.groups()
    hours = int(hour or 0)
    if half is not None:
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    at_s = hours * 3600.0 + int(minute or 0) * 60 + int(second or 0)
    if at_s > _DAY_S:
        return None
    left_s = at_s - wall_s % _DAY_S
    if (day or "").lower() == "tomorrow" or (day is None and left_s < -_JUST_S):
        return left_s + _DAY_S
    return max(0.0, left_s)


def server_clock_s(date: str | None, wall_s: float, age: str | None = None) -> float:
    """Unix time on the clock of who sent this ``date``; ours, if it may be the same.

    A moment in its headers is one of its own clock, be that off by hours. The answer was sent in
    the second that it names: the beginning of that is taken, for what is waited for comes no
    sooner. What a cache has kept says its ``age``, in seconds.
    """
    sent_s = _http_date(date) if date and len(date) <= LONGEST_TEXT else None
    if sent_s is None:
        return wall_s
    sent_s += number(age) or 0.0
    return wall_s if 0.0 <= wall_s - sent_s <= _DATE_S + _HALF_WAY_S else sent_s


@lru_cache(maxsize=64)  # all answers of a second say the same
def _http_date(text: str) -> float | None:
    try:
        date = parsedate_tz(text)
        return None if date is None else mktime_tz((*date[:9], date[9] or 0))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def wait_in_words_s(text: str, wall_s: float | None = None) -> float | None:
    """Seconds that a message asks to wait, 0 to `LONGEST_S`; None if it asks for none.

    Args:
        text: The message; its first 4 kB are read.
        wall_s: Unix time now; None: moments are not read.
    """
    text = text[:_TEXT_CHARS]
    for match in islice(_TIME_KEY.finditer(text), _CUES):
        unit = (match.group(1) or "").lower()
        found = _said_at(text, match.end(), wall_s, 0.001 if unit.startswith("m") else 1.0)
        if found is not None:
            return min(found, LONGEST_S)
    for match in islice(_CUE.finditer(text), _CUES):
        filler = _FILLER.match(text, match.end())
        found = _said_at(text, match.end() if filler is None else filler.end(), wall_s)
        if found is not None:
            return min(found, LONGEST_S)
    for match in islice(_REST.finditer(text), _CUES):
        found = parse_duration_s(match.group(1))
        if found is not None:
            return min(found, LONGEST_S)
    found = wait_in_other_words_s(text)
    return None if found is None else min(found, LONGEST_S)


def _said_at(text: str, at: int, wall_s: float | None, unit_s: float = 1.0) -> float | None:
    """What is said at this place: a moment, a duration, or a number with nothing behind it."""
    if match := _MOMENT.match(text, at):
        return None if wall_s is None else _until(match.group(), wall_s)
    if match := _DAYTIME.match(text, at):
        return None if wall_s is None else _until_daytime(match, wall_s)
    if match := _CLOCK.match(text, at):
        return _duration_s(match.group())
    parts = _parts_s(text, at)
    if parts is not None:
        return None if _NO_WAIT.match(text, parts[1]) else parts[0]
    match = _NUMBER.match(text, at)
    if match is None or not _ENDS.match(text, match.end()):
        return None
    plain = float(match.group())
    if plain * unit_s > EPOCH_S and wall_s is None:
        return None
    return _of_number(plain, wall_s or 0.0, unit_s)
