"""What in a text is worth keeping when the text itself is not: notes, made without a model.

Law: each sentence or line gets a score, the sum of what its values are worth (identifiers, numbers,
dates, paths, names, ...), of what its words announce (a decision, a rule, a correction) and of who
said it, less what speaks against it (a question, a line that looks like many others). In scripts
without capital letters, where no name can be told by its form, each sentence of some length is
worth a little. Notes keep the sentence's own words, so that an exact string stays exact. Regime:
any language with Latin, CJK or Cyrillic script for the values; announcing words are known for
English, German, French, Spanish, Portuguese, Italian, Russian, Chinese and Japanese. Limit: a fact
told without a value, a name or an announcing word is found by recall only.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentrm_plugins.context.notes.asking import ends_asking
from agentrm_plugins.context.notes.text import sentences, terms
from agentrm_plugins.context.notes.values import DISTINCT, Value, values_of
from agentrm_plugins.context.notes.worded import in_words

__all__ = ["STATES", "Finding", "find", "flattened", "skeleton"]

NOTE_CHARS = 240
"""About 60 tokens of English: a sentence longer than this keeps the part around its values."""

_NOISE_REPEATS = 3
"""A line whose shape was met so often besides is a log line or a row of a table. Guessed."""

_MOST_VALUES = 32
"""Of one sentence that is longer than a note. Guessed: a note of 240 characters holds ten or so."""

_SCAN_CHARS = 100_000
"""Beyond it a message's text is not read for notes; it stays in the archive and recall finds it."""

_MOST_ROWS = 32
"""Of a text's lines that are many of one kind, those that may be newer forms. Guessed."""

_WORTH = {
    "url": 1.5, "email": 1.6, "uuid": 1.6, "code": 1.3, "path": 1.3, "quoted": 1.1, "date": 1.2,
    "ip": 1.5, "time": 0.7, "money": 1.4, "ident": 1.4, "number": 0.8, "name": 0.6,
}  # fmt: skip
"""What a value of each kind adds. Guessed; only the order matters much: exact strings first."""

