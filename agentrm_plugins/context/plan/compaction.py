"""What leaves the prompt when it is too full: a page reclaim with watermarks.

A plan (see `planning`) is carried out in one step, in the background above the soft mark and at
once above the budget. If the newest groups alone are too large, their tool results are shortened,
the largest first, until the budget is met exactly. The system prompt and the newest user message
never leave.
"""

from __future__ import annotations

from agentrm_plugins.context.notes.summaries import SummaryRequest
from agentrm_plugins.context.plan.entry import Entry, Episode, Recalled, Replacement
from agentrm_plugins.context.plan.lookups import told_text
from agentrm_plugins.context.plan.planning import (
    STUB_TOKENS,
    Plan,
    planned,
    tokens_of,
    total_tokens,
)
from agentrm_plugins.context.plan.shares import fixed_tokens, low_tokens, warm_room
from agentrm_plugins.context.plan.shortening import shorter_call, water_level
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.view import line_tokens
from agentrm_plugins.context.plan.warm import made_episode, renew, shrink, warm_tokens
from agentrm_plugins.errors import BudgetTooSmall
from agentrm_plugins.types.message import Message, plain_text

__all__ = ["apply_plan", "fit_now", "made_room", "retelling"]


def apply_plan(session: Transcript, plan: Plan, narrative: str = "") -> bool:
    """Carry a plan out; False when the session has moved on and the plan is void."""
    if plan.generation != session.generation:
        return False
    task = session.task
    session.recalls = [r.shortened() for r in session.recalls if r.anchor == task]
    for seq in plan.stubs:
        entry = session.entries[seq]
        if entry.message is not None:
            session.replaced[seq] = _stub(session, entry)
    leaves = plan.border > session.first_hot
    first, border = session.first_hot, max(plan.border, session.first_hot)
    session.pinned = task if task is not None and task < border else None
    if leaves:
        _evict(session, border)
        rest = total_tokens(session, plan.tools_tokens) - warm_tokens(session)
        room = max(0, min(warm_room(session), session.budget - rest))
        _narrate(session, first, narrative, room)
        made_episode(session, first, border - 1, room, telling=plan.pressed)
    renew(session)
    session.compactions += 1
    session.generation += 1
    return True


def _evict(session: Transcript, border: int) -> None:
    for entry in session.entries[session.first_hot : border]:
        if not entry.noted:
            session.note(entry, session.findings(entry))
    session.first_hot = border
    session.replaced = {seq: r for seq, r in session.replaced.items() if seq >= border}


def _narrate(session: Transcript, first: int, narrative: str, room_tokens: int) -> None:
    """Add what a model told of the places from `first` on, if it fits beside the notes."""
    if not narrative:
        return
    session.episodes.append(Episode(first, session.first_hot - 1, [], narrative))
    if warm_tokens(session) > room_tokens:
        session.episodes.pop()


def _stub(session: Transcript, entry: Entry) -> Replacement:
    if not entry.noted:
        session.note(entry, session.findings(entry))
    head = f"[{entry.tokens} tokens of output, archived as message {entry.seq}; recall finds them]"
    return _replacement(session, entry, "stub", _with_notes(session, entry, head, STUB_TOKENS))


def _with_notes(session: Transcript, entry: Entry, head: str, most: int) -> str:
    """Add the message's best notes to a stub, as far as `most` tokens go."""
    text = head
    notes = [n for n in session.notes.at(entry.seq) if n.live]
    for note in sorted(notes, key=lambda n: (-n.score, n.id)):
        longer = f"{text}\n{note.shown}"
        if session.counter.text(longer) > most:
            break
        text = longer
    return text


def _replacement(session: Transcript, entry: Entry, kind: str, text: str) -> Replacement:
    made = Message(entry.role, text, None, (), entry.answers)
    tokens = session.counter.message(made)
    if entry.message is not None and entry.message.name:
        tokens += session.counter.text(entry.message.name) + 1
    return Replacement(kind, text, tokens)


