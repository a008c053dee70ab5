"""How surely a sentence asks: by its mark, by its words and by where they stand. Pure.

"What is the code", "Tell me the code." and "Code?" ask. "We saw how the train left, and where it
stopped." has words that may ask and tells something: it counts as half a question, so that what it
is about is looked up, with little room.
"""

from __future__ import annotations

import re

__all__ = ["MAY_END_ASKING", "asked_share", "ends_asking"]

_MARKS = "?\uff1f\u061f\u037e\u2047\u2048\u2049\u055e\u1367\ua60f\u2cfa\u2e2e"
"""Question marks: Latin, full-width, Arabic, Greek (its own code point), doubled, Armenian,
Ethiopic, Vai, Coptic, reversed. Guessed to be all that are in use."""
_GREEK = r"[\u0370-\u03ff\u1f00-\u1fff][\"'\u00bb)]?\s?;"
"""Greek keyboards type a semicolon for the question mark, and so Unicode's normal form has it."""
_MARKED = re.compile(rf"[{_MARKS}]|{_GREEK}")
_REQUESTS = (
    r"remind|recall|look up|find|tell me|give me|list|repeat|quote|(?:do|can|don't) you (?:still )?"
    r"(?:remember|know)|(?:like|love|want|need) to know"
)
_WORDS = (
    r"what|which|who|whom|whose|when|where|why|how|wer|wann|wo|welche[rsn]?|wie|quel(?:le)?s?|quand"
    r"|o[ùu]|combien|qui[ée]n|cu[áa]l|cu[áa]ndo|d[óo]nde|cu[áa]nto|кто|что|когда|где|какой"
    r"|متى|أين|ποι(?:ος|α|ο|οι)|πότε|πού|πώς|πόσ[αοη]"
)
_BESIDE = r"remember|according to|earlier|we (?:said|agreed|decided|discussed)"
_WIDE = r"什么|哪|谁|多少|何|誰|いつ|どこ|무엇|언제|어디|누구|क्या|कौन|कब|कहाँ|ما ه|كم |من هو"
_ENDING = r"(?:です|ます|でした|ました|ません|ないの?|だろう|でしょう|るの|たの)か|吗|呢"
_BE = r"is|was|are|were|ist|war|sind|waren|est|était|sont|es|era|son"
_TURNED = re.compile(
    r"(?:^|[,;:\u2013\u2014])\W{0,4}(?:(?:and|so|but|und|et|y)\s+)?(?:"
    rf"(?:what|when|where|how|whose|was|wann|wo|wie|quand|où|cuál|cuándo|dónde)\s+(?:{_BE})"
    rf"|(?:who|welche[rsn]?)\s+(?:{_BE})\s+(?:it|that|das|es)"
    rf"|which\s+(?!(?:{_BE})\b)\w+\s+(?:{_BE}|has|have|had|did))\b"
)
"""A question's order of words: "what was it", "wo ist er", "which code has he"; not "who is ill",
"which was nice". So are facts asked for, even with a full stop; "How do gulls fly." is talk."""
_MAY_ASK = re.compile(rf"\b(?:{_REQUESTS}|{_WORDS}|{_BESIDE})\b|{_WIDE}|{_ENDING}")
_REQUESTED = re.compile(rf"^\W*(?:\w+\W+){{0,2}}(?:{_REQUESTS})\b|(?:{_ENDING})\W*$")
_BEGINS = re.compile(rf"^\W*(?:\w+\W+)?(?:{_WORDS})\b|{_WIDE}")
_NOBODY = re.compile(r"(?:誰|何|どこ|いつ)も|(?:什么|谁|哪\w?)(?:都|也)")
_STATES = re.compile(r"[.。．।!！…][\"'”’)»」』]*$")
_ENDS, _UNSURE = frozenset(_MARKS), frozenset("; \t\r\n\u00a0\u3000")
MAY_END_ASKING = _ENDS | _UNSURE
"""The last character of a text that may end in a question mark."""
_HALF = 0.5
"""What a sentence counts that may ask: by itself it is no question."""


def ends_asking(text: str) -> bool:
    """Say whether a text ends with a question mark of any script."""
    last = text[-1:]
    if last in _UNSURE:
        end = text.rstrip()[-3:]
        return end[-1:] in _ENDS or (end[-1:] == ";" and _MARKED.search(end) is not None)
    return last in _ENDS


def asked_share(sentence: str) -> float:
    """Say how surely a sentence in lower case asks: 0, a half or 1.

    Example:
        >>> [asked_share(one) for one in ("what is the code", "we saw how it went.", "all right")]
        [1.0, 0.5, 0.0]
    """
    if _MARKED.search(sentence):
        return 1.0
    sentence = _NOBODY.sub("", sentence)
    if _MAY_ASK.search(sentence) is None:
        return 0.0
    if _REQUESTED.search(sentence) or _TURNED.search(sentence):
        return 1.0
    return 1.0 if _BEGINS.search(sentence) and not _STATES.search(sentence) else _HALF