CORRECTS = re.compile(
    r"\b(?:correct(?:ion|ed|ing)|actually|no longer|not anymore|any ?more|instead|rather than"
    r"|scratch"
    r"|chang(?:e|ed|es)|moved?|switched|replace[sd]|supersed\w+|revis\w+|updated?"
    r"|now|wrong|mistake\w*|mistyped|typo|misspoke|outdated|obsolete|overrid\w+|renamed?|reassigned"
    r"|postponed|rescheduled|bumped|raised|lowered|takes? over|turns out|forget (?:that|what|the)"
    r"|disregard|ignore (?:that|what|the)|i meant|new (?!york)|from now on|as of|korrektur"
    r"|eigentlich"
    r"|statt(?:dessen)?|nicht mehr|ge[äa]ndert|jetzt|verschoben|neue[rsn]?|doch|en fait|plut[ôo]t"
    r"|d[ée]sormais|chang[ée]e?|au lieu|remplac\w+|correcci[óo]n|en realidad|ahora|ya no|cambi\w+"
    r"|en (?:lugar|vez) de|na verdade|agora|mudou|alterado|em vez|correzione|adesso|invece)\b"
    r"|更正|改为|改成|改到|改了|改用|换成|换了|变成|變更|变更|不是|不再|而是|现在|更新|訂正|変更|ではなく|今は"
    r"|(?:исправлени|теперь|вместо|больше не|изменил|перенес)\w*",
    re.IGNORECASE,
)
ANNOUNCES = re.compile(
    r"\b(?:decid\w+|decision|agree[ds]?|agreement|approv\w+|chos\w+|choose|settled?|confirm\w*|must"
    r"|never|always|require[ds]?|requirement|deadline|due|prefer\w*|polic(?:y|ies)|rules?|don'?t"
    r"|do not"
    r"|remember|important|critical|note|promise\w*|owner|owns|responsib\w+|in charge|assigned|limit"
    r"|budget|only|avoid|allergic|constraint|goal|task|will use|we use|go(?:ing)? with|stick with"
    r"|root"
    r"|cause|caused|because|result|found|fixed|password|secret|codename|called|named|contact|lives?"
    r"|born|favou?rite|reservation|booking|entschied\w*|beschlossen|muss|m[üu]ssen|niemals|immer|frist"
    r"|wichtig|verantwortlich|d[ée]cid\w+|doit|jamais|toujours|important|responsable|d[ée]lai|decidi\w+"
    r"|debe|nunca|siempre|importante|plazo|deve|sempre|scadenza)\b"
    r"|决定|必须|永远|不要|截止|重要|负责|偏好|同意|決定|必ず|期限|担当|решил\w*|долж\w+|всегда|никогда|важно",
    re.IGNORECASE,
)
STATES = re.compile(
    r"[:=→]|->|\b(?:is|are|was|were|will be|be|becomes?|equals|set to|has|have|uses?|goes? to|ist"
    r"|sind"
    r"|war|heißt|est|sont|sera|es|son|está|será|é|são|è|uses)\b|是|为|為|は|が|—|-\s",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"^(?:(?:ok(?:ay)?|well|so|sure|right|great|thanks|thank you|by the way|btw|also|and|but|oh"
    r"|one more thing|please note(?: that)?|note(?: that)?|for the record|fyi|for reference"
    r"|just so you know|quick note|heads[- ]up|remember(?: that)?)[,:;.!—–-]*\s+)+",
    re.IGNORECASE,
)
_NEXT = re.compile(r"\W*(?:(?:now|jetzt|ahora|agora|adesso|теперь)\b|现在)", re.IGNORECASE)
_ROLE_WORTH = {"user": 1.0, "system": 1.0, "developer": 1.0, "assistant": 0.3}
_KEYED = re.compile(r"[\w .\-\"']{1,40}\s*[:=]\s")
_WORD = re.compile(r"[^\W\d_]+")
_CALL = re.compile(r"\w\(|[{};]\s*$|=>|\bdef |\breturn\b")
_HEX = re.compile(r"[0-9a-fA-F]+")
_DIGITS = re.compile(r"\d+")
_FIELDS = DISTINCT | {"date", "money"}
_MEASURE = re.compile(
    r"\d+(?:[.,]\d+)*(?:[numµ]?s|min|h|d|[kmgt]?i?b|[kmg]?hz|rpm|[fb]ps|px|x|[km]?[vwa]|m?ah|[cfkmgt])",
    re.IGNORECASE,
)
"""A number with its unit is written as an id is, and is none."""
_OF_A_RECORD = 1
"""Times that a field's name counts as met before, however many records had it. Guessed."""
_SHAPE_CHARS = 400
_JUDGED_CHARS = 20_000
"""Of a line without an end: to search ten million characters holds the interpreter for 30 ms."""
_LEAST_CASELESS = 4
_MOST_DEPTH, _MOST_LINES = 40, 20_000
"""Of JSON that is read line by line; what lies deeper or beyond stays in the archive. Guessed."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence that is worth a note; where `faint`, only as the newer form of another note."""

    text: str
    score: float
    values: tuple[Value, ...]
    corrects: bool
    states: bool
    faint: bool = False


def skeleton(line: str) -> str:
    """Give the shape of a line: numbers, ids and words masked, so that lines of one kind agree.

    The key of a line ``key: value`` or ``key = value`` stays, so the lines of a settings file
    differ, while the rows of a table or a log do not.
    """
    line = line[:_SHAPE_CHARS]
    match = _KEYED.match(line)
    key = match.group() if match and "(" not in line else ""
    shape = _HEX.sub(lambda run: "0" if any(map(str.isdigit, run.group())) else run.group(),
                     line[len(key) :])  # fmt: skip
    return (key + _WORD.sub("w", shape))[:80]


def _row_of(line: str) -> str:
    """Give the shape of a line as `skeleton`, where "proc0: idle" and "proc1: busy" are alike."""
    return _DIGITS.sub("0", skeleton(line))


def _is_field(line: str) -> bool:
    """Whether a line is the field of a record that tells an exact value: an id, a path, a date.

    Each host, order or user has its own, so that many records have one says nothing against it.
    """
    told = _told_in(line)
    return len(told) == 1 and _is_exact(told[0])


def _told_in(line: str) -> tuple[Value, ...]:
    """Give the values behind the key of a line ``key: value``."""
    match = _KEYED.match(line[:_SHAPE_CHARS])
    return () if match is None else values_of(line[match.end() :][:_SHAPE_CHARS])


