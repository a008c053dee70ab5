"""Independent grading: its own token counts, transcript rules, verbatim evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from agentrm_plugins.counting.ranks import load_encoding
from benchmarks.context.generate import Fact

STRUCK = (
    "superseded",
    "corrected later",
    "not ",
    "instead of",
    "rather than",
    "statt",
    "took over",
)


@lru_cache(maxsize=200_000)
def _count(text: str) -> int:
    return len(load_encoding("o200k_base").encode_ordinary(text))


def tokens_of(message: dict) -> int:
    """Count one message: frame 3, role, content, name, calls as name and arguments."""
    total = 3 + _count(str(message["role"]))
    content = message.get("content") or ""
    total += _count(content if isinstance(content, str) else json.dumps(content))
    for call in message.get("tool_calls") or ():
        total += _count(call["function"]["name"]) + _count(call["function"]["arguments"])
        total += _count(call["id"])
    if message.get("tool_call_id"):
        total += _count(message["tool_call_id"])
    return total


def request_tokens(messages: list[dict]) -> int:
    """Count a whole request."""
    return 3 + sum(map(tokens_of, messages))


def faults(messages: list[dict]) -> list[str]:
    """Find what a provider would answer with 400."""
    found = []
    rest = [m for m in messages if m["role"] not in {"system", "developer"}]
    if not rest:
        return ["empty"]
    waiting: set[str] = set()
    for message in messages:
        role = message["role"]
        if role == "tool":
            if message["tool_call_id"] not in waiting:
                found.append("orphan result")
            waiting.discard(message["tool_call_id"])
            continue
        if waiting:
            found.append("unanswered call")
        waiting = {call["id"] for call in message.get("tool_calls") or ()}
        if role == "assistant" and not message.get("content") and not waiting:
            found.append("empty assistant message")
    if waiting:
        found.append("unanswered call")
    if rest[0]["role"] != "user":
        found.append("does not start with the user")
    return found


def text_of(messages: list[dict]) -> str:
    """Give everything that the model can read."""
    parts = []
    for message in messages:
        content = message.get("content") or ""
        parts.append(content if isinstance(content, str) else json.dumps(content))
    return "\n".join(parts)


def offers_old(text: str, fact: Fact, others: Iterable[Fact] = ()) -> bool:
    """Whether a superseded value stands there as if it held: last, or alone, and not struck.

    A value that holds for another fact now (a person with two posts) is not superseded, and a line
    that has no word of the question (a log that has the same number) offers nothing.
    """
    last_new = text.rfind(fact.value)
    holding = {other.value for other in others}
    for old in fact.old:
        if old in holding:
            continue
        at = text.rfind(old)
        if at < 0 or at < last_new:
            continue
        begin = max(text.rfind("\n", 0, at) + 1, at - 200)
        line = text[begin : text.find("\n", at) if text.find("\n", at) >= 0 else None]
        if fact.value in line or any(word in line.lower() for word in STRUCK):
            continue
        if _words(line).isdisjoint(_words(fact.question)):
            continue
        return True
    return False


def _words(text: str) -> set[str]:
    """Give words of four letters and more, and pairs of characters of scripts without blanks."""
    return set(re.findall(r"[^\W\d_]{4,}", text.lower())) | {
        text[at : at + 2] for at in range(len(text) - 1) if text[at] > "\u2e80" < text[at + 1]
    }


@dataclass
class Tally:
    """What one strategy did over one session."""

    messages: int = 0
    calls: int = 0
    over_budget: int = 0
    invalid: int = 0
    task_lost: int = 0
    recall_over: int = 0
    errors: int = 0
    tokens_sent: int = 0
    prefix_tokens: int = 0
    last_tokens: int = 0
    facts_seen: int = 0
    facts_held: int = 0
    asked: int = 0
    found: int = 0
    old_offered: int = 0
    compaction_tokens: int = 0
    work_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    kinds: dict[str, int] = field(default_factory=dict)
    missed: list[str] = field(default_factory=list)


def common_tokens(one: list[dict], other: list[dict]) -> int:
    """Count the tokens of the messages that two requests begin with alike."""
    total = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        total += tokens_of(a)
    return total
