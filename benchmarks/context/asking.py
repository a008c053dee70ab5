"""A talk played to its end, and questions asked of copies that leave no trace; graded verbatim."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.live import ContextLifecycle
from agentrm_plugins.context.stores import SqliteStore
from benchmarks.context.grade import common_tokens, faults, request_tokens, text_of, tokens_of
from benchmarks.context.outside import Question, Talk

NOW_S = 1_772_000_000.0


@dataclass
class Result:
    """What one talk gave; shares are of the questions that have evidence, or an answer."""

    asked: int = 0
    kept: int = 0
    groups: float = 0.0
    answerable: int = 0
    answered: int = 0
    old_offered: int = 0
    over_budget: int = 0
    invalid: int = 0
    task_lost: int = 0
    errors: int = 0
    sent: int = 0
    prefix: int = 0
    work_ms: list[float] = field(default_factory=list)
    ask_ms: list[float] = field(default_factory=list)
    missed: list[tuple[Question, str]] = field(default_factory=list)


class _Live:
    """One manager over one file; background work when the model would answer."""

    def __init__(self, path: Path, config: ContextConfig) -> None:
        self.jobs: list = []
        self.store = SqliteStore(path)
        self.manager = ContextLifecycle(config, store=self.store, submit=self.jobs.append)
        self.session = self.manager.session("talk")

    def work(self) -> None:
        while self.jobs:
            self.jobs.pop()()

    def close(self) -> None:
        self.manager.close()
        self.store.close()


def played(talk: Talk, config: ContextConfig, tools: Iterable[dict] = ()) -> Result:
    """Play a talk and ask its questions: those with a place there, the others at the end.

    A request is made before each message of the assistant. A question is asked of a copy of the
    archive in a manager of its own.
    """
    result, tools = Result(), list(tools)
    by_place: dict[int, list[Question]] = {}
    for question in talk.questions:
        place = question.at if question.at is not None else len(talk.messages)
        by_place.setdefault(place, []).append(question)
    with tempfile.TemporaryDirectory(prefix="agentrm-bench-") as folder:
        live = _Live(Path(folder) / "archive.db", config)
        history: list[dict] = []
        before: list[dict] = []
        for place in range(len(talk.messages) + 1):
            own = [q for q in by_place.get(place, ()) if not q.text]
            if [q for q in by_place.get(place, ()) if q.text]:
                live = _ask(result, live, config, history, by_place[place], Path(folder), tools)
            if place == len(talk.messages):
                break
            message = talk.messages[place]
            if message["role"] == "assistant":
                before = _turn(result, live, history, before, own, config, tools)
            history.append(message)
        live.close()
    return result


def _turn(
    result: Result, live: _Live, history: list[dict], before: list[dict], own: list[Question],
    config: ContextConfig, tools: list[dict],
) -> list[dict]:  # fmt: skip
    begun = time.perf_counter()
    view = live.session.prepare(history, tools=tools, now_s=NOW_S)
    result.work_ms.append((time.perf_counter() - begun) * 1e3)
    live.work()
    sent = view.messages
    checked(result, sent, history, config.budget_tokens, view.tokens)
    result.sent += request_tokens(sent)
    result.prefix += common_tokens(before, sent)
    for question in own:
        graded(result, question, sent)
    return sent


def _ask(
    result: Result, live: _Live, config: ContextConfig, history: list[dict],
    questions: list[Question], folder: Path, tools: list[dict],
) -> _Live:  # fmt: skip
    live.close()
    path, copy = folder / "archive.db", folder / "copy.db"
    for question in questions:
        if not question.text:
            continue
        for old in folder.glob("copy.db*"):
            old.unlink()
        shutil.copy(path, copy)
        other = _Live(copy, config)
        # The copy knows the history already, as a live session would.
        with contextlib.suppress(Exception):
            other.session.prepare(history, tools=tools, now_s=NOW_S)
        asked = [*history, {"role": "user", "content": question.text}]
        begun = time.perf_counter()
        view = other.session.prepare(asked, tools=tools, now_s=NOW_S)
        result.ask_ms.append((time.perf_counter() - begun) * 1e3)
        checked(result, view.messages, asked, config.budget_tokens, view.tokens)
        graded(result, question, view.messages)
        other.close()
    return _Live(path, config)


def checked(result: Result, sent: list[dict], history: list[dict], budget: int, told: int) -> None:
    """Count what may never be: over the budget, refused by a provider, without its task."""
    result.over_budget += request_tokens(sent) > budget or told > budget
    result.invalid += bool(faults(sent))
    task = next((m["content"] for m in reversed(history) if m["role"] == "user"), None)
    if task is not None:
        there = any(m["role"] == "user" and m["content"] == task for m in sent)
        result.task_lost += not there


def graded(result: Result, question: Question, sent: list[dict]) -> None:
    """Grade one prompt: whole evidence word for word, the answer's string, no old value alone."""
    text = squeezed(text_of(sent[:-1]) if question.text else text_of(sent))
    found = [squeezed(piece) in text for piece in question.evidence]
    if found:
        result.asked += 1
        result.kept += all(found)
        result.groups += sum(found) / len(found)
        if not all(found):
            result.missed.append((question, text))
    if question.answer:
        result.answerable += 1
        result.answered += squeezed(question.answer).casefold() in text.casefold()
    last = text.rfind(question.answer) if question.answer else -1
    for old in question.old:
        at = text.rfind(old)
        line = text[max(0, at - 200) : at + 200]
        result.old_offered += at > last and question.answer not in line


def squeezed(text: str) -> str:
    """Fold blanks, so that a line broken elsewhere is the same text."""
    return " ".join(text.split())


def mean_tokens(messages: list[dict]) -> float:
    """Give the mean size of a message, by the grader's own count."""
    return sum(map(tokens_of, messages)) / max(1, len(messages))
