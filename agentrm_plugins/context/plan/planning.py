"""Which messages leave the prompt when it is too full. Counts and plans; changes nothing.

Laws. Value of a message = recency_weight * recency + importance_weight * importance +
information_weight * information, each 0 to 1. Down to the low mark: first stale bulky tool results
become stubs, the least valuable first; then the oldest groups become notes.

Cost of a compaction = (n + r / k) / mean size: the share of the tokens sent until the next one that
is no unchanged prefix, for n new tokens in a request, r tokens behind the first change and k
requests until the next one. Where that is above 1 - prefix_goal, as many more groups leave as bring
it there, or as make it least; the newest `hot_share` of the free room stays in any case where
that leaves room to go on: the cost-benefit rule by which a
log-structured file system chooses what to clean (Rosenblum and Ousterhout, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from agentrm_plugins.config.context import ContextConfig
from agentrm_plugins.context.plan.entry import Entry
from agentrm_plugins.context.plan.groups import Group, prefix_borders
from agentrm_plugins.context.plan.shares import (
    fixed_tokens,
    free_tokens,
    hot_floor,
    recall_room,
    soft_tokens,
    warm_room,
)
from agentrm_plugins.context.plan.transcript import Transcript
from agentrm_plugins.context.plan.view import no_result
from agentrm_plugins.context.plan.warm import warm_tokens

__all__ = [
    "STUB_TOKENS",
    "Plan",
    "changed_share",
    "hot_tokens",
    "pinned_tokens",
    "planned",
    "spare_tokens",
    "tokens_of",
    "total_tokens",
    "value_of",
]

STUB_TOKENS = 60
_ROOM_TO_GO = 0.3
"""Of the way from the soft mark to the low mark, that a compaction which keeps the newest messages
has to gain. Guessed."""
_NOTES_OF = 6
"""Notes take about a sixth of what they are made from. Measured on `benchmarks/context`."""
_MEASURED = 64
"""Newest messages from which the tokens of a request are measured. Guessed."""
_IMPORTANCE = {"user": 1.0, "system": 1.0, "developer": 1.0, "assistant": 0.5}


@dataclass(frozen=True, slots=True)
class Plan:
    """A compaction that was thought out: apply it while `generation` is still the session's.

    Args:
        generation: Of the session that it was made for.
        stubs: Places whose content becomes a stub.
        border: The first place that stays verbatim; -1 when none leaves.
        pressed: The prefix is short of its goal: what leaves is told at more length, so that more
            of the prompt stands still.
        tools_tokens: Of the tools sent along.
    """

    generation: int
    stubs: tuple[int, ...]
    border: int
    pressed: bool = False
    tools_tokens: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.stubs and self.border < 0


@dataclass(frozen=True, slots=True)
class _Cut:
    """One way to compact: what stays from where, how large, and what of it changes its place."""

    border: int
    left: int
    changed: int
    hot: int


def tokens_of(session: Transcript, entry: Entry) -> int:
    """Count an entry as it is sent now."""
    replaced = session.replaced.get(entry.seq)
    return replaced.tokens if replaced is not None else entry.tokens


def hot_tokens(session: Transcript) -> int:
    """Count what is sent as it is, with the results that are made up for unanswered calls."""
    replaced, groups = session.replaced, session.grouping.groups
    if not replaced and not any(map(attrgetter("unanswered"), groups)):  # nearly always
        return sum([entry.tokens for group in groups for entry in group.members])
    total = 0
    for group in groups:  # a plain loop: it runs several times in each turn
        for entry in group.members:
            made = replaced.get(entry.seq)
            total += entry.tokens if made is None else made.tokens
        for call in group.unanswered:
            total += session.counter.message(no_result(group.members[0], call))
    return total


def pinned_tokens(session: Transcript) -> int:
    """Count the user message that is sent although its place is compacted."""
    if session.pinned is None or session.pinned >= session.first_hot:
        return 0
    return session.entries[session.pinned].tokens


def total_tokens(session: Transcript, tools_tokens: int) -> int:
    """Count the request as it would be sent now."""
    total = fixed_tokens(session, tools_tokens) + warm_tokens(session) + hot_tokens(session)
    total += pinned_tokens(session)
    return total + sum(recalled.tokens for recalled in session.recalls)


def spare_tokens(session: Transcript, total: int) -> int:
    """Give what of the budget a recalled block finds free: now, or after the compaction it makes.

    A block that fits its share only by a compaction may have what that one makes free.
    """
    spare = session.budget - total
    if spare >= recall_room(session):
        return spare
    return free_tokens(session) - warm_room(session) - hot_floor(session)


def value_of(config: ContextConfig, entry: Entry, oldest: int, newest: int, score: float) -> float:
    """Weigh a message: recency, importance (its role) and information (its best note, to 5)."""
    recency = (entry.seq - oldest) / max(1, newest - oldest)
    importance = _IMPORTANCE.get(entry.role, 0.2)
    return (
        config.recency_weight * recency
        + config.importance_weight * importance
        + config.information_weight * min(1.0, score / 5.0)
    )


def request_tokens(session: Transcript) -> float:
    """Measure what each request adds: the mean over the newest messages."""
    newest = session.entries[-_MEASURED:]
    requests = sum(entry.role == "assistant" for entry in newest)
    return sum(entry.tokens for entry in newest) / max(1, requests)


def changed_share(full: float, new: float, left: int, changed: int) -> float:
    """Predict the share of the tokens sent that is no unchanged prefix, until the next compaction.

    Args:
        full: Tokens of the request at which the next compaction begins.
        new: Tokens that each request adds.
        left: Tokens of the request right after the compaction.
        changed: Of them, those behind the first change.
    """
    requests = max(1.0, (full - left) / max(1.0, new))
    return (new + max(0, changed) / requests) / ((left + full) / 2)


def planned(session: Transcript, tools_tokens: int, target: int) -> Plan:
    """Think out a compaction down to `target` tokens, or below for the prefix's sake."""
    # A recalled block leaves with the next user message, so it takes no part in how deep to go.
    total = total_tokens(session, tools_tokens) - sum(r.tokens for r in session.recalls)
    groups = session.grouping.groups
    stubs, total = _stubs(session, groups, total, target)
    cut, pressed = _chosen(session, _cuts(session, groups, set(stubs), total), target)
    stubs = [seq for seq in stubs if seq >= cut.border]
    return Plan(session.generation, tuple(stubs), cut.border, pressed, tools_tokens)


