"""What leaves the prompt when it is too full: a page reclaim with watermarks.

Law: value = recency_weight * recency + importance_weight * importance + information_weight *
information, each 0 to 1. Down to the low mark: first stale bulky tool results become stubs, the
least valuable first; then the oldest groups become notes. If the newest groups alone are too large,
their tool results are shortened, the largest first, until the budget is met exactly. The system
prompt and the newest user message never leave.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentrm_plugins.context.config import ContextConfig
from agentrm_plugins.context.errors import BudgetTooSmall
from agentrm_plugins.context.groups import Group, grouped, prefix_borders
from agentrm_plugins.context.messages import Message, plain_text
from agentrm_plugins.context.session import Entry, Episode, Replacement, Session
from agentrm_plugins.context.summaries import SummaryRequest
from agentrm_plugins.context.tokens import REPLY_OVERHEAD
from agentrm_plugins.context.warm import made_episode, renew, shrink, warm_tokens

__all__ = [
    "Plan",
    "apply_plan",
    "fit_now",
    "hot_tokens",
    "planned",
    "retelling",
    "total_tokens",
    "value_of",
]

STUB_TOKENS = 60
_UNANSWERED_TOKENS = 24
_IMPORTANCE = {"user": 1.0, "system": 1.0, "developer": 1.0, "assistant": 0.5}


@dataclass(frozen=True, slots=True)
class Plan:
    """A compaction that was thought out: apply it while `generation` is still the session's."""

    generation: int
    stubs: tuple[int, ...]
    border: int
    tokens_before: int
    tokens_after: int

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.stubs and self.border < 0


def tokens_of(session: Session, entry: Entry) -> int:
    """Count an entry as it is sent now."""
    replaced = session.replaced.get(entry.seq)
    return replaced.tokens if replaced is not None else entry.tokens


def group_tokens(session: Session, group: Group) -> int:
    """Count a group as it is sent, with the results that are made up for unanswered calls."""
    size = sum(tokens_of(session, entry) for entry in group.members)
    return size + sum(_UNANSWERED_TOKENS + session.counter.text(call) for call in group.unanswered)


def hot_tokens(session: Session) -> int:
    """Count what is sent as it is."""
    return sum(group_tokens(session, group) for group in grouped(session.hot).groups)


def fixed_tokens(session: Session, tools_tokens: int) -> int:
    """Count what is sent in any case: the frame, the system prompt, the tools."""
    return REPLY_OVERHEAD + session.system_tokens + tools_tokens


def pinned_tokens(session: Session) -> int:
    """Count the user message that is sent although its place is compacted."""
    if session.pinned is None or session.pinned >= session.first_hot:
        return 0
    return session.entries[session.pinned].tokens


def total_tokens(session: Session, tools_tokens: int) -> int:
    """Count the request as it would be sent now."""
    total = fixed_tokens(session, tools_tokens) + warm_tokens(session) + hot_tokens(session)
    total += pinned_tokens(session)
    return total + sum(recalled.tokens for recalled in session.recalls)


def value_of(config: ContextConfig, entry: Entry, oldest: int, newest: int, score: float) -> float:
    """Weigh a message: recency, importance (its role) and information (its best note, to 5)."""
    recency = (entry.seq - oldest) / max(1, newest - oldest)
    importance = _IMPORTANCE.get(entry.role, 0.2)
    return (
        config.recency_weight * recency
        + config.importance_weight * importance
        + config.information_weight * min(1.0, score / 5.0)
    )


def planned(session: Session, tools_tokens: int, target: int) -> Plan:
    """Think out a compaction down to `target` tokens. Changes nothing."""
    before = total = total_tokens(session, tools_tokens)
    task = session.task
    total -= sum(r.tokens for r in session.recalls if r.anchor != task)
    groups = grouped(session.hot).groups
    stubs, total = _stubs(session, groups, total, target)
    border, total = _border(session, groups, set(stubs), total, target)
    stubs = [seq for seq in stubs if seq >= border]
    return Plan(session.generation, tuple(stubs), border, before, total)


def _stubs(session: Session, groups: list[Group], total: int, target: int) -> tuple[list[int], int]:
    config = session.config
    steps = [group for group in groups if group.is_tool_step]
    stale = steps[: max(0, len(steps) - max(1, config.tool_result_keep))]
    best: dict[int, float] = {}
    for note in session.ledger.notes.values():
        best[note.seq] = max(best.get(note.seq, 0.0), note.score)
    oldest, newest = session.first_hot, len(session.entries) - 1
    bulky = [
        (value_of(config, entry, oldest, newest, best.get(entry.seq, 0.0)), entry)
        for group in stale
        for entry in group.members[1:]
        if entry.tokens >= config.tool_result_floor_tokens and entry.seq not in session.replaced
    ]
    bulky.sort(key=lambda pair: (pair[0] / pair[1].tokens, pair[1].seq))
    chosen = []
    for _, entry in bulky:
        if total <= target:
            break
        chosen.append(entry.seq)
        total -= entry.tokens - STUB_TOKENS
    return chosen, total


