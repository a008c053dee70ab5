"""Values that a sentence tells in words: "thirty-one singers", "at half past ten", "三十一名".

Laws. *A figure in words* is known by the words for numbers of some languages; it says only that a
sentence may tell a value, of which kind is not known. *The place of a value:* a sentence that goes
on otherwise where an earlier one has its value ("our standup is at" nine, or after lunch) may tell
its newer form, in any language. Neither decides alone: what may be newer is shown beside the older.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from agentrm_plugins.context.notes.kinds import CLASS
from agentrm_plugins.context.notes.text import WIDE, terms
from agentrm_plugins.context.notes.values import Value

__all__ = ["FIGURES", "fills", "in_words", "tells_in_words"]

FIGURES = frozenset({"exact", "date"})
"""Classes of which a value in words may be: the nine of "at nine" is a time, that of "nine men" is
none."""

_LATIN = (
    # English
    r"two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven|eigh"
    r"|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|dozens?"
    r"|half|quarter|noon|midnight|(?:four|fif|six|seven|eigh|nin|ten|eleven|twelf|\w{3,}teen"
    r"|\w{3,}tie)th|"
    # German, Dutch
    r"zwei|zwo|drei|vier|fünf|fuenf|sechs|sieben|acht|neun|zehn|elf|zwölf|zwoelf|\w{3,}zehn"
    r"|\w*(?:zwan|vier|fünf|fuenf|sech|sieb|acht|neun)zig|\w*drei(?:ß|ss)ig|\w*hundert\w*"
    r"|\w*tausend\w*|halb|viertel|dreiviertel|dutzend|mittags?|mitternachts?|twee|drie|vijf|zes"
    r"|zeven|negen|tien|twaalf|\w*(?:twin|der|veer|vijf|zes|zeven|tach|negen)tig|honderd|duizend|kwart|"
    # French
    r"deux|trois|quatre|cinq|sept|huit|neuf|dix|onze|douze|treize|quatorze|quinze|seize|vingts?"
    r"|trente|quarante|cinquante|soixante|septante|octante|nonante|cents?|mille|demie?|midi|minuit"
    r"|douzaines?|"
    # Spanish, Portuguese, Italian
    r"dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|doce|trece|catorce|quince|dieci\w+|veint\w+"
    r"|treinta|cuarenta|cincuenta|sesenta|setenta|ochenta|noventa|cien|cientos?|\w+cient[oa]s|mil"
    r"|media|docenas?|mediod[íi]a|medianoche|dois|duas|três|quatro|sete|oito|nove|dez|doze|treze"
    r"|quinze|dezess\w+|dezoito|dezenove|vinte|trinta|quarenta|cinquenta|sessenta|oitenta|cem"
    r"|\w+centos|meia|tre|quattro|cinque|sette|otto|dieci|undici|dodici|tredici|\w{4,}dici|venti\w*"
    r"|trenta\w*|quaranta\w*|cinquanta\w*|sessanta\w*|settanta\w*|ottanta\w*|novanta\w*|mezz[ao]"
    r"|mezzogiorno|mezzanotte|dozzin[ae]"
)
_CYRILLIC = (
    r"дв(?:а|е|ух|ум|умя)|тр(?:и|[её]х|[её]м)|четыр\w+|пят(?:ь|и|ью)|шест(?:ь|и|ью)|сем(?:ь|и|ью)"
    r"|вос[еь]м[иью]+|девят(?:ь|и|ью)|десят(?:ь|и|ью)|\w+надцат\w+|(?:два|три)дцат\w+|сорока?"
    r"|\w+десят\w*|девяност\w|ст[оа]|двест\w+|трист\w+|\w+сот|тысяч\w*|полови\w+|пол\w{5,}|полдень"
    r"|полночь|дюжин\w+"
)
_ABJADS = (
    r"اثن\w+|ثلاث\w*|[أا]ربع\w*|خمس\w*|ست(?:ة|ون|ين)?|سبع\w*|ثمان\w*|تسع\w*|عشر\w*|مئ\w+|مائ\w+"
    r"|ألف|[آأ]لاف|نصف|ربع"
)
_INDIC = (
    "दो|तीन|चार|पाँच|पांच|छह|सात|आठ|नौ|दस|ग्यारह|बारह|तेरह|चौदह|पंद्रह|पन्द्रह|सोलह|सत्रह|अठारह|उन्नीस|"
    "बीस|पच्चीस|तीस|चालीस|पचास|साठ|सत्तर|अस्सी|नब्बे|सौ|हज़ार|हजार|आधा|साढ़े|दर्जन"
)
_BARE = (
    r"[一二三四五六七八九十百千万萬两兩〇零半]{2,}|[二三四五六七八九十两兩]"
    r"|다섯|여섯|일곱|여덟|아홉|스물|서른|마흔|예순|일흔|여든|아흔|[이삼사오육칠팔구]?[십백천][일이삼사오육칠팔구]?"
    r"|(?:한|두|세|네)\s?시|정오|자정"
    r"|สอง|สาม|สี่|ห้า|หก|เจ็ด|แปด|เก้า|สิบ|ร้อย|พัน|ครึ่ง"
)
_WORD = re.compile(r"(?:[^\W\d_]|[\u0900-\u097f])+")  # vowel signs of Hindi are no letters
_FIGURE = re.compile(rf"{_LATIN}|{_CYRILLIC}|{_ABJADS}|{_INDIC}", re.IGNORECASE)
_NO_BLANKS = re.compile(_BARE)
_READ_CHARS = 1_000
_BEFORE, _LEAST_WIDE = 40, 3
_ENDS = re.compile(r"[.!?。！？;；,，、]\s*")
_CHAR = re.compile(rf"[{WIDE}]")


@lru_cache(maxsize=4_096)
def in_words(text: str) -> Value | None:
    """Give the first figure that a sentence tells in words, None without one."""
    found = None
    for word in _WORD.finditer(text, 0, _READ_CHARS):
        if _is_figure(word.group()):
            found = word
            break
    other = _NO_BLANKS.search(text, 0, _READ_CHARS)
    if other is not None and (found is None or other.start() < found.start()):
        found = other
    return None if found is None else Value("number", found.group(), found.start())


@lru_cache(maxsize=16_384)
def _is_figure(word: str) -> bool:
    """Whether a word is one for a number: a talk says the same words again and again."""
    return _FIGURE.fullmatch(word) is not None


def fills(text: str, older: str, values: Iterable[Value]) -> Value | None:
    """Give what a sentence says in the place of one of an older sentence's figures, if it does.

    Args:
        text: The sentence; not one that only says the value again.
        older: The older one.
        values: Of the older one.
    """
    said = " ".join(text.casefold().split())
    for value in values:
        if CLASS.get(value.kind) in FIGURES:
            before, behind = _around(older, value)
            at = said.find(before) if before else -1
            start = at + len(before)
            if at >= 0 and any(map(str.isalnum, said[start : start + 1])):
                stop = said.find(behind, start) if behind else len(said)
                if stop > start and not said.startswith(value.text.casefold(), start):
                    return Value("number", said[start:stop][:_BEFORE].rstrip(" .。!！"), start)
    return None


@lru_cache(maxsize=2_048)
def _around(older: str, value: Value) -> tuple[str, str]:
    """Give the words of a clause before a value, from the first that tells, and the one behind."""
    head = _ENDS.split(older[max(0, value.start - _BEFORE) : value.start])[-1]
    tail = _ENDS.split(older[value.start + len(value.text) :][:_BEFORE])[0]
    if value.start > _BEFORE and len(head) >= _BEFORE:
        head = head.partition(" ")[2] or head
    words = head.casefold().split()
    while words and not terms(words[0]):
        del words[0]
    head = " ".join(words) + " " * head.endswith((" ", "\t", "\n"))
    behind = tail.split()
    first = behind[0].casefold() if behind else ""
    telling = terms(head)
    if not telling or (_CHAR.search(head) and len(head.strip()) < _LEAST_WIDE):
        return "", ""
    return head, first if len(telling) < 2 else ""  # noqa: PLR2004 - one word is half a subject


def tells_in_words(text: str, values: Iterable[Value]) -> bool:
    """Whether a sentence tells a figure in words, and none in digits."""
    return in_words(text) is not None and FIGURES.isdisjoint(CLASS.get(v.kind) for v in values)
