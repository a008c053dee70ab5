"""One strategy over one session: a request before each assistant message, graded."""

from __future__ import annotations

import time
from collections.abc import Callable

from benchmarks.context.generate import Session
from benchmarks.context.grade import (
    Tally,
    common_tokens,
    faults,
    offers_old,
    request_tokens,
    text_of,
    tokens_of,
)

Strategy = Callable[[list[dict]], list[dict]]


def play(session: Session, strategy: Strategy, budget: int, *, recall_share: float = 0.0) -> Tally:
    """Play a session. The strategy gets the whole history and gives the request.

    A strategy may have `after()`, called when the request is on its way (what a real run does while
    the model answers), `recall_tokens` and `compaction_tokens`.
    """
    tally = Tally()
    history: list[dict] = []
    before: list[dict] = []
    for place, message in enumerate(session.messages):
        if message["role"] != "assistant":
            history.append(message)
            continue
        begun, used = time.perf_counter(), time.thread_time()
        try:
            view = strategy(list(history))
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            tally.errors += 1
            tally.kinds[type(error).__name__] = tally.kinds.get(type(error).__name__, 0) + 1
            view = []
        tally.work_ms.append((time.perf_counter() - begun) * 1e3)
        tally.cpu_ms.append((time.thread_time() - used) * 1e3)
        _grade(tally, session, history, place, view, before, budget)
        if getattr(strategy, "recall_tokens", 0) > recall_share * budget:
            tally.recall_over += 1
        before = view
        getattr(strategy, "after", lambda: None)()
        history.append(message)
    tally.compaction_tokens = getattr(strategy, "compaction_tokens", 0)
    return tally


def _grade(
    tally: Tally, session: Session, history: list[dict], place: int, view: list[dict],
    before: list[dict], budget: int,
) -> None:  # fmt: skip
    tally.calls += 1
    sent = request_tokens(view)
    tally.tokens_sent += sent
    tally.over_budget += sent > budget
    found = faults(view) if view else ["empty"]
    tally.invalid += bool(found)
    for kind in set(found):
        tally.kinds[kind] = tally.kinds.get(kind, 0) + 1
    task = next((m["content"] for m in reversed(history) if m["role"] == "user"), "")
    tally.task_lost += not any(m["role"] == "user" and m["content"] == task for m in view)
    if before:
        tally.prefix_tokens += common_tokens(before, view)
        tally.last_tokens += sum(map(tokens_of, before))
    asked = session.asks.get(place - 1)
    checkpoint = place % 50 == 1 or asked is not None
    text = text_of(view) if checkpoint else ""
    if asked is not None:
        fact = session.facts[asked]
        # A fact that is corrected after this question is asked for with its value of now.
        if fact.told_at < place:
            tally.asked += 1
            tally.found += fact.value in text
            if fact.value not in text:
                tally.missed.append(f"{fact.question} -> {fact.value} (told at {fact.told_at})")
            tally.old_offered += offers_old(text, fact, session.facts)
    if place > len(session.messages) - 3 * max(1, len(session.facts)) and asked is not None:
        known = [f for f in session.facts if f.told_at < place]
        if known and tally.facts_seen == 0:
            tally.facts_seen = len(known)
            tally.facts_held = sum(f.value in text for f in known)
