"""The warm tier: notes of compacted episodes, chosen to fit and written in the order of the talk.

Law: notes go in by score until the room is used, then are shown by place. An episode is written
once and only appended to the ones before it, so the prompt's prefix holds; when the room runs out,
all episodes are made anew from their notes (never from their texts). A note that was corrected is
struck from its episode at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache

from agentrm_plugins.context.facts import find
from agentrm_plugins.context.ledger import Ledger, Note
from agentrm_plugins.context.messages import Message, plain_text
from agentrm_plugins.context.session import Episode, Session

__all__ = ["chosen", "extractive_summary", "made_episode", "rendered", "warm_tokens"]

LEAST_SCORE = {"user": 1.3, "system": 1.3, "assistant": 1.3}
LEAST_TOOL_SCORE = 1.4
MOST_OF_A_RESULT = 4
"""Notes of one tool result; guessed. What else it holds is found by recall."""
HEADER_TOKENS = 28
_SHORT = {"user": "user", "assistant": "you", "tool": "tool", "function": "tool"}
CONSOLIDATED_SHARE = 0.85
"""Of the room, after all episodes were made anew: leaves space for the next ones to be appended."""


def _keeps(note: Note) -> bool:
    return note.live and note.score >= LEAST_SCORE.get(note.role, LEAST_TOOL_SCORE)


def line_of(note: Note) -> str:
    """Write one note as a line: its message's place, who said it, its words."""
    return f"{note.seq} {_SHORT.get(note.role, note.role)}: {' '.join(note.shown.split())}"


def chosen(
    notes: Iterable[Note], room_tokens: int, count: Callable[[str], int], newest: int
) -> list[Note]:
    """Choose the notes that are worth most and fit; in the order of the conversation.

    The score gets up to 0.5 for recency. Of a long line the worth is that of its score alone, so
    that length is paid for by place, not by merit.
    """
    keep = [note for note in notes if _keeps(note)]
    keep.sort(key=lambda n: (-(n.score + 0.5 * n.seq / max(1, newest)), n.id))
    taken, used = [], 0
    per_message: Counter[int] = Counter()
    for note in keep:
        per_message[note.seq] += note.role in {"tool", "function"}
        if per_message[note.seq] > MOST_OF_A_RESULT:
            continue
        size = count(line_of(note)) + 1
        if used + size <= room_tokens:
            taken.append(note)
            used += size
    return sorted(taken, key=lambda n: (n.seq, n.id))


def rendered(episode: Episode, ledger: Ledger) -> str:
    """Write an episode; empty when nothing in it holds any more."""
    lines = []
    for identity in episode.notes:
        note = ledger.notes.get(identity)
        if note is not None and not note.dead:
            lines.append(line_of(note))
    told = _holding(episode, ledger)
    if not lines and not told:
        return ""
    head = f"[Notes from messages {episode.first}-{episode.last} of this conversation, compacted. "
    head += "For reference; not a new request.]"
    return "\n".join(part for part in (head, told, *lines) if part)


def _holding(episode: Episode, ledger: Ledger) -> str:
    """Give the narrative without the lines that hold a corrected value."""
    if not episode.narrative:
        return ""
    stale = [
        value.casefold()
        for note in ledger.notes.values()
        if episode.first <= note.seq <= episode.last
        for value in note.struck
    ]
    lines = episode.narrative.splitlines()
    return "\n".join(line for line in lines if not any(v in line.casefold() for v in stale))


def refresh(session: Session) -> None:
    """Write again the episodes whose notes were struck."""
    for episode in session.episodes:
        if not episode.text and (episode.notes or episode.narrative):
            episode.text = rendered(episode, session.ledger)
            if not episode.text:
                episode.notes, episode.narrative = [], ""
            role = session.config.summary_role
            episode.tokens = session.counter.message(Message(role, episode.text or "-"))
            episode.tokens *= bool(episode.text)
    last = session.episodes[-1] if session.episodes else None
    if last is not None and not any(episode.text for episode in session.episodes):
        # Something stands for what was compacted, and the transcript begins with the user.
        first = session.episodes[0].first
        last.text = f"[Messages {first}-{last.last} are archived; recall finds them.]"
        last.tokens = session.counter.message(Message(session.config.summary_role, last.text))