def _border(
    session: Session, groups: list[Group], stubs: set[int], total: int, target: int
) -> tuple[int, int]:
    """Find the first place that stays, -1 for no change; the newest group always stays."""
    task = session.task
    room = int(session.config.warm_share * session.config.budget_tokens) - warm_tokens(session)
    border, gone, left = -1, 0, total
    allowed = set(prefix_borders(groups))
    pinned = session.pinned is not None and session.pinned < session.first_hot
    if pinned and session.pinned != task:
        left -= pinned_tokens(session)
    for at, group in enumerate(groups[:-1], start=1):
        if left <= target:
            break
        size = sum(
            STUB_TOKENS if entry.seq in stubs else tokens_of(session, entry)
            for entry in group.members
        )
        if any(entry.seq == task for entry in group.members):
            size = 0
        gone += size
        if at in allowed:
            border = min(entry.seq for entry in groups[at].members)
            left = total - gone + min(max(0, room), gone // 6)
    return border, left


def apply_plan(session: Session, plan: Plan, narrative: str = "") -> bool:
    """Carry a plan out; False when the session has moved on and the plan is void."""
    if plan.generation != session.generation:
        return False
    task = session.task
    session.recalls = [r for r in session.recalls if r.anchor == task]
    session.drop_stale_recalls()
    renew(session)
    for seq in plan.stubs:
        entry = session.entries[seq]
        if entry.message is not None:
            session.replaced[seq] = _stub(session, entry)
    if plan.border > session.first_hot:
        _evict(session, plan.border, narrative)
    if session.pinned != task:
        session.pinned = None
    if task is not None and task < session.first_hot:
        session.pinned = task
    session.compactions += 1
    session.generation += 1
    return True


def _evict(session: Session, border: int, narrative: str) -> None:
    first = session.first_hot
    for entry in session.entries[first:border]:
        if not entry.noted:
            session.note(entry, session.findings(entry))
    session.first_hot = border
    session.replaced = {seq: r for seq, r in session.replaced.items() if seq >= border}
    room = int(session.config.warm_share * session.config.budget_tokens)
    if narrative:
        episode = Episode(first, border - 1, [], narrative)
        session.episodes.append(episode)
        if warm_tokens(session) > room:
            episode.narrative, episode.text, episode.tokens = "", "", 0
    made_episode(session, first, border - 1, room)


def _stub(session: Session, entry: Entry) -> Replacement:
    if not entry.noted:
        session.note(entry, session.findings(entry))
    head = f"[{entry.tokens} tokens of output, archived as message {entry.seq}; recall finds them]"
    return _replacement(session, entry, "stub", _with_notes(session, entry, head, STUB_TOKENS))


def _with_notes(session: Session, entry: Entry, head: str, most: int) -> str:
    """Add the message's best notes to a stub, as far as `most` tokens go."""
    text = head
    notes = [n for n in session.ledger.notes.values() if n.seq == entry.seq and n.live]
    for note in sorted(notes, key=lambda n: (-n.score, n.id)):
        longer = f"{text}\n{note.shown}"
        if session.counter.text(longer) > most:
            break
        text = longer
    return text


def _replacement(session: Session, entry: Entry, kind: str, text: str) -> Replacement:
    made = Message(entry.role, text, None, (), entry.answers)
    tokens = session.counter.message(made)
    if entry.message is not None and entry.message.name:
        tokens += session.counter.text(entry.message.name) + 1
    return Replacement(kind, text, tokens)


def fit_now(session: Session, tools_tokens: int, target: int) -> None:
    """Bring the request under the budget, whatever it takes.

    Raises:
        BudgetTooSmall: The system prompt, the tools and the newest user message do not fit.
    """
    budget = session.config.budget_tokens
    task = session.task
    least = fixed_tokens(session, tools_tokens)
    parts = {"system prompt": session.system_tokens, "tools": tools_tokens}
    if task is not None:
        parts["newest user message"] = session.entries[task].tokens
        least += session.entries[task].tokens
    if least > budget:
        raise BudgetTooSmall(budget, least, parts)
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
        parts["compacted rest"] = total_tokens(session, tools_tokens) - least
        raise BudgetTooSmall(budget, total_tokens(session, tools_tokens), parts)


def _shorten_newest(session: Session, tools_tokens: int) -> None:
    """Shorten the tool results that are left, the largest first, to equal shares of the room."""
    budget = session.config.budget_tokens
    groups = grouped(session.hot).groups
    results = [e for g in groups for e in g.members[1:] if e.message is not None]
    if not results:
        return
    rest = total_tokens(session, tools_tokens) - sum(tokens_of(session, e) for e in results)
    room = budget - rest
    share = _water_level([tokens_of(session, e) for e in results], room)
    for entry in results:
        if tokens_of(session, entry) > share:
            session.replaced[entry.seq] = _shortened(session, entry, share)
    session.generation += 1


def _water_level(sizes: list[int], room: int) -> int:
    """Find the height at which all sizes, cut to it, just fit the room."""
    left = max(0, room)
    for at, size in enumerate(sorted(sizes)):
        share = left // (len(sizes) - at)
        if size > share:
            return share
        left -= size
    return max(sizes)


def _shortened(session: Session, entry: Entry, most: int) -> Replacement:
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


def _drop_newest(session: Session) -> None:
    """Compact even the newest group, when its calls alone are larger than the budget."""
    last = len(session.entries)
    task = session.task
    if last > session.first_hot and task != last - 1:
        _evict(session, last, "")
        session.pinned = task
        session.generation += 1


def retelling(session: Session, plan: Plan) -> SummaryRequest | None:
    """Give what a summariser is asked to tell for a plan; None when no episode leaves."""
    stretch = session.entries[session.first_hot : max(plan.border, session.first_hot)]
    lines = tuple(
        f"{entry.seq} {entry.role}: {plain_text(entry.message)}"
        for entry in stretch
        if entry.message is not None
    )
    room = int(session.config.warm_share * session.config.budget_tokens)
    return SummaryRequest(lines, min(400, room // 4)) if lines else None
