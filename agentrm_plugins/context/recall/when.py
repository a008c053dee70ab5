"""When a question asks about: a stretch of days, by its words for it and the day it is asked on.

Law: "yesterday", "two weeks ago", "last Monday", "in March", "on 3 March" name a stretch of days
(UTC) relative to the asking. Messages said in it are worth more, and those said within `AROUND_S`
of it a part of that, since nobody's midnight is UTC's. A stretch moves the order and hides nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentrm_plugins.context.notes.text import DATE, MONTHS, WIDE
from agentrm_plugins.context.recall.days import (
    DAY_S,
    LAST_DAY,
    civil,
    day_of,
    days_in_month,
    weekday,
)

__all__ = ["AROUND_S", "WEEKDAYS", "Stretch", "stretch_of"]

AROUND_S = 14 * 3600.0
"""The furthest that a local day lies from UTC's."""
_SIZES = {"hour": 1, "day": 1, "week": 7, "month": 30, "year": 365}
"""Days of a unit, the smallest a day."""
_READ_CHARS = 2_000
_WORDS = {
    "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7,
    "eight": 8, "nine": 9, "ten": 10, "couple of": 2, "few": 3, "several": 4,
    "ein": 1, "einem": 1, "einer": 1, "zwei": 2, "drei": 3, "vier": 4,
    "un": 1, "une": 1, "deux": 2, "trois": 3, "quatre": 4, "una": 1, "dos": 2, "tres": 3,
    "一": 1, "两": 2, "二": 2, "三": 3, "四": 4, "五": 5,
}  # fmt: skip
_UNITS = {
    "hour": "hour", "hours": "hour", "stunde": "hour", "stunden": "hour", "heure": "hour",
    "heures": "hour", "hora": "hour", "horas": "hour", "小时": "hour", "時間": "hour",
    "day": "day", "days": "day", "tag": "day", "tage": "day", "tagen": "day", "jour": "day",
    "jours": "day", "día": "day", "días": "day", "dia": "day", "dias": "day", "天": "day",
    "日": "day",
    "week": "week", "weeks": "week", "woche": "week", "wochen": "week", "semaine": "week",
    "semaines": "week", "semana": "week", "semanas": "week", "周": "week", "星期": "week",
    "週間": "week", "month": "month", "months": "month", "monat": "month", "monate": "month",
    "monaten": "month", "mois": "month", "mes": "month", "meses": "month", "个月": "month",
    "ヶ月": "month", "か月": "month", "year": "year", "years": "year", "jahr": "year",
    "jahre": "year", "jahren": "year", "an": "year", "ans": "year", "año": "year", "años": "year",
    "年": "year",
}  # fmt: skip
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "monday montag lundi lunes segunda-feira",
            "tuesday dienstag mardi martes terça-feira",
            "wednesday mittwoch mercredi miércoles quarta-feira",
            "thursday donnerstag jeudi jueves quinta-feira",
            "friday freitag vendredi viernes sexta-feira",
            "saturday samstag samedi sábado",
            "sunday sonntag dimanche domingo",
        )
    )
    for name in names.split()
}
_DAYS_BACK = {
    "today": 0, "tonight": 0, "this morning": 0, "yesterday": 1, "last night": 1,
    "the day before yesterday": 2, "heute": 0, "gestern": 1, "vorgestern": 2,
    "aujourd'hui": 0, "hier": 1, "avant-hier": 2, "hoy": 0, "ayer": 1, "anteayer": 2,
    "hoje": 0, "ontem": 1, "今天": 0, "昨天": 1, "前天": 2, "今日": 0, "昨日": 1, "一昨日": 2,
    "어제": 1, "오늘": 0, "сегодня": 0, "вчера": 1, "позавчера": 2, "اليوم": 0, "أمس": 1,
    "आज": 0,
}  # fmt: skip
_LAST = {
    "last": 1, "this": 0, "the previous": 1, "past": 1, "letzte": 1, "letzten": 1, "letztes": 1,
    "vorige": 1, "diese": 0, "diesen": 0, "dieses": 0, "上": 1, "上个": 1, "这": 0, "这个": 0,
    "先": 1, "今": 0,
}  # fmt: skip
_BEHIND = "dernier|dernière|pasado|pasada|passado|passada"