def _is_exact(value: Value) -> bool:
    return value.kind in _FIELDS and _MEASURE.fullmatch(value.text) is None


def _own_rows(rows: Mapping[str, Sequence[str]]) -> frozenset[str]:
    """Give the rows that tell an exact value of their own: "disk3: serial WD-AB12".

    Args:
        rows: The lines of one text by their shape as `_row_of`. What stands in many of one shape
            ("proc3: /bin/sh 1%") is no row's own.
    """
    own: set[str] = set()
    for alike in rows.values():
        if len(alike) <= _NOISE_REPEATS:
            continue
        told = {row: {v.norm for v in _told_in(row) if _is_exact(v)} for row in alike}
        often = Counter(norm for norms in told.values() for norm in norms)
        own |= {
            row for row, norms in told.items() if any(often[n] <= _NOISE_REPEATS for n in norms)
        }
    return frozenset(own)


def flattened(text: str) -> str:
    """Give JSON as lines ``path: value``; any other text as it is."""
    stripped = text.strip()
    if not stripped or stripped[0] not in "{[" or len(stripped) > _SCAN_CHARS:
        return text
    try:
        data = json.loads(stripped)
    except (ValueError, RecursionError):
        return text
    return "\n".join(itertools.islice(_flat(data), _MOST_LINES))


def _flat(data: Any) -> Iterator[str]:
    """Give the leaves of JSON in order, without recursion: depth is the writer's to choose."""
    todo: list[tuple[str, Any, int]] = [("", data, 0)]
    while todo:
        path, one, depth = todo.pop()
        if depth > _MOST_DEPTH:
            continue
        if isinstance(one, dict):
            inner = [(f"{path}.{k}" if path else str(k), v, depth + 1) for k, v in one.items()]
            todo += reversed(inner)
        elif isinstance(one, list) and all(isinstance(i, str | int | float) for i in one):
            yield f"{path}: {', '.join(map(str, one))}"
        elif isinstance(one, list):
            todo += [(path, item, depth + 1) for item in reversed(one)]
        else:
            yield f"{path}: {one}" if path else str(one)


def find(text: str, role: str, seen: Counter[str] | None = None) -> list[Finding]:
    """Find what is worth a note in one message's text, in order.

    Args:
        text: The message's plain text.
        role: Who said it.
        seen: How often each shape of a line was met in bulky texts; it is read and added to.
    """
    text = flattened(text[:_SCAN_CHARS])
    pieces = sentences(text)
    bulky = role in {"tool", "function"} or len(pieces) > 30  # noqa: PLR2004 - pasted, not said
    shapes: Counter[str] = Counter()
    rows: dict[str, list[str]] = {}
    if bulky:
        shapes.update(skeleton(piece) for _, piece in pieces)
        for _, piece in pieces:
            rows.setdefault(_row_of(piece), []).append(piece)
    own = _own_rows(rows)
    found = []
    before, looked_at = "", 0
    for _, piece in pieces:
        repeats = 0
        if bulky:
            alike = 0 if piece in own else len(rows[_row_of(piece)])
            repeats = _repeats(piece, max(shapes[skeleton(piece)], alike), seen)
            if repeats >= _NOISE_REPEATS:
                looked_at += 1
                if looked_at > _MOST_ROWS:
                    continue
        finding = _judged(piece, before, role, repeats, bulky=bulky)
        if finding is not None:
            found.append(finding)
        before = piece
    if bulky and seen is not None:
        seen.update(shapes)
    return found


def _repeats(piece: str, alike: int, seen: Counter[str] | None) -> int:
    """Give how many other lines are like this one, here (`alike`, with itself) and before."""
    before = 0 if seen is None else seen[skeleton(piece)]
    if before > _OF_A_RECORD and _is_field(piece):
        before = _OF_A_RECORD
    return alike - 1 + before


def _judged(piece: str, before: str, role: str, repeats: int, *, bulky: bool) -> Finding | None:
    """Judge a sentence, with the one before it where it leans on that."""
    finding = _judge(piece, role, repeats)
    if finding is None or (bulky and finding.faint):
        return None
    if repeats >= _NOISE_REPEATS:
        return replace(finding, faint=True)
    if before and not bulky and _leans(finding, before):
        return _judge(f"{before} {piece}", role, repeats)
    return finding


