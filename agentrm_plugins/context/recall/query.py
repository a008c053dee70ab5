"""A message read as a question: what it names, whom and when it asks about, how much it asks.

No list of words decides alone: each message is looked up by the words that it holds, in any
language; a question mark of any script, or a word known to ask where a question has it, says only
that the answer may take more room.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentrm_plugins.context.notes.asking import asked_share
from agentrm_plugins.context.notes.text import STOPWORDS, date_terms, sentences, terms

__all__ = ["Query", "query_of"]

_MOST_TERMS = 24
_LONG_CHARS = 600
"""A longer message is no question as a whole: its asking sentences, head and tail are read."""


@dataclass(frozen=True, slots=True)
class Query:
    """A message read as a question.

    Args:
        terms: What to look for, the asking sentences first.
        kinds: Kinds of value that the answer may have; a hint for the order.
        role: Who is said to have said it; a hint for the order.
        history: Whether it asks for what was before.
        each: Whether it asks how often, or of a day: each time counts that something was said.
        asks: Share of the message, 0 to 1, that looks like a question or a request to look
            something up: a chat that ends in "and you?" asks for little.
        text: Case folded.
        leans: Those of the terms that come from the message before: "and its port?" leans on it.
    """

    terms: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    role: str | None = None
    history: bool = False
    asks: float = 0.0
    text: str = ""
    leans: tuple[str, ...] = ()
    each: bool = False


_ROLE_ASKED = (
    ("user", (r"\b(?:did|do|have|had) i\b|\bi (?:said|told|asked|mentioned|gave|wrote)\b|\bmy own\b"
             r"|\b(?:habe ich|ai-je|he dicho|dije)\b|我说")),
    ("assistant", (r"\b(?:did|have|had) you\b|\byou (?:said|told|suggested|proposed|recommended)\b"
                  r"|\byour (?:answer|suggestion|recommendation|proposal)\b|你说|hast du")),
    ("tool", (r"\b(?:tool|command|script|log|output|search|query|api|test run)\b.{0,30}"
             r"\b(?:return|report|print|show|say|said|output|find|found|give|gave)")),
)  # fmt: skip
_KIND_ASKED = (
    ({"date", "time"}, (r"\b(?:when|what (?:date|day|time)|deadline|due|wann|quand|cu[áa]ndo)\b"
                       r"|什么时候|几点|いつ|何時|когда|日期|متى")),
    ({"money", "number"}, (r"\b(?:how (?:much|many|long|big|often)|price|cost|budget|amount|port"
                          r"|limit|wie ?viele?|combien|cu[áa]nto)\b|多少|几个|いくら|сколько|كم")),
    ({"name"}, r"\b(?:who|whom|whose|name|named|called|wer|wem|qui|qui[ée]n)\b|谁|誰|кто|من هو"),
    ({"url"}, r"\b(?:url|link|address|endpoint|site|website|where)\b|网址"),
    ({"email"}, r"\b(?:e-?mail|mail|contact|address)\b|邮箱"),
    ({"path"}, r"\b(?:path|file|folder|directory|where|datei|fichier|archivo|pfad)\b|文件|路径"),
    ({"ident", "uuid", "code"}, (r"\b(?:id|identifier|code|number|ticket|key|token|version|branch"
                                r"|commit|hash|ref(?:erence)?|nummer|num[ée]ro|n[úu]mero)\b"
                                r"|编号|番号|رقم|رمز")),
)  # fmt: skip
# Patterns of lower case for a text of lower case: half the time of looking for either.
_ROLE_ASKED_RE = [(role, re.compile(pattern)) for role, pattern in _ROLE_ASKED]
_KIND_ASKED_RE = [(kinds, re.compile(pattern)) for kinds, pattern in _KIND_ASKED]
_HISTORY = re.compile(
    r"\b(?:original(?:ly)?|initial(?:ly)?|at first|previous(?:ly)?|before (?:that|the change|it)"
    r"|used to|old(?:er)? (?:value|one|version)|formerly|history|urspr[üu]nglich|fr[üu]her|avant"
    r"|auparavant|antes|anterior)\b|原来|之前|以前"
)
_EACH = re.compile(
    r"\b(?:how (?:many times|often)|(?:each|every|first|last) time|first and last|last and first"
    r"|wie oft|jedes mal|combien de fois|chaque fois|cu[áa]ntas veces|cada vez)\b"
    r"|几次|多少次|每次|何回|何度|сколько раз|каждый раз"
)


def query_of(text: str) -> Query:
    """Read a message as a question. In a long one, the sentences that ask count, then the rest."""
    shares = [(piece, asked_share(piece.lower())) for _, piece in sentences(text[:20_000])]
    asking = [piece for piece, share in shares if share]
    asks = sum(len(piece) * share for piece, share in shares) / max(1, len(text.strip()))
    if len(text) > _LONG_CHARS:
        text = " ".join([*(piece[:300] for piece in asking[-6:]), text[:200], text[-200:]])[:1600]
    first = " ".join(piece[:300] for piece in asking) if asking else ""
    found = [*_looked_for(first), *_looked_for(text)]
    kept = tuple(dict.fromkeys(found))[:_MOST_TERMS]
    lowered = text.lower()
    kinds: set[str] = set()
    for asked, pattern in _KIND_ASKED_RE:
        if pattern.search(lowered):
            kinds |= asked
    role = next((role for role, pattern in _ROLE_ASKED_RE if pattern.search(lowered)), None)
    history = _HISTORY.search(lowered) is not None
    each = _EACH.search(lowered) is not None or bool(days_in(text))
    return Query(kept, frozenset(kinds), role, history, asks, text.casefold(), each=each)


def _looked_for(text: str) -> list[str]:
    return [term for term in terms(text) if term not in STOPWORDS and term.isalnum()]


def days_in(text: str) -> frozenset[str]:
    """Give the days that a text names, as terms."""
    return frozenset(date_terms(text))
