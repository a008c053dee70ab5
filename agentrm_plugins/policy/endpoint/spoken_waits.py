"""A wait that a refusal names in another language than English: a number, a unit, a word for again.

Law: a duration counts where its sentence also says to try again or to wait, in the same language;
"60 per 60 seconds" names no wait in any, nor does a time in which or within which something is
counted. Digits of all scripts are read, and one to ninety-nine in Chinese and Japanese, where two
signs that look like ten minutes are "very". The longest of several is taken: it satisfies them all.

Limits: the languages of `_SPOKEN`; sentences of at most `_REACH` characters around a duration; who
writes numbers as words is not understood, but for "a minute". English is read by `times`.

Sources: the languages' own words, as translated gateways and house proxies write them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

__all__ = ["wait_in_other_words_s"]

_REACH = 80
_MOST = 24  # durations that are looked at
_CJK = {one: float(n) for n, one in enumerate("一二三四五六七八九", 1)} | {"两": 2.0, "兩": 2.0}


class _Language(NamedTuple):
    """What a language says: stems of its units, of a single one, and of trying again or waiting."""

    seconds: str
    minutes: str
    hours: str
    one: str
    again: str


_SPOKEN = (
    _Language(r"sekund|sek\b\.?", r"minut|min\b\.?", r"stund|std\b\.?", "einer?|eine",
              "erneut|wieder|nochmal|noch einmal|später|warte"),
    _Language(r"seconde|sec\b\.?", r"minute|min\b\.?", "heure", "une",
              "réessay|nouveau|patient|attend|ressay"),
    _Language(r"segundo|seg\b\.?", r"minuto|min\b\.?", "hora", "una?|uma?",
              "de nuevo|otra vez|reint|espere|intent|novamente|de novo|aguarde|tente"),
    _Language(r"second[io]|sec\b\.?", r"minut[io]|min\b\.?", r"or[ae]\b", "una?",
              "riprov|nuovo|attend|aspett"),
    _Language(r"seconden?|sec\b\.?", r"minuten|minuut|min\b\.?", "uur|uren", "een|één",
              "opnieuw|wacht|probeer"),
    _Language(r"sekund|sek\b\.?", r"minut|min\b\.?", r"timm|timer?\b", "en|ett|et",
              "igen|försök|prøv|vänta|vent"),
    _Language(r"секунд|сек\b\.?", r"минут|мин\b\.?", r"час(?!т)|ч\b\.?", "одну",
              "повтор|снова|подожд|попробу|спроб|зачек"),
    _Language(r"sekund|sek\b\.?", r"minut|min\b\.?", r"godzin|godz\b\.?", "jedną",
              "ponownie|spróbuj|poczekaj|odczekaj"),
    _Language(r"saniye|sn\b\.?", r"dakika|dk\b\.?", "saat", "bir", "tekrar|yeniden|bekle"),
    _Language("giây", "phút", "giờ", "một", "thử lại|đợi|chờ"),
    _Language("detik", "menit", "jam", "satu", "lagi|tunggu"),
    _Language("ثاني|ثوان", "دقيق|دقائق", "ساع", "", "مرة أخرى|انتظ|المحاولة|حاول"),
    _Language("सेकंड|सेकेंड", "मिनट", "घंट", "एक", "पुनः|फिर|दोबारा|प्रतीक्षा"),
    _Language("秒", "分(?:钟|鐘|間|(?![之区區片类類组組布]))", "小时|小時|時間", "",
              "重试|重試|再试|再試|再次|等待|稍后|稍後|お待ち|待って|やり直"),
    _Language("초", "분", "시간", "", "다시|재시도|기다|대기"),
    _Language("วินาที", "นาที", "ชั่วโมง", "", "อีกครั้ง|รอ|ลองใหม่"),
)  # fmt: skip
_AMOUNT = r"\d{1,6}(?:[.,]\d{1,3})?"


def _patterns(spoken: _Language) -> tuple[tuple[str, ...], re.Pattern[str], re.Pattern[str]]:
    one = rf"|\b(?:{spoken.one})\b" if spoken.one else "|[一二两兩三四五六七八九十]{1,3}"
    units = rf"(?P<h>{spoken.hours})|(?P<m>{spoken.minutes})|(?P<s>{spoken.seconds})"
    return (
        tuple(spoken.again.split("|")),
        re.compile(rf"(?<![\d.,/])({_AMOUNT}{one})\s{{0,2}}个?(?:{units})", re.IGNORECASE),
        re.compile(rf"(?<![a-z])(?:{spoken.again})", re.IGNORECASE),
    )


_PATTERNS = tuple(map(_patterns, _SPOKEN))
_ENDS = re.compile("[.!?。\uff01\uff1f\n]\\s|[。\uff01\uff1f\n]")
# What is counted per unit of time is a limit.
_PER = re.compile(
    r"(?:/|\bper|\bpro|\bpar|\bpor|\bin je|\bje|каждые|\bв|每|毎|마다|\bmỗi|\bsetiap"
    r"|\bcada|\balle|\bto(?:utes|us) les|\bogni|\belke|\bco|\bhver|\bvarje|\bher|过去|過去|最近"
    r"|\binnerhalb(?: von)?)\s*$",
    re.IGNORECASE,
)
# "100 Anfragen in", "3 intentos en"; what asks for another try is counted by nobody
_COUNTED = re.compile(
    r"\d ([^\W\d]{2,24}) (?:in|en|em|dans|за|w|w ciągu|i|på|op|binnen|dalam|trong)\s*$",
    re.IGNORECASE,
)
_TRIES = re.compile("(?:re)?intentos?", re.IGNORECASE)  # are counted, and look like "try"
_WITHIN = re.compile(r"\s?(?:[之以]?[内內]|이?내(?:에|\b))")


@lru_cache(maxsize=16)  # the texts of a storm are alike
def wait_in_other_words_s(text: str) -> float | None:
    """Seconds that a message of another language asks to wait; None if it asks for none."""
    found: list[float] = []
    lower = text.lower()
    for asked, durations, again in _PATTERNS:
        if not any(map(lower.__contains__, asked)):
            continue  # most ask in English alone, and sixteen patterns took 6 ms for 4 kB
        for match in islice(durations.finditer(text), _MOST):
            before = _sentence(text[max(0, match.start() - _REACH) : match.start()], -1)
            after = _sentence(text[match.end() : match.end() + _REACH], 0)
            if _is_limit(before, after, again) or not (again.search(before) or again.search(after)):
                continue
            amount = _amount(match.group(1))
            if amount is None or (match["m"] == "分" and _is_very(match.group(1), after)):
                continue
            unit_s = 3600.0 if match["h"] else 60.0 if match["m"] else 1.0
            found.append(amount * unit_s)
    return max(found, default=None)


def _sentence(text: str, which: int) -> str:
    return _ENDS.split(text)[which]


def _is_limit(before: str, after: str, again: re.Pattern[str]) -> bool:
    """Whether something is counted in that time."""
    counted = _COUNTED.search(before)
    noun = "" if counted is None else counted.group(1)
    if noun and (not again.search(noun) or _TRIES.fullmatch(noun)):
        return True
    return _PER.search(before) is not None or _WITHIN.match(after) is not None


def _is_very(said: str, after: str) -> bool:
    """Whether it means "very" and not ten minutes: those are said with what comes after them."""
    return not said[0].isdigit() and after[:1] not in {"后", "後"}


def _amount(said: str) -> float | None:
    """The number that is said; None: these signs are none."""
    if said[0].isdigit():
        return float(said.replace(",", "."))
    tens, ten, ones = said.partition("十")
    if ten:
        left, right = _CJK.get(tens, None if tens else 1.0), _CJK.get(ones, None if ones else 0.0)
        return None if left is None or right is None else 10.0 * left + right
    return _CJK.get(said) if said[0] in _CJK else 1.0