def _any(names: dict[str, int] | dict[str, str]) -> str:
    return "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))


# No part of a longer number: else a long run of digits is looked at from each of them.
_COUNT = rf"(?P<count>(?<!\d)\d{{1,3}}(?!\d)|{_any(_WORDS)})"
_UNIT = rf"(?P<unit>{_any(_UNITS)})"
_PATTERNS = (
    ("ago", rf"\b{_COUNT}\s+{_UNIT}\s+(?:ago|earlier|before)\b"),
    ("ago", rf"\b(?:vor|il y a|hace|há)\s+{_COUNT}\s+{_UNIT}\b"),
    ("ago", rf"{_COUNT}\s?{_UNIT}(?:前|之前|以前)"),
    ("past", (rf"\b(?:last|past|previous|letzten|derniers|dernières|últimos|últimas)\s+{_COUNT}"
             rf"\s+{_UNIT}\b")),
    ("back", rf"(?<!\w)(?P<day>{_any(_DAYS_BACK)})(?!\w)"),
    ("back", r"(?P<day>今天|昨天|前天|今日|一昨日|昨日)"),
    ("last", rf"\b(?P<last>{_any(_LAST)})\s+(?P<what>{_any(_UNITS)}|{_any(WEEKDAYS)})(?!\w)"),
    ("last", r"(?P<last>上个|上|这个|这|先|今)(?P<what>周|星期|月|週)"),
    ("behind", rf"\b(?P<what>{_any(_UNITS)}|{_any(WEEKDAYS)})\s+(?:{_BEHIND})\b"),
    ("on", rf"\b(?:on|am|le|el|on a)\s+(?P<what>{_any(WEEKDAYS)})\b"),
    ("in", (rf"\b(?:in|during|since|im|en|em)\s+(?P<month>{_any(MONTHS)})\b\.?"
           r"(?!\s+\d{1,2}\b)(?:,?\s+(?P<year>[12]\d{3}))?")),
)  # fmt: skip
_FOUND = [(kind, re.compile(pattern)) for kind, pattern in _PATTERNS]
_TOKEN, _DIGIT = re.compile(r"[^\W\d]+"), re.compile(r"\d")


def _tokens(*names: str) -> frozenset[str]:
    return frozenset(token for name in names for token in _TOKEN.findall(name.casefold()))