def _leans(finding: Finding, before: str) -> bool:
    """Whether a sentence needs the one before it to be understood.

    It tells a value of something that only that one names, or is the second half of a correction
    ("Wrong one. The id is 7.").
    """
    if len(before) > NOTE_CHARS or not finding.values:
        return False
    inside = {term for value in finding.values for term in terms(value.text)}
    about = [term for term in terms(finding.text) if term not in inside]
    short = len(set(about)) < 2  # noqa: PLR2004 - one word is no subject
    cue = not finding.corrects and not values_of(before) and CORRECTS.search(before) is not None
    return short or (cue and len(before) <= 60)  # noqa: PLR2004 - an exclamation, not a topic


def _caseless(piece: str) -> bool:
    """Whether a sentence is of a script without capital letters, and long enough to tell much."""
    letters = [char for char in piece[:200] if char.isalpha()]
    bare = sum(char.lower() == char.upper() for char in letters)
    return bare > len(letters) // 2 and len(set(terms(piece))) >= _LEAST_CASELESS


def _corrects(head: str, states: bool) -> bool:
    """Whether a sentence announces a correction; "Now cancel KX-7" comes next and corrects nothing.

    "Now the port is 9100" states what holds from now on.
    """
    said = _FILLER.sub("", head)
    ahead = None if states else _NEXT.match(said)
    return CORRECTS.search(said, ahead.end() if ahead else 0) is not None


def _judge(piece: str, role: str, repeats: int) -> Finding | None:
    values = values_of(piece)
    head = piece[:_JUDGED_CHARS]
    announces = len(set(map(str.casefold, ANNOUNCES.findall(head))))
    states = STATES.search(head) is not None
    corrects = _corrects(head, states)
    plain = not values and not announces
    faint = plain and not _caseless(piece)
    if (plain and role not in _ROLE_WORTH) or (faint and not _may_tell(piece)):
        return None
    kinds: dict[str, float] = {}
    for value in values:
        exact = value.kind != "ident" or any(char.isdigit() for char in value.text)
        kinds[value.kind] = kinds.get(value.kind, 0.0) * 0.3 + _WORTH[value.kind] * (
            1.0 if exact else 0.4
        )
    score = min(3.0, sum(kinds.values())) + 0.5 * min(2, announces) + 0.6 * corrects
    # Prose without capitals shows no names: each sentence is worth a little, and goes first.
    score += 0.4 * states + _ROLE_WORTH.get(role, 0.0) * (0.4 if plain else 1.0)
    if ends_asking(piece):
        score -= 2.0
    score -= 0.8 * repeats
    if role in {"tool", "function"} and _CALL.search(head):
        score -= 1.2
    said = _FILLER.sub("", piece)
    text = _shortened(said, values)
    if len(set(terms(text))) < 2:  # noqa: PLR2004 - one word says nothing
        return None
    if text == said:
        gone = len(piece) - len(said)
        values = tuple(value._replace(start=max(0, value.start - gone)) for value in values)
    else:
        # Notes are compared value by value: a line without an end must not hold up a turn.
        once = {value.norm: value for value in reversed(values)}
        values = tuple(sorted(once.values(), key=lambda value: value.start))[:_MOST_VALUES]
    return Finding(text, score, values, corrects, states, faint)


def _may_tell(piece: str) -> bool:
    """Whether a sentence without a value may tell one: short, and no question but in words."""
    asks = ends_asking(piece)
    return len(piece) <= NOTE_CHARS and not (asks and in_words(piece) is None)


def _shortened(piece: str, values: tuple[Value, ...]) -> str:
    if len(piece) <= NOTE_CHARS:
        return piece
    first = next((v.start for v in values if v.kind in DISTINCT), None)
    if first is None:
        first = values[0].start if values else 0
    begin = max(0, min(first - NOTE_CHARS // 2, len(piece) - NOTE_CHARS))
    cut = piece[begin : begin + NOTE_CHARS]
    if begin:
        cut = cut.partition(" ")[2] or cut
    head = cut.rpartition(" ")[0] or cut
    return ("…" if begin else "") + head + "…"