def fit_now(session: Transcript, tools_tokens: int, target: int) -> None:
    """Bring the request under the budget, whatever it takes.

    Raises:
        BudgetTooSmall: The system prompt, the tools and the newest user message do not fit.
    """
    budget = session.budget
    task = session.task
    least = fixed_tokens(session, tools_tokens)
    parts = {"system prompt": session.system_tokens, "tools": tools_tokens}
    if line_tokens(session):
        parts["pressure line"] = line_tokens(session)
    if task is not None:
        parts["newest user message"] = session.entries[task].tokens
        least += session.entries[task].tokens
    if least > budget:
        raise _too_small(session, least, parts)
    apply_plan(session, planned(session, tools_tokens, target))
    if total_tokens(session, tools_tokens) <= budget:
        return
    session.recalls = []
    shrink(session, max(0, budget - (total_tokens(session, tools_tokens) - warm_tokens(session))))
    if total_tokens(session, tools_tokens) > budget:
        _shorten_newest(session, tools_tokens)
    if total_tokens(session, tools_tokens) > budget:
        _drop_newest(session)
    if total_tokens(session, tools_tokens) > budget:
        shrink(session, 0)
    if total_tokens(session, tools_tokens) > budget:
        total = total_tokens(session, tools_tokens)
        raise _too_small(session, total, {**parts, "compacted rest": total - least})


def made_room(session: Transcript, recalled: Recalled, tools_tokens: int, total: int) -> bool:
    """Compact where a block would not fit beside `total` tokens; False where it fits as it is.

    What leaves for it may be what was asked about: the caller looks up again.
    """
    if total + recalled.tokens <= session.budget:
        return False
    session.recalls.append(recalled)
    apply_plan(session, planned(session, tools_tokens, low_tokens(session)))
    session.recalls = [held for held in session.recalls if held.anchor != recalled.anchor]
    return True


def _too_small(session: Transcript, least: int, parts: dict[str, int]) -> BudgetTooSmall:
    charged = {name: session.charged(tokens) for name, tokens in parts.items()}
    return BudgetTooSmall(session.most, session.charged(least), charged)


def _shorten_newest(session: Transcript, tools_tokens: int) -> None:
    """Shorten the tool results and calls that are left to equal shares of the room."""
    budget = session.budget
    groups = session.grouping.groups
    results = [e for g in groups for e in g.results if e.message is not None]
    asking = [g.members[0] for g in groups if g.is_tool_step and g.members[0].message is not None]
    both = [*results, *asking]
    if not both:
        return
    sizes = [tokens_of(session, entry) for entry in both]
    room = budget - (total_tokens(session, tools_tokens) - sum(sizes))
    share = water_level(sizes, room)
    for at, (entry, size) in enumerate(zip(both, sizes, strict=True)):
        if size > share:
            shorter = _shortened if at < len(results) else shorter_call
            session.replaced[entry.seq] = shorter(session, entry, share)
    session.generation += 1


def _shortened(session: Transcript, entry: Entry, most: int) -> Replacement:
    """Keep a result's head and tail and its best notes, in at most `most` tokens as sent."""
    text = plain_text(entry.message) if entry.message is not None else ""
    if not entry.noted:
        session.note(entry, session.findings(entry))
    frame = _replacement(session, entry, "short", "").tokens
    mark = f"[… {entry.tokens} tokens in all; the rest is archived as message {entry.seq} …]"
    room = most - frame
    if room < session.counter.text(mark) + 16:
        stub = f"[archived as message {entry.seq}]"
        return _replacement(session, entry, "short", stub)
    middle = _with_notes(session, entry, mark, max(session.counter.text(mark), room // 4))
    per_char = session.counter.text(text[:20_000]) / max(1, len(text[:20_000]))
    chars = int((room - session.counter.text(middle)) / max(0.05, per_char))
    while True:
        head, tail = text[: chars * 2 // 3], text[len(text) - chars // 3 :]
        made = _replacement(session, entry, "short", f"{head}\n{middle}\n{tail}")
        if made.tokens <= most or chars < 8:  # noqa: PLR2004 - nothing left to take away
            return made
        chars = chars * 9 // 10


def _drop_newest(session: Transcript) -> None:
    """Compact even the newest group, when its calls alone are larger than the budget."""
    last = len(session.entries)
    task = session.task
    first = session.first_hot
    if last > first and task != last - 1:
        _evict(session, last)
        made_episode(session, first, last - 1, warm_room(session))
        session.pinned = task
        session.generation += 1


def retelling(session: Transcript, plan: Plan) -> SummaryRequest | None:
    """Give what a summariser is asked to tell for a plan; None when no episode leaves."""
    stretch = session.entries[session.first_hot : max(plan.border, session.first_hot)]
    lines = tuple(
        f"{entry.seq} {entry.role}: {told_text(entry.message)}"
        for entry in stretch
        if entry.message is not None and not entry.looked_up
    )
    return SummaryRequest(lines, min(400, warm_room(session) // 4)) if lines else None