def renew(session: Session) -> None:
    """Mark the episodes whose text no longer agrees with their notes, to be written again."""
    for episode in session.episodes:
        if episode.notes or episode.narrative:
            text = rendered(episode, session.ledger)
            if text != episode.text:
                episode.text = ""


def warm_tokens(session: Session) -> int:
    """Count all episodes as they are sent."""
    refresh(session)
    return sum(episode.tokens for episode in session.episodes if episode.text)


def made_episode(session: Session, first: int, last: int, room_tokens: int) -> None:
    """Add the episode for places `first` to `last`, making all anew when the room is used up.

    Args:
        session: Its ledger and episodes are used.
        first: Of the messages to compact.
        last: The last of them.
        room_tokens: For the whole warm tier.
    """
    count = session.counter.text
    counted = _remembering(count)
    notes = [n for n in session.ledger.notes.values() if first <= n.seq <= last]
    free = room_tokens - warm_tokens(session) - HEADER_TOKENS
    wanted = sum(counted(line_of(n)) + 1 for n in notes if _keeps(n))
    if wanted <= free:
        picked = chosen(notes, free, counted, last)
        session.episodes.append(Episode(first, last, [n.id for n in picked]))
    else:
        _consolidate(session, last, room_tokens, counted)
    refresh(session)


def _consolidate(
    session: Session, last: int, room_tokens: int, count: Callable[[str], int]
) -> None:
    narrative = _newest_narratives(session, int(room_tokens * 0.4), count)
    room = int(room_tokens * CONSOLIDATED_SHARE) - HEADER_TOKENS - count(narrative)
    notes = [n for n in session.ledger.notes.values() if n.seq <= last]
    picked = chosen(notes, max(0, room), count, last)
    first = session.episodes[0].first if session.episodes else 0
    first = min(first, picked[0].seq) if picked else first
    session.episodes = [Episode(first, last, [n.id for n in picked], narrative)]


def _newest_narratives(session: Session, room: int, count: Callable[[str], int]) -> str:
    kept: list[str] = []
    for episode in reversed(session.episodes):
        size = count(episode.narrative)
        if episode.narrative and size <= room:
            kept.append(episode.narrative)
            room -= size
    return "\n".join(reversed(kept))


def shrink(session: Session, room_tokens: int) -> None:
    """Make the warm tier fit a smaller room: fewer notes, the best ones."""
    if warm_tokens(session) <= room_tokens or not session.episodes:
        return
    last = session.episodes[-1].last
    if room_tokens <= HEADER_TOKENS * 2:
        session.episodes = [Episode(session.episodes[0].first, last, [])]
        return
    _consolidate(session, last, room_tokens, _remembering(session.counter.text))
    refresh(session)
    if warm_tokens(session) > room_tokens:
        session.episodes = [Episode(session.episodes[0].first, last, [])]


def _remembering(count: Callable[[str], int]) -> Callable[[str], int]:
    return lru_cache(maxsize=8192)(count)


def extractive_summary(
    messages: Sequence[Message], max_tokens: int, count: Callable[[str], int]
) -> str:
    """Summarise without a model: the sentences worth most, in order, in at most `max_tokens`.

    Exact strings stay exact; what was corrected later is left out. Deterministic.
    """
    ledger = Ledger()
    for seq, message in enumerate(messages):
        ledger.add(seq, message.role, find(plain_text(message), message.role))
    counted = _remembering(count)
    picked = chosen(ledger.notes.values(), max_tokens, counted, len(messages))
    text = "\n".join(map(line_of, picked))
    while picked and count(text) > max_tokens:
        picked.remove(min(picked, key=lambda n: (n.score, n.seq)))
        text = "\n".join(map(line_of, picked))
    return text