def _stubs(
    session: Transcript, groups: list[Group], total: int, target: int
) -> tuple[list[int], int]:
    config = session.config
    steps = [group for group in groups if group.is_tool_step]
    stale = steps[: max(0, len(steps) - max(1, config.tool_result_keep))]
    oldest, newest = session.first_hot, len(session.entries) - 1
    bulky = [
        (
            value_of(
                config,
                entry,
                oldest,
                newest,
                session.notes.best(entry.seq),
            ),
            entry,
        )
        for group in stale
        for entry in group.results
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


def _cuts(session: Transcript, groups: list[Group], stubs: set[int], total: int) -> list[_Cut]:
    """List the ways to compact, the least first; the newest group always stays."""
    task = session.task
    sizes = {
        e.seq: STUB_TOKENS if e.seq in stubs else tokens_of(session, e)
        for group in groups
        for e in group.members
    }
    hot = sum(sizes.values())
    first = min(stubs, default=len(session.entries))
    left = total
    if session.pinned != task:
        left -= pinned_tokens(session)
    ahead = session.system_tokens + warm_tokens(session)
    room = max(0, warm_room(session) - warm_tokens(session))
    cuts = [_Cut(-1, left, sum(size for seq, size in sizes.items() if seq >= first), hot)]
    allowed = set(prefix_borders(groups))
    gone = 0
    for at, group in enumerate(groups[:-1], start=1):
        if all(entry.seq != task for entry in group.members):
            gone += sum(sizes[entry.seq] for entry in group.members)
        if at in allowed:
            border = min(entry.seq for entry in groups[at].members)
            left = total - gone + min(room, gone // _NOTES_OF)
            cuts.append(_Cut(border, left, left - ahead, hot - gone))
    return cuts


def _chosen(session: Transcript, cuts: list[_Cut], target: int) -> tuple[_Cut, bool]:
    """Pick the least cut that meets the target and the prefix's goal, or else the cheapest one."""
    config = session.config
    floor = hot_floor(session)
    keeping = [cut for cut in cuts if cut.hot >= floor]
    meeting = [cut for cut in keeping if cut.left <= target]
    full = float(soft_tokens(session))
    if not meeting:
        # The newest messages keep their floor, as long as that leaves room to go on.
        held = sum(r.shortened().tokens for r in session.recalls if r.anchor == session.task)
        most = min(full - _ROOM_TO_GO * (full - target), session.budget - held)
        enough = [cut for cut in keeping if cut.left <= most]
        rest = [cut for cut in cuts if cut.left <= target] or cuts[-1:]
        return (enough[-1] if enough else rest[0]), True
    new = request_tokens(session)
    most = 1 - config.prefix_goal
    share = {cut: changed_share(full, new, cut.left, cut.changed) for cut in meeting}
    least = meeting[0]
    if share[least] <= most:
        return least, False
    cheap = (cut for cut in meeting if share[cut] <= most)
    return next(cheap, min(meeting, key=share.__getitem__)), True
