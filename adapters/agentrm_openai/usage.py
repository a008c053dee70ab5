"""What a call of the SDK used: as its provider reports it, or else by what came."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from agentrm_openai.said import text_of
from agentrm_plugins.integration import counting

if TYPE_CHECKING:
    from agentrm_plugins import Call, Usage

__all__ = ["Tally", "usage_of", "usage_of_body", "used_or_estimated"]

_LAST = frozenset({"response.completed", "response.incomplete", "response.failed"})


def usage_of(answer: Any) -> Usage | None:
    """What the provider counted, in an answer or a stream's piece of any of its kinds."""
    return counting.reported_usage(_report_in(answer))


def used_or_estimated(call: Call, answer: Any) -> Usage:
    """What an answer cost: as reported, and what is not reported as estimated by what was said."""
    report = _report_in(answer)
    return counting.completed_usage(call, counting.reported_usage(report), report, answer)


def _report_in(answer: Any, known: dict[int, Usage] | None = None) -> Any:
    """The report that says something: the answer's, its response's, Groq's, or its choices'.

    Args:
        answer: A whole answer, or a piece of a stream.
        known: What the choices' reports said in the pieces before; what is said now is noted there.
    """
    report = _get(answer, "usage")
    if report is not None and counting.reported_usage(report) is not None:
        return report
    for holder in (_get(answer, "response"), _get(answer, "x_groq")):
        report = None if holder is None else _get(holder, "usage")
        if report is not None and counting.reported_usage(report) is not None:
            return report
    return _of_choices(_get(answer, "choices"), {} if known is None else known)


def _of_choices(choices: Any, known: dict[int, Usage]) -> Any:
    """Moonshot's: each choice tells the input that they share, and its own output."""
    told = False
    for place, choice in enumerate(choices if isinstance(choices, list) else ()):
        usage = counting.reported_usage(_get(choice, "usage"))
        if usage is not None:
            number = _get(choice, "index")
            known[number if isinstance(number, int) else place] = usage
            told = True
    if not told:
        return None
    one = max(known.values(), key=lambda usage: usage.input_tokens)
    return {
        "input_tokens": one.input_tokens,
        "output_tokens": sum(usage.output_tokens for usage in known.values()),
        "input_token_details": {
            "cache_read": one.cached_input_tokens,
            "cache_creation": one.cache_write_tokens,
        },
    }


def usage_of_body(call: Call, response: Any) -> Usage | None:
    """The same of a body that the caller reads himself; None while it has not been read."""
    raw = getattr(response, "_content", None)  # never read it here: it is the caller's
    if not isinstance(raw, bytes):
        return None
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return used_or_estimated(call, body)


class Tally(counting.UsageTally):
    """Adds up what the pieces of a stream report; where they report nothing, it counts them."""

    __slots__ = ("_by_choice",)

    def __init__(self, expected: Usage) -> None:
        super().__init__(expected)
        self._by_choice: dict[int, Usage] = {}

    def add(self, piece: Any, text_chars: int = 0, *, says: bool = True) -> None:
        """One more piece; one that says nothing, or that a part has ended, costs nothing."""
        kind = str(getattr(piece, "type", ""))
        choices = getattr(piece, "choices", None)
        if choices:
            text_chars += sum(map(len, counting.said_in(getattr(choices[0], "delta", None))))
            if getattr(choices[0], "finish_reason", None):
                self.whole = True
        elif kind.endswith(".delta"):
            delta = getattr(piece, "delta", None)
            text_chars += len(delta) if isinstance(delta, str) else 0
        if kind in _LAST:
            self.whole = True
        says = says and (kind.endswith(".delta") if kind else text_of(piece) is not None)
        report = _report_in(piece, self._by_choice)
        if report is None:
            super().add(None, text_chars, says=says)
            return
        self.tells_input = self.tells_input or counting.tells_input(report)
        super().add(counting.reported_usage(report), text_chars, says=says)


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, dict):
        return holder.get(name)
    return getattr(holder, name, None)