_TIMED = _tokens(*_UNITS, *WEEKDAYS, *_DAYS_BACK, *MONTHS)
"""Each pattern, but for those of scripts without blanks, has one of these words."""
_UNSPACED = re.compile(f"[{WIDE}]")


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when, in seconds since the epoch, and the words that said so.

    Args:
        start_s: Its begin.
        stop_s: Its end, which is no part of it.
        said: The words of the question that say when and nothing else; none of a date or a month,
            which a message may name as well.
    """

    start_s: float
    stop_s: float
    said: str

    @property
    def around(self) -> tuple[float, float]:
        """From when to when a time has any share."""
        return self.start_s - AROUND_S, self.stop_s + AROUND_S

    def share(self, at_s: float) -> float:
        """Give 1 for a time in it, a half for one within `AROUND_S` of it, else 0."""
        if self.start_s <= at_s < self.stop_s:
            return 1.0
        return 0.5 if self.start_s - AROUND_S <= at_s < self.stop_s + AROUND_S else 0.0


def stretch_of(text: str, now_s: float) -> Stretch | None:
    """Read the stretch of time that a question asks about; None where it names none.

    Args:
        text: The question.
        now_s: When it is asked, in seconds since the epoch; nothing is read at 0 or below, or
            beyond the calendar.

    >>> stretch_of("What did I say yesterday?", 86_400 * 10.5).start_s / 86_400
    9.0
    """
    text = text[:_READ_CHARS]
    today = int(now_s // DAY_S) if 0 < now_s < LAST_DAY * DAY_S else 0
    if not today:
        return None
    if _TIMED.isdisjoint(_TOKEN.findall(text.casefold())) and _UNSPACED.search(text) is None:
        return _named(text, today)
    lowered = text.lower()
    for kind, pattern in _FOUND:
        found = pattern.search(lowered)
        days = None if found is None else _days(kind, found, today)
        if found is not None and days is not None and days[0] > 0:
            return _stretch(days, "" if kind == "in" else found.group())
    return _named(text, today)


def _stretch(days: tuple[int, int], said: str) -> Stretch:
    return Stretch(days[0] * DAY_S, days[1] * DAY_S, said)


def _days(kind: str, found: re.Match[str], today: int) -> tuple[int, int] | None:
    """Give the first day, and the one after the last."""
    if kind in {"ago", "past"}:
        said = found["count"].casefold()
        count = int(said) if said.isdecimal() else _WORDS[said]
        unit = _UNITS[found["unit"].casefold()]
        if kind == "past":
            return today - count * _SIZES[unit], today + 1
        return _ago(count, unit, today)
    if kind == "back":
        day = today - _DAYS_BACK[found["day"].casefold()]
        return day, day + 1
    if kind == "in":
        return _month(MONTHS[found["month"].casefold()], found["year"], today)
    what = found["what"].casefold()
    back = _LAST[found["last"].casefold()] if kind == "last" else int(kind == "behind")
    if what in WEEKDAYS:
        gone = (weekday(today) - WEEKDAYS[what]) % 7
        day = today - (gone or 7 * (kind in {"behind", "on"} or back == 1))
        return day, day + 1
    unit = {"月": "month", "週": "week"}.get(what) or _UNITS[what]
    return _whole(unit, back, today)


def _ago(count: int, unit: str, today: int) -> tuple[int, int]:
    """Of "three weeks ago" nobody means the day alone: half a unit either way, but for days."""
    if unit == "hour":
        return today - count // 24 - 1, today + 1
    if unit == "day":
        return today - count, today - count + 1
    middle, around = today - count * _SIZES[unit], _SIZES[unit] // 2
    return middle - around, middle + around + 1


def _whole(unit: str, back: int, today: int) -> tuple[int, int] | None:
    year, month, _ = civil(today)
    if unit == "week":
        start = today - weekday(today) - 7 * back
        return start, start + 7
    if unit == "month":
        year, month = (year - 1, 12) if back and month == 1 else (year, month - back)
        start = day_of(year, month, 1)
        return start, start + days_in_month(year, month)
    if unit == "year":
        return day_of(year - back, 1, 1), day_of(year - back + 1, 1, 1)
    return (today - back, today + 1) if unit == "day" else None


def _month(month: int, year: str | None, today: int) -> tuple[int, int]:
    """Give a month; without a year the newest that has begun."""
    this_year, this_month, _ = civil(today)
    of = int(year) if year else this_year - (month > this_month)
    start = day_of(of, month, 1)
    return start, start + days_in_month(of, month)


def _named(text: str, today: int) -> Stretch | None:
    """Read a day by its date: "on 3 March", "2026-03-04"."""
    for match in DATE.finditer(text) if _DIGIT.search(text) is not None else ():
        groups = {key[0]: value for key, value in match.groupdict().items() if value}
        said = groups.get("m", "").lower()
        month = MONTHS.get(said) or (int(said) if said.isdigit() else 0)
        year, of_month = int(groups.get("y", civil(today)[0])), int(groups.get("d", 0))
        try:
            day = day_of(year, month, of_month)
            if "y" not in groups and day > today:
                day = day_of(year - 1, month, of_month)
        except ValueError:
            continue
        return _stretch((day, day + 1), "")
    return None
